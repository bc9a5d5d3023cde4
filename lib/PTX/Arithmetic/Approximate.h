// The approximate functions of one lane.
//
// Computed in double and rounded once: closer to the exact value than any GPU,
// and equal on every CPU, as no multiply and add are fused. Where the recorded
// hardware is exact, or deliberately not, its result is given:
//   - sin and cos see x times 0x3e22f983 (1/2pi) cut to f32, and of that what
//     is at least 2^-25 of a turn;
//   - ex2 and tanh of 16-bit types are rounded as recorded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_APPROXIMATE_H
#define PTX_ARITHMETIC_APPROXIMATE_H

#include "Arithmetic/Float64.h"
#include "Arithmetic/Half.h"

namespace ptx::arithmetic {

/// To the nearest integer, ties to even; for |x| < 2^51.
PTX_INLINE double nearestInteger(double x) {
  constexpr double shift = 0x1.8p52;
  return (x + shift) - shift;
}

/// 2^x within 2^-36, for x in [-1000, 1000].
PTX_INLINE double exp2Double(double x) {
  double whole = nearestInteger(x), f = x - whole;
  // ln(2)^k / k!
  double q = 0x1.e4cf5158b8ec7p-28;
  q = q * f + 0x1.b5253d395e7c1p-24;
  q = q * f + 0x1.62c0223a5c822p-20;
  q = q * f + 0x1.ffcbfc588b0c5p-17;
  q = q * f + 0x1.430912f86c786p-13;
  q = q * f + 0x1.5d87fe78a6730p-10;
  q = q * f + 0x1.3b2ab6fba4e77p-7;
  q = q * f + 0x1.c6b08d704a0bfp-5;
  q = q * f + 0x1.ebfbdff82c58ep-3;
  q = q * f + 0x1.62e42fefa39efp-1;
  double power = 1.0 + q * f;
  // The low bits of whole + 1.5 * 2^52 are the integer.
  uint64_t exponent = bitsOf(whole + 0x1.8p52) + 1023;
  return power * doubleOf(exponent << 52);
}

/// The result in f32; with `.ftz` what is below the smallest normal number is
/// zero, before it is rounded.
template <bool Ftz> PTX_INLINE float toF32(double x) {
  float result = static_cast<float>(x);
  if constexpr (Ftz) {
    uint32_t sign = static_cast<uint32_t>(bitsOf(x) >> 32) & 0x80000000u;
    result = __builtin_fabs(x) < 0x1p-126 ? floatOf(sign) : result;
  }
  return canonical(result);
}

/// Beyond 300 all powers are zero or infinite.
PTX_INLINE float withinPowers(float x) {
  float low = x > -300.0f ? x : -300.0f;
  return low < 300.0f ? low : 300.0f;
}
template <bool Ftz> PTX_INLINE float ex2Approx(float x) {
  float result = toF32<Ftz>(exp2Double(withinPowers(x)));
  if constexpr (!Ftz)
    result = x == -127.0f ? floatOf(0x003fffffu) : result;
  return isNaN(x) ? canonicalNaN() : result;
}

/// log2 of a positive finite number within 2^-36, relatively near 1 too.
PTX_INLINE double log2Double(double x) {
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2)).
  constexpr uint64_t rootHalf = 0x3fe6a09e667f3bcdu;
  uint64_t above = bitsOf(x) - rootHalf;
  int64_t e = static_cast<int64_t>(above) >> 52;
  double m = doubleOf((above & F64::fraction) + rootHalf);
  double s = (m - 1.0) / (m + 1.0), z = s * s;
  // 2 / (ln(2) * (2k + 1))
  double p = 0x1.89f3b1694cffep-3;
  p = p * z + 0x1.c68f568d31761p-3;
  p = p * z + 0x1.0c9a84994022dp-2;
  p = p * z + 0x1.484b13d7c02a9p-2;
  p = p * z + 0x1.a61762a7adedap-2;
  p = p * z + 0x1.2776c50ef9bfep-1;
  p = p * z + 0x1.ec709dc3a03fep-1;
  p = p * z + 0x1.71547652b82fep+1;
  // Small integers to double without an instruction that only AVX-512 has.
  double exponent =
      doubleOf(static_cast<uint64_t>(e) + 0x4338000000000000u) - 0x1.8p52;
  return exponent + p * s;
}
template <bool Ftz> PTX_INLINE float lg2Approx(float x) {
  float a = operandOf<Ftz>(x);
  float result = static_cast<float>(log2Double(a > 0 ? a : 1.0f));
  result = a == 0.0f ? floatOf(0xff800000u) : result;
  result = bitsOf(a) == 0x7f800000u ? a : result;
  bool invalid = !(a >= 0.0f);
  return invalid ? canonicalNaN() : result;
}

