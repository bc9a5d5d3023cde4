// Integer arithmetic of one lane.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_INTEGER_H
#define PTX_ARITHMETIC_INTEGER_H

#include "Arithmetic/Bits.h"

namespace ptx::arithmetic {

/// Sums, differences and products wrap: they are made of unsigned numbers wide
/// enough not to be promoted to int.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) < 4, uint32_t, Unsigned<T>>;
template <class T> PTX_INLINE Wrapping<T> wrapping(T x) {
  return static_cast<Wrapping<T>>(x);
}

template <class T> PTX_INLINE T add(T a, T b) {
  return static_cast<T>(wrapping(a) + wrapping(b));
}
template <class T> PTX_INLINE T sub(T a, T b) {
  return static_cast<T>(wrapping(a) - wrapping(b));
}
template <class T> PTX_INLINE T mulLo(T a, T b) {
  return static_cast<T>(wrapping(a) * wrapping(b));
}
template <class T> PTX_INLINE T mulHi(T a, T b) {
  return static_cast<T>((Twice<T>{a} * Twice<T>{b}) >> kBits<T>);
}
template <> PTX_INLINE uint16_t mulHi(uint16_t a, uint16_t b) {
  return static_cast<uint16_t>((uint32_t{a} * uint32_t{b}) >> 16);
}
template <class T> PTX_INLINE Twice<T> mulWide(T a, T b) {
  return static_cast<Twice<T>>(Twice<T>(a) * Twice<T>(b));
}
template <> PTX_INLINE uint32_t mulWide(uint16_t a, uint16_t b) {
  return uint32_t{a} * uint32_t{b};
}
template <class T> PTX_INLINE T madLo(T a, T b, T c) {
  return add(mulLo(a, b), c);
}
template <class T> PTX_INLINE T madHi(T a, T b, T c) {
  return add(mulHi(a, b), c);
}
template <class T> PTX_INLINE Twice<T> madWide(T a, T b, Twice<T> c) {
  return add<Twice<T>>(mulWide(a, b), c);
}

PTX_INLINE int32_t clampToS32(int64_t x) {
  int64_t low = x < INT32_MIN ? INT32_MIN : x;
  return static_cast<int32_t>(low > INT32_MAX ? INT32_MAX : low);
}
PTX_INLINE int32_t addSat(int32_t a, int32_t b) {
  return clampToS32(int64_t{a} + b);
}
PTX_INLINE int32_t subSat(int32_t a, int32_t b) {
  return clampToS32(int64_t{a} - b);
}
PTX_INLINE int32_t madHiSat(int32_t a, int32_t b, int32_t c) {
  return clampToS32(((int64_t{a} * b) >> 32) + c);
}

/// The product of the low 24 bits: bits 31..0 or bits 47..16 of it.
template <class T> PTX_INLINE T low24(T x) {
  return static_cast<T>(static_cast<T>(wrapping(x) << 8) >> 8);
}
template <class T> PTX_INLINE T mul24Lo(T a, T b) {
  return static_cast<T>(Twice<T>{low24(a)} * low24(b));
}
template <class T> PTX_INLINE T mul24Hi(T a, T b) {
  return static_cast<T>((Twice<T>{low24(a)} * low24(b)) >> 16);
}
template <class T> PTX_INLINE T mad24Lo(T a, T b, T c) {
  return add(mul24Lo(a, b), c);
}
template <class T> PTX_INLINE T mad24Hi(T a, T b, T c) {
  return add(mul24Hi(a, b), c);
}
PTX_INLINE int32_t mad24HiSat(int32_t a, int32_t b, int32_t c) {
  return clampToS32(int64_t{mul24Hi(a, b)} + c);
}

template <class T> PTX_INLINE T sad(T a, T b, T c) {
  return add(c, a > b ? sub(a, b) : sub(b, a));
}

/// Division by zero gives all ones, as does its remainder; the smallest number
/// divided by -1 is itself, with remainder 0.
template <class T> PTX_INLINE T div(T a, T b) {
  if (b == 0)
    return static_cast<T>(-1);
  if (kSigned<T> && b == static_cast<T>(-1))
    return sub(T{0}, a);
  return static_cast<T>(a / b);
}
template <class T> PTX_INLINE T rem(T a, T b) {
  if (b == 0)
    return static_cast<T>(-1);
  if (kSigned<T> && b == static_cast<T>(-1))
    return 0;
  return static_cast<T>(a % b);
}
/// 32-bit division by way of double, which vectors have: a quotient that is no
/// integer is at least 2^-32 away from one, far more than the rounding error.
template <class T> PTX_INLINE T divByDouble(T a, T b) {
  bool plain = b != 0 && !(kSigned<T> && b == static_cast<T>(-1));
  double quotient =
      static_cast<double>(a) / static_cast<double>(plain ? b : T{1});
  T truncated = static_cast<T>(static_cast<Twice<T>>(quotient));
  T minusOne = kSigned<T> ? sub(T{0}, a) : truncated;
  return b == 0 ? static_cast<T>(-1) : plain ? truncated : minusOne;
}
template <class T> PTX_INLINE T remByDouble(T a, T b) {
  T rest = sub(a, mulLo(divByDouble(a, b), b));
  return b == 0 ? static_cast<T>(-1) : rest;
}

template <class T> PTX_INLINE T abs(T a) { return a < 0 ? sub(T{0}, a) : a; }
template <class T> PTX_INLINE T neg(T a) { return sub(T{0}, a); }
template <class T> PTX_INLINE T min(T a, T b) { return a < b ? a : b; }
template <class T> PTX_INLINE T max(T a, T b) { return a > b ? a : b; }
template <class T> PTX_INLINE T minRelu(T a, T b) {
  return max(min(a, b), T{0});
}
template <class T> PTX_INLINE T maxRelu(T a, T b) {
  return max(max(a, b), T{0});
}

/// Applies a function of 16-bit numbers to both halves.
template <auto F, class T> PTX_INLINE uint32_t both16(uint32_t a, uint32_t b) {
  uint16_t low = static_cast<uint16_t>(
      F(static_cast<T>(a & 0xffff), static_cast<T>(b & 0xffff)));
  uint16_t high = static_cast<uint16_t>(
      F(static_cast<T>(a >> 16), static_cast<T>(b >> 16)));
  return uint32_t{low} | uint32_t{high} << 16;
}

/// Sum of the products of the four bytes.
template <class A, class B>
PTX_INLINE int32_t dp4a(uint32_t a, uint32_t b, int32_t c) {
  uint32_t sum = static_cast<uint32_t>(c);
  for (unsigned byte = 0; byte < 4; ++byte)
    sum += static_cast<uint32_t>(int32_t{static_cast<A>(a >> (8 * byte))} *
                                 int32_t{static_cast<B>(b >> (8 * byte))});
  return static_cast<int32_t>(sum);
}
/// Sum of the products of the two halves of `a` and two bytes of `b`.
template <class A, class B, bool High>
PTX_INLINE int32_t dp2a(uint32_t a, uint32_t b, int32_t c) {
  uint32_t sum = static_cast<uint32_t>(c);
  for (unsigned k = 0; k < 2; ++k)
    sum += static_cast<uint32_t>(
        int32_t{static_cast<A>(a >> (16 * k))} *
        int32_t{static_cast<B>(b >> (8 * k + (High ? 16 : 0)))});
  return static_cast<int32_t>(sum);
}

/// A result and the carry it leaves in CC.CF.
template <class T> struct WithCarry {
  T value;
  bool carry;
};
template <class T> PTX_INLINE WithCarry<T> addCarry(T a, T b, bool carryIn) {
  T first = add(a, b);
  T sum = add(first, static_cast<T>(carryIn));
  bool out = static_cast<Unsigned<T>>(first) < static_cast<Unsigned<T>>(a);
  bool again = static_cast<Unsigned<T>>(sum) < static_cast<Unsigned<T>>(first);
  return {sum, out || again};
}
/// The flag is "no borrow": sub.cc adds the complement of `b` and 1.
template <class T> PTX_INLINE WithCarry<T> subCarry(T a, T b, bool carryIn) {
  return addCarry(a, static_cast<T>(~b), carryIn);
}
template <class T>
PTX_INLINE WithCarry<T> madLoCarry(T a, T b, T c, bool carryIn) {
  return addCarry(mulLo(a, b), c, carryIn);
}
template <class T>
PTX_INLINE WithCarry<T> madHiCarry(T a, T b, T c, bool carryIn) {
  return addCarry(mulHi(a, b), c, carryIn);
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_INTEGER_H
