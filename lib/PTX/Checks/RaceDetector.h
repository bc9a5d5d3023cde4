// Conflicting accesses without an order.
//
// Two accesses of one word race when one writes, no synchronisation orders
// them, and they are not both strong (atomic, volatile, relaxed ...) in scopes
// that include each other. What remembers them is ShadowCells, what orders
// them WarpOrder; this file compares the two.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_RACEDETECTOR_H
#define PTX_CHECKS_RACEDETECTOR_H

#include "Checks/CellKernels.h"
#include "Checks/ShadowCells.h"
#include "Checks/WarpOrder.h"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace ptx::checks {

/// Who acts: the lanes of a warp, or what they started and wait for in groups.
enum class Actor : uint8_t { Lanes, BulkGroups, MatrixGroups, Count };

/// How actors are numbered: those of a block in a row, blocks of a cluster too.
struct WarpNumbering {
  uint32_t warpsPerBlock = 1, blocksPerCluster = 1;
  uint32_t perBlock() const {
    return warpsPerBlock * static_cast<uint32_t>(Actor::Count);
  }
  uint32_t number(uint64_t block, uint32_t warp, Actor actor) const {
    return static_cast<uint32_t>(block * perBlock() +
                                 static_cast<uint32_t>(actor) * warpsPerBlock +
                                 warp);
  }
  Actor actor(uint32_t number) const {
    return static_cast<Actor>(number % perBlock() / warpsPerBlock);
  }
  uint32_t warpInBlock(uint32_t number) const {
    return number % perBlock() % warpsPerBlock;
  }
  uint32_t block(uint32_t number) const { return number / perBlock(); }
  uint32_t cluster(uint32_t warp) const {
    return block(warp) / blocksPerCluster;
  }
};

/// Scopes as numbers: none < cta < cluster < gpu < sys.
enum ScopeLevel : uint8_t { kWeak, kCta, kCluster, kGpu, kSys };

/// Stands for the number of Touch::order in Touch::event.
inline constexpr uint32_t kOwnWarp = ~0u;

/// What one instruction of a warp does to some words.
struct Touch {
  AccessEvent event; ///< warp and tick: of `order`, if the warp is kOwnWarp
  WarpOrder *order = nullptr;
  bool reads = false, writes = false;
  uint32_t number = 0;    ///< of the event in the table
  uint32_t safe = 0;      ///< an event known to be before all lanes
  uint32_t proxySafe = 0; ///< one known to be visible to the async proxy
};

enum class RaceKind : uint8_t {
  ReadAfterWrite,
  WriteAfterRead,
  WriteAfterWrite,
  /// A write the async proxy reads without fence.proxy.async in between.
  MissingProxyFence,
};

/// Numbers of events by what a warp knows of them.
struct Horizon {
  uint32_t before = 1;  ///< smaller ones come before all its lanes
  uint32_t apart = ~0u; ///< see Verdicts::apart
};

struct Race {
  RaceKind kind;
  AccessEvent other;
  unsigned otherLane; ///< kSeveralLanes: not known
  const Touch *touch;
  unsigned lane;
  uint64_t offset; ///< of the cell in its region
};

class RaceDetector {
public:
  using Report = std::function<void(const Race &)>;
  RaceDetector(WarpNumbering numbering, Report report)
      : numbering(numbering), report(std::move(report)) {}

  /// Begins an access: gives it an event. \p cached: the number of the event
  /// this warp and instruction had last, or 0.
  void begin(Touch &touch, uint32_t cached);
  /// The access of some lanes, `bytes` at offset[lane] each. \p horizon: of the
  /// events that \p cells may name.
  void touchLanes(ShadowCells &cells, LaneMask lanes, const uint64_t *offset,
                  uint32_t bytes, Touch &touch, const Horizon &horizon);
  /// The access of one lane, [offset, offset + bytes) in one page.
  void touch(ShadowCells &cells, uint64_t offset, uint32_t bytes, unsigned lane,
             Touch &touch);
  /// The same for any length: bulk copies.
  void touchRange(ShadowCells &cells, uint64_t offset, uint64_t bytes,
                  unsigned lane, Touch &touch);

