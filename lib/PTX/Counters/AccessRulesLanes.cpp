// Loops over lanes of the access rules.
//
// Compiled once a CPU level. In the hot path of counted runs: the usual access
// (a run of neighbours, one address for all, no two lanes in a bank) is
// answered by a few vector operations, everything else by walking the distinct
// keys, each found for all lanes at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/AccessRules.h"
#include "Counters/LaneKeys.h"

namespace ptx {
namespace PTX_CPU_LEVEL {
namespace {

constexpr unsigned kSectorShift = 5, kLineShift = 7;

//===----------------------------------------------------------------------===//
// Global and local memory
//===----------------------------------------------------------------------===//

/// Accesses that cross a sector: every unit of 2^shift bytes each lane touches.
uint32_t countTouched(const uint64_t *address, uint32_t lanes, uint32_t bytes,
                      unsigned shift) {
  SmallSet units;
  for (; lanes; lanes &= lanes - 1) {
    uint64_t first = address[lowestLane(lanes)];
    for (uint64_t u = first >> shift; u <= (first + bytes - 1) >> shift; ++u)
      units.insert(uint32_t(u));
  }
  return units.size();
}

/// Rows of bulk copies: each lane's own run.
RequestCount countRuns(const uint64_t *address, uint32_t lanes,
                       uint32_t bytes) {
  RequestCount sum;
  for (; lanes; lanes &= lanes - 1) {
    uint64_t first = address[lowestLane(lanes)], last = first + bytes - 1;
    sum.sectors += (last >> kSectorShift) - (first >> kSectorShift) + 1;
    sum.lines += (last >> kLineShift) - (first >> kLineShift) + 1;
  }
  return sum;
}

bool crossesSector(const uint64_t *address, uint32_t lanes, uint32_t bytes) {
  uint32_t low = 0;
  for (unsigned l = 0; l < kLaneCount; ++l)
    low |= uint32_t(address[l]);
  if (!(low & (bytes - 1)))
    return false; // aligned to its width, so inside one sector
  for (; lanes; lanes &= lanes - 1)
    if ((address[lowestLane(lanes)] & 31) + bytes > 32)
      return true;
  return false;
}

RequestCount countGlobal(const uint64_t *address, uint32_t lanes,
                         uint32_t bytes) {
  if (bytes > 32)
    return countRuns(address, lanes, bytes);
  if (crossesSector(address, lanes, bytes))
    return {countTouched(address, lanes, bytes, kSectorShift),
            countTouched(address, lanes, bytes, kLineShift)};
  Keys sectors = keysOf(address, kSectorShift);
  Keys lines = coarser(sectors, kLineShift - kSectorShift);
  if (lanes == kAll)
    if (uint32_t count = countMonotone(sectors))
      return {count, countMonotone(lines)};
  uint32_t first = firstLanes(sectors, lanes);
  return {countLanes(first), countLanes(firstLanes(lines, first))};
}

RequestCount countLocal(const uint64_t *offset, uint32_t lanes,
                        uint32_t bytes) {
  Keys words = keysOf(offset, 2);
  uint32_t lane = lowestLane(lanes);
  // The words of a lane; an access of 4 bytes or fewer does not cross one.
  uint32_t span = bytes <= 4 ? 1 : bytes / 4;
  if ((equalTo(words, words.key[lane]) & lanes) == lanes) {
    uint32_t eighths = 0;
    for (unsigned q = 0; q < 4; ++q)
      eighths += (lanes >> 8 * q & 0xff) != 0;
    return {eighths * span, span};
  }
  SmallSet sectors, lines;
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    unsigned l = lowestLane(rest);
    for (uint32_t w = 0; w < span; ++w) {
      sectors.insert((words.key[l] + w) * 4 + l / 8);
      lines.insert(words.key[l] + w);
    }
  }
  return {sectors.size(), lines.size()};
}

/// Sum over the units of 2^shift bytes of the most lanes on one address there.
uint32_t sumOfMost(const Keys &units, uint32_t first, const uint32_t *passes) {
  uint32_t sum = 0;
  forEachDistinct(units, first, [&](unsigned, uint32_t same) {
    uint32_t most = 0;
    for (; same; same &= same - 1) {
      uint32_t p = passes[lowestLane(same)];
      most = p > most ? p : most;
    }
    sum += most;
  });
  return sum;
}

AtomicCount countGlobalAtomic(const uint64_t *address, uint32_t lanes) {
  Keys targets = keysOf(address, 1); // atomics move at least two bytes
  uint32_t same = equalTo(targets, targets.key[lowestLane(lanes)]) & lanes;
  if (same == lanes)
    return {countLanes(lanes), countLanes(lanes)};
  Keys sectors = coarser(targets, kSectorShift - 1);
  Keys lines = coarser(targets, kLineShift - 1);
  uint32_t first = firstLanes(targets, lanes);
  if (first == lanes)
    return {countLanes(firstLanes(sectors, lanes)),
            countLanes(firstLanes(lines, lanes))};
  uint32_t passes[kLaneCount];
  for (uint32_t rest = first; rest; rest &= rest - 1) {
    unsigned l = lowestLane(rest);
    passes[l] = countLanes(equalTo(targets, targets.key[l]) & lanes);
  }
  return {sumOfMost(sectors, first, passes), sumOfMost(lines, first, passes)};
}

uint32_t countConstant(const uint64_t *address, uint32_t lanes) {
  return countLanes(firstLanes(keysOf(address, 0), lanes));
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

/// Lanes are served in groups, by the width of the access.
struct Grouping {
  unsigned shift;  ///< log2 of the unit that a lane moves: 4, 8 or 16 bytes.
  unsigned groups; ///< Of 32 / groups lanes each.
  unsigned banks() const { return 128u >> shift; }
  unsigned width() const { return kLaneCount / groups; }
  uint32_t lanesOf(unsigned group) const {
    return groups == 1 ? kAll : ((1u << width()) - 1) << group * width();
  }
};

Grouping groupingOf(uint32_t bytes) {
  return bytes <= 4   ? Grouping{2, 1}
         : bytes == 8 ? Grouping{3, 2}
                      : Grouping{4, 4};
}

/// Most lanes in one bank, whatever words they name there.
uint32_t mostLanes(const Keys &units, uint32_t lanes, uint32_t bankMask) {
  uint8_t count[kLaneCount] = {};
  uint8_t most = 0;
  for (; lanes; lanes &= lanes - 1) {
    uint8_t now = ++count[units.key[lowestLane(lanes)] & bankMask];
    most = now > most ? now : most;
  }
  return most;
}

/// Sum over groups of \p Width lanes of the most distinct units in one of
/// \p Banks banks.
template <unsigned Width, unsigned Banks>
WaveCount countGroups(const Keys &units, uint32_t lanes) {
  uint32_t bank[kLaneCount];
  for (unsigned l = 0; l < kLaneCount; ++l)
    bank[l] = (lanes >> l & 1) << (units.key[l] & (Banks - 1));
  WaveCount sum;
  for (unsigned g = 0; g < kLaneCount; g += Width) {
    uint32_t part = lanes & (kAll >> (kLaneCount - Width)) << g;
    if (!part)
      continue;
    uint32_t used = 0, waves = 1;
    for (unsigned l = g; l < g + Width; ++l)
      used |= bank[l];
    if (countLanes(used) != countLanes(part))
      waves = mostLanes(units, firstLanes(units, part), Banks - 1);
    sum.wavefronts += waves;
    sum.conflicts += waves - 1;
  }
  return sum;
}

/// 4-byte accesses in one go: the usual ones need no walk.
bool conflictFreeWords(const Keys &words, uint32_t lanes) {
  uint32_t used = 0;
  if (lanes == kAll) {
    for (unsigned l = 0; l < kLaneCount; ++l)
      used |= 1u << (words.key[l] & 31);
    return used == kAll || equalTo(words, words.key[0]) == kAll;
  }
  return (equalTo(words, words.key[lowestLane(lanes)]) & lanes) == lanes;
}

/// Does every active lane hold what lane ^ distance holds? An inactive partner
/// counts as equal.
bool pairsEqual(const Keys &units, uint32_t lanes, unsigned distance) {
  uint32_t unequal = 0;
  for (unsigned l = 0; l < kLaneCount; ++l)
    unequal |= uint32_t(units.key[l] != units.key[l ^ distance]) << l;
  uint32_t low = distance == 1 ? 0x55555555u : 0x33333333u;
  uint32_t partners = (lanes & low) << distance | (lanes >> distance & low);
  return !(unequal & lanes & partners);
}

template <bool IsLoad>
WaveCount countShared(const uint64_t *address, uint32_t lanes, uint32_t bytes) {
  if (!lanes)
    return {};
  Keys units = keysOf(address, groupingOf(bytes).shift);
  if (bytes <= 4)
    return conflictFreeWords(units, lanes) ? WaveCount{1, 0}
                                           : countGroups<32, 32>(units, lanes);
  bool joined =
      IsLoad && (pairsEqual(units, lanes, 1) || pairsEqual(units, lanes, 2));
  if (bytes == 8)
    return joined ? countGroups<32, 16>(units, lanes)
                  : countGroups<16, 16>(units, lanes);
  return joined ? countGroups<16, 8>(units, lanes)
                : countGroups<8, 8>(units, lanes);
}

WaveCount countMatrix(const uint64_t *address, uint32_t matrices) {
  Keys rows = keysOf(address, 4);
  uint32_t lanes = matrices >= 4 ? kAll : (1u << 8 * matrices) - 1;
  return countGroups<8, 8>(rows, lanes);
}

WaveCount countSharedAtomic(const uint64_t *address, uint32_t lanes,
                            uint32_t bytes, bool wordsJoin) {
  Grouping grouping = groupingOf(bytes);
  Keys units = keysOf(address, grouping.shift);
  WaveCount sum;
  for (unsigned g = 0; g < grouping.groups; ++g) {
    uint32_t part = lanes & grouping.lanesOf(g);
    if (!part)
      continue;
    if (wordsJoin)
      part = firstLanes(units, part);
    uint32_t waves = mostLanes(units, part, grouping.banks() - 1);
    sum.wavefronts += waves;
    sum.conflicts += waves - 1;
  }
  return sum;
}

uint32_t countAsyncBypass(const uint64_t *destination, const uint64_t *source,
                          uint32_t lanes) {
  Keys targets = keysOf(destination, 4);
  Keys sectors = coarser(targets, kSectorShift - 4);
  Keys lines = keysOf(source, kLineShift);
  uint32_t first = firstLanes(targets, lanes);
  if (first == kAll && pairsEqual(sectors, kAll, 1)) {
    uint32_t apart = 0;
    for (unsigned l = 0; l < kLaneCount; l += 2)
      apart += lines.key[l] != lines.key[l + 1];
    return kLaneCount / 2 + apart;
  }
  uint32_t last = lanes;
  if (first != lanes) {
    last = 0;
    forEachDistinct(targets, lanes, [&](unsigned, uint32_t same) {
      last |= 1u << (31 - __builtin_clz(same));
    });
  }
  uint32_t pairs = 0;
  forEachDistinct(sectors, last, [&](unsigned, uint32_t same) {
    pairs += countLanes(firstLanes(lines, same));
  });
  return pairs;
}

uint32_t countAsyncCached(const uint64_t *destination, const uint64_t *source,
                          uint32_t lanes, uint32_t bytes) {
  Grouping grouping = groupingOf(bytes);
  Keys to = keysOf(destination, grouping.shift);
  Keys from = keysOf(source, grouping.shift);
  uint32_t sum = 0;
  for (unsigned g = 0; g < grouping.groups; ++g) {
    uint32_t part = lanes & grouping.lanesOf(g);
    uint32_t a = mostLanes(to, part, grouping.banks() - 1);
    uint32_t b = mostLanes(from, part, grouping.banks() - 1);
    sum += a > b ? a : b;
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// Shapes and registers
//===----------------------------------------------------------------------===//

bool sameShape(const uint64_t *address, const uint64_t *distance,
               uint32_t lanes) {
  uint64_t first = address[lowestLane(lanes)];
#if defined(__AVX512F__)
  __m512i base = _mm512_set1_epi64(int64_t(first));
  uint32_t different = 0;
  for (unsigned l = 0; l < kLaneCount; l += 8) {
    __m512i far = _mm512_sub_epi64(_mm512_loadu_si512(address + l), base);
    different |= _mm512_mask_cmpneq_epi64_mask(
        __mmask8(lanes >> l), far, _mm512_loadu_si512(distance + l));
  }
  return !different;
#else
  uint64_t different = 0;
  if (lanes == kAll) {
    for (unsigned l = 0; l < kLaneCount; ++l)
      different |= (address[l] - first) ^ distance[l];
    return !different;
  }
  for (unsigned l = 0; l < kLaneCount; ++l)
    different |=
        ((address[l] - first) ^ distance[l]) & -uint64_t(lanes >> l & 1);
  return !different;
#endif
}

bool sameRows(const uint32_t *address, const uint32_t *distance,
              uint32_t lanes) {
  const uint32_t first = address[lowestLane(lanes)];
#if defined(__AVX512F__)
  const __m512i base = _mm512_set1_epi32(int(first));
  uint32_t different = 0;
  for (unsigned l = 0; l < kLaneCount; l += 16) {
    const __m512i far = _mm512_sub_epi32(_mm512_loadu_si512(address + l), base);
    different |= _mm512_mask_cmpneq_epi32_mask(
        __mmask16(lanes >> l), far, _mm512_loadu_si512(distance + l));
  }
  return !different;
#else
  uint32_t different = 0;
  for (unsigned l = 0; l < kLaneCount; ++l)
    different |=
        ((address[l] - first) ^ distance[l]) & -uint32_t(lanes >> l & 1);
  return !different;
#endif
}

/// Lanes whose value is not zero.
uint32_t nonZero(const uint32_t *value) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_loadu_si512(value);
  const __m512i high = _mm512_loadu_si512(value + 16);
  return _mm512_test_epi32_mask(low, low) |
         uint32_t(_mm512_test_epi32_mask(high, high)) << 16;
#else
  uint32_t lanes = 0;
  for (unsigned l = 0; l < kLaneCount; ++l)
    lanes |= uint32_t(value[l] != 0) << l;
  return lanes;
#endif
}

/// The first lane of each group of four.
constexpr uint32_t kFirstOfGroups = 0x11111111u;

uint32_t groupsOf(const uint32_t *value) {
  uint32_t lanes = nonZero(value);
  lanes |= lanes >> 1;
  return (lanes | lanes >> 2) & kFirstOfGroups;
}

unsigned groupsUsed(const uint32_t *const *values, unsigned count) {
  uint32_t groups = 0;
  for (unsigned v = 0; v < count; ++v)
    groups |= groupsOf(values[v]);
  return countLanes(groups);
}

bool allGroupsUsed(const uint32_t *a, const uint32_t *b, const uint32_t *c) {
#if defined(__AVX512F__)
  // Mostly not one lane is zero.
  __m512i least = _mm512_loadu_si512(a);
  const uint32_t *const others[] = {a + 16, b, b + 16, c, c + 16};
  for (const uint32_t *half : others)
    least = _mm512_min_epu32(least, _mm512_loadu_si512(half));
  if (_mm512_test_epi32_mask(least, least) == 0xffff)
    return true;
#endif
  return (groupsOf(a) & groupsOf(b) & groupsOf(c)) == kFirstOfGroups;
}

} // namespace

const AccessRules kAccessRules = {
    countGlobal,      countLocal,        countShared<true>, countShared<false>,
    countMatrix,      countSharedAtomic, countGlobalAtomic, countAsyncBypass,
    countAsyncCached, sameShape,         sameRows,          groupsUsed,
    allGroupsUsed,    countConstant,
};

} // namespace PTX_CPU_LEVEL
} // namespace ptx
