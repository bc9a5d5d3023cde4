// What the lanes of one warp are ordered after.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/WarpOrder.h"

#include <algorithm>

using namespace ptx::checks;

namespace {
template <class Body> void forEach(LaneMask mask, Body body) {
  for (; mask; mask &= mask - 1)
    body(static_cast<unsigned>(__builtin_ctz(mask)));
}

Tick tickOf(const VectorClock &clock, uint32_t warp, unsigned lane) {
  const Known *known = clock.find(warp);
  if (!known)
    return 0;
  // One of several lanes, unknown which: no finding if it may be ordered.
  return lane == kSeveralLanes ? known->most() : known->of(lane);
}
} // namespace

bool WarpOrder::knows(unsigned lane, uint32_t warp, unsigned eventLane,
                      Tick at) const {
  if (warp == number) {
    if (eventLane == lane || at <= together)
      return true;
    if (apart) {
      const auto &row = (*apart)[lane];
      if (eventLane < 32 && row[eventLane] >= at)
        return true;
      if (eventLane == kSeveralLanes)
        for (unsigned other = 0; other < 32; ++other)
          if (other != lane && row[other] >= at)
            return true;
    }
  }
  return tickOf(pastOf(lane).order, warp, eventLane) >= at;
}

bool WarpOrder::allKnow(uint32_t warp, Tick at) const {
  if (warp == number)
    return at <= together;
  if (each)
    return false;
  const Known *known = past.order.find(warp);
  return known && known->least() >= at;
}

WarpOrder::Extent WarpOrder::extentOf(uint32_t warp) const {
  if (warp == number)
    return {together, now - 1};
  if (each)
    return {0, ~Tick{0}};
  const Known *known = past.order.find(warp);
  return known ? Extent{known->least(), known->most()} : Extent{0, 0};
}

bool WarpOrder::proxyKnows(unsigned lane, uint32_t warp, unsigned eventLane,
                           Tick at) const {
  return tickOf(pastOf(lane).proxy, warp, eventLane) >= at;
}

bool WarpOrder::proxyKnowsAll(unsigned lane, uint32_t warp, Tick at) const {
  const Known *known = pastOf(lane).proxy.find(warp);
  return known && known->least() >= at;
}

void WarpOrder::part() {
  if (apart)
    return;
  apart = std::make_unique<Matrix>();
  for (auto &row : *apart)
    row.fill(together);
}

void WarpOrder::separate() {
  if (each)
    return;
  each = std::make_unique<std::array<Past, 32>>();
  each->fill(past);
}

/// Forgets the difference between lanes where none is left.
void WarpOrder::collapse(LaneMask live) {
  const Past &first = (*each)[__builtin_ctz(live)];
  bool equal = true;
  forEach(live, [&](unsigned lane) {
    const Past &other = (*each)[lane];
    equal =
        equal && first.order.same(other.order) && first.proxy.same(other.proxy);
  });
  if (!equal)
    return;
  past = first;
  each.reset();
}

/// What \p lanes together know of the own warp.
Known WarpOrder::ownKnown(LaneMask lanes, LaneMask live) const {
  if ((live & ~lanes) == 0)
    return Known(now);
  if (!apart && (lanes & (lanes - 1)) == 0)
    return Known(together, __builtin_ctz(lanes), now);
  std::array<Tick, 32> ticks;
  ticks.fill(together);
  forEach(lanes, [&](unsigned lane) {
    if (apart)
      for (unsigned other = 0; other < 32; ++other)
        ticks[other] = std::max(ticks[other], (*apart)[lane][other]);
  });
  forEach(lanes, [&](unsigned lane) { ticks[lane] = now; });
  return Known(ticks);
}

void WarpOrder::synchronise(LaneMask lanes, LaneMask live) {
  lanes &= live;
  if (lanes == 0)
    return;
  bool whole = lanes == live;
  if (each) {
    ++learned;
    Past joined;
    forEach(lanes, [&](unsigned lane) { joined.join((*each)[lane]); });
    if (whole) {
      past = std::move(joined);
      each.reset();
    } else {
      forEach(lanes, [&](unsigned lane) { (*each)[lane] = joined; });
    }
  }
  if (whole) {
    together = now++;
    apart.reset();
    return;
  }
  if ((lanes & (lanes - 1)) == 0)
    return; // a lane alone
  part();
  std::array<Tick, 32> row;
  row.fill(0);
  forEach(lanes, [&](unsigned lane) {
    for (unsigned other = 0; other < 32; ++other)
      row[other] = std::max(row[other], (*apart)[lane][other]);
  });
  forEach(lanes, [&](unsigned lane) { row[lane] = now; });
  forEach(lanes, [&](unsigned lane) { (*apart)[lane] = row; });
  ++now;
}

Past WarpOrder::release(LaneMask lanes, LaneMask live) {
  Past result;
  if (!each)
    result = past;
  else
    forEach(lanes, [&](unsigned lane) { result.join((*each)[lane]); });
  result.order.raise(number, ownKnown(lanes, live));
  ++now;
  return result;
}

void WarpOrder::acquire(LaneMask lanes, LaneMask live, const Past &other) {
  if (other.empty() || lanes == 0)
    return;
  ++learned;
  if ((live & ~lanes) == 0) {
    if (!each) {
      past.join(other);
    } else {
      forEach(live, [&](unsigned lane) { (*each)[lane].join(other); });
      collapse(live);
    }
    // A barrier brings back what the lanes themselves released to it.
    if (const Known *own = past.order.find(number); own && !each)
      together = std::max(together, std::min(own->least(), now - 1));
    return;
  }
  separate();
  forEach(lanes, [&](unsigned lane) { (*each)[lane].join(other); });
}

void WarpOrder::fence(LaneMask lanes, LaneMask live, bool wide) {
  if (!fences)
    fences = std::make_unique<std::array<LaneFences, 32>>();
  forEach(lanes, [&](unsigned lane) {
    LaneFences &mine = (*fences)[lane];
    if (mine.hasSeen) {
      acquire(1u << lane, live, mine.seen);
      mine.seen = {};
      mine.hasSeen = false;
    }
  });
  forEach(lanes, [&](unsigned lane) {
    LaneFences &mine = (*fences)[lane];
    mine.narrow = {pastOf(lane), ownKnown(1u << lane, live), true, false};
    if (wide)
      mine.wide = mine.narrow;
  });
  ++now;
}

void WarpOrder::proxyFence(LaneMask lanes, LaneMask live) {
  Known own = ownKnown(lanes, live);
  if (each || (live & ~lanes) != 0) {
    ++learned;
    separate();
    forEach(lanes, [&](unsigned lane) {
      Past &mine = (*each)[lane];
      mine.proxy.join(mine.order);
      mine.proxy.raise(number, ownKnown(1u << lane, live));
    });
  } else {
    past.proxy.join(past.order);
    past.proxy.raise(number, own);
  }
  ++now;
}

const Past *WarpOrder::fenced(unsigned lane, bool wide) {
  if (!fences)
    return nullptr;
  LaneFences &mine = (*fences)[lane];
  Moment &moment = wide ? mine.wide : mine.narrow;
  if (!moment.valid)
    return nullptr;
  if (!moment.complete) {
    moment.past.order.raise(number, moment.own);
    moment.complete = true;
  }
  return &moment.past;
}

void WarpOrder::observe(unsigned lane, const Past &other) {
  if (!fences)
    fences = std::make_unique<std::array<LaneFences, 32>>();
  LaneFences &mine = (*fences)[lane];
  mine.seen.join(other);
  mine.hasSeen = true;
}
