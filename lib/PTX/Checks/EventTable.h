// Accesses that shadow memory remembers.
//
// One event stands for what a warp did by one instruction between two of its
// synchronisations. A cell of shadow memory names an event and a lane in 32
// bits, so that the shadow of a word is as large as the word.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_EVENTTABLE_H
#define PTX_CHECKS_EVENTTABLE_H

#include "Checks/WarpOrder.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx {
struct Instruction;
}

namespace ptx::checks {

/// 0: nobody. Else event << 6 | lane, or kSeveralLanes for the lane.
using Cell = uint32_t;
inline constexpr Cell kNobody = 0;
inline constexpr unsigned kLaneBits = 6;
constexpr uint32_t eventOf(Cell cell) { return cell >> kLaneBits; }
constexpr unsigned laneOf(Cell cell) { return cell & ((1u << kLaneBits) - 1); }
constexpr Cell makeCell(uint32_t event, unsigned lane) {
  return event << kLaneBits | lane;
}

struct AccessEvent {
  const Instruction *instruction = nullptr;
  uint32_t warp = ~0u;
  Tick tick = 0;
  uint8_t strongScope = 0; ///< Scope of a strong operation, 0: weak
  bool asyncProxy = false;
  bool atomic = false;
  bool marked = false; ///< used by EventTable::collect
};

/// Events by number, from 1.
class EventTable {
public:
  static constexpr uint32_t kLimit = 1u << (32 - kLaneBits);

  EventTable() { events.emplace_back(); }
  const AccessEvent &operator[](uint32_t event) const { return events[event]; }
  uint32_t add(const AccessEvent &event) {
    events.push_back(event);
    return static_cast<uint32_t>(events.size() - 1);
  }
  size_t size() const { return events.size(); }
  size_t bytes() const { return events.capacity() * sizeof(AccessEvent); }

  /// Frees the events no cell names. \p visit(f) calls f(Cell *, count) for all
  /// cells; they are renumbered. With too many left, all cells are cleared:
  /// races are missed then, none is invented.
  template <class Visit> void collect(Visit visit) {
    visit([&](Cell *cells, size_t count) {
      for (size_t i = 0; i < count; ++i)
        events[eventOf(cells[i])].marked = true;
    });
    std::vector<uint32_t> renumbered(events.size(), 0);
    uint32_t kept = 1;
    for (uint32_t event = 1; event < events.size(); ++event) {
      if (!events[event].marked)
        continue;
      events[kept] = events[event];
      events[kept].marked = false;
      renumbered[event] = kept++;
    }
    bool tooMany = kept > kLimit / 2;
    events.resize(tooMany ? 1 : kept);
    events[0].marked = false;
    visit([&](Cell *cells, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        uint32_t event = tooMany ? 0 : renumbered[eventOf(cells[i])];
        cells[i] = event ? makeCell(event, laneOf(cells[i])) : kNobody;
      }
    });
  }

private:
  std::vector<AccessEvent> events;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_EVENTTABLE_H
