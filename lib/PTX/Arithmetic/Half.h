// F16 and bf16 arithmetic of one lane.
//
// Computed in f32 and rounded once: f32 has more than twice the digits of f16,
// and where an f32 result would itself be rounded it is rounded to odd, which
// a second rounding cannot mistake.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_HALF_H
#define PTX_ARITHMETIC_HALF_H

#include "Arithmetic/Float32.h"

namespace ptx::arithmetic {

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

/// Exact; a NaN keeps its payload, moved up.
PTX_INLINE float toFloat(Half h) {
  uint32_t magnitude = uint32_t{h.bits} & 0x7fffu;
  // Rebiased by a multiplication, which also normalises subnormals.
  float scaled = floatOf(magnitude << 13) * 0x1p112f;
  uint32_t bits =
      magnitude >= 0x7c00u ? magnitude << 13 | 0x7f800000u : bitsOf(scaled);
  return floatOf(bits | (uint32_t{h.bits} & 0x8000u) << 16);
}
PTX_INLINE float toFloat(BHalf h) { return floatOf(uint32_t{h.bits} << 16); }

/// Rounds to nearest even; a NaN becomes 7fff.
PTX_INLINE Half toHalf(float x) {
  uint32_t sign = bitsOf(x) >> 16 & 0x8000u;
  uint32_t magnitude = bitsOf(x) & 0x7fffffffu;
  uint32_t normal =
      (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13;
  // The last place of 0.5f is that of the subnormals.
  uint32_t subnormal = bitsOf(floatOf(magnitude) + 0.5f) - bitsOf(0.5f);
  uint32_t bits = magnitude < 0x38800000u ? subnormal : normal;
  bits = magnitude >= 0x477ff000u ? 0x7c00u : bits;
  bits = magnitude > 0x7f800000u ? 0x7fffu : bits | sign;
  return {static_cast<uint16_t>(bits)};
}
PTX_INLINE BHalf toBHalf(float x) {
  uint32_t bits = bitsOf(x);
  uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  return {static_cast<uint16_t>(isNaN(x) ? 0x7fffu : rounded)};
}
template <class H> PTX_INLINE H fromFloat(float x) {
  if constexpr (std::is_same_v<H, Half>)
    return toHalf(x);
  else
    return toBHalf(x);
}

/// A number rounded to nearest, made odd if it is inexact: a step towards the
/// exact value where its last bit is 0.
PTX_INLINE float toOdd(float nearest, bool towardsZero, bool inexact) {
  int32_t bits = bitCast<int32_t>(nearest);
  int32_t step = inexact && !(bits & 1) ? (towardsZero ? -1 : 1) : 0;
  return bitCast<float>(bits + step);
}

/// a + b as an f32 that rounds correctly to 16 bits; also where it overflows.
PTX_INLINE float sumOdd(float a, float b) {
  float sum = a + b, part = sum - a;
  float error = (a - (sum - part)) + (b - part);
  bool inward = sum > 0 ? error < 0 : error > 0;
  return toOdd(sum, inward, error > 0 || error < 0);
}
/// a * b + c as an f32 that rounds correctly to H.
PTX_INLINE float fmaOdd(Half x, Half y, Half z) {
  // The product is exact in f32.
  return sumOdd(toFloat(x) * toFloat(y), toFloat(z));
}
PTX_INLINE float fmaOdd(BHalf x, BHalf y, BHalf z) {
  double product = static_cast<double>(toFloat(x)) * toFloat(y);
  double c = toFloat(z);
  double sum = product + c, part = sum - product;
  double error = (product - (sum - part)) + (c - part);
  float nearest = static_cast<float>(sum);
  double residual = (sum - nearest) + error;
  bool negative = (bitsOf(nearest) >> 31) != 0;
  bool inward = negative ? residual > 0 : residual < 0;
  return toOdd(nearest, inward, residual > 0 || residual < 0);
}
/// The same in f32 alone, in doubt where the product leaves its range.
PTX_INLINE Checked<float> fmaOddQuick(BHalf x, BHalf y, BHalf z) {
  float a = toFloat(x), b = toFloat(y), product = a * b;
  float magnitude = __builtin_fabsf(product);
  bool inside = magnitude >= 0x1p-126f && magnitude <= 0x1.fffffep127f;
  return {sumOdd(product, toFloat(z)), !(inside || a == 0 || b == 0)};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

template <class H> PTX_INLINE bool isHalfNaN(H h) {
  uint32_t infinity = std::is_same_v<H, Half> ? 0x7c00u : 0x7f80u;
  return (uint32_t{h.bits} & 0x7fffu) > infinity;
}
template <class H> PTX_INLINE H zeroIfSubnormal(H h) {
  uint32_t exponent = std::is_same_v<H, Half> ? 0x7c00u : 0x7f80u;
  uint32_t bits = (h.bits & exponent) ? h.bits : h.bits & 0x8000u;
  return {static_cast<uint16_t>(bits)};
}
template <bool Ftz, class H> PTX_INLINE H halfOperand(H h) {
  return Ftz ? zeroIfSubnormal(h) : h;
}

/// `.relu`: negative numbers become +0, a NaN stays one.
PTX_INLINE float relu(float x) { return x < 0.0f || x == 0.0f ? 0.0f : x; }

/// What follows an exact (or odd) f32 result.
struct HalfModifiers {
  bool ftz = false, sat = false, relu = false;
};
template <HalfModifiers M, class H> PTX_INLINE H finishHalf(float exact) {
  float x = exact;
  // Before the rounding: what lies below the smallest normal number.
  if constexpr (M.ftz)
    x = __builtin_fabsf(x) < 0x1p-14f ? floatOf(bitsOf(x) & 0x80000000u) : x;
  if constexpr (M.sat)
    x = saturate(x);
  if constexpr (M.relu)
    x = relu(x);
  return fromFloat<H>(x);
}

template <class H, HalfModifiers M> PTX_INLINE H addHalf(H x, H y) {
  float a = toFloat(halfOperand<M.ftz>(x)), b = toFloat(halfOperand<M.ftz>(y));
  // f32 is wide enough for any sum of two f16.
  if constexpr (std::is_same_v<H, Half>)
    return finishHalf<M, H>(a + b);
  else
    return finishHalf<M, H>(sumOdd(a, b));
}
template <class H, HalfModifiers M> PTX_INLINE H subHalf(H x, H y) {
  H minus = {static_cast<uint16_t>(y.bits ^ 0x8000u)};
  return addHalf<H, M>(x, minus);
}
template <class H, HalfModifiers M> PTX_INLINE H mulHalf(H x, H y) {
  H a = halfOperand<M.ftz>(x), b = halfOperand<M.ftz>(y);
  // Exact in f32 for f16; a product of bf16 numbers may be subnormal there.
  float product;
  if constexpr (std::is_same_v<H, Half>)
    product = toFloat(a) * toFloat(b);
  else
    product =
        fmaOdd(a, b, BHalf{static_cast<uint16_t>((a.bits ^ b.bits) & 0x8000u)});
  return finishHalf<M, H>(product);
}
template <class H, HalfModifiers M> PTX_INLINE H fmaHalf(H x, H y, H z) {
  return finishHalf<M, H>(fmaOdd(halfOperand<M.ftz>(x), halfOperand<M.ftz>(y),
                                 halfOperand<M.ftz>(z)));
}

template <HalfModifiers M>
PTX_INLINE Checked<BHalf> fmaHalfQuick(BHalf x, BHalf y, BHalf z) {
  Checked<float> exact = fmaOddQuick(x, y, z);
  return {finishHalf<M, BHalf>(exact.value), exact.doubtful};
}
template <HalfModifiers M>
PTX_INLINE Checked<BHalf> mulHalfQuick(BHalf x, BHalf y) {
  return fmaHalfQuick<M>(
      x, y, BHalf{static_cast<uint16_t>((x.bits ^ y.bits) & 0x8000u)});
}

/// `.oob`: the NaN with which tensor loads fill what lies outside makes the
/// result zero.
template <class H> PTX_INLINE bool isOutOfBounds(H h) {
  return (h.bits & 0x7fffu) == 0x7ff7u;
}
template <class H, HalfModifiers M> PTX_INLINE H fmaHalfOob(H x, H y, H z) {
  H result = fmaHalf<H, M>(x, y, z);
  bool outside = isOutOfBounds(x) || isOutOfBounds(y);
  return outside ? H{0} : result;
}

template <class H, bool Ftz> PTX_INLINE H absHalf(H x) {
  H a = halfOperand<Ftz>(x);
  return isHalfNaN(a) ? H{0x7fff} : H{static_cast<uint16_t>(a.bits & 0x7fffu)};
}
template <class H, bool Ftz> PTX_INLINE H negHalf(H x) {
  H a = halfOperand<Ftz>(x);
  return isHalfNaN(a) ? H{0x7fff} : H{static_cast<uint16_t>(a.bits ^ 0x8000u)};
}

/// Integers ordered as the numbers are, -0 below +0.
template <class H> PTX_INLINE int32_t orderHalf(H h) {
  int32_t bits = static_cast<int16_t>(h.bits);
  return bits ^ ((bits >> 31) & 0x7fff);
}
template <class H, bool Max, bool NaN> PTX_INLINE H chooseHalf(H a, H b) {
  bool first = Max ? orderHalf(a) > orderHalf(b) : orderHalf(a) < orderHalf(b);
  bool nanA = isHalfNaN(a), nanB = isHalfNaN(b);
  uint32_t result = first ? a.bits : b.bits;
  result = nanA ? b.bits : nanB ? a.bits : result;
  bool invalid = NaN ? nanA || nanB : nanA && nanB;
  return {static_cast<uint16_t>(invalid ? 0x7fffu : result)};
}
template <class H, bool Max, bool Ftz, bool NaN, bool Xorsign>
PTX_INLINE H minMaxHalf(H x, H y) {
  H a = halfOperand<Ftz>(x), b = halfOperand<Ftz>(y);
  if constexpr (!Xorsign)
    return chooseHalf<H, Max, NaN>(a, b);
  H result =
      chooseHalf<H, Max, NaN>(H{static_cast<uint16_t>(a.bits & 0x7fffu)},
                              H{static_cast<uint16_t>(b.bits & 0x7fffu)});
  uint32_t sign = (uint32_t{a.bits} ^ b.bits) & 0x8000u;
  return isHalfNaN(result) ? result
                           : H{static_cast<uint16_t>(result.bits | sign)};
}
/// Applies a function of one half type to both halves of packed operands.
template <class H, auto F, class... Packed>
PTX_INLINE uint32_t bothHalves(Packed... packed) {
  uint32_t low = F(H{static_cast<uint16_t>(packed)}...).bits;
  uint32_t high = F(H{static_cast<uint16_t>(packed >> 16)}...).bits;
  return high << 16 | low;
}

/// The same of a function that may be in doubt.
template <class H, auto F, class... Packed>
PTX_INLINE Checked<uint32_t> bothHalvesChecked(Packed... packed) {
  Checked<H> low = F(H{static_cast<uint16_t>(packed)}...);
  Checked<H> high = F(H{static_cast<uint16_t>(packed >> 16)}...);
  return {uint32_t{high.value.bits} << 16 | low.value.bits,
          low.doubtful || high.doubtful};
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_HALF_H
