// Checks, counters and the async engine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_PARTS_H
#define PTX_MACHINE_PARTS_H

#include "Machine/AsyncHooks.h"
#include "Machine/Machine.h"
#include "Machine/Observer.h"

#include <functional>
#include <memory>
#include <vector>

namespace ptx {

/// What a launch's options ask for beside the machine itself.
struct Parts {
  std::vector<std::unique_ptr<Observer>> observers;
  /// Puts what they found into the result.
  std::function<void(LaunchResult &)> finish = [](LaunchResult &) {};
};
Parts makeParts(Grid &grid, Journal &journal);
std::unique_ptr<AsyncEngine> makeEngine(Grid &grid);

/// Several observers as one; a lane is carried out if all allow it.
class ObserverList final : public Observer {
public:
  explicit ObserverList(std::vector<Observer *> list) : list(std::move(list)) {
    for (Observer *observer : this->list) {
      tracksPoison |= observer->tracksPoison;
      wantsValues |= observer->wantsValues;
    }
  }
  RunCount *runCounts() override;
  void onBlockStart(Block &block) override;
  void onBlockEnd(Block &block) override;
  void onWarpExit(Warp &warp, const Instruction &in, LaneMask lanes) override;
  void onInstruction(Warp &warp, const Instruction &in) override;
  void onBranch(Warp &warp, const Instruction &in, LaneMask lanes,
                LaneMask taken) override;
  LaneMask onAccess(const Access &access) override;
  void onSync(const SyncEvent &event) override;
  void onPoisonUse(Warp &warp, const Instruction &in, LaneMask lanes,
                   PoisonUse use) override;
  void onPoll(Warp &warp, const Instruction &in) override;
  void onUndefined(Block *block, Space space, uint64_t address,
                   uint64_t bytes) override;
  void onDefined(Block *block, Space space, uint64_t address,
                 uint64_t bytes) override;
  void onPadding(Block &block, uint64_t address, uint64_t bytes) override;
  void onAllocate(uint64_t address, uint64_t bytes) override;
  void onFree(uint64_t address, uint64_t bytes) override;

private:
  std::vector<Observer *> list;
};

} // namespace ptx

#endif // PTX_MACHINE_PARTS_H
