// F32 arithmetic of one lane.
//
// Rounding to nearest is the CPU's. The other roundings start from it: the
// exact result minus the rounded one is known (its sign at least) by double
// arithmetic, and tells whether to step to the neighbour.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_FLOAT32_H
#define PTX_ARITHMETIC_FLOAT32_H

#include "Arithmetic/Bits.h"

namespace ptx::arithmetic {

/// A result rounded to nearest, and a number with the sign of (exact result -
/// rounded result). NaN as residual counts as zero.
struct Rounded {
  float nearest;
  double residual;
};

PTX_INLINE Rounded roundedSum(float a, float b) {
  double x = a, y = b;
  double sum = x + y, part = sum - x;
  double error = (x - (sum - part)) + (y - part);
  float nearest = a + b;
  return {nearest, (sum - nearest) + error};
}
PTX_INLINE Rounded roundedProduct(float a, float b) {
  float nearest = a * b;
  return {nearest, static_cast<double>(a) * b - nearest};
}
PTX_INLINE Rounded roundedFma(float a, float b, float c) {
  double x = static_cast<double>(a) * b, y = c;
  double sum = x + y, part = sum - x;
  double error = (x - (sum - part)) + (y - part);
  float nearest = __builtin_fmaf(a, b, c);
  return {nearest, (sum - nearest) + error};
}
PTX_INLINE Rounded roundedQuotient(float a, float b) {
  float nearest = a / b;
  double rest = a - static_cast<double>(nearest) * b;
  return {nearest, b < 0 ? -rest : rest};
}
PTX_INLINE Rounded roundedRoot(float a) {
  float nearest = __builtin_sqrtf(a);
  return {nearest, a - static_cast<double>(nearest) * nearest};
}

/// The neighbour that a directed rounding takes instead of `nearest`.
template <Round R> PTX_INLINE float direct(Rounded x) {
  int32_t bits = bitCast<int32_t>(x.nearest);
  bool negative = bits < 0, above = x.residual > 0, below = x.residual < 0;
  int32_t inward = negative ? above : below;
  int32_t outward = negative ? below : above;
  int32_t step = 0;
  if (R == Round::Zero)
    step = -inward;
  else if (R == Round::Down)
    step = negative ? outward : -inward;
  else if (R == Round::Up)
    step = negative ? -inward : outward;
  // From +0 down and from -0 up lies the smallest number of the other sign.
  bool zero = (bits & 0x7fffffff) == 0;
  if (R == Round::Down && zero && below)
    return floatOf(0x80000001u);
  if (R == Round::Up && zero && above)
    return floatOf(0x00000001u);
  return bitCast<float>(bits + step);
}

/// `.ftz` of a result: by the exact value, before it is rounded.
PTX_INLINE bool isFlushed(Rounded x) {
  uint32_t magnitude = bitsOf(x.nearest) & 0x7fffffffu;
  bool inward = (bitsOf(x.nearest) >> 31) ? x.residual > 0 : x.residual < 0;
  return magnitude < 0x00800000u || (magnitude == 0x00800000u && inward);
}

template <Round R, bool Ftz, bool Sat> PTX_INLINE float finish(Rounded x) {
  float result = x.nearest;
  if constexpr (R != Round::Nearest)
    result = direct<R>(x);
  if constexpr (Ftz)
    result = isFlushed(x) ? floatOf(bitsOf(x.nearest) & 0x80000000u) : result;
  if constexpr (Sat)
    return saturate(result);
  return canonical(result);
}

template <Round R, bool Ftz, bool Sat = false>
PTX_INLINE float addF32(float x, float y) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y);
  if constexpr (R == Round::Nearest) {
    // Sums of normal numbers below the smallest normal one are exact.
    float sum = operandOf<Ftz>(a + b);
    return Sat ? saturate(sum) : canonical(sum);
  } else {
    float result = finish<R, Ftz, Sat>(roundedSum(a, b));
    // Numbers that cancel give -0 when rounding down.
    bool cancels = R == Round::Down && !Sat && a + b == 0.0f;
    uint32_t sign = (bitsOf(a) | bitsOf(b)) & 0x80000000u;
    return cancels ? floatOf(sign) : result;
  }
}
template <Round R, bool Ftz, bool Sat = false>
PTX_INLINE float subF32(float a, float b) {
  return addF32<R, Ftz, Sat>(a, -b);
}

template <Round R, bool Ftz, bool Sat = false>
PTX_INLINE float mulF32(float x, float y) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y);
  if constexpr (R == Round::Nearest && !Ftz) {
    return Sat ? saturate(a * b) : canonical(a * b);
  } else {
    return finish<R, Ftz, Sat>(roundedProduct(a, b));
  }
}