  /// What \p order's warp began to write there, by an instruction for which
  /// \p isCopy holds, is written now: a copy that it waited for. Not across a
  /// page.
  template <class IsCopy>
  void complete(ShadowCells &cells, uint64_t offset, uint64_t bytes,
                WarpOrder &order, IsCopy isCopy);

  EventTable table;
  /// Cells to scan before events are freed.
  bool full() const { return table.size() >= threshold; }
  template <class Visit> void collect(Visit visit) {
    table.collect(visit);
    threshold = std::max<size_t>(kThreshold, 2 * table.size());
  }
  const WarpNumbering numbering;

private:
  static constexpr size_t kThreshold = 1u << 20;

  void touchRuns(ShadowCells &cells, LaneMask lanes, const uint64_t *offset,
                 uint32_t bytes, Touch &touch, const Horizon &horizon);
  static CellRun runOf(const ShadowCells::Page &page, uint64_t offset,
                       uint32_t bytes, unsigned lane, unsigned lanes,
                       bool onePlace, uint32_t event);
  /// Accesses of a run of lanes; false if some cells need a closer look.
  bool writeRun(ShadowCells &cells, ShadowCells::Page &page, uint64_t cell,
                const CellRun &run, Touch &touch, Verdicts &verdicts);
  bool readRun(ShadowCells &cells, ShadowCells::Page &page, uint64_t cell,
               const CellRun &run, Touch &touch, Verdicts &verdicts);
  bool allOrdered(const Cell *cells, const CellRun &run, uint32_t from,
                  Touch &touch, Verdicts &verdicts);
  /// Enters the event of a cell into \p verdicts; false if what is known of it
  /// differs by lane.
  bool judge(Cell cell, Touch &touch, Verdicts &verdicts);

  void check(Cell cell, RaceKind kind, Touch &touch, unsigned lane,
             uint64_t offset);
  void checkProxy(Cell cell, Touch &touch, unsigned lane, uint64_t offset);
  void remember(ShadowCells::Page &page, uint64_t cell, unsigned slots,
                Touch &touch, unsigned lane, uint64_t offset);
  bool ordered(Cell cell, Touch &touch, unsigned lane);
  bool bothStrong(const AccessEvent &a, const AccessEvent &b) const;

  Report report;
  const CellKernels &kernels = cellKernels();
  size_t threshold = kThreshold;
};

template <class IsCopy>
void RaceDetector::complete(ShadowCells &cells, uint64_t offset, uint64_t bytes,
                            WarpOrder &order, IsCopy isCopy) {
  if (cells.size() == 0)
    return;
  ShadowCells::Page &page = cells.page(offset, bytes);
  const uint64_t first = (offset & (ShadowCells::kPageBytes - 1)) >> page.shift;
  const uint64_t count = std::max<uint64_t>(1, bytes >> page.shift);
  uint32_t begun = 0, done = 0;
  for (uint64_t i = 0; page.writers && i < count; ++i) {
    Cell &cell = page.writers[first + i];
    if (eventOf(cell) != begun || begun == 0) {
      AccessEvent event = table[eventOf(cell)];
      if (cell == kNobody || event.warp != order.warp() || event.asyncProxy ||
          event.tick == order.tick() || !isCopy(*event.instruction))
        continue;
      begun = eventOf(cell);
      event.tick = order.tick();
      // The lanes of a copy come one after the other.
      done = static_cast<uint32_t>(table.size() - 1);
      const AccessEvent &last = table[done];
      if (last.instruction != event.instruction || last.warp != event.warp ||
          last.tick != event.tick || last.asyncProxy) {
        done = table.add(event);
        order.events.add(event.tick, done);
      }
    }
    cell = makeCell(done, laneOf(cell));
  }
}

} // namespace ptx::checks

#endif // PTX_CHECKS_RACEDETECTOR_H
