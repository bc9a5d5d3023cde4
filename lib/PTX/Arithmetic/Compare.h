// Comparisons and choices of one lane.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_COMPARE_H
#define PTX_ARITHMETIC_COMPARE_H

#include "Arithmetic/Half.h"

namespace ptx::arithmetic {

/// The ordered comparisons are false of NaNs, the unordered (`u`) true.
enum class Comparison : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu,
  Num,
  Nan,
};

template <Comparison C, class T> PTX_INLINE bool compareNumbers(T a, T b) {
  switch (C) {
  case Comparison::Eq:
    return a == b;
  case Comparison::Ne:
    return a < b || a > b;
  case Comparison::Lt:
    return a < b;
  case Comparison::Le:
    return a <= b;
  case Comparison::Gt:
    return a > b;
  case Comparison::Ge:
    return a >= b;
  case Comparison::Equ:
    return !(a < b || a > b);
  case Comparison::Neu:
    return a != b;
  case Comparison::Ltu:
    return !(a >= b);
  case Comparison::Leu:
    return !(a > b);
  case Comparison::Gtu:
    return !(a <= b);
  case Comparison::Geu:
    return !(a < b);
  case Comparison::Num:
    return a == a && b == b;
  case Comparison::Nan:
    return a != a || b != b;
  }
  __builtin_unreachable();
}
template <Comparison C, bool Ftz, class T> PTX_INLINE bool compare(T a, T b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BHalf>)
    return compareNumbers<C>(toFloat(halfOperand<Ftz>(a)),
                             toFloat(halfOperand<Ftz>(b)));
  else if constexpr (std::is_same_v<T, float>)
    return compareNumbers<C>(operandOf<Ftz>(a), operandOf<Ftz>(b));
  else
    return compareNumbers<C>(a, b);
}

enum class Bool : uint8_t { None, And, Or, Xor };
template <Bool B, class T> PTX_INLINE T combine(T a, T b) {
  switch (B) {
  case Bool::None:
    return a;
  case Bool::And:
    return static_cast<T>(a & b);
  case Bool::Or:
    return static_cast<T>(a | b);
  case Bool::Xor:
    return static_cast<T>(a ^ b);
  }
  __builtin_unreachable();
}

template <Comparison C, bool Ftz, class H, bool High>
PTX_INLINE bool compareHalfOf(uint32_t a, uint32_t b) {
  unsigned shift = High ? 16 : 0;
  return compare<C, Ftz>(H{static_cast<uint16_t>(a >> shift)},
                         H{static_cast<uint16_t>(b >> shift)});
}

template <class T> PTX_INLINE T selp(T a, T b, bool c) { return c ? a : b; }
template <class T> PTX_INLINE T slct(T a, T b, int32_t c) {
  return c >= 0 ? a : b;
}
template <class T, bool Ftz> PTX_INLINE T slctFloat(T a, T b, float c) {
  return operandOf<Ftz>(c) >= 0.0f ? a : b;
}

enum class Property : uint8_t {
  Finite,
  Infinite,
  Number,
  NotANumber,
  Normal,
  Subnormal,
};
/// Zeros count as normal.
template <Property P, class T> PTX_INLINE bool testp(T x) {
  using Fmt = std::conditional_t<sizeof(T) == 4, F32, F64>;
  auto magnitude = bitsOf(x) & Fmt::magnitude;
  switch (P) {
  case Property::Finite:
    return magnitude < Fmt::infinity;
  case Property::Infinite:
    return magnitude == Fmt::infinity;
  case Property::Number:
    return magnitude <= Fmt::infinity;
  case Property::NotANumber:
    return magnitude > Fmt::infinity;
  case Property::Normal:
    return magnitude == 0 ||
           (magnitude >= Fmt::smallestNormal && magnitude < Fmt::infinity);
  case Property::Subnormal:
    return magnitude != 0 && magnitude < Fmt::smallestNormal;
  }
  __builtin_unreachable();
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_COMPARE_H
