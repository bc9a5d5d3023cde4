// Checks, counters and the async engine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Parts.h"

#include "Checks/Checks.h"

#include "Counters/Counting.h"

namespace ptx {

Parts makeParts(Grid &grid, Journal &journal) {
  Parts parts;
  if (auto checks = makeChecks(grid, journal))
    parts.observers.push_back(std::move(checks));
  if (grid.options->counters)
    parts.observers.push_back(makeCounting(grid, parts.finish));
  return parts;
}

std::unique_ptr<AsyncEngine> makeEngine(Grid &grid) {
  return makeAsyncEngine(grid);
}

RunCount *ObserverList::runCounts() {
  for (Observer *observer : list)
    if (RunCount *counts = observer->runCounts())
      return counts;
  return nullptr;
}

void ObserverList::onBlockStart(Block &block) {
  for (Observer *observer : list)
    observer->onBlockStart(block);
}
void ObserverList::onBlockEnd(Block &block) {
  for (Observer *observer : list)
    observer->onBlockEnd(block);
}
void ObserverList::onWarpExit(Warp &warp, const Instruction &in,
                              LaneMask lanes) {
  for (Observer *observer : list)
    observer->onWarpExit(warp, in, lanes);
}
void ObserverList::onInstruction(Warp &warp, const Instruction &in) {
  for (Observer *observer : list)
    observer->onInstruction(warp, in);
}
void ObserverList::onBranch(Warp &warp, const Instruction &in, LaneMask lanes,
                            LaneMask taken) {
  for (Observer *observer : list)
    observer->onBranch(warp, in, lanes, taken);
}
LaneMask ObserverList::onAccess(const Access &access) {
  LaneMask lanes = access.lanes;
  for (Observer *observer : list)
    lanes &= observer->onAccess(access);
  return lanes;
}
void ObserverList::onSync(const SyncEvent &event) {
  for (Observer *observer : list)
    observer->onSync(event);
}
void ObserverList::onPoisonUse(Warp &warp, const Instruction &in,
                               LaneMask lanes, PoisonUse use) {
  for (Observer *observer : list)
    observer->onPoisonUse(warp, in, lanes, use);
}
void ObserverList::onPoll(Warp &warp, const Instruction &in) {
  for (Observer *observer : list)
    observer->onPoll(warp, in);
}
void ObserverList::onUndefined(Block *block, Space space, uint64_t address,
                               uint64_t bytes) {
  for (Observer *observer : list)
    observer->onUndefined(block, space, address, bytes);
}
void ObserverList::onDefined(Block *block, Space space, uint64_t address,
                             uint64_t bytes) {
  for (Observer *observer : list)
    observer->onDefined(block, space, address, bytes);
}
void ObserverList::onPadding(Block &block, uint64_t address, uint64_t bytes) {
  for (Observer *observer : list)
    observer->onPadding(block, address, bytes);
}
void ObserverList::onAllocate(uint64_t address, uint64_t bytes) {
  for (Observer *observer : list)
    observer->onAllocate(address, bytes);
}
void ObserverList::onFree(uint64_t address, uint64_t bytes) {
  for (Observer *observer : list)
    observer->onFree(address, bytes);
}

} // namespace ptx
