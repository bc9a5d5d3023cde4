// Mbarriers that are used before their initialisation is known to be over.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"

#include "Isa/IsaTable.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::checks;

static bool initialises(const Instruction &in) {
  if (!in.row || in.row->opcode != "mbarrier")
    return false;
  const auto &modifiers = in.row->modifiers;
  return std::find(modifiers.begin(), modifiers.end(), ".init") !=
         modifiers.end();
}

void Checker::noteInitialised(BlockState &owner, uint64_t offset) {
  if (!set.race || !currentInstruction || !initialises(*currentInstruction))
    return;
  const WarpOrder &order = stateOf(*currentWarp).order;
  const LaneMask lanes = currentWarp->active;
  const bool single = (lanes & (lanes - 1)) == 0;
  Visit visit{currentInstruction, order.warp(),
              single ? static_cast<unsigned>(__builtin_ctz(lanes))
                     : kSeveralLanes,
              order.tick(), placeOf(*currentWarp, *currentInstruction, lanes)};
  owner.initialised.insert_or_assign(offset, std::move(visit));
}

void Checker::checkInitialised(BlockState &owner, const SyncEvent &event) {
  auto found = owner.initialised.find(sharedOffset(event.object));
  if (!set.race || !event.instruction || found == owner.initialised.end())
    return;
  const Visit &visit = found->second;
  const WarpOrder &order = stateOf(*event.warp).order;
  LaneMask open = 0;
  forEachLane(event.lanes, [&](unsigned lane) {
    open |= LaneMask{!order.knows(lane, visit.warp, visit.lane, visit.tick)}
            << lane;
  });
  if (!open ||
      !reported.insert({visit.instruction, event.instruction, 202}).second)
    return;
  Finding finding;
  finding.kind = FindingKind::Race;
  finding.place = placeOf(*event.warp, *event.instruction, open);
  finding.other = visit.place;
  finding.message = "uses an mbarrier that another thread initialised, and "
                    "nothing orders the two (shared memory, byte " +
                    std::to_string(found->first) + ")";
  journal.add(std::move(finding));
}
