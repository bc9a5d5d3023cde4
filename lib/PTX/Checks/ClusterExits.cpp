// Shared memory of blocks that left.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"

using namespace ptx;
using namespace ptx::checks;

static const char kDeparted[] =
    "uses the shared memory of another block of the cluster, which may have "
    "left: barrier.cluster is missing before its end";

void Checker::reportDeparted(const Access &access) {
  if (!set.async || !reported.insert({access.instruction, nullptr, 201}).second)
    return;
  Finding finding;
  finding.kind = FindingKind::UseAfterFree;
  finding.place = placeOf(*access.warp, *access.instruction, access.lanes);
  finding.message = kDeparted;
  journal.add(std::move(finding));
}

/// Shared memory of a block is gone once its last thread left: what others of
/// its cluster do there must come before, in the order of the kernel.
void Checker::onWarpExit(Warp &warp, const Instruction &in, LaneMask lanes) {
  if (!set.race || !set.async || grid.cluster.count() == 1)
    return;
  BlockState &state = stateOf(*warp.block);
  const WarpOrder &order = state.order.warps[warp.index].order;
  std::erase_if(state.visits, [&](const auto &entry) {
    const Visit &visit = entry.second;
    for (LaneMask rest = lanes; rest; rest &= rest - 1)
      if (order.knows(__builtin_ctz(rest), visit.warp, visit.lane, visit.tick))
        return true;
    return false;
  });
  if (warp.block->liveThreads >
      static_cast<unsigned>(__builtin_popcount(lanes)))
    return;
  for (const auto &[key, visit] : state.visits) {
    if (!reported.insert({visit.instruction, &in, 201}).second)
      continue;
    Finding finding;
    finding.kind = FindingKind::UseAfterFree;
    finding.place = visit.place;
    finding.other = placeOf(warp, in, lanes);
    finding.message = kDeparted;
    journal.add(std::move(finding));
  }
}
