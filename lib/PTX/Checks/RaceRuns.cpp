// Accesses of neighbouring lanes, many words at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/RaceDetector.h"

#include <algorithm>

using namespace ptx::checks;

/// Looks at single events before an access goes the long way.
static constexpr unsigned kJudgements = 6;

bool RaceDetector::judge(Cell cell, Touch &touch, Verdicts &verdicts) {
  const uint32_t number = eventOf(cell);
  const AccessEvent &event = table[number];
  const WarpOrder::Extent known = touch.order->extentOf(event.warp);
  uint32_t *list = nullptr;
  if (event.tick <= known.all)
    list = verdicts.ordered;
  else if (event.warp == touch.order->warp() &&
           event.tick == touch.order->tick())
    list = verdicts.own;
  else if (event.warp != touch.order->warp() && event.tick > known.any)
    list = verdicts.unordered;
  if (!list)
    return false;
  list[1] = list[0];
  list[0] = number;
  return true;
}

bool RaceDetector::allOrdered(const Cell *cells, const CellRun &run,
                              uint32_t from, Touch &touch, Verdicts &verdicts) {
  for (unsigned i = 0; i < kJudgements; ++i) {
    from = kernels.firstOpen(cells, run, from, verdicts);
    if (from == run.count)
      return true;
    // What is known, and not to be before all lanes, is a matter of the lane.
    const uint32_t event = eventOf(cells[from]);
    const bool known = event == verdicts.own[0] || event == verdicts.own[1] ||
                       event == verdicts.unordered[0] ||
                       event == verdicts.unordered[1];
    if (known || !judge(cells[from], touch, verdicts))
      return false;
  }
  return false;
}

bool RaceDetector::writeRun(ShadowCells &cells, ShadowCells::Page &page,
                            uint64_t cell, const CellRun &run, Touch &touch,
                            Verdicts &verdicts) {
  Cell *writers = cells.writers(page) + cell;
  Cell *readers[2] = {nullptr, nullptr};
  for (unsigned i = 0; page.readers && i < cells.slots; ++i)
    readers[i] = page.readersOf(i) + cell;
  const uint32_t rest = kernels.write(writers, readers, run, 0, verdicts);
  if (rest == run.count)
    return true;
  if (!allOrdered(writers, run, rest, touch, verdicts))
    return false;
  for (Cell *places : readers)
    if (places && !allOrdered(places, run, rest, touch, verdicts))
      return false;
  Verdicts all;
  all.before = ~Cell{0};
  return kernels.write(writers, readers, run, rest, all) == run.count;
}

bool RaceDetector::readRun(ShadowCells &cells, ShadowCells::Page &page,
                           uint64_t cell, const CellRun &run, Touch &touch,
                           Verdicts &verdicts) {
  cells.makeReaders(page);
  const Cell *writers = page.writers ? page.writers.get() + cell : nullptr;
  Cell *first = page.readersOf(0) + cell;
  Cell *second = cells.slots == 2 ? page.readersOf(1) + cell : nullptr;
  uint32_t from = 0;
  if (!second && writers && !allOrdered(writers, run, 0, touch, verdicts))
    return false;
  for (unsigned i = 0; i < kJudgements; ++i) {
    from = second ? kernels.rememberTwo(writers, first, second, run, from,
                                        verdicts)
                  : kernels.rememberOne(first, run, from, verdicts);
    if (from == run.count)
      return true;
    if (second && writers && !allOrdered(writers, run, from, touch, verdicts))
      return false;
    const uint32_t unknown = kernels.firstUnknown(first, run, from, verdicts);
    const uint32_t other =
        second ? kernels.firstUnknown(second, run, from, verdicts) : run.count;
    if (unknown == run.count && other == run.count)
      continue; // it was a writer
    const Cell cell = unknown <= other ? first[unknown] : second[other];
    if (!judge(cell, touch, verdicts))
      return false;
  }
  return false;
}

CellRun RaceDetector::runOf(const ShadowCells::Page &page, uint64_t offset,
                            uint32_t bytes, unsigned lane, unsigned lanes,
                            bool onePlace, uint32_t event) {
  CellRun run;
  const uint32_t cellsPerLane = std::max(1u, bytes >> page.shift);
  run.count = onePlace ? cellsPerLane : cellsPerLane * lanes;
  if (lanes > 1 && !onePlace)
    run.shift = static_cast<uint32_t>(__builtin_ctz(cellsPerLane));
  run.first = makeCell(event, onePlace ? kSeveralLanes : lane);
  run.offset = offset;
  run.cellShift = page.shift;
  return run;
}

void RaceDetector::touchRuns(ShadowCells &cells, LaneMask lanes,
                             const uint64_t *offset, uint32_t bytes,
                             Touch &touch, const Horizon &horizon) {
  constexpr uint64_t pageBytes = ShadowCells::kPageBytes;
  Verdicts verdicts;
  verdicts.before = makeCell(horizon.before, 0);
  if (horizon.apart < EventTable::kLimit)
    verdicts.apart = makeCell(horizon.apart, 0);
  uint32_t same = 0, next = 0;
  kernels.neighbours(offset, bytes, same, next);
  while (lanes) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
    const uint64_t begin = offset[lane], inPage = begin & (pageBytes - 1);
    // Lanes from this one on that stand as their predecessor wants it.
    auto follow = [&](uint32_t mask) {
      const uint32_t on = (mask & lanes >> 1) >> lane;
      return 1 + static_cast<unsigned>(__builtin_ctzll(~uint64_t{on}));
    };
    const bool onePlace = !touch.writes && follow(same) > 1;
    unsigned count = follow(onePlace ? same : next);
    if (!onePlace)
      count = std::min<unsigned>(
          count, static_cast<unsigned>((pageBytes - inPage) / bytes));
    ShadowCells::Page &page = cells.page(begin, bytes);
    const CellRun run =
        runOf(page, begin, bytes, lane, count, onePlace, touch.number);
    const uint64_t cell = inPage >> page.shift;
    const bool done = touch.writes
                          ? writeRun(cells, page, cell, run, touch, verdicts)
                          : readRun(cells, page, cell, run, touch, verdicts);
    for (unsigned l = lane; l < lane + count; ++l) {
      if (!done)
        this->touch(cells, offset[l], bytes, l, touch);
      lanes &= ~(1u << l);
    }
  }
}

void RaceDetector::touchLanes(ShadowCells &cells, LaneMask lanes,
                              const uint64_t *offset, uint32_t bytes,
                              Touch &touch, const Horizon &horizon) {
  // Runs are of accesses aligned to their size. The async proxy asks more than
  // whether a write came before.
  uint64_t bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    bits |= offset[lane] & -uint64_t{lanes >> lane & 1};
  const bool runs = bytes != 0 && (bytes & (bytes - 1)) == 0 &&
                    bytes < ShadowCells::kPageBytes && !(bits & (bytes - 1)) &&
                    !(touch.event.asyncProxy && touch.reads);
  if (runs)
    return touchRuns(cells, lanes, offset, bytes, touch, horizon);
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    touchRange(cells, offset[lane], bytes, lane, touch);
  }
}
