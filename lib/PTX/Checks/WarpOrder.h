// What the lanes of one warp are ordered after.
//
// Happens-before from the view of one warp. Each lane is a thread of its own:
// lanes are ordered by bar.warp.sync and by barriers, not by running together.
// An event is (warp, lane, tick); the tick of a warp moves on when one of its
// lanes releases, so that what follows is not taken for released.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_WARPORDER_H
#define PTX_CHECKS_WARPORDER_H

#include "Checks/EventHistory.h"

#include <memory>

namespace ptx::checks {

using LaneMask = uint32_t;
/// Stands for several lanes of a warp where an event is remembered for one.
inline constexpr unsigned kSeveralLanes = 32;

/// What a thread, or an object it synchronises by, is ordered after.
struct Past {
  VectorClock order; ///< events before
  VectorClock proxy; ///< those a fence made visible to the async proxy
  void join(const Past &other) {
    order.join(other.order);
    proxy.join(other.proxy);
  }
  bool empty() const { return order.empty() && proxy.empty(); }
};

class WarpOrder {
public:
  explicit WarpOrder(uint32_t number) : number(number) {}

  uint32_t warp() const { return number; }
  Tick tick() const { return now; }
  /// Moves on whenever what the lanes know of other warps changes.
  uint64_t version() const { return learned; }

  /// Ticks of \p warp that all lanes know, and that any lane may know.
  struct Extent {
    Tick all, any;
  };
  Extent extentOf(uint32_t warp) const;

  EventHistory events; ///< of this warp

  /// Whether an event comes before what \p lane does now.
  bool knows(unsigned lane, uint32_t warp, unsigned eventLane, Tick at) const;
  /// Whether all events of \p warp up to \p at come before all lanes.
  bool allKnow(uint32_t warp, Tick at) const;
  /// Whether an event was made visible to the async proxy for \p lane.
  bool proxyKnows(unsigned lane, uint32_t warp, unsigned eventLane,
                  Tick at) const;
  bool proxyKnowsAll(unsigned lane, uint32_t warp, Tick at) const;

  /// `bar.warp.sync`: \p lanes of the \p live ones are ordered.
  void synchronise(LaneMask lanes, LaneMask live);
  /// What all of \p lanes did so far, to be acquired by others.
  Past release(LaneMask lanes, LaneMask live);
  void acquire(LaneMask lanes, LaneMask live, const Past &past);

  /// A fence: later relaxed writes release what was before it, and it acquires
  /// what earlier relaxed reads saw. Narrow ones (.cta) count only within the
  /// block.
  void fence(LaneMask lanes, LaneMask live, bool wide);
  void proxyFence(LaneMask lanes, LaneMask live);
  /// What a relaxed write of \p lane releases: null without a fence before.
  const Past *fenced(unsigned lane, bool wide);
  /// A relaxed read of \p lane saw \p past.
  void observe(unsigned lane, const Past &past);

private:
  using Matrix = std::array<std::array<Tick, 32>, 32>;
  /// A fence of one lane; `past` is completed by `own` when first needed.
  struct Moment {
    Past past;
    Known own;
    bool valid = false, complete = false;
  };
  struct LaneFences {
    Moment narrow, wide;
    Past seen;
    bool hasSeen = false;
  };

  Past &pastOf(unsigned lane) { return each ? (*each)[lane] : past; }
  const Past &pastOf(unsigned lane) const {
    return each ? (*each)[lane] : past;
  }
  Known ownKnown(LaneMask lanes, LaneMask live) const;
  void part();     ///< makes `apart`
  void separate(); ///< makes `each`
  void collapse(LaneMask live);

  uint32_t number;
  Tick now = 1;
  uint64_t learned = 0;
  /// Every lane knows all lanes' events up to here.
  Tick together = 0;
  /// apart[a][b]: up to which tick lane a knows lane b; null: `together`.
  std::unique_ptr<Matrix> apart;
  /// What all lanes are ordered after, other warps (and own, by their way).
  Past past;
  /// The same by lane where they differ.
  std::unique_ptr<std::array<Past, 32>> each;
  std::unique_ptr<std::array<LaneFences, 32>> fences;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_WARPORDER_H
