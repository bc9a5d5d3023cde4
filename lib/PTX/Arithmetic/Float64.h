// F64 arithmetic of one lane.
//
// NaNs keep their payload and become quiet: of several operands the second
// counts first, then the third, then the first (for div the first).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_FLOAT64_H
#define PTX_ARITHMETIC_FLOAT64_H

#include "Arithmetic/SoftFloat.h"

namespace ptx::arithmetic {

/// `result`, unless it is a NaN: then that of the operands, in this order. By
/// the bits: to the compiler one NaN of a double is as good as another.
PTX_INLINE double orNaN(double result, double first) {
  uint64_t bits = isNaN(result) ? kInvalidF64 : bitsOf(result);
  return doubleOf(isNaN(first) ? bitsOf(first) | F64::quiet : bits);
}
PTX_INLINE double orNaN(double result, double first, double second) {
  uint64_t bits = bitsOf(orNaN(result, second));
  return doubleOf(isNaN(first) ? bitsOf(first) | F64::quiet : bits);
}
PTX_INLINE double orNaN(double result, double first, double second,
                        double third) {
  uint64_t bits = bitsOf(orNaN(result, second, third));
  return doubleOf(isNaN(first) ? bitsOf(first) | F64::quiet : bits);
}

PTX_INLINE Number numberOf(double x) { return numberOf<F64>(bitsOf(x)); }
PTX_INLINE double rounded(Number x, Round mode) {
  return doubleOf(roundTo<F64>(x, mode));
}

/// a * b + c with any rounding.
template <Round R> PTX_INLINE double fmaF64(double a, double b, double c) {
  if constexpr (R == Round::Nearest)
    return orNaN(__builtin_fma(a, b, c), b, c, a);
  if (!__builtin_isfinite(a) || !__builtin_isfinite(b) ||
      !__builtin_isfinite(c))
    return orNaN(__builtin_isfinite(a) && __builtin_isfinite(b) ? c : a * b + c,
                 b, c, a);
  return rounded(fusedSum(numberOf(a), numberOf(b), numberOf(c), R), R);
}
template <Round R> PTX_INLINE double addF64(double a, double b) {
  if constexpr (R == Round::Nearest)
    return orNaN(a + b, b, a);
  if (!__builtin_isfinite(a) || !__builtin_isfinite(b))
    return orNaN(a + b, b, a);
  Number one = {false, 0, 1};
  return rounded(fusedSum(numberOf(a), one, numberOf(b), R), R);
}
template <Round R> PTX_INLINE double subF64(double a, double b) {
  double minus = isNaN(b) ? b : -b;
  return addF64<R>(a, minus);
}
template <Round R> PTX_INLINE double mulF64(double a, double b) {
  if constexpr (R == Round::Nearest)
    return orNaN(a * b, b, a);
  if (!__builtin_isfinite(a) || !__builtin_isfinite(b))
    return orNaN(a * b, b, a);
  Number x = numberOf(a), y = numberOf(b);
  Number zero = {x.negative != y.negative, 0, 0};
  return rounded(fusedSum(x, y, zero, R), R);
}
template <Round R> PTX_INLINE double divF64(double a, double b) {
  if constexpr (R == Round::Nearest)
    return orNaN(a / b, a, b);
  if (!__builtin_isfinite(a) || !__builtin_isfinite(b) || b == 0)
    return orNaN(a / b, a, b);
  return rounded(quotient(numberOf(a), numberOf(b)), R);
}
template <Round R> PTX_INLINE double rcpF64(double a) {
  return divF64<R>(1.0, a);
}
template <Round R> PTX_INLINE double sqrtF64(double a) {
  if constexpr (R == Round::Nearest)
    return orNaN(__builtin_sqrt(a), a);
  if (!(a > 0) || !__builtin_isfinite(a))
    return orNaN(__builtin_sqrt(a), a);
  return rounded(squareRoot(numberOf(a)), R);
}

/// A NaN keeps its sign.
PTX_INLINE double absF64(double a) { return orNaN(__builtin_fabs(a), a); }
PTX_INLINE double negF64(double a) { return orNaN(-a, a); }
PTX_INLINE double copysignF64(double a, double b) {
  return __builtin_copysign(b, a);
}

PTX_INLINE int64_t order(double x) {
  int64_t bits = bitCast<int64_t>(x);
  return bits ^ static_cast<int64_t>(static_cast<uint64_t>(bits >> 63) >> 1);
}
template <bool Max> PTX_INLINE double minMaxF64(double a, double b) {
  bool first = Max ? order(a) > order(b) : order(a) < order(b);
  uint64_t x = bitsOf(a), y = bitsOf(b);
  uint64_t result = first ? x : y;
  result = isNaN(a) ? y : isNaN(b) ? x : result;
  // Of two NaNs the second, quiet.
  return doubleOf(isNaNBits<F64>(result) ? result | F64::quiet : result);
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_FLOAT64_H
