// Order between the threads of a launch.
//
// Turns what the machine reports (barriers, mbarriers, fences, strong
// accesses) into what each lane is ordered after.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_BLOCKORDER_H
#define PTX_CHECKS_BLOCKORDER_H

#include "Checks/ReleaseSites.h"
#include "Machine/Observer.h"

#include <array>
#include <deque>
#include <map>

namespace ptx::checks {

/// What threads release to and acquire from an object with phases.
class SyncObject {
public:
  /// \p cumulative: a waiter of a phase is ordered after all earlier ones.
  explicit SyncObject(bool cumulative = false) : cumulative(cumulative) {}
  /// An arrival after \p phase completions.
  void arrive(uint64_t phase, const Past &past);
  /// What one who goes on after \p phase completions is ordered after.
  const Past &completed(uint64_t phase) const {
    return gatheringPhase < phase ? gathering : done;
  }

private:
  bool cumulative;
  uint64_t gatheringPhase = 0;
  Past gathering, done;
};

/// The last event of an instruction of a warp: loops need no new ones.
struct EventCache {
  const Instruction *instruction = nullptr;
  bool asyncProxy = false;
  uint32_t number = 0;
};

/// Groups of asynchronous operations a warp committed.
struct CommittedGroups {
  std::array<Tick, 32> bulk{}; ///< by lane
  Tick matrix = 0;             ///< wgmma: of the warp
};

struct WarpState {
  explicit WarpState(uint32_t number) : order(number) {}
  WarpOrder order;
  Horizon others;  ///< for the other warps of the block
  Horizon horizon; ///< for all
  /// WarpOrder::version and tick that these are of.
  uint64_t knownVersion = ~uint64_t{0};
  Tick knownTick = 0;
  CommittedGroups groups;
  std::array<EventCache, 32> events{};
};

/// The synchronisation state of one block.
struct BlockOrder {
  std::deque<WarpState> warps;
  std::array<SyncObject, 16> barriers;
  std::map<uint64_t, SyncObject> mbarriers; ///< by offset in shared memory

  void onBarrier(WarpState &warp, LaneMask live, const SyncEvent &event,
                 SyncObject &object);
  /// What \p warp knows of events of this block; \p end: of all numbers.
  Horizon horizonOf(WarpState &warp, uint32_t end);
  /// Events got other numbers, now the ones below \p end.
  void forgetEvents(uint32_t end);
};

/// Fences and barriers within the warp, for `event.warp`.
void applyToWarp(WarpState &warp, LaneMask live, const SyncEvent &event);

} // namespace ptx::checks

#endif // PTX_CHECKS_BLOCKORDER_H
