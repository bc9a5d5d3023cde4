// Vectors of 64 bytes: sixteen lanes of 32 bits, eight of 64.
//
// For the files that are compiled once per CPU level: everything here is
// static, so that no level's code is linked into another's. The compiler
// splits the vectors where the CPU's are shorter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_LANEVECTORS_H
#define PTX_MACHINE_LANEVECTORS_H

#include "Machine/Access.h"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

constexpr unsigned kHalfLanes = ptx::kLanes / 2;

/// 64 bytes of T.
template <class T> using Vector = T __attribute__((vector_size(64)));
template <class T> constexpr unsigned kPerVector = 64 / sizeof(T);

template <class T> inline Vector<T> loadVector(const void *from) {
  Vector<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T> inline void storeVector(void *to, const Vector<T> &v) {
  std::memcpy(to, &v, sizeof v);
}

template <class T> inline bool isZero(const Vector<T> &v) {
#if defined(__AVX512F__)
  __m512i bits;
  std::memcpy(&bits, &v, sizeof bits);
  return _mm512_test_epi64_mask(bits, bits) == 0;
#elif defined(__AVX2__)
  __m256i bits[2];
  std::memcpy(bits, &v, sizeof bits);
  bits[0] = _mm256_or_si256(bits[0], bits[1]);
  return _mm256_testz_si256(bits[0], bits[0]);
#else
  auto bits = loadVector<uint64_t>(&v);
  uint64_t all = 0;
  for (unsigned i = 0; i < kPerVector<uint64_t>; ++i)
    all |= bits[i];
  return !all;
#endif
}

inline Vector<uint32_t> laneNumbers(uint32_t) {
  return Vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}
inline Vector<uint64_t> laneNumbers(uint64_t) {
  return Vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7};
}

/// Bit i: the sign of lane i, of what a comparison gave.
inline uint32_t signMask(const Vector<int32_t> &v) {
#if defined(__AVX512DQ__)
  __m512i bits;
  std::memcpy(&bits, &v, sizeof bits);
  return _mm512_movepi32_mask(bits);
#elif defined(__SSE2__)
  __m128 bits[4];
  std::memcpy(bits, &v, sizeof bits);
  uint32_t mask = 0;
  for (int i = 0; i < 4; ++i)
    mask |= static_cast<uint32_t>(_mm_movemask_ps(bits[i])) << 4 * i;
  return mask;
#else
  uint32_t mask = 0;
  for (unsigned i = 0; i < kHalfLanes; ++i)
    mask |= uint32_t{v[i] < 0} << i;
  return mask;
#endif
}

} // namespace

#endif // PTX_MACHINE_LANEVECTORS_H
