// The shadow of one piece of memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_MEMORYSHADOW_H
#define PTX_CHECKS_MEMORYSHADOW_H

#include "Checks/ShadowCells.h"
#include "Machine/Access.h"
#include "Machine/ByteFlags.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

namespace ptx::checks {

/// A range that an asynchronous copy will write.
struct InFlight {
  uint64_t begin = 0, end = 0;
  const Instruction *instruction = nullptr; ///< that issued it
  Warp *warp = nullptr;
};

/// Undefined bytes, bytes in flight, last accesses: of an allocation, of the
/// shared memory of a block, of the local memory of a lane. Offsets from its
/// beginning.
struct MemoryShadow {
  /// \p readers: concurrent ones to remember for each word, 0: no race check.
  MemoryShadow(uint64_t bytes, ByteFlags undefined, unsigned readers)
      : undefined(std::move(undefined)), cells(readers ? bytes : 0, readers),
        bytes(bytes) {}

  void setUndefined(uint64_t begin, uint64_t length, bool value) {
    if (value && undefined.bytes() == 0)
      undefined = ByteFlags(bytes);
    undefined.set(begin, length, value);
  }

  void startFlight(const InFlight &copy) {
    if (pending.bytes() == 0)
      pending = ByteFlags(bytes);
    pending.set(copy.begin, copy.end - copy.begin, true);
    copies.insert_or_assign(copy.begin, copy);
    longest = std::max(longest, copy.end - copy.begin);
  }
  void endFlight(uint64_t begin, uint64_t length) {
    pending.set(begin, length, false);
    for (auto at = firstNear(begin);
         at != copies.end() && at->first < begin + length;) {
      const InFlight &copy = at->second;
      bool over = !pending.anyIn(copy.begin, copy.end - copy.begin);
      at = over ? copies.erase(at) : std::next(at);
    }
  }
  /// The copy that will write one of these bytes, or null.
  const InFlight *inFlight(uint64_t begin, uint64_t length) const {
    if (!pending.anyIn(begin, length))
      return nullptr;
    for (auto at = firstNear(begin);
         at != copies.end() && at->first < begin + length; ++at)
      if (begin < at->second.end)
        return &at->second;
    return nullptr;
  }

  ByteFlags undefined;
  ByteFlags pending;
  std::map<uint64_t, InFlight> copies; ///< by first byte
  ShadowCells cells;
  uint64_t bytes;
  /// Only lanes of one block used it: its Horizon tells of the events here.
  bool ownOnly = false;

private:
  /// The first copy that may reach \p begin.
  std::map<uint64_t, InFlight>::const_iterator firstNear(uint64_t begin) const {
    return copies.lower_bound(begin > longest ? begin - longest : 0);
  }
  uint64_t longest = 0;
};

/// Poison masks of an element: see Access::loadedPoison.
inline unsigned poisonWordsOf(uint32_t elementBytes) {
  return elementBytes <= 4 ? 1 : elementBytes / 4;
}

/// Fills masks[] of \p access with the lanes that load an undefined byte.
void loadUndefined(const MemoryShadow &shadow, const Access &access,
                   LaneMask lanes, const uint64_t *offset, LaneMask *masks);
/// Marks what \p access stores as defined, or undefined where it says so.
void storeUndefined(MemoryShadow &shadow, const Access &access, LaneMask lanes,
                    const uint64_t *offset);
/// Whether the lanes access one range in a row: [offset[0], + 32 * bytes).
bool isRow(LaneMask lanes, const uint64_t *offset, uint32_t bytes);

} // namespace ptx::checks

#endif // PTX_CHECKS_MEMORYSHADOW_H
