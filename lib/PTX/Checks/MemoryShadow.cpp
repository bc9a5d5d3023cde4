// The shadow of one piece of memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/MemoryShadow.h"

#include "Checks/CellKernels.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::checks;

/// Lanes that access an undefined byte; all of them where it is not known.
static LaneMask undefinedLanes(const MemoryShadow &shadow, LaneMask lanes,
                               const uint64_t *offset, uint32_t bytes) {
  if (!shadow.undefined.any())
    return 0;
  const bool power = bytes <= 64 && !(bytes & (bytes - 1));
  return power ? cellKernels().flagged(shadow.undefined.data(), offset, lanes,
                                       bytes)
               : lanes;
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
  const uint64_t piece = (uint64_t{1} << wordBytes) - 1;
  for (LaneMask rest = undefinedLanes(shadow, lanes, offset, access.bytes);
       rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint64_t flags = shadow.undefined.get(offset[lane], access.bytes);
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
    lanes = undefinedLanes(shadow, lanes, offset, access.bytes);
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
