// Shifts, logic and bit fields of one lane.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_BITFIELD_H
#define PTX_ARITHMETIC_BITFIELD_H

#include "Arithmetic/Integer.h"

namespace ptx::arithmetic {

template <class T> PTX_INLINE T bitAnd(T a, T b) { return a & b; }
template <class T> PTX_INLINE T bitOr(T a, T b) { return a | b; }
template <class T> PTX_INLINE T bitXor(T a, T b) { return a ^ b; }
template <class T> PTX_INLINE T bitNot(T a) { return static_cast<T>(~a); }
/// The C operator `!`.
template <class T> PTX_INLINE T logicalNot(T a) { return a == 0; }

/// All 32 bits of the amount count: a large one shifts everything out.
template <class T> PTX_INLINE T shl(T a, uint32_t n) {
  T shifted = static_cast<T>(a << (n & (kBits<T> < 32 ? 31 : kBits<T> - 1)));
  return n < kBits<T> ? shifted : T{0};
}
template <class T> PTX_INLINE T shr(T a, uint32_t n) {
  uint32_t most = kBits<T> - 1;
  T shifted = static_cast<T>(a >> (n < most ? n : most));
  return !kSigned<T> && n > most ? T{0} : shifted;
}

/// Funnel shifts of the 64 bits b:a; the amount wraps at 32 or stays there.
template <bool Wrap> PTX_INLINE uint32_t funnelAmount(uint32_t n) {
  return Wrap ? n & 31 : (n < 32 ? n : 32);
}
template <bool Wrap>
PTX_INLINE uint32_t shfLeft(uint32_t a, uint32_t b, uint32_t n) {
  uint64_t both = uint64_t{b} << 32 | a;
  return static_cast<uint32_t>((both << funnelAmount<Wrap>(n)) >> 32);
}
template <bool Wrap>
PTX_INLINE uint32_t shfRight(uint32_t a, uint32_t b, uint32_t n) {
  uint64_t both = uint64_t{b} << 32 | a;
  return static_cast<uint32_t>(both >> funnelAmount<Wrap>(n));
}

template <class T> PTX_INLINE T lowBits(uint32_t count) {
  return count >= kBits<T> ? static_cast<T>(~T{0})
                           : static_cast<T>((T{1} << count) - 1);
}
/// The 32-bit forms look at 8 bits of position and length, the 64-bit ones at
/// all of them.
template <class T> PTX_INLINE uint32_t fieldNumber(uint32_t x) {
  return kBits<T> == 32 ? x & 0xff : x;
}
template <class T> PTX_INLINE T bfe(T a, uint32_t position, uint32_t length) {
  T rest = shr(a, fieldNumber<T>(position));
  uint32_t n = fieldNumber<T>(length);
  uint32_t unused = n >= kBits<T> ? 0 : kBits<T> - (n ? n : 1);
  T aligned = static_cast<T>(static_cast<Unsigned<T>>(rest) << unused);
  return n == 0 ? T{0} : static_cast<T>(aligned >> unused);
}
template <class T>
PTX_INLINE T bfi(T a, T b, uint32_t position, uint32_t length) {
  uint32_t at = fieldNumber<T>(position);
  T field = shl(lowBits<T>(fieldNumber<T>(length)), at);
  return static_cast<T>((b & ~field) | (shl(a, at) & field));
}
template <bool Wrap> PTX_INLINE uint32_t bmsk(uint32_t start, uint32_t width) {
  uint32_t from = funnelAmount<Wrap>(start), n = funnelAmount<Wrap>(width);
  return shl(lowBits<uint32_t>(n), from);
}
template <class T, bool Wrap> PTX_INLINE T szext(T a, uint32_t width) {
  return bfe<T>(a, 0, funnelAmount<Wrap>(width));
}

template <class T> PTX_INLINE uint32_t popc(T a) {
  if constexpr (sizeof(T) == 8) {
    return static_cast<uint32_t>(__builtin_popcountll(a));
  } else {
    return static_cast<uint32_t>(__builtin_popcount(a));
  }
}
template <class T> PTX_INLINE uint32_t clz(T a) {
  if constexpr (sizeof(T) == 8) {
    return a ? static_cast<uint32_t>(__builtin_clzll(a)) : 64;
  } else {
    return a ? static_cast<uint32_t>(__builtin_clz(a)) : 32;
  }
}
template <class T> PTX_INLINE T brev(T a) {
  uint64_t x = a;
  x = (x & 0x5555555555555555u) << 1 | ((x >> 1) & 0x5555555555555555u);
  x = (x & 0x3333333333333333u) << 2 | ((x >> 2) & 0x3333333333333333u);
  x = (x & 0x0f0f0f0f0f0f0f0fu) << 4 | ((x >> 4) & 0x0f0f0f0f0f0f0f0fu);
  return static_cast<T>(__builtin_bswap64(x) >> (64 - kBits<T>));
}
/// Position of the highest bit that is set (of signed numbers: that differs
/// from the sign), or the shift that brings it to the top.
template <class T, bool Shift> PTX_INLINE uint32_t bfind(T a) {
  using U = Unsigned<T>;
  U bits = static_cast<U>(kSigned<T> && a < 0 ? ~a : a);
  uint32_t zeros = clz<U>(bits);
  return bits == 0 ? 0xffffffffu : Shift ? zeros : kBits<T> - 1 - zeros;
}
/// Position of the |offset|-th set bit from `base` on, upwards or downwards.
/// The hardware gives 0 for the offset whose magnitude has no 32-bit number.
PTX_INLINE uint32_t fns(uint32_t mask, uint32_t base, int32_t offset) {
  if (offset == INT32_MIN)
    return 0;
  if (base > 31)
    return 0xffffffffu;
  if (offset == 0)
    return (mask >> base & 1) ? base : 0xffffffffu;
  uint32_t count = offset > 0 ? static_cast<uint32_t>(offset)
                              : 0u - static_cast<uint32_t>(offset);
  int step = offset > 0 ? 1 : -1;
  for (int at = static_cast<int>(base); at >= 0 && at < 32; at += step)
    if ((mask >> at & 1) && --count == 0)
      return static_cast<uint32_t>(at);
  return 0xffffffffu;
}

/// Bit k of `table` is the result where the bits of (a, b, c) spell k.
PTX_INLINE uint32_t lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  auto row = [&](unsigned bit) { return 0u - (table >> bit & 1u); };
  auto choose = [](uint32_t by, uint32_t one, uint32_t zero) {
    return zero ^ (by & (zero ^ one));
  };
  uint32_t c00 = choose(c, row(1), row(0)), c01 = choose(c, row(3), row(2));
  uint32_t c10 = choose(c, row(5), row(4)), c11 = choose(c, row(7), row(6));
  return choose(a, choose(b, c11, c10), choose(b, c01, c00));
}