/// Turns, in [-1/2, 1/2].
PTX_INLINE double turnsOf(float x) {
  constexpr float perRadian = __builtin_bit_cast(float, 0x3e22f983u);
  double product = static_cast<double>(x) * perRadian;
  double turns = doubleOf(bitsOf(product) & ~((uint64_t{1} << 29) - 1));
  // From 2^24 on all are whole; this also keeps the steps below exact.
  turns = __builtin_fabs(turns) < 0x1p24 ? turns : turns * 0.0;
  return turns - nearestInteger(turns);
}
/// Cut to steps of 2^-25, for |t| <= 1/4.
PTX_INLINE double cutToSteps(double t) {
  double steps = t * 0x1p25, rounded = nearestInteger(steps);
  double over = __builtin_fabs(rounded) > __builtin_fabs(steps)
                    ? (steps < 0 ? -1.0 : 1.0)
                    : 0.0;
  return (rounded - over) * 0x1p-25;
}
/// sin(2 pi t) for t in [-1/4, 1/4].
PTX_INLINE double sinTurns(double t) {
  double z = t * t;
  double p = 0x1.e8f434d018d5fp+1;
  p = p * z + -0x1.e3074fde8871cp+3;
  p = p * z + 0x1.50783487ee77fp+5;
  p = p * z + -0x1.32d2cce62bd84p+6;
  p = p * z + 0x1.466bc6775aae1p+6;
  p = p * z + -0x1.4abbce625be52p+5;
  p = p * z + 0x1.921fb54442d18p+2;
  return p * t;
}
template <bool Ftz> PTX_INLINE float sinApprox(float x) {
  double t = turnsOf(operandOf<Ftz>(x));
  // Mirrored into the quarter turns next to zero.
  double half = t < 0 ? -0.5 : 0.5;
  double mirrored = __builtin_fabs(t) > 0.25 ? half - t : t;
  float sine = static_cast<float>(sinTurns(cutToSteps(mirrored)));
  // Zero has the sign of x, but is +0 at half a turn.
  float zero = __builtin_fabs(t) > 0.25 ? 0.0f : __builtin_copysignf(0.0f, x);
  return isNaN(x - x) ? canonicalNaN() : sine != 0 ? sine : zero;
}
/// The sine of what is left of a quarter turn, which the hardware takes one
/// step too small.
template <bool Ftz> PTX_INLINE float cosApprox(float x) {
  double t = 0.25 - __builtin_fabs(turnsOf(operandOf<Ftz>(x)));
  double steps = cutToSteps(t);
  double less = steps < t ? steps : steps - 0x1p-25;
  float cosine = static_cast<float>(sinTurns(t > 0 ? less : steps));
  return isNaN(x - x) ? canonicalNaN() : cosine;
}

/// tanh with a relative error below 2^-30.
PTX_INLINE double tanhDouble(double x) {
  double magnitude = __builtin_fabs(x);
  double inside = magnitude < 20.0 ? magnitude : 20.0;
  constexpr double twoOverLn2 = 0x1.71547652b82fep1;
  double power = exp2Double(inside * twoOverLn2);
  double large = (power - 1.0) / (power + 1.0);
  double z = inside * inside;
  double small =
      inside - inside * z * (1.0 / 3.0 - z * (2.0 / 15.0 - z * (17.0 / 315.0)));
  return __builtin_copysign(inside < 0.01 ? small : large, x);
}
PTX_INLINE float tanhApprox(float x) {
  float result = static_cast<float>(tanhDouble(x));
  return isNaN(x) ? canonicalNaN() : result;
}

template <bool Ftz> PTX_INLINE float rcpApprox(float x) {
  float result = 1.0f / operandOf<Ftz>(x);
  // Beyond 2^126 the exact result is below the smallest normal number.
  bool tiny = Ftz && __builtin_fabsf(x) > 0x1p126f;
  return canonical(tiny ? __builtin_copysignf(0.0f, x) : result);
}
template <bool Ftz> PTX_INLINE float sqrtApprox(float x) {
  return canonical(__builtin_sqrtf(operandOf<Ftz>(x)));
}
template <bool Ftz> PTX_INLINE float rsqrtApprox(float x) {
  // Two roundings: less than 1 ulp, and exact for powers of 4.
  return canonical(1.0f / __builtin_sqrtf(operandOf<Ftz>(x)));
}
/// div.full honours every divisor; div.approx takes those above 2^126 for
/// infinite.
template <bool Ftz, bool Full> PTX_INLINE float divApprox(float x, float y) {
  float a = operandOf<Ftz>(x), b = operandOf<Ftz>(y);
  if constexpr (!Full) {
    uint32_t sign = bitsOf(b) & 0x80000000u;
    b = __builtin_fabsf(b) > 0x1p126f ? floatOf(sign | 0x7f800000u) : b;
    b = isNaN(y) ? y : b;
  }
  return toF32<Ftz>(static_cast<double>(a) / static_cast<double>(b));
}

