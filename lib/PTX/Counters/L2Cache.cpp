// A sectored L2 in two partitions.
//
// Fitted to what an H100 read and wrote: four passes over 24 to 64 MB give the
// capacity and the spread over sets, stores of whole and of partial sectors
// the amounts that wait in L2.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/L2Cache.h"

#include <algorithm>

namespace ptx {
namespace {

constexpr unsigned kLineBytes = 128, kSectorBytes = 32;
/// Of the capacity, what holds lines at home; the rest holds copies.
constexpr double kHomeShare = 0.78;
/// Sectors that wait for the rest of their bytes.
constexpr uint64_t kPartialBytes = 2u << 20;
/// DRAM pages that are open, and their size.
constexpr unsigned kOpenPages = 4096, kPageLines = 16;

constexpr unsigned kValid = 0, kDirty = 4, kPartial = 8;

/// Lines interleave over the partitions in pieces of 4 KB, hashed.
unsigned homePartition(Line line) { return hashLine(line >> 5) & 1; }

uint64_t linesOf(const Chip &chip, double share) {
  return uint64_t(chip.best(ChipConstant::L2Capacity) /
                  chip.best(ChipConstant::L2Partitions) * share) /
         kLineBytes;
}

/// Both sectors of each 64-byte half of which one is asked.
unsigned wholeHalves(unsigned sectors) {
  return (sectors | (sectors & 5) << 1 | (sectors & 10) >> 1) & 15;
}

} // namespace

size_t PartialSectors::find(uint64_t sector) const {
  size_t mask = slots.size() - 1, at = hashLine(sector) & mask;
  while (slots[at].key && slots[at].key != sector + 1)
    at = (at + 1) & mask;
  return at;
}

uint32_t &PartialSectors::operator[](uint64_t sector) {
  size_t at = find(sector);
  if (slots[at].key)
    return slots[at].mask;
  if (2 * ++used > slots.size()) {
    std::vector<Slot> old(2 * slots.size());
    old.swap(slots);
    for (const Slot &slot : old)
      if (slot.key)
        slots[find(slot.key - 1)] = slot;
    at = find(sector);
  }
  slots[at] = {sector + 1, 0};
  return slots[at].mask;
}

bool PartialSectors::erase(uint64_t sector) {
  size_t mask = slots.size() - 1, hole = find(sector);
  if (!slots[hole].key)
    return false;
  // Close the gap, so that no search ends too early.
  for (size_t at = (hole + 1) & mask; slots[at].key; at = (at + 1) & mask) {
    size_t wanted = hashLine(slots[at].key - 1) & mask;
    if (((at - wanted) & mask) < ((at - hole) & mask))
      continue;
    slots[hole] = slots[at];
    hole = at;
  }
  slots[hole] = {};
  --used;
  return true;
}

L2Cache::L2Cache(const Chip &chip)
    : home{Home(linesOf(chip, kHomeShare)), Home(linesOf(chip, kHomeShare))},
      copies{Copies(linesOf(chip, 1 - kHomeShare)),
             Copies(linesOf(chip, 1 - kHomeShare))},
      dirtyLimit(uint64_t(chip.best(ChipConstant::DirtyLeft)) / kSectorBytes),
      partialLimit(kPartialBytes / kSectorBytes), openPages(kOpenPages) {}

void L2Cache::moved(Line line, uint64_t readBytes, uint64_t fillBytes) {
  Line page = line / kPageLines;
  if (Opening *opening = openPages.find(page)) {
    // A stream, which opens each page once: that is in the rate of DRAM.
    sums.scatteredRead -= kSectorBytes * opening->readSectors;
    sums.scatteredFill -= kSectorBytes * opening->fillSectors;
    *opening = {};
    return;
  }
  // A whole line takes long enough to hide the opening of the next page.
  if (readBytes + fillBytes >= kLineBytes)
    readBytes = fillBytes = 0;
  sums.scatteredRead += readBytes;
  sums.scatteredFill += fillBytes;
  *openPages.insert(page, [](Line, Opening) {}) = {
      uint8_t(readBytes / kSectorBytes), uint8_t(fillBytes / kSectorBytes)};
}

uint16_t &L2Cache::homeOf(Line line) {
  Home &ways = home[homePartition(line)];
  if (uint16_t *state = ways.find(line))
    return *state;
  return *ways.insert(
      line, [&](Line victim, uint16_t state) { evict(victim, state); });
}

void L2Cache::evict(Line line, uint16_t state) {
  unsigned dirty = state >> kDirty & 15, partial = state >> kPartial & 15;
  sums.dramWritten += kSectorBytes * __builtin_popcount(dirty);
  dirtyCount -= __builtin_popcount(dirty);
  for (unsigned s = 0; s < 4; ++s)
    if (partial >> s & 1)
      complete(uint64_t(line) * 4 + s);
}

void L2Cache::fetch(uint16_t &state, Line line, unsigned sectors, bool halves) {
  unsigned missing = sectors & ~(state >> kValid & 15);
  if (!missing)
    return;
  // Bytes that wait are merged with what comes from DRAM.
  unsigned merged = missing & state >> kPartial & 15;
  unsigned read = halves ? wholeHalves(missing) & ~(state & 15) : missing;
  uint64_t bytes = kSectorBytes * __builtin_popcount(read);
  sums.dramRead += bytes;
  moved(line, bytes, 0);
  state |= read << kValid;
  for (unsigned s = 0; s < 4; ++s)
    if (merged >> s & 1)
      partialBytes.erase(uint64_t(line) * 4 + s);
  state &= ~(merged << kPartial);
  if (merged)
    markDirty(state, line, merged);
}

void L2Cache::markDirty(uint16_t &state, Line line, unsigned sectors) {
  unsigned fresh = sectors & ~(state >> kDirty & 15);
  state |= sectors << kDirty | sectors << kValid;
  for (unsigned s = 0; s < 4; ++s)
    if (fresh >> s & 1)
      dirtyOrder.push_back(uint64_t(line) * 4 + s);
  dirtyCount += __builtin_popcount(fresh);
}

void L2Cache::complete(uint64_t sector) {
  if (!partialBytes.erase(sector))
    return;
  sums.dramRead += kSectorBytes;
  sums.dramWritten += kSectorBytes;
  Line line = Line(sector / 4);
  moved(line, 0, 2 * kSectorBytes);
  if (uint16_t *state = home[homePartition(line)].peek(line)) {
    unsigned bit = 1u << sector % 4;
    *state &= ~(bit << kPartial);
    *state |= bit << kValid;
  }
}

void L2Cache::trimPartial() {
  while (partialBytes.size() > partialLimit && !partialOrder.empty()) {
    uint64_t sector = partialOrder.front();
    partialOrder.pop_front();
    complete(sector);
  }
  // Sectors that became whole leave their place in the order behind.
  if (partialOrder.size() > 4 * partialLimit)
    std::erase_if(partialOrder,
                  [&](uint64_t s) { return !partialBytes.contains(s); });
}

void L2Cache::trimDirty() {
  // Evicted sectors leave their place in the order behind, so that it is
  // bounded by itself.
  while (dirtyCount > dirtyLimit || dirtyOrder.size() > 4 * dirtyLimit) {
    uint64_t sector = dirtyOrder.front();
    dirtyOrder.pop_front();
    Line line = Line(sector / 4);
    uint16_t *state = home[homePartition(line)].peek(line);
    unsigned bit = 1u << sector % 4 << kDirty;
    if (!state || !(*state & bit))
      continue;
    *state &= ~bit;
    sums.dramWritten += kSectorBytes;
    --dirtyCount;
  }
}

void L2Cache::read(unsigned partition, Line line, unsigned sectors) {
  sums.readSectors += __builtin_popcount(sectors);
  bool local = homePartition(line) == partition;
  uint8_t *copy = local ? nullptr : copies[partition].find(line);
  if (copy && (*copy & sectors) == sectors) {
    sums.readHits += __builtin_popcount(sectors);
    return;
  }
  uint16_t &state = homeOf(line);
  sums.readHits += __builtin_popcount(sectors & state >> kValid & 15);
  fetch(state, line, sectors, true);
  if (local)
    return;
  sums.fabricSectors += __builtin_popcount(sectors);
  if (!copy)
    copy = copies[partition].insert(line, [](Line, uint8_t) {});
  *copy |= sectors;
}

void L2Cache::write(Line line, unsigned sectors) {
  uint16_t &state = homeOf(line);
  unsigned merged = sectors & state >> kPartial & 15;
  for (unsigned s = 0; s < 4; ++s)
    if (merged >> s & 1)
      partialBytes.erase(uint64_t(line) * 4 + s);
  state &= ~(merged << kPartial);
  markDirty(state, line, sectors);
  trimDirty();
}

void L2Cache::writePart(Line line, unsigned sector, uint32_t bytes) {
  unsigned bit = 1u << sector;
  uint16_t &state = homeOf(line);
  if (state >> kValid & bit) {
    markDirty(state, line, bit);
    trimDirty();
    return;
  }
  uint32_t &mask = partialBytes[uint64_t(line) * 4 + sector];
  if (!mask)
    partialOrder.push_back(uint64_t(line) * 4 + sector);
  mask |= bytes;
  if (mask == 0xffffffffu) {
    partialBytes.erase(uint64_t(line) * 4 + sector);
    state &= ~(bit << kPartial);
    markDirty(state, line, bit);
    trimDirty();
    return;
  }
  state |= bit << kPartial;
  trimPartial();
}

void L2Cache::atomic(Line line, unsigned sectors) {
  uint16_t &state = homeOf(line);
  fetch(state, line, sectors, false);
  markDirty(state, line, sectors);
  trimDirty();
}

} // namespace ptx
