// Stochastic rounding: cvt.rs.
//
// A random number below 1 is added to what is cut off, in units of the result's
// last place; where the sum carries, the result is rounded away from zero. The
// PTX manual names the halves and bytes of the random word that each pair of
// elements takes. In which order the two read them was measured on a B200, by
// two who published it apart from each other and agree: the first element of a
// pair reads its bits backwards.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_CONVERTSTOCHASTIC_H
#define PTX_ARITHMETIC_CONVERTSTOCHASTIC_H

#include "Arithmetic/ConvertSmall.h"

namespace ptx::arithmetic {

/// The magnitude of a finite number rounded by `random`, of `Bits` bits; it may
/// exceed Format::largest.
template <class Fmt, unsigned Bits>
PTX_INLINE uint32_t roundStochastically(float x, uint32_t random) {
  // Of normal numbers all formats cut off at least as many bits.
  static_assert(Bits + Fmt::fractionBits <= 23);
  Number number = numberOf<F32>(bitsOf(x));
  if (number.significand == 0)
    return 0;
  int top = 63 - __builtin_clzll(number.significand) + number.exponent;
  if (top > Fmt::bias + 1)
    return static_cast<uint32_t>(Fmt::infinity + Fmt::smallestNormal);
  int last = top - static_cast<int>(Fmt::fractionBits);
  if (last < Fmt::smallest)
    last = Fmt::smallest;
  int drop = last - number.exponent;
  // Further down, not even the largest random number carries.
  if (drop >= 24 + static_cast<int>(Bits))
    return 0;
  uint64_t added = uint64_t{random} << (drop - static_cast<int>(Bits));
  uint64_t kept = (number.significand + added) >> drop;
  // `kept` holds the leading one: adding it counts the exponent up.
  uint64_t field = static_cast<uint64_t>(last - Fmt::smallest);
  return static_cast<uint32_t>((field << Fmt::fractionBits) + kept);
}

//===----------------------------------------------------------------------===//
// Pairs of f16 and bf16
//===----------------------------------------------------------------------===//

/// Every NaN becomes 7fff. What is too large becomes infinite, or the largest
/// number (`.satfinite`).
template <class H, FloatModifiers M>
PTX_INLINE uint32_t f32ToStochasticHalf(float x, uint32_t random) {
  using Fmt = std::conditional_t<std::is_same_v<H, Half>, F16, BF16>;
  // f16 takes as many bits as it cuts off.
  constexpr unsigned bits = std::is_same_v<H, Half> ? 13 : 16;
  constexpr uint32_t infinity = static_cast<uint32_t>(Fmt::infinity);
  float value = M.relu ? relu(x) : x;
  if (isNaN(value))
    return 0x7fffu;
  uint32_t magnitude = infinity;
  if (__builtin_isfinite(value))
    magnitude =
        roundStochastically<Fmt, bits>(value, random & ((1u << bits) - 1));
  if (magnitude >= infinity)
    magnitude = M.satfinite ? static_cast<uint32_t>(Fmt::largest) : infinity;
  return magnitude | (bitsOf(value) >> 16 & 0x8000u);
}
/// `a` with the upper half of the random word above `b` with the lower.
template <class H, FloatModifiers M>
PTX_INLINE uint32_t f32ToStochasticHalves(float a, float b, uint32_t random) {
  return f32ToStochasticHalf<H, M>(a, random >> 16) << 16 |
         f32ToStochasticHalf<H, M>(b, random);
}

//===----------------------------------------------------------------------===//
// Four 8-, 6- or 4-bit floats
//===----------------------------------------------------------------------===//

PTX_INLINE uint32_t reversed16(uint32_t x) {
  x = (x & 0x5555u) << 1 | (x >> 1 & 0x5555u);
  x = (x & 0x3333u) << 2 | (x >> 2 & 0x3333u);
  x = (x & 0x0f0fu) << 4 | (x >> 4 & 0x0f0fu);
  return (x & 0x00ffu) << 8 | (x >> 8 & 0x00ffu);
}
template <class Fmt, bool Relu>
PTX_INLINE uint32_t f32ToStochasticSmall(float x, uint32_t random) {
  float value = Relu ? relu(x) : x;
  if (isNaN(value))
    return Fmt::nan;
  uint32_t magnitude = Fmt::largest;
  if (__builtin_isfinite(value))
    magnitude = roundStochastically<Fmt, 16>(value, random);
  if (magnitude > Fmt::largest)
    magnitude = Fmt::largest;
  return magnitude |
         (bitsOf(value) >> 31 ? static_cast<uint32_t>(Fmt::signBit) : 0);
}
/// Two elements that share 16 bits, the first of them backwards.
template <class Fmt, bool Relu>
PTX_INLINE uint32_t f32ToStochasticPair(float a, float b, uint32_t random) {
  return f32ToStochasticSmall<Fmt, Relu>(a, reversed16(random))
             << kPairShift<Fmt> |
         f32ToStochasticSmall<Fmt, Relu>(b, random);
}
/// `a`, `b`, `e`, `f` from the top. The first pair takes the upper half of the
/// random word and the second the lower one; of 4-bit floats, the upper and
/// lower bytes of both halves.
template <class Fmt, bool Relu>
PTX_INLINE uint32_t f32ToStochasticFour(float a, float b, float e, float f,
                                        uint32_t random) {
  uint32_t first = random >> 16, second = random & 0xffffu;
  if constexpr (kPairShift<Fmt> == 4) {
    first = (random >> 16 & 0xff00u) | (random >> 8 & 0xffu);
    second = (random >> 8 & 0xff00u) | (random & 0xffu);
  }
  return f32ToStochasticPair<Fmt, Relu>(a, b, first) << 2 * kPairShift<Fmt> |
         f32ToStochasticPair<Fmt, Relu>(e, f, second);
}
template <class Fmt, bool Relu>
PTX_INLINE uint16_t f32ToStochasticNibbles(float a, float b, float e, float f,
                                           uint32_t random) {
  return static_cast<uint16_t>(
      f32ToStochasticFour<Fmt, Relu>(a, b, e, f, random));
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_CONVERTSTOCHASTIC_H