template <Round R, bool Ftz, bool Sat = false>
PTX_INLINE float fmaF32(float x, float y, float z) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y), c = operandOf<Ftz>(z);
  if constexpr (R == Round::Nearest && !Ftz) {
    float result = __builtin_fmaf(a, b, c);
    return Sat ? saturate(result) : canonical(result);
  } else {
    Rounded exact = roundedFma(a, b, c);
    float result = finish<R, Ftz, Sat>(exact);
    double product = static_cast<double>(a) * b;
    bool cancels = R == Round::Down && !Sat && product + c == 0.0;
    uint32_t sign = (bitsOf(a) ^ bitsOf(b)) | bitsOf(c);
    return cancels ? floatOf(sign & 0x80000000u) : result;
  }
}

/// The quick form of mul and fma with `.ftz`, rounded to nearest: in doubt
/// where the result is the smallest normal number, perhaps from below.
template <bool Sat> PTX_INLINE Checked<float> flushQuickly(float x) {
  float result = flush(x);
  bool doubtful = (bitsOf(x) & 0x7fffffffu) == 0x00800000u;
  return {Sat ? saturate(result) : canonical(result), doubtful};
}
template <bool Sat> PTX_INLINE Checked<float> mulF32Quick(float x, float y) {
  return flushQuickly<Sat>(flush(x) * flush(y));
}
template <bool Sat>
PTX_INLINE Checked<float> fmaF32Quick(float x, float y, float z) {
  return flushQuickly<Sat>(__builtin_fmaf(flush(x), flush(y), flush(z)));
}

template <Round R, bool Ftz> PTX_INLINE float divF32(float x, float y) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y);
  if constexpr (R == Round::Nearest && !Ftz)
    return canonical(a / b);
  else
    return finish<R, Ftz, false>(roundedQuotient(a, b));
}
template <Round R, bool Ftz> PTX_INLINE float rcpF32(float x) {
  return divF32<R, Ftz>(1.0f, x);
}
template <Round R, bool Ftz> PTX_INLINE float sqrtF32(float x) {
  float a = operandOf<Ftz>(x);
  if constexpr (R == Round::Nearest)
    return canonical(__builtin_sqrtf(a));
  else
    return finish<R, false, false>(roundedRoot(a));
}

template <bool Ftz> PTX_INLINE float absF32(float x) {
  return canonical(floatOf(bitsOf(operandOf<Ftz>(x)) & 0x7fffffffu));
}
template <bool Ftz> PTX_INLINE float negF32(float x) {
  return canonical(floatOf(bitsOf(operandOf<Ftz>(x)) ^ 0x80000000u));
}
/// The magnitude of `b` with the sign of `a`.
PTX_INLINE float copysignF32(float a, float b) {
  return floatOf((bitsOf(a) & 0x80000000u) | (bitsOf(b) & 0x7fffffffu));
}

/// Integers ordered as the floats are, -0 below +0; not for NaNs.
PTX_INLINE int32_t order(float x) {
  int32_t bits = bitCast<int32_t>(x);
  return bits ^ static_cast<int32_t>(static_cast<uint32_t>(bits >> 31) >> 1);
}
/// Min or max of numbers and NaNs: a number beats a NaN unless `.NaN`.
template <bool Max, bool NaN> PTX_INLINE float choose(float a, float b) {
  bool first = Max ? order(a) > order(b) : order(a) < order(b);
  float result = first ? a : b;
  result = isNaN(a) ? b : isNaN(b) ? a : result;
  bool invalid = NaN ? isNaN(a) || isNaN(b) : isNaN(a) && isNaN(b);
  return invalid ? canonicalNaN() : result;
}
template <bool Max, bool Ftz, bool NaN, bool Xorsign>
PTX_INLINE float minMaxF32(float x, float y) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y);
  if constexpr (!Xorsign)
    return choose<Max, NaN>(a, b);
  uint32_t sign = (bitsOf(a) ^ bitsOf(b)) & 0x80000000u;
  float result = choose<Max, NaN>(__builtin_fabsf(a), __builtin_fabsf(b));
  return isNaN(result) ? result : floatOf(bitsOf(result) | sign);
}
/// Of three numbers; with `.abs`, of their magnitudes.
template <bool Max, bool Ftz, bool NaN, bool Abs>
PTX_INLINE float minMax3F32(float x, float y, float z) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y), c = operandOf<Ftz>(z);
  if constexpr (Abs) {
    a = __builtin_fabsf(a);
    b = __builtin_fabsf(b);
    c = __builtin_fabsf(c);
  }
  return choose<Max, NaN>(choose<Max, NaN>(a, b), c);
}

/// Applies a function of f32 to both halves of packed operands.
template <auto F, class... Packed>
PTX_INLINE uint64_t bothF32(Packed... packed) {
  uint32_t low = bitsOf(F(floatOf(static_cast<uint32_t>(packed))...));
  uint32_t high = bitsOf(F(floatOf(static_cast<uint32_t>(packed >> 32))...));
  return uint64_t{high} << 32 | low;
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_FLOAT32_H
