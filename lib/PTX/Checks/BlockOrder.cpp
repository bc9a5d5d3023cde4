// Order between the threads of a launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/BlockOrder.h"

#include "Machine/Warp.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::checks;

void SyncObject::arrive(uint64_t phase, const Past &past) {
  if (phase != gatheringPhase) {
    done = gathering;
    if (!cumulative)
      gathering = {};
    gatheringPhase = phase;
  }
  gathering.join(past);
}

static void lower(Horizon &horizon, const WarpOrder &other,
                  WarpOrder::Extent known, uint32_t end) {
  horizon.before =
      std::min(horizon.before, other.events.firstFrom(known.all + 1, end));
  horizon.apart =
      known.any == ~Tick{0}
          ? ~0u
          : std::max(horizon.apart, other.events.lastUpTo(known.any) + 1);
}

Horizon BlockOrder::horizonOf(WarpState &warp, uint32_t end) {
  const WarpOrder &order = warp.order;
  const bool learned = warp.knownVersion != order.version();
  if (!learned && warp.knownTick == order.tick())
    return warp.horizon;
  if (learned) {
    warp.others = {end, 0};
    for (const WarpState &other : warps)
      if (&other != &warp)
        lower(warp.others, other.order, order.extentOf(other.order.warp()),
              end);
  }
  warp.knownVersion = order.version();
  warp.knownTick = order.tick();
  warp.horizon = warp.others;
  lower(warp.horizon, order, order.extentOf(order.warp()), end);
  warp.horizon.before = std::max(warp.horizon.before, 1u);
  return warp.horizon;
}

void BlockOrder::forgetEvents(uint32_t end) {
  for (WarpState &warp : warps) {
    warp.events.fill({});
    warp.order.events.forget(end);
    warp.knownVersion = ~uint64_t{0};
  }
}

void BlockOrder::onBarrier(WarpState &warp, LaneMask live,
                           const SyncEvent &event, SyncObject &object) {
  const bool releases =
      event.order == Order::Release || event.order == Order::AcqRel;
  const bool acquires =
      event.order == Order::Acquire || event.order == Order::AcqRel;
  const bool wide = event.scope != Scope::Cta;
  if (event.step == SyncStep::Arrive && releases)
    object.arrive(event.phase, warp.order.release(event.lanes, live));
  else if (event.step == SyncStep::Arrive) // what a fence before it released
    forEachLane(event.lanes, [&](unsigned lane) {
      if (const Past *past = warp.order.fenced(lane, wide))
        object.arrive(event.phase, *past);
    });
  if (event.step != SyncStep::Release)
    return;
  // A barrier names the phase that is over, an mbarrier how many are.
  const uint64_t over =
      event.kind == SyncKind::Mbarrier ? event.phase : event.phase + 1;
  if (acquires)
    warp.order.acquire(event.lanes, live, object.completed(over));
  else // until a fence behind it
    forEachLane(event.lanes, [&](unsigned lane) {
      warp.order.observe(lane, object.completed(over));
    });
}

void checks::applyToWarp(WarpState &warp, LaneMask live,
                         const SyncEvent &event) {
  switch (event.kind) {
  case SyncKind::WarpBarrier:
    warp.order.synchronise(event.lanes, live);
    return;
  case SyncKind::Fence:
    warp.order.fence(event.lanes, live, event.scope != Scope::Cta);
    return;
  case SyncKind::ProxyFence:
    warp.order.proxyFence(event.lanes, live);
    return;
  default:
    return;
  }
}
