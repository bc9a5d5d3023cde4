// Which events of a warp belong to which of its ticks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_EVENTHISTORY_H
#define PTX_CHECKS_EVENTHISTORY_H

#include "Checks/VectorClock.h"

#include <array>
#include <cstdint>

namespace ptx::checks {

/// Events are numbered in the order in which they come, so all those of a warp
/// before some tick have smaller numbers than those from that tick on. This
/// keeps which numbers belong to its last ticks.
class EventHistory {
public:
  /// The warp has an event of \p tick, a new one with this number.
  void add(Tick tick, uint32_t number) {
    if (count == 0 || newest().tick != tick) {
      // A tick that began before its events got other numbers has no first.
      const bool continues = count == 0 && older != 0 && tick == olderTick;
      spans[count++ % kTicks] = {tick, continues ? 0 : number, number};
    }
    newest().last = number;
  }
  /// All events of \p tick and later have at least this number; \p end: none
  /// is that late, 0: not known.
  uint32_t firstFrom(Tick tick, uint32_t end) const {
    uint32_t first = end;
    for (uint32_t i = 1; i <= kept(); ++i) {
      const Span &span = spans[(count - i) % kTicks];
      if (span.tick < tick)
        return first;
      first = span.first;
      if (span.tick == tick)
        return first;
    }
    return count > kTicks || older ? 0 : first;
  }
  /// All events of \p tick and before have at most this number.
  uint32_t lastUpTo(Tick tick) const {
    uint32_t last = older;
    for (uint32_t i = kept(); i >= 1; --i) {
      const Span &span = spans[(count - i) % kTicks];
      if (span.tick > tick)
        return i == kept() && count > kTicks ? span.first - 1 : last;
      last = span.last;
    }
    return last;
  }
  /// Events got other numbers, now the ones below \p end.
  void forget(uint32_t end) {
    if (count != 0)
      olderTick = newest().tick;
    count = 0;
    older = end;
  }

private:
  static constexpr uint32_t kTicks = 8;
  struct Span {
    Tick tick = 0;
    uint32_t first = 0, last = 0;
  };
  Span &newest() { return spans[(count - 1) % kTicks]; }
  uint32_t kept() const { return count < kTicks ? count : kTicks; }

  std::array<Span, kTicks> spans;
  uint32_t count = 0;
  uint32_t older = 0; ///< what is not in `spans` has at most this number
  Tick olderTick = 0; ///< the last tick of those
};

} // namespace ptx::checks

#endif // PTX_CHECKS_EVENTHISTORY_H
