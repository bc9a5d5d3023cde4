// Conflicting accesses without an order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/RaceDetector.h"

#include <algorithm>

using namespace ptx::checks;

void RaceDetector::begin(Touch &touch, uint32_t cached) {
  if (touch.event.warp == kOwnWarp) {
    touch.event.warp = touch.order->warp();
    touch.event.tick = touch.order->tick();
  }
  if (cached != 0 && cached < table.size()) {
    const AccessEvent &old = table[cached];
    if (old.instruction == touch.event.instruction &&
        old.tick == touch.event.tick && old.warp == touch.event.warp) {
      touch.number = cached;
      return;
    }
  }
  touch.number = table.add(touch.event);
  if (touch.event.warp == touch.order->warp())
    touch.order->events.add(touch.event.tick, touch.number);
}

bool RaceDetector::bothStrong(const AccessEvent &a,
                              const AccessEvent &b) const {
  uint8_t scope = std::min(a.strongScope, b.strongScope);
  switch (scope) {
  case kWeak:
    return false;
  case kCta:
    return numbering.block(a.warp) == numbering.block(b.warp);
  case kCluster:
    return numbering.cluster(a.warp) == numbering.cluster(b.warp);
  default:
    return true;
  }
}

bool RaceDetector::ordered(Cell cell, Touch &touch, unsigned lane) {
  uint32_t number = eventOf(cell);
  if (number == touch.safe)
    return true;
  const AccessEvent &event = table[number];
  if (event.warp == touch.order->warp() && laneOf(cell) == lane)
    return true;
  if (touch.order->allKnow(event.warp, event.tick)) {
    touch.safe = number;
    return true;
  }
  return touch.order->knows(lane, event.warp, laneOf(cell), event.tick);
}

void RaceDetector::check(Cell cell, RaceKind kind, Touch &touch, unsigned lane,
                         uint64_t offset) {
  if (ordered(cell, touch, lane))
    return;
  const AccessEvent &event = table[eventOf(cell)];
  if (!bothStrong(event, touch.event))
    report({kind, event, laneOf(cell), &touch, lane, offset});
}

void RaceDetector::checkProxy(Cell cell, Touch &touch, unsigned lane,
                              uint64_t offset) {
  uint32_t number = eventOf(cell);
  const AccessEvent &event = table[number];
  if (number == touch.proxySafe || event.asyncProxy)
    return;
  if (touch.order->proxyKnowsAll(lane, event.warp, event.tick)) {
    touch.proxySafe = number;
    return;
  }
  if (touch.order->proxyKnows(lane, event.warp, laneOf(cell), event.tick))
    return;
  if (ordered(cell, touch, lane)) // else it is a race, and reported as one
    report({RaceKind::MissingProxyFence, event, laneOf(cell), &touch, lane,
            offset});
}

/// Keeps this reader. A reader that comes before it is not needed any more;
/// of more concurrent ones than there are slots a few stay, others in other
/// words, so that some word of an array tells of each.
void RaceDetector::remember(ShadowCells::Page &page, uint64_t cell,
                            unsigned slots, Touch &touch, unsigned lane,
                            uint64_t offset) {
  const Cell mine = makeCell(touch.number, lane);
  for (unsigned i = 0; i < slots; ++i) {
    Cell &reader = page.readersOf(i)[cell];
    if (reader == mine)
      return;
    if (reader == kNobody) {
      reader = mine;
      return;
    }
    if (eventOf(reader) == touch.number) {
      reader = makeCell(touch.number, kSeveralLanes);
      return;
    }
    if (laneOf(reader) != kSeveralLanes && ordered(reader, touch, lane)) {
      reader = mine;
      return;
    }
    if (laneOf(reader) == kSeveralLanes) {
      const AccessEvent &event = table[eventOf(reader)];
      if (touch.order->allKnow(event.warp, event.tick)) {
        reader = mine;
        return;
      }
    }
  }
  const uint32_t choice = readerChoice(offset, mine, slots) % (slots + 1);
  if (choice < slots)
    page.readersOf(choice)[cell] = mine;
}

void RaceDetector::touch(ShadowCells &cells, uint64_t offset, uint32_t bytes,
                         unsigned lane, Touch &touch) {
  ShadowCells::Page &page = cells.page(offset, bytes);
  const unsigned shift = page.shift;
  uint64_t first = (offset & (ShadowCells::kPageBytes - 1)) >> shift;
  uint64_t count = std::max<uint64_t>(1, bytes >> shift);
  const Cell mine = makeCell(touch.number, lane);
  Cell *writers = touch.writes ? cells.writers(page) : page.writers.get();
  if (!touch.writes)
    cells.makeReaders(page);
  const RaceKind writer =
      touch.writes ? RaceKind::WriteAfterWrite : RaceKind::ReadAfterWrite;
  for (uint64_t cell = first; cell < first + count; ++cell) {
    uint64_t at = (offset & ~(ShadowCells::kPageBytes - 1)) | cell << shift;
    if (writers && writers[cell] != kNobody && writers[cell] != mine) {
      check(writers[cell], writer, touch, lane, at);
      if (touch.event.asyncProxy && touch.reads)
        checkProxy(writers[cell], touch, lane, at);
    }
    if (!touch.writes) {
      remember(page, cell, cells.slots, touch, lane, at);
      continue;
    }
    for (unsigned i = 0; page.readers && i < cells.slots; ++i) {
      Cell &reader = page.readersOf(i)[cell];
      if (reader == kNobody)
        continue;
      check(reader, RaceKind::WriteAfterRead, touch, lane, at);
      reader = kNobody;
    }
    writers[cell] = mine;
  }
}

void RaceDetector::touchRange(ShadowCells &cells, uint64_t offset,
                              uint64_t bytes, unsigned lane, Touch &what) {
  while (bytes > 0) {
    uint64_t room =
        ShadowCells::kPageBytes - (offset & (ShadowCells::kPageBytes - 1));
    uint64_t part = std::min(bytes, room);
    // Whole words, and what is left before and behind them.
    if (offset % 4 != 0)
      part = std::min(part, 4 - offset % 4);
    else if (part > 4)
      part &= ~uint64_t{3};
    touch(cells, offset, static_cast<uint32_t>(part), lane, what);
    offset += part;
    bytes -= part;
  }
}
