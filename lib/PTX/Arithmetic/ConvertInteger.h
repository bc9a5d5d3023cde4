// Conversions from and to integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_CONVERTINTEGER_H
#define PTX_ARITHMETIC_CONVERTINTEGER_H

#include "Arithmetic/Half.h"
#include "Arithmetic/Integer.h"
#include "Arithmetic/SoftFloat.h"

namespace ptx::arithmetic {

template <class S, class D> PTX_INLINE D truncateOrExtend(S x) {
  return static_cast<D>(x);
}
template <class S, class D> PTX_INLINE D saturateInteger(S x) {
  if constexpr (kSigned<S>) {
    constexpr int64_t least = static_cast<int64_t>(kLeast<D>);
    if (x < 0)
      return static_cast<D>(int64_t{x} < least ? least : int64_t{x});
  }
  uint64_t magnitude = static_cast<uint64_t>(x);
  constexpr uint64_t most = static_cast<uint64_t>(kLargest<D>);
  return static_cast<D>(magnitude > most ? most : magnitude);
}

//===----------------------------------------------------------------------===//
// Floats to integers
//===----------------------------------------------------------------------===//

/// Rounds to an integral value, exactly as the CPU's rounding instructions.
template <Round R> PTX_INLINE float roundIntegral(float x) {
  switch (R) {
  case Round::Nearest:
  case Round::Away:
    return __builtin_roundevenf(x);
  case Round::Zero:
    return __builtin_truncf(x);
  case Round::Down:
    return __builtin_floorf(x);
  case Round::Up:
    return __builtin_ceilf(x);
  }
  __builtin_unreachable();
}
template <Round R> PTX_INLINE double roundIntegral(double x) {
  switch (R) {
  case Round::Nearest:
  case Round::Away:
    return __builtin_roundeven(x);
  case Round::Zero:
    return __builtin_trunc(x);
  case Round::Down:
    return __builtin_floor(x);
  case Round::Up:
    return __builtin_ceil(x);
  }
  __builtin_unreachable();
}

/// An integral value to an integer: what is too large saturates. NaN becomes
/// 0, from f64 and to 64 bits the top bit.
template <class D> PTX_INLINE D integralTo(double x, bool fromF64) {
  if constexpr (sizeof(D) == 8) {
    constexpr double end = kSigned<D> ? 0x1p63 : 0x1p64;
    if (x != x)
      return static_cast<D>(uint64_t{1} << 63);
    if (x >= end)
      return kLargest<D>;
    if (x < static_cast<double>(kLeast<D>))
      return kLeast<D>;
    return static_cast<D>(x);
  } else {
    constexpr double most = kLargest<D>, least = kLeast<D>;
    double low = x > least ? x : least;
    double inside = low < most ? low : most;
    using Through = std::conditional_t<kSigned<D>, int32_t, uint32_t>;
    D result = static_cast<D>(static_cast<Through>(inside));
    D invalid = static_cast<D>(fromF64 ? uint64_t{1} << (kBits<D> - 1) : 0);
    return x != x ? invalid : result;
  }
}
template <class D, Round R, bool Ftz> PTX_INLINE D f32ToInteger(float x) {
  return integralTo<D>(roundIntegral<R>(operandOf<Ftz>(x)), false);
}
template <class D, Round R> PTX_INLINE D f64ToInteger(double x) {
  return integralTo<D>(roundIntegral<R>(x), true);
}
template <class D, Round R, class H> PTX_INLINE D halfToInteger(H x) {
  return f32ToInteger<D, R, false>(toFloat(x));
}

//===----------------------------------------------------------------------===//
// Integers to floats
//===----------------------------------------------------------------------===//

template <class S> PTX_INLINE Number numberOfInteger(S x) {
  bool negative = kSigned<S> && x < 0;
  uint64_t bits = static_cast<uint64_t>(x);
  return {negative, 0, negative ? 0 - bits : bits};
}
template <class S, Round R, bool Sat = false>
PTX_INLINE float integerToF32(S x) {
  float result;
  if constexpr (R == Round::Nearest || sizeof(S) < 4) {
    result = static_cast<float>(x);
  } else if constexpr (sizeof(S) == 4) {
    float nearest = static_cast<float>(x);
    result = direct<R>({nearest, static_cast<double>(x) - nearest});
  } else {
    result =
        floatOf(static_cast<uint32_t>(roundTo<F32>(numberOfInteger(x), R)));
  }
  return Sat ? saturate(result) : result;
}
template <class S, Round R, bool Sat = false>
PTX_INLINE double integerToF64(S x) {
  double result;
  if constexpr (R == Round::Nearest || sizeof(S) < 8)
    result = static_cast<double>(x);
  else
    result = doubleOf(roundTo<F64>(numberOfInteger(x), R));
  if constexpr (Sat)
    result = result > 0 ? (result < 1 ? result : 1.0) : 0.0;
  return result;
}
template <class S, Round R, class H, bool Sat = false>
PTX_INLINE H integerToHalf(S x) {
  using Fmt = std::conditional_t<std::is_same_v<H, Half>, F16, BF16>;
  if constexpr (Sat)
    return fromFloat<H>(x > 0 ? 1.0f : 0.0f);
  else if constexpr (R == Round::Nearest && sizeof(S) <= 2)
    return fromFloat<H>(static_cast<float>(x));
  else
    return {static_cast<uint16_t>(roundTo<Fmt>(numberOfInteger(x), R))};
}

//===----------------------------------------------------------------------===//
// cvt.pack
//===----------------------------------------------------------------------===//

/// Two saturated 16-bit numbers: `a` above `b`.
template <class D> PTX_INLINE uint32_t packTwo(int32_t a, int32_t b) {
  uint32_t high = static_cast<uint16_t>(saturateInteger<int32_t, D>(a));
  uint32_t low = static_cast<uint16_t>(saturateInteger<int32_t, D>(b));
  return high << 16 | low;
}
/// `a` and `b` saturated to `Bits` bits below the shifted-up `c`.
template <unsigned Bits, bool IsSigned>
PTX_INLINE uint32_t packOnto(int32_t a, int32_t b, uint32_t c) {
  constexpr int32_t most = IsSigned ? (1 << (Bits - 1)) - 1 : (1 << Bits) - 1;
  constexpr int32_t least = IsSigned ? -(1 << (Bits - 1)) : 0;
  auto field = [](int32_t x) {
    int32_t clamped = min(max(x, least), most);
    return static_cast<uint32_t>(clamped) & ((1u << Bits) - 1);
  };
  return c << (2 * Bits) | field(a) << Bits | field(b);
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_CONVERTINTEGER_H
