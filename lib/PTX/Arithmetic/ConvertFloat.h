// Conversions between f16, bf16, tf32, f32, f64.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_CONVERTFLOAT_H
#define PTX_ARITHMETIC_CONVERTFLOAT_H

#include "Arithmetic/ConvertInteger.h"
#include "Arithmetic/Float64.h"

namespace ptx::arithmetic {

/// A finite f32 number rounded to a format of 16 bits.
template <class Fmt, Round R> PTX_INLINE uint32_t roundTo16(float x) {
  if constexpr (Fmt::exponentBits == 8) {
    // The same exponents: subnormals need no care.
    uint32_t bits = bitsOf(x);
    bool negative = bits >> 31;
    uint32_t up = 0;
    if (R == Round::Nearest)
      up = 0x7fffu + (bits >> 16 & 1);
    else if (R == (Round::Down))
      up = negative ? 0xffffu : 0;
    else if (R == Round::Up)
      up = negative ? 0 : 0xffffu;
    return (bits + up) >> 16;
  } else if constexpr (R == Round::Nearest) {
    return toHalf(x).bits;
  } else {
    return static_cast<uint32_t>(roundTo<Fmt>(numberOf<F32>(bitsOf(x)), R));
  }
}

struct FloatModifiers {
  bool ftz = false, sat = false, relu = false, satfinite = false;
};

/// f32 to f16 or bf16. Every NaN becomes 7fff.
template <class H, Round R, FloatModifiers M> PTX_INLINE H f32ToHalf(float x) {
  using Fmt = std::conditional_t<std::is_same_v<H, Half>, F16, BF16>;
  float given = operandOf<M.ftz>(x);
  float value = M.sat ? saturate(given) : M.relu ? relu(given) : given;
  uint32_t bits = roundTo16<Fmt, R>(value);
  uint32_t sign = bitsOf(value) >> 16 & 0x8000u;
  bool infinite = (bitsOf(value) & 0x7fffffffu) == 0x7f800000u;
  bits = infinite ? sign | static_cast<uint32_t>(Fmt::infinity) : bits;
  if constexpr (M.satfinite)
    bits = (bits & 0x7fffu) == Fmt::infinity
               ? sign | static_cast<uint32_t>(Fmt::largest)
               : bits;
  return {static_cast<uint16_t>(isNaN(value) ? 0x7fffu : bits)};
}
/// Two f32 packed: `a` above `b`.
template <class H, Round R, FloatModifiers M>
PTX_INLINE uint32_t f32ToHalves(float a, float b) {
  uint32_t high = f32ToHalf<H, R, M>(a).bits;
  return high << 16 | f32ToHalf<H, R, M>(b).bits;
}

/// f16 to f32; NaNs are canonical.
template <bool Ftz, bool Sat> PTX_INLINE float halfToF32(Half x) {
  float value = toFloat(x);
  return Sat ? saturate(value) : canonical(value);
}
/// bf16 to f32: a shift, which even leaves a NaN signalling.
PTX_INLINE float bhalfToF32(BHalf x) { return toFloat(x); }
/// With `.ftz` it is a conversion like others.
PTX_INLINE float bhalfToFlushedF32(BHalf x) {
  return canonical(operandOf<true>(toFloat(x)));
}

template <bool Ftz, bool Sat> PTX_INLINE double f32ToF64(float x) {
  double value = static_cast<double>(operandOf<Ftz>(x));
  // The payload moves up with the fraction; with `.ftz` it is lost.
  uint64_t payload = uint64_t{bitsOf(x)} << 29 & F64::fraction;
  uint64_t sign = uint64_t{bitsOf(x) >> 31} << 63;
  uint64_t nan = sign | F64::infinity | F64::quiet | payload;
  if constexpr (Ftz)
    nan = uint64_t{kCanonicalNaN} << 29 | F64::infinity;
  if constexpr (Sat)
    return value > 0 ? (value < 1 ? value : 1.0) : 0.0;
  return isNaN(x) ? doubleOf(nan) : value;
}
template <class H, bool Sat> PTX_INLINE double halfToF64(H x) {
  return f32ToF64<false, Sat>(toFloat(x));
}

/// The NaN of f64 with its payload cut, quiet.
template <class Fmt> PTX_INLINE uint64_t cutNaN(uint64_t bits) {
  constexpr unsigned drop = F64::fractionBits - Fmt::fractionBits;
  uint64_t payload = (bits & F64::fraction) >> drop;
  uint64_t sign = bits >> 63 ? Fmt::signBit : 0;
  return sign | Fmt::infinity | Fmt::quiet | payload;
}
template <Round R, bool Ftz, bool Sat> PTX_INLINE float f64ToF32(double x) {
  float result;
  if constexpr (R == Round::Nearest)
    result = static_cast<float>(x);
  else if (__builtin_isfinite(x))
    result = floatOf(static_cast<uint32_t>(roundTo<F32>(numberOf(x), R)));
  else
    result = static_cast<float>(x);
  if constexpr (Ftz)
    result = __builtin_fabs(x) < 0x1p-126
                 ? floatOf(static_cast<uint32_t>(bitsOf(x) >> 32) & 0x80000000u)
                 : result;
  if constexpr (Sat)
    return saturate(result);
  uint32_t nan = static_cast<uint32_t>(cutNaN<F32>(bitsOf(x)));
  return isNaN(x) ? floatOf(nan) : result;
}
template <class H, Round R> PTX_INLINE H f64ToHalf(double x) {
  using Fmt = std::conditional_t<std::is_same_v<H, Half>, F16, BF16>;
  uint64_t bits;
  if (isNaN(x))
    bits = cutNaN<Fmt>(bitsOf(x));
  else if (!__builtin_isfinite(x))
    bits = Fmt::infinity | (x < 0 ? Fmt::signBit : 0);
  else
    bits = roundTo<Fmt>(numberOf(x), R);
  return {static_cast<uint16_t>(bits)};
}
template <Round R> PTX_INLINE Half f64ToSaturatedHalf(double x) {
  return toHalf(saturate(toFloat(f64ToHalf<Half, R>(x))));
}
/// f16 to bf16 and back.
template <class H, class D, Round R> PTX_INLINE D halfToHalf(H x) {
  return f32ToHalf<D, R, FloatModifiers{}>(toFloat(x));
}

//===----------------------------------------------------------------------===//
// To an integral value of the same type
//===----------------------------------------------------------------------===//

template <Round R, bool Ftz, bool Sat> PTX_INLINE float integralF32(float x) {
  float result = roundIntegral<R>(operandOf<Ftz>(x));
  return Sat ? saturate(result) : canonical(result);
}
template <Round R, bool Sat> PTX_INLINE double integralF64(double x) {
  double result = roundIntegral<R>(x);
  if constexpr (Sat)
    return result > 0 ? (result < 1 ? result : 1.0) : 0.0;
  return orNaN(result, x);
}
template <class H, Round R, bool Sat> PTX_INLINE H integralHalf(H x) {
  return fromFloat<H>(integralF32<R, false, Sat>(toFloat(x)));
}
/// cvt of a float type to itself, without rounding.
template <bool Ftz, bool Sat> PTX_INLINE float sameF32(float x) {
  float value = operandOf<Ftz>(x);
  return Sat ? saturate(value) : canonical(value);
}
template <class H, bool Sat> PTX_INLINE H sameHalf(H x) {
  float value = toFloat(x);
  return fromFloat<H>(Sat ? saturate(value) : value);
}
template <bool Sat> PTX_INLINE double sameF64(double x) {
  if constexpr (Sat)
    return x > 0 ? (x < 1 ? x : 1.0) : 0.0;
  return x;
}

//===----------------------------------------------------------------------===//
// tf32: f32 with 10 fraction bits, the rest zero
//===----------------------------------------------------------------------===//

template <Round R, bool Relu, bool Satfinite>
PTX_INLINE uint32_t f32ToTF32(float x) {
  uint32_t bits = bitsOf(Relu ? relu(x) : x);
  uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t up = 0;
  if (R == Round::Nearest)
    up = 0xfffu + (bits >> 13 & 1);
  else if (R == Round::Away)
    up = 0x1000u;
  uint32_t result = (bits + up) & ~0x1fffu;
  if constexpr (R == Round::Away) {
    // Only the bits count, of NaNs too: they do not carry into the sign, and
    // `.satfinite` takes a step back from infinity and from all beyond.
    if (magnitude > 0x7fffefffu)
      result = bits & ~0x1fffu;
    bool beyond = (result & 0x7fffffffu) >= 0x7f800000u;
    return Satfinite && beyond ? result - 0x2000u : result;
  }
  result = magnitude > 0x7f800000u ? 0x7fffe000u : result;
  if constexpr (Satfinite)
    result = (result & 0x7fffffffu) == 0x7f800000u
                 ? (result & 0x80000000u) | 0x7f7fe000u
                 : result;
  return result;
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_CONVERTFLOAT_H
