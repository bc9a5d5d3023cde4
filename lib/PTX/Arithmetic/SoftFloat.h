// Rounding by integers, exact to the last bit.
//
// For formats and roundings that the CPU's own instructions do not offer: any
// number is brought to  sign * significand * 2^exponent  and rounded once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_SOFTFLOAT_H
#define PTX_ARITHMETIC_SOFTFLOAT_H

#include "Arithmetic/Bits.h"

namespace ptx::arithmetic {

/// A finite number. The lowest bit of the significand may be sticky: it then
/// stands for "and something more", which is right as long as it lies at least
/// two places below the last place of the result.
struct Number {
  bool negative;
  int exponent;
  uint64_t significand;
};

/// Shifts right; what falls out is remembered in the lowest bit.
PTX_INLINE uint64_t shiftSticky(uint64_t x, int by) {
  if (by >= 64)
    return x != 0;
  return by <= 0 ? x : x >> by | ((x << (64 - by)) != 0);
}
PTX_INLINE unsigned __int128 shiftSticky(unsigned __int128 x, int by) {
  if (by >= 128)
    return x != 0;
  return by <= 0 ? x : x >> by | ((x << (128 - by)) != 0);
}

/// Whether the integer `kept` with `rest` of 2^shift after it is rounded up
/// in magnitude.
PTX_INLINE bool roundsUp(Round mode, bool negative, uint64_t kept,
                         uint64_t rest, uint64_t half) {
  switch (mode) {
  case Round::Nearest:
    return rest > half || (rest == half && (kept & 1));
  case Round::Away:
    return rest >= half;
  case Round::Zero:
    return false;
  case Round::Down:
    return negative && rest != 0;
  case Round::Up:
    return !negative && rest != 0;
  }
  __builtin_unreachable();
}

/// Whether a result too large for its format becomes infinite.
PTX_INLINE bool overflowsToInfinity(Round mode, bool negative) {
  return mode == Round::Nearest || mode == Round::Away ||
         mode == (negative ? Round::Down : Round::Up);
}

/// Rounds to a format without looking at its largest number: the bits of the
/// magnitude, which may exceed Format::largest.
template <class Fmt> PTX_INLINE uint64_t roundMagnitude(Number x, Round mode) {
  if (x.significand == 0)
    return 0;
  int top = 63 - __builtin_clzll(x.significand) + x.exponent;
  int last = top - static_cast<int>(Fmt::fractionBits);
  // Far beyond the largest number: any pattern there will do.
  if (top > Fmt::bias + 1)
    return Fmt::infinity + Fmt::smallestNormal;
  if (last < Fmt::smallest)
    last = Fmt::smallest;
  int drop = last - x.exponent;
  uint64_t kept;
  if (drop <= 0) {
    kept = x.significand << -drop;
  } else {
    uint64_t wide = x.significand;
    if (drop > 62) {
      wide = shiftSticky(wide, drop - 62);
      drop = 62;
    }
    uint64_t half = uint64_t{1} << (drop - 1);
    uint64_t rest = wide & ((half << 1) - 1);
    kept = wide >> drop;
    kept += roundsUp(mode, x.negative, kept, rest, half);
  }
  // `kept` holds the leading one: adding it counts the exponent up.
  uint64_t field = static_cast<uint64_t>(last - Fmt::smallest);
  return (field << Fmt::fractionBits) + kept;
}

/// The bits of `x` in a format with infinities.
template <class Fmt> PTX_INLINE uint64_t roundTo(Number x, Round mode) {
  uint64_t bits = roundMagnitude<Fmt>(x, mode);
  if (bits >= Fmt::infinity)
    bits = overflowsToInfinity(mode, x.negative) ? Fmt::infinity : Fmt::largest;
  return bits | (x.negative ? Fmt::signBit : 0);
}

/// Takes a finite number apart.
template <class Fmt> PTX_INLINE Number numberOf(uint64_t bits) {
  uint64_t field = (bits & Fmt::magnitude) >> Fmt::fractionBits;
  uint64_t fraction = bits & Fmt::fraction;
  int exponent = Fmt::smallest + static_cast<int>(field ? field - 1 : 0);
  return {(bits & Fmt::signBit) != 0, exponent,
          field ? fraction | Fmt::smallestNormal : fraction};
}
template <class Fmt> PTX_INLINE bool isNaNBits(uint64_t bits) {
  return (bits & Fmt::magnitude) > Fmt::infinity;
}
template <class Fmt> PTX_INLINE bool isInfinityBits(uint64_t bits) {
  return (bits & Fmt::magnitude) == Fmt::infinity;
}
template <class Fmt> PTX_INLINE bool isFiniteBits(uint64_t bits) {
  return (bits & Fmt::magnitude) < Fmt::infinity;
}

/// A product of 64-bit significands with what does not fit made sticky.
PTX_INLINE Number narrow(bool negative, int exponent, unsigned __int128 x) {
  uint64_t high = static_cast<uint64_t>(x >> 64);
  if (!high)
    return {negative, exponent, static_cast<uint64_t>(x)};
  int by = 64 - __builtin_clzll(high);
  return {negative, exponent + by, static_cast<uint64_t>(shiftSticky(x, by))};
}

/// a * b + c of finite numbers below 2^53 * 2^e, before rounding. A zero sum
/// has the sign its operands share, else the one the rounding demands.
PTX_INLINE Number fusedSum(Number a, Number b, Number c, Round mode) {
  bool negative = a.negative != b.negative;
  unsigned __int128 product =
      static_cast<unsigned __int128>(a.significand) * b.significand;
  unsigned __int128 addend = c.significand;
  int exponent = a.exponent + b.exponent, other = c.exponent;
  if (product == 0 && addend == 0)
    return {negative == c.negative ? negative : mode == Round::Down, 0, 0};
  // Leading ones to bit 125: room for a carry, and only sticky bits are lost.
  auto normalise = [](unsigned __int128 &x, int &e) {
    uint64_t high = static_cast<uint64_t>(x >> 64);
    int zeros = high ? __builtin_clzll(high)
                     : 64 + __builtin_clzll(static_cast<uint64_t>(x) | 1);
    x <<= zeros - 2;
    e -= zeros - 2;
  };
  if (product == 0)
    return narrow(c.negative, other, addend);
  if (addend == 0)
    return narrow(negative, exponent, product);
  normalise(product, exponent);
  normalise(addend, other);
  if (exponent < other) {
    product = shiftSticky(product, other - exponent);
    exponent = other;
  } else {
    addend = shiftSticky(addend, exponent - other);
  }
  if (negative == c.negative)
    return narrow(negative, exponent, product + addend);
  if (product == addend)
    return {mode == Round::Down, 0, 0};
  bool addendWins = addend > product;
  return narrow(addendWins ? c.negative : negative, exponent,
                addendWins ? addend - product : product - addend);
}

/// a / b of finite numbers, b not zero.
PTX_INLINE Number quotient(Number a, Number b) {
  bool negative = a.negative != b.negative;
  if (a.significand == 0)
    return {negative, 0, 0};
  int shiftA = __builtin_clzll(a.significand),
      shiftB = __builtin_clzll(b.significand);
  // Both below 2^64: the quotient has 62 or 63 bits.
  unsigned __int128 top =
      static_cast<unsigned __int128>(a.significand << shiftA) << 62;
  uint64_t bottom = b.significand << shiftB;
  uint64_t whole = static_cast<uint64_t>(top / bottom);
  bool inexact = top % bottom != 0;
  return {negative, a.exponent - shiftA - b.exponent + shiftB - 62,
          whole | inexact};
}

/// The square root of a positive number of at most 53 bits.
PTX_INLINE Number squareRoot(Number a) {
  if (a.significand == 0)
    return a;
  // An even exponent, and the significand at bits 124 or 123.
  int shift = 124 - (63 - __builtin_clzll(a.significand));
  shift -= (a.exponent - shift) & 1;
  unsigned __int128 x = static_cast<unsigned __int128>(a.significand) << shift;
  int exponent = (a.exponent - shift) / 2;
  uint64_t root = 0;
  for (int bit = 62; bit >= 0; --bit) {
    uint64_t next = root | uint64_t{1} << bit;
    if (static_cast<unsigned __int128>(next) * next <= x)
      root = next;
  }
  bool inexact = static_cast<unsigned __int128>(root) * root != x;
  // The last bit of the root is far below the last place of a result.
  return {false, exponent, root | inexact};
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_SOFTFLOAT_H
