// The shadow of one piece of memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/MemoryShadow.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::checks;

/// The bytes from the first to the last that the lanes access; a far spread is
/// not worth a look as a whole.
static bool nothingUndefined(const MemoryShadow &shadow, LaneMask lanes,
                             const uint64_t *offset, uint32_t bytes) {
  constexpr uint64_t kFar = 1024;
  if (!shadow.undefined.any())
    return true;
  uint64_t low = ~uint64_t{0}, high = 0;
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    const uint64_t at = offset[__builtin_ctz(rest)];
    low = std::min(low, at);
    high = std::max(high, at);
  }
  return high - low < kFar && !shadow.undefined.anyIn(low, high + bytes - low);
}

bool checks::isRow(LaneMask lanes, const uint64_t *offset, uint32_t bytes) {
  if (lanes != kAllLanes)
    return false;
  bool row = true;
  for (unsigned lane = 1; lane < kLanes; ++lane)
    row &= offset[lane] == offset[0] + uint64_t{lane} * bytes;
  return row;
}

void checks::loadUndefined(const MemoryShadow &shadow, const Access &access,
                           LaneMask lanes, const uint64_t *offset,
                           LaneMask *masks) {
  const uint32_t elementBytes = access.elementBytes;
  const unsigned elements = access.bytes / elementBytes;
  const unsigned words = poisonWordsOf(elementBytes);
  const unsigned wordBytes = std::min(elementBytes, 4u);
  if (nothingUndefined(shadow, lanes, offset, access.bytes))
    return;
  const uint64_t piece = (uint64_t{1} << wordBytes) - 1;
  uint64_t last = ~uint64_t{0}; // where all bytes were found to be defined
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    if (offset[lane] == last)
      continue;
    uint64_t flags = shadow.undefined.get(offset[lane], access.bytes);
    last = flags ? ~uint64_t{0} : offset[lane];
    for (unsigned i = 0; flags != 0 && i < elements * words; ++i) {
      if (flags & piece)
        masks[i] |= 1u << lane;
      flags >>= wordBytes;
    }
  }
}

void checks::storeUndefined(MemoryShadow &shadow, const Access &access,
                            LaneMask lanes, const uint64_t *offset) {
  const unsigned words = poisonWordsOf(access.elementBytes);
  const unsigned pieces = access.bytes / access.elementBytes * words;
  const unsigned pieceBytes = std::min(access.elementBytes, 4u);
  LaneMask poisoned = 0;
  for (unsigned i = 0; access.storedPoison && i < pieces; ++i)
    poisoned |= access.storedPoison[i] & lanes;
  if (poisoned == 0) {
    if (nothingUndefined(shadow, lanes, offset, access.bytes))
      return;
    if (isRow(lanes, offset, access.bytes)) {
      shadow.undefined.set(offset[0], uint64_t{kLanes} * access.bytes, false);
      return;
    }
  }
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    shadow.undefined.set(offset[lane], access.bytes, false);
    for (unsigned i = 0; (poisoned >> lane & 1) && i < pieces; ++i)
      if (access.storedPoison[i] >> lane & 1)
        shadow.setUndefined(offset[lane] + uint64_t{i} * pieceBytes, pieceBytes,
                            true);
  }
}
