// A sectored L2 in two partitions, and DRAM behind it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_L2CACHE_H
#define PTX_COUNTERS_L2CACHE_H

#include "Counters/CacheSets.h"
#include "ptx/Model.h"

#include <cstdint>
#include <deque>
#include <vector>

namespace ptx {

/// Bytes of DRAM and sectors of L2. What kernels left in L2 when they ended
/// was not written.
struct L2Counts {
  uint64_t readSectors = 0, readHits = 0;
  uint64_t fabricSectors = 0; ///< fetched from the other partition
  uint64_t dramRead = 0, dramWritten = 0;
  /// Of those, bytes whose DRAM page was not open: random accesses.
  uint64_t scatteredRead = 0, scatteredFill = 0;
};

/// Byte masks of sectors that were written in part: a hash table that grows.
class PartialSectors {
public:
  PartialSectors() : slots(1u << 12) {}
  size_t size() const { return used; }
  /// The mask of a sector, 0 for a new one.
  uint32_t &operator[](uint64_t sector);
  bool contains(uint64_t sector) const { return slots[find(sector)].key; }
  /// False if it was not there.
  bool erase(uint64_t sector);

private:
  struct Slot {
    uint64_t key = 0; ///< sector + 1
    uint32_t mask = 0;
  };
  size_t find(uint64_t sector) const;
  std::vector<Slot> slots;
  size_t used = 0;
};

/// Lines of 128 bytes in four sectors, each line at home in one partition;
/// reading through the other one leaves a copy there. Loads fetch 64 bytes
/// from DRAM. A sector that is written in part waits for the rest; is it not
/// written soon, the sector is read, merged and written back.
class L2Cache {
public:
  explicit L2Cache(const Chip &chip);

  /// Bit s of \p sectors is its s-th sector.
  void read(unsigned partition, Line line, unsigned sectors);
  /// Whole sectors.
  void write(Line line, unsigned sectors);
  /// Some bytes of sector \p sector.
  void writePart(Line line, unsigned sector, uint32_t bytes);
  void atomic(Line line, unsigned sectors);

  const L2Counts &counts() const { return sums; }

private:
  /// Bits 0-3: valid sectors, 4-7: dirty, 8-11: written in part.
  using Home = CacheSets<uint16_t, 32>;
  using Copies = CacheSets<uint8_t, 8>; ///< Valid sectors.

  uint16_t &homeOf(Line line);
  /// Sectors read from DRAM to be valid at home: halves for loads.
  void fetch(uint16_t &state, Line line, unsigned sectors, bool halves);
  void evict(Line line, uint16_t state);
  void markDirty(uint16_t &state, Line line, unsigned sectors);
  /// Reads, merges and writes a sector that was written in part.
  void complete(uint64_t sector);
  void trimPartial();
  void trimDirty();
  /// Bytes moved in DRAM, for loads or for the filling of sectors.
  void moved(Line line, uint64_t readBytes, uint64_t fillBytes);

  Home home[2];
  Copies copies[2];
  uint64_t dirtyLimit, partialLimit; ///< sectors
  uint64_t dirtyCount = 0;
  std::deque<uint64_t> dirtyOrder, partialOrder; ///< line * 4 + sector
  PartialSectors partialBytes;
  /// What opened a page counts as scattered until the page is used again.
  struct Opening {
    uint8_t readSectors = 0, fillSectors = 0;
  };
  CacheSets<Opening, 4> openPages;
  L2Counts sums;
};

} // namespace ptx

#endif // PTX_COUNTERS_L2CACHE_H