enum class Permute : uint8_t { Index, F4E, B4E, RC8, ECL, ECR, RC16 };

/// Byte `k` of the result, as a position in the eight bytes b:a.
template <Permute Mode> PTX_INLINE uint32_t byteChosen(uint32_t c, uint32_t k) {
  uint32_t n = c & 3;
  switch (Mode) {
  case Permute::Index:
    return c >> (4 * k) & 7;
  case Permute::F4E:
    return n + k;
  case Permute::B4E:
    return (n - k) & 7;
  case Permute::RC8:
    return n;
  case Permute::ECL:
    return n > k ? n : k;
  case Permute::ECR:
    return n < k ? n : k;
  case Permute::RC16:
    return (n & 1) * 2 + (k & 1);
  }
}
template <Permute Mode>
PTX_INLINE uint32_t prmt(uint32_t a, uint32_t b, uint32_t c) {
  uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (uint32_t k = 0; k < 4; ++k) {
    uint32_t from = byteChosen<Mode>(c, k);
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * from)) & 0xff;
    if (Mode == Permute::Index && (c >> (4 * k) & 8))
      byte = (byte & 0x80) ? 0xff : 0;
    result |= byte << (8 * k);
  }
  return result;
}

} // namespace ptx::arithmetic

#endif // PTX_ARITHMETIC_BITFIELD_H
