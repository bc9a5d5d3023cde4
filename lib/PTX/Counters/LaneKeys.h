// 32 keys, one a lane, compared all at once.
//
// For AccessRulesLanes.cpp alone: compiled once a CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_LANEKEYS_H
#define PTX_COUNTERS_LANEKEYS_H

#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ptx {
namespace PTX_CPU_LEVEL {
namespace {

constexpr unsigned kLaneCount = 32;
constexpr uint32_t kAll = 0xffffffffu;

unsigned lowestLane(uint32_t lanes) { return __builtin_ctz(lanes); }
unsigned countLanes(uint32_t lanes) { return __builtin_popcount(lanes); }

struct alignas(64) Keys {
  uint32_t key[kLaneCount];
  uint32_t beyond[16]; ///< Lets lane l + 1 be loaded for all lanes.
};

/// Bits shift..shift+31 of each address. Lanes of one access never lie so far
/// apart that this makes two of them equal.
inline Keys keysOf(const uint64_t *address, unsigned shift) {
  Keys keys;
  for (unsigned l = 0; l < kLaneCount; ++l)
    keys.key[l] = uint32_t(address[l] >> shift);
  keys.beyond[0] = 0;
  return keys;
}

inline Keys coarser(const Keys &keys, unsigned shift) {
  Keys result;
  for (unsigned l = 0; l < kLaneCount; ++l)
    result.key[l] = keys.key[l] >> shift;
  result.beyond[0] = 0;
  return result;
}

/// The lanes whose key is \p key.
inline uint32_t equalTo(const Keys &keys, uint32_t key) {
#if defined(__AVX512F__)
  __m512i k = _mm512_set1_epi32(int(key));
  uint32_t low = _mm512_cmpeq_epi32_mask(_mm512_load_si512(keys.key), k);
  uint32_t high = _mm512_cmpeq_epi32_mask(_mm512_load_si512(keys.key + 16), k);
  return low | high << 16;
#elif defined(__AVX2__)
  __m256i k = _mm256_set1_epi32(int(key));
  uint32_t lanes = 0;
  for (unsigned q = 0; q < 4; ++q) {
    __m256i part =
        _mm256_load_si256(reinterpret_cast<const __m256i *>(keys.key + 8 * q));
    lanes |= uint32_t(_mm256_movemask_ps(
                 _mm256_castsi256_ps(_mm256_cmpeq_epi32(part, k))))
             << 8 * q;
  }
  return lanes;
#else
  uint32_t lanes = 0;
  for (unsigned l = 0; l < kLaneCount; ++l)
    lanes |= uint32_t(keys.key[l] == key) << l;
  return lanes;
#endif
}

/// Bit l: the key of lane l + 1 is above (below) that of lane l; l < 31.
struct Steps {
  uint32_t rises = 0, falls = 0;
};

inline Steps stepsOf(const Keys &keys) {
  Steps steps;
#if defined(__AVX512F__)
  for (unsigned h = 0; h < 2; ++h) {
    __m512i here = _mm512_load_si512(keys.key + 16 * h);
    __m512i next = _mm512_loadu_si512(keys.key + 16 * h + 1);
    steps.rises |= uint32_t(_mm512_cmpgt_epu32_mask(next, here)) << 16 * h;
    steps.falls |= uint32_t(_mm512_cmplt_epu32_mask(next, here)) << 16 * h;
  }
#elif defined(__AVX2__)
  auto bits = [](__m256i m) {
    return uint32_t(_mm256_movemask_ps(_mm256_castsi256_ps(m)));
  };
  for (unsigned q = 0; q < 4; ++q) {
    auto *at = reinterpret_cast<const __m256i *>(keys.key + 8 * q);
    auto *after = reinterpret_cast<const __m256i *>(keys.key + 8 * q + 1);
    __m256i here = _mm256_load_si256(at), next = _mm256_loadu_si256(after);
    uint32_t equal = bits(_mm256_cmpeq_epi32(here, next));
    uint32_t notBelow =
        bits(_mm256_cmpeq_epi32(_mm256_max_epu32(here, next), next));
    steps.rises |= (notBelow & ~equal & 0xff) << 8 * q;
    steps.falls |= (~notBelow & 0xff) << 8 * q;
  }
#else
  for (unsigned l = 0; l + 1 < kLaneCount; ++l) {
    steps.rises |= uint32_t(keys.key[l + 1] > keys.key[l]) << l;
    steps.falls |= uint32_t(keys.key[l + 1] < keys.key[l]) << l;
  }
#endif
  steps.rises &= kAll >> 1;
  steps.falls &= kAll >> 1;
  return steps;
}

/// Distinct keys of 32 lanes whose keys rise, or fall, with the lane; 0 when
/// they do neither.
inline uint32_t countMonotone(const Keys &keys) {
  Steps steps = stepsOf(keys);
  return steps.rises && steps.falls ? 0
                                    : countLanes(steps.rises | steps.falls) + 1;
}

/// Calls visit(lane, all lanes with its key) for each distinct key.
template <class Visit>
inline void forEachDistinct(const Keys &keys, uint32_t lanes, Visit visit) {
  while (lanes) {
    unsigned lane = lowestLane(lanes);
    uint32_t same = equalTo(keys, keys.key[lane]) & lanes;
    visit(lane, same);
    lanes &= ~same;
  }
}

/// One lane, the lowest, of each distinct key.
inline uint32_t firstLanes(const Keys &keys, uint32_t lanes) {
  // Few keys: one after the other. Many: every lane against all the others,
  // which takes more comparisons, but none waits for another.
  uint32_t first = 0, rest = lanes;
  for (unsigned n = 0; rest && n < 4; ++n) {
    unsigned lane = lowestLane(rest);
    first |= 1u << lane;
    rest &= ~equalTo(keys, keys.key[lane]);
  }
  if (!rest)
    return first;
  alignas(64) uint32_t earlier[kLaneCount];
  for (unsigned l = 0; l < kLaneCount; ++l)
    earlier[l] = equalTo(keys, keys.key[l]) & lanes & ((1u << l) - 1);
  uint32_t repeated = 0;
#if defined(__AVX512F__)
  for (unsigned h = 0; h < 2; ++h) {
    __m512i part = _mm512_load_si512(earlier + 16 * h);
    repeated |= uint32_t(_mm512_test_epi32_mask(part, part)) << 16 * h;
  }
#else
  for (unsigned l = 0; l < kLaneCount; ++l)
    repeated |= uint32_t(earlier[l] != 0) << l;
#endif
  return lanes & ~repeated;
}

/// A set of 32-bit keys for the rare wide cases: at most 256 of them.
class SmallSet {
public:
  void insert(uint32_t key) {
    for (uint32_t at = key * 0x9e3779b1u >> 23;; at = (at + 1) & 511) {
      if (!(used[at >> 5] >> (at & 31) & 1)) {
        used[at >> 5] |= 1u << (at & 31);
        keys[at] = key;
        ++count;
        return;
      }
      if (keys[at] == key)
        return;
    }
  }
  uint32_t size() const { return count; }

private:
  uint32_t used[16] = {};
  uint32_t keys[512];
  uint32_t count = 0;
};

} // namespace
} // namespace PTX_CPU_LEVEL
} // namespace ptx

#endif // PTX_COUNTERS_LANEKEYS_H