PTX_INLINE double flushF64(double x) {
  return __builtin_fabs(x) < 0x1p-1022 ? __builtin_copysign(0.0, x) : x;
}
/// The hardware sees the high word alone (a NaN with all of its payload in the
/// low one is an infinity) and gives one, cut but for what is almost the next.
PTX_INLINE double highOperand(double x) {
  return flushF64(doubleOf(bitsOf(x) & 0xffffffff00000000u));
}
template <uint64_t Almost> PTX_INLINE double toHighWord(double x) {
  uint64_t bits = (bitsOf(x) + Almost) & 0xffffffff00000000u;
  return doubleOf(isNaN(x) ? 0x7fffffff00000000u : bits);
}
PTX_INLINE double rcpApproxF64(double x) {
  return toHighWord<0x10000000>(flushF64(1.0 / highOperand(x)));
}
PTX_INLINE double rsqrtApproxFtzF64(double x) {
  return toHighWord<0x18000000>(1.0 / __builtin_sqrt(highOperand(x)));
}
PTX_INLINE double rsqrtApproxF64(double x) {
  return orNaN(1.0 / __builtin_sqrt(x), x);
}

//===----------------------------------------------------------------------===//
// 16-bit types
//===----------------------------------------------------------------------===//

/// Rounds towards zero; infinities stay.
template <class H> PTX_INLINE H cutTo(double x) {
  uint32_t nearest = fromFloat<H>(static_cast<float>(x)).bits;
  double back = toFloat(H{static_cast<uint16_t>(nearest)});
  bool over = __builtin_fabs(back) > __builtin_fabs(x);
  return {static_cast<uint16_t>(nearest - (over ? 1 : 0))};
}
/// 2^x cut; above -2^-23 it is 1, and what overflows is infinite.
template <class H, bool Ftz> PTX_INLINE H ex2ApproxHalf(H x) {
  float a = toFloat(x);
  double power = exp2Double(withinPowers(a));
  power = a < 0.0f && a > -0x1p-23f ? 1.0 : power;
  power = Ftz && power < 0x1p-126 ? 0.0 : power;
  constexpr bool half = std::is_same_v<H, Half>;
  uint32_t result = cutTo<H>(power).bits;
  result = a >= (half ? 16.0f : 128.0f) ? (half ? 0x7c00u : 0x7f80u) : result;
  return {static_cast<uint16_t>(isNaN(a) ? 0x7fffu : result)};
}

/// Where the hardware's table lies on the other side of a rounding boundary:
/// what must be added to the magnitude. Found by comparing all inputs.
struct Correction {
  uint16_t magnitude;
  int16_t step;
};
inline constexpr Correction kTanhF16[] = {
    {0x29c6, 1},  {0x2c95, 1}, {0x2c96, 1},  {0x2d3f, -1}, {0x2e39, 1},
    {0x2e9d, 1},  {0x3064, 1}, {0x323f, 1},  {0x32ff, 1},  {0x355b, 1},
    {0x372d, 1},  {0x3824, 1}, {0x399a, 1},  {0x39f8, -1}, {0x3c8e, -1},
    {0x3c9d, -1}, {0x3cc9, 1}, {0x3db8, -1}, {0x3de3, 1},  {0x3e23, -1},
    {0x3eab, -1}, {0x3ed6, 1}, {0x4080, 1},  {0x4429, -1}};
inline constexpr Correction kTanhBF16[] = {{0x3f3f, -1}};

/// tanh cut; small numbers pass unchanged, and from 8 on it is 1.
template <class H> PTX_INLINE H tanhApproxHalf(H x) {
  float a = toFloat(x), magnitude = __builtin_fabsf(a);
  double value = tanhDouble(a);
  value = magnitude < 0x1.02p-8f ? a : value;
  value = magnitude >= 8.0f ? __builtin_copysign(1.0, a) : value;
  uint32_t result = cutTo<H>(value).bits, bits = x.bits & 0x7fffu;
  auto correct = [&](const auto &table) {
    for (const Correction &entry : table)
      result += bits == entry.magnitude ? static_cast<uint32_t>(entry.step) : 0;
  };
  if constexpr (std::is_same_v<H, Half>)
    correct(kTanhF16);
  else
    correct(kTanhBF16);
  return {static_cast<uint16_t>(isHalfNaN(x) ? 0x7fffu : result)};
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_APPROXIMATE_H
