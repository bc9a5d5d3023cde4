// Bit patterns, formats and rounding of numbers.
//
// What the pure functions of this folder are written in. All of them are
// always inlined: a handler is compiled for several CPU levels, and a function
// of its own would exist only for the lowest.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_BITS_H
#define PTX_ARITHMETIC_BITS_H

#include <cstdint>
#include <type_traits>

// The order of roundings is part of the meaning.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#define PTX_INLINE inline __attribute__((always_inline))

namespace ptx {

/// Rounding of a result. Away is "to nearest, ties away from zero" (`.rna`).
enum class Round : uint8_t { Nearest, Zero, Down, Up, Away };

/// A format of `E` exponent and `M` fraction bits with infinities and NaNs.
template <unsigned E, unsigned M> struct Format {
  static constexpr unsigned exponentBits = E, fractionBits = M;
  static constexpr int bias = (1 << (E - 1)) - 1;
  /// Exponent of the last place of the smallest numbers.
  static constexpr int smallest = 1 - bias - static_cast<int>(M);
  static constexpr uint64_t signBit = uint64_t{1} << (E + M);
  static constexpr uint64_t magnitude = signBit - 1;
  static constexpr uint64_t fraction = (uint64_t{1} << M) - 1;
  static constexpr uint64_t infinity = ((uint64_t{1} << E) - 1) << M;
  static constexpr uint64_t largest = infinity - 1;
  static constexpr uint64_t quiet = uint64_t{1} << (M - 1);
  static constexpr uint64_t smallestNormal = uint64_t{1} << M;
  /// The NaN that arithmetic delivers.
  static constexpr uint64_t canonicalNaN = magnitude;
};
using F16 = Format<5, 10>;
using BF16 = Format<8, 7>;
using F32 = Format<8, 23>;
using F64 = Format<11, 52>;

template <class To, class From> PTX_INLINE To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}
PTX_INLINE uint32_t bitsOf(float x) { return bitCast<uint32_t>(x); }
PTX_INLINE uint64_t bitsOf(double x) { return bitCast<uint64_t>(x); }
PTX_INLINE float floatOf(uint32_t bits) { return bitCast<float>(bits); }
PTX_INLINE double doubleOf(uint64_t bits) { return bitCast<double>(bits); }

/// 16-bit floats as bit patterns, so that they are not taken for integers.
struct Half {
  uint16_t bits;
};
struct BHalf {
  uint16_t bits;
};

inline constexpr uint32_t kCanonicalNaN = 0x7fffffffu;
inline constexpr uint64_t kInvalidF64 = 0xfff8000000000000u;

PTX_INLINE float canonicalNaN() { return floatOf(kCanonicalNaN); }
// By the bits: to the compiler one NaN of a float is as good as another.
PTX_INLINE bool isNaN(float x) {
  return (bitsOf(x) & F32::magnitude) > F32::infinity;
}
PTX_INLINE bool isNaN(double x) {
  return (bitsOf(x) & F64::magnitude) > F64::infinity;
}
PTX_INLINE float canonical(float x) {
  return floatOf(isNaN(x) ? kCanonicalNaN : bitsOf(x));
}

/// `.ftz` of an operand: a subnormal counts as a zero of its sign.
PTX_INLINE float flush(float x) {
  uint32_t bits = bitsOf(x);
  return floatOf((bits & 0x7f800000u) ? bits : bits & 0x80000000u);
}
template <bool Ftz> PTX_INLINE float operandOf(float x) {
  return Ftz ? flush(x) : x;
}

/// `.sat`: into [0, 1]; NaN and -0 become +0.
PTX_INLINE float saturate(float x) {
  float low = x > 0.0f ? x : 0.0f;
  return low < 1.0f ? low : 1.0f;
}

/// A result, and whether it may be wrong: see lanes::MapChecked.
template <class T> struct Checked {
  T value;
  bool doubtful;
};

template <class T> using Unsigned = std::make_unsigned_t<T>;
template <class T> inline constexpr unsigned kBits = 8 * sizeof(T);

/// A type twice as wide.
template <class T> struct TwiceType;
template <> struct TwiceType<int8_t> {
  using type = int16_t;
};
template <> struct TwiceType<uint8_t> {
  using type = uint16_t;
};
template <> struct TwiceType<int16_t> {
  using type = int32_t;
};
template <> struct TwiceType<uint16_t> {
  using type = uint32_t;
};
template <> struct TwiceType<int32_t> {
  using type = int64_t;
};
template <> struct TwiceType<uint32_t> {
  using type = uint64_t;
};
template <> struct TwiceType<int64_t> {
  using type = __int128;
};
template <> struct TwiceType<uint64_t> {
  using type = unsigned __int128;
};
template <class T> using Twice = typename TwiceType<T>::type;

template <class T>
inline constexpr bool kSigned = static_cast<T>(-1) < static_cast<T>(0);
template <class T>
inline constexpr T kLargest =
    kSigned<T> ? static_cast<T>((uint64_t{1} << (kBits<T> - 1)) - 1)
               : static_cast<T>(-1);
template <class T>
inline constexpr T kLeast =
    kSigned<T> ? static_cast<T>(uint64_t{1} << (kBits<T> - 1)) : T{0};

} // namespace ptx

#endif // PTX_ARITHMETIC_BITS_H
