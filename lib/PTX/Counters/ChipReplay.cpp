// The caches of a chip fed by traces of CTAs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/ChipReplay.h"

#include <algorithm>

namespace ptx {
namespace {

constexpr unsigned kLineBytes = 128;
constexpr unsigned kWays = 8;
/// Instructions that each CTA advances before the next one does.
constexpr uint64_t kTurn = 4;
/// Instructions by which the CTAs that start together are apart on an SM: the
/// few clocks that it takes to launch one. More would let SMs read a buffer
/// at places far from each other, which they do not.
constexpr uint64_t kStagger = 4;
/// Where local memory lies, far from where the host allocates.
constexpr uint64_t kLocalLines = uint64_t(1) << 28;
constexpr uint64_t kFrameLines = 1 << 14; ///< of a warp

/// Shared memory is carved out of L1. The driver takes the smallest of these
/// sizes that leaves some room (seen in launch__shared_mem_config_size).
uint64_t carveOut(uint64_t shared, uint64_t capacity) {
  constexpr unsigned sizes[] = {32, 64, 100, 132, 164, 196, 228};
  uint64_t wanted = shared <= 80 * 1024 ? shared * 9 / 5 : shared + shared / 16;
  for (unsigned size : sizes)
    if (wanted <= uint64_t(size) * 1024 && size * 1024 < capacity)
      return uint64_t(size) * 1024;
  return std::min<uint64_t>(capacity - 28 * 1024, 228 * 1024);
}

/// SMs are numbered by pairs that take turns among the eight GPCs of a chip;
/// half of these sit at each partition of L2.
unsigned partitionOf(unsigned sm) { return sm / 2 % 8 / 4; }

} // namespace

struct ChipReplay::Resident {
  std::unique_ptr<BlockTrace> trace;
  uint64_t start = 0;
  size_t event = 0;
};

struct ChipReplay::Multiprocessor {
  Multiprocessor(uint64_t l1Bytes, unsigned slots)
      : cache(l1Bytes / kLineBytes), resident(slots) {}
  CacheSets<uint8_t, kWays> cache; ///< Valid sectors.
  std::vector<Resident> resident;
};

ChipReplay::ChipReplay(const Chip &chip, const LaunchShape &shape, size_t sites)
    : slots(std::max(1u, shape.blocksPerSm)), blocks(shape.grid.count()),
      cache(chip), siteMisses(sites) {
  uint64_t shared =
      uint64_t(slots) * (shape.staticShared + shape.dynamicShared + 1024);
  uint64_t capacity = uint64_t(chip.best(ChipConstant::L1Capacity));
  uint64_t l1Bytes = capacity - carveOut(shared, capacity);
  for (unsigned i = 0; i < chip.best(ChipConstant::Multiprocessors); ++i)
    sms.push_back(std::make_unique<Multiprocessor>(l1Bytes, slots));
}

ChipReplay::~ChipReplay() = default;

void ChipReplay::feed(std::unique_ptr<BlockTrace> trace) {
  trace->finish();
  uint64_t block = trace->block;
  waiting.emplace(block, std::move(trace));
  // Enough to place a CTA wherever one ends in the meantime.
  if (waiting.size() >= 2 * sms.size() * slots)
    advance(false);
}

void ChipReplay::finish() {
  advance(true);
  waiting.clear();
}

bool ChipReplay::place(unsigned sm, unsigned slot) {
  if (waiting.empty() || waiting.begin()->first != next)
    return false;
  Resident &resident = sms[sm]->resident[slot];
  resident.trace = std::move(waiting.begin()->second);
  waiting.erase(waiting.begin());
  resident.start = clock + (next < sms.size() * slots ? slot * kStagger : 0);
  resident.event = 0;
  ++next;
  return true;
}

void ChipReplay::advance(bool toTheEnd) {
  bool any = true;
  while (any) {
    // A free place and no trace for it: wait for more CTAs to end.
    if (!toTheEnd && next < blocks &&
        (waiting.empty() || waiting.begin()->first != next))
      return;
    any = false;
    for (unsigned slot = 0; slot < slots; ++slot)
      for (unsigned sm = 0; sm < sms.size(); ++sm)
        if (sms[sm]->resident[slot].trace || place(sm, slot))
          any = true;
    clock += kTurn;
    for (unsigned sm = 0; sm < sms.size(); ++sm)
      for (unsigned slot = 0; slot < slots; ++slot)
        if (sms[sm]->resident[slot].trace && !step(sm, slot, clock))
          sms[sm]->resident[slot].trace.reset();
  }
}

bool ChipReplay::step(unsigned sm, unsigned slot, uint64_t now) {
  Resident &resident = sms[sm]->resident[slot];
  const BlockTrace &trace = *resident.trace;
  const std::vector<BlockTrace::Event> &events = trace.events();
  while (resident.event < events.size() &&
         resident.start + events[resident.event].time < now)
    carryOut(sm, slot, trace, events[resident.event++]);
  return resident.event < events.size() ||
         resident.start + trace.duration > now;
}

void ChipReplay::carryOut(unsigned sm, unsigned slot, const BlockTrace &trace,
                          const BlockTrace::Event &event) {
  BlockTrace::Header header = trace.header(event);
  uint64_t base = 0;
  if (header.local)
    base = kLocalLines +
           ((uint64_t(sm) * slots + slot) * trace.warps + header.warp) *
               kFrameLines;
  uint32_t cursor = event.at + 1;
  for (uint32_t i = 0; i < header.count; ++i) {
    LineAccess access = trace.line(cursor);
    access.line += base;
    switch (header.kind) {
    case Request::Load:
    case Request::Bypass:
      load(sm, access, header.local, header.kind == Request::Bypass,
           header.site);
      break;
    case Request::Store:
      store(sm, access);
      break;
    case Request::Atomic:
      sums.atomicSectors += __builtin_popcount(access.sectors);
      ++sums.atomicRequests;
      cache.atomic(Line(access.line), access.sectors);
      break;
    }
  }
}

void ChipReplay::load(unsigned sm, const LineAccess &access, bool local,
                      bool bypass, uint32_t site) {
  Line line = Line(access.line);
  unsigned missing = access.sectors;
  if (!bypass) {
    auto &l1 = sms[sm]->cache;
    uint8_t *state = l1.find(line);
    if (!state)
      state = l1.insert(line, [](Line, uint8_t) {});
    unsigned hit = access.sectors & *state;
    (local ? sums.localHits : sums.globalHits) += __builtin_popcount(hit);
    missing &= ~hit;
    *state |= access.sectors;
  }
  if (!missing)
    return;
  sums.fetched += __builtin_popcount(missing);
  siteMisses[site] += __builtin_popcount(missing);
  cache.read(partitionOf(sm), line, missing);
}

void ChipReplay::store(unsigned sm, const LineAccess &access) {
  Line line = Line(access.line);
  sums.written += __builtin_popcount(access.sectors);
  ++sums.writeRequests;
  // Stores write through; whole sectors stay in L1 for loads to come.
  auto &l1 = sms[sm]->cache;
  unsigned whole = access.sectors & ~access.partial;
  uint8_t *state = l1.find(line);
  if (!state && whole)
    state = l1.insert(line, [](Line, uint8_t) {});
  if (state)
    *state |= whole;
  if (whole)
    cache.write(line, whole);
  for (unsigned s = 0; s < 4; ++s)
    if (access.partial >> s & 1)
      cache.writePart(line, s, access.bytes[s]);
}

} // namespace ptx
