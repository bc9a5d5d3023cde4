// Conversions of 8-, 6- and 4-bit floats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_CONVERTSMALL_H
#define PTX_ARITHMETIC_CONVERTSMALL_H

#include "Arithmetic/ConvertFloat.h"

namespace ptx::arithmetic {

/// The small formats. `largest` is the pattern of the largest number, `nan`
/// what a NaN becomes; those without NaNs turn it into the largest number.
struct E4M3 : Format<4, 3> {
  static constexpr uint32_t largest = 0x7e, nan = 0x7f;
  static constexpr bool hasInfinity = false, hasNaN = true;
};
struct E5M2 : Format<5, 2> {
  static constexpr uint32_t largest = 0x7b, nan = 0x7f;
  static constexpr bool hasInfinity = true, hasNaN = true;
};
struct E2M3 : Format<2, 3> {
  static constexpr uint32_t largest = 0x1f, nan = 0x1f;
  static constexpr bool hasInfinity = false, hasNaN = false;
};
struct E3M2 : Format<3, 2> {
  static constexpr uint32_t largest = 0x1f, nan = 0x1f;
  static constexpr bool hasInfinity = false, hasNaN = false;
};
struct E2M1 : Format<2, 1> {
  static constexpr uint32_t largest = 0x7, nan = 0x7;
  static constexpr bool hasInfinity = false, hasNaN = false;
};

/// Rounds to nearest; what is too large, infinities too, becomes the largest
/// number (`.satfinite`).
template <class Fmt, bool Relu> PTX_INLINE uint32_t f32ToSmall(float x) {
  float value = Relu ? relu(x) : x;
  if (isNaN(value))
    return Fmt::nan;
  Number number = numberOf<F32>(bitsOf(value));
  uint32_t bits =
      static_cast<uint32_t>(roundMagnitude<Fmt>(number, Round::Nearest));
  if (bits > Fmt::largest || !__builtin_isfinite(value))
    bits = Fmt::largest;
  return bits | (number.negative ? static_cast<uint32_t>(Fmt::signBit) : 0);
}
template <class Fmt> PTX_INLINE float smallToF32(uint32_t bits) {
  uint32_t magnitude = bits & static_cast<uint32_t>(Fmt::magnitude);
  uint32_t sign = (bits & Fmt::signBit) ? 0x80000000u : 0;
  if (Fmt::hasNaN &&
      (Fmt::hasInfinity ? magnitude > Fmt::infinity : magnitude == Fmt::nan))
    return canonicalNaN();
  if (Fmt::hasInfinity && magnitude == Fmt::infinity)
    return floatOf(sign | 0x7f800000u);
  // Exact: the fraction in place, rebiased by a multiplication.
  constexpr unsigned shift = 23 - Fmt::fractionBits;
  constexpr float scale =
      __builtin_bit_cast(float, static_cast<uint32_t>(254 - Fmt::bias) << 23);
  float value = floatOf(magnitude << shift) * scale;
  return floatOf(bitsOf(value) | sign);
}

//===----------------------------------------------------------------------===//
// Packed pairs; e2m1x2 has 4 bits each, the others 8
//===----------------------------------------------------------------------===//

template <class Fmt>
inline constexpr unsigned kPairShift =
    Fmt::exponentBits == 2 && Fmt::fractionBits == 1 ? 4 : 8;

/// `a` above `b`.
template <class Fmt, bool Relu>
PTX_INLINE uint16_t f32ToSmallPair(float a, float b) {
  return static_cast<uint16_t>(f32ToSmall<Fmt, Relu>(a) << kPairShift<Fmt> |
                               f32ToSmall<Fmt, Relu>(b));
}
template <class Fmt, bool Relu>
PTX_INLINE uint8_t f32ToSmallByte(float a, float b) {
  return static_cast<uint8_t>(f32ToSmallPair<Fmt, Relu>(a, b));
}
template <class Fmt, class H, bool Relu>
PTX_INLINE uint16_t halvesToSmallPair(uint32_t x) {
  return f32ToSmallPair<Fmt, Relu>(toFloat(H{static_cast<uint16_t>(x >> 16)}),
                                   toFloat(H{static_cast<uint16_t>(x)}));
}
template <class Fmt, class H, bool Relu>
PTX_INLINE uint8_t halvesToSmallByte(uint32_t x) {
  return static_cast<uint8_t>(halvesToSmallPair<Fmt, H, Relu>(x));
}
template <class Fmt, class H, bool Relu>
PTX_INLINE uint32_t smallPairToHalves(uint16_t x) {
  auto one = [](uint32_t bits) {
    float value = smallToF32<Fmt>(bits & ((1u << kPairShift<Fmt>)-1));
    return uint32_t{fromFloat<H>(Relu ? relu(value) : value).bits};
  };
  return one(uint32_t{x} >> kPairShift<Fmt>) << 16 | one(x);
}
template <class Fmt, class H, bool Relu>
PTX_INLINE uint32_t smallByteToHalves(uint8_t x) {
  return smallPairToHalves<Fmt, H, Relu>(x);
}

//===----------------------------------------------------------------------===//
// ue8m0: powers of two, 2^(x-127); ff is NaN
//===----------------------------------------------------------------------===//

/// Of the magnitude of x, rounded down (rz) or up (rp).
template <bool Up, bool Satfinite> PTX_INLINE uint32_t f32ToUE8M0(float x) {
  uint32_t magnitude = bitsOf(x) & 0x7fffffffu;
  uint32_t result = magnitude >> 23;
  bool between = (magnitude & 0x7fffffu) != 0 && magnitude > 0x00400000u &&
                 magnitude < 0x7f800000u;
  if (Up && between)
    ++result;
  if (Satfinite && magnitude <= 0x7f800000u && result == 0xff)
    result = 0xfe;
  return result;
}
template <bool Up, bool Satfinite>
PTX_INLINE uint16_t f32ToUE8M0Pair(float a, float b) {
  return static_cast<uint16_t>(f32ToUE8M0<Up, Satfinite>(a) << 8 |
                               f32ToUE8M0<Up, Satfinite>(b));
}
template <bool Up, bool Satfinite>
PTX_INLINE uint16_t bhalvesToUE8M0Pair(uint32_t x) {
  return f32ToUE8M0Pair<Up, Satfinite>(
      toFloat(BHalf{static_cast<uint16_t>(x >> 16)}),
      toFloat(BHalf{static_cast<uint16_t>(x)}));
}
PTX_INLINE uint32_t ue8m0PairToBHalves(uint16_t x) {
  auto one = [](uint32_t e) {
    return e == 0 ? 0x0040u : e == 0xff ? 0x7fffu : e << 7;
  };
  return one(x >> 8) << 16 | one(x & 0xffu);
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_CONVERTSMALL_H
