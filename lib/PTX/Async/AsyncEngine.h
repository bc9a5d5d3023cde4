// What is in flight.
//
// Asynchronous operations take effect at the latest moment that is legal, or,
// with Completion::Earliest, at once:
//
//   cp.async                    at the wait for its group, or when someone
//                               polls the mbarrier it arrives on
//   copies into shared memory   when someone polls their mbarrier
//   copies out of it            sources at wait_group.read, results at
//                               wait_group
//   wgmma                       at the wait of the first warp of its group
//
// and everything at the end of the block. Until then the destination holds
// garbage. A block that polls gets the completion one scheduler round later.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_ASYNCENGINE_H
#define PTX_ASYNC_ASYNCENGINE_H

#include "Async/CopyPlaces.h"
#include "Async/Mbarrier.h"
#include "Async/Operation.h"
#include "Machine/AsyncHooks.h"
#include "Machine/Machine.h"

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx::async {

/// What destinations hold until the operation is complete.
inline constexpr unsigned char kGarbage = 0xcd;

/// cp.async of one instruction, lanes of one group.
struct LaneCopy {
  const Instruction *instruction = nullptr;
  LaneMask lanes = 0;    ///< not yet carried out
  uint64_t group = 0;    ///< of each lane's own count
  uint64_t sequence = 0; ///< ascending in the warp
  uint8_t bytes = 0;     ///< written
  bool whole = false;    ///< every lane reads as much as it writes
  std::array<uint8_t, kLanes> taken{}; ///< read; the rest is zero
  CopyPlaces places;
};

/// cp.async.mbarrier.arrive that waits for copies.
struct LaneArrival {
  const Instruction *instruction = nullptr;
  Block *owner = nullptr;
  uint32_t offset = 0;
  LaneMask lanes = 0;
  uint64_t sequence = 0; ///< of the last copy it waits for
};

struct WarpState final : AsyncWarpState {
  std::vector<std::unique_ptr<LaneCopy>> copies; ///< oldest first
  std::vector<std::unique_ptr<LaneCopy>> spare;  ///< to be used again
  std::vector<LaneArrival> arrivals;
  uint64_t nextSequence = 1;
  std::array<uint64_t, kLanes> copyGroups{}; ///< committed, a lane
  bool sameGroups = true; ///< all lanes have committed as many
  std::array<uint64_t, kLanes> bulkGroups{};
  LaneMask sawRefusal = 0; ///< a request of clusterlaunchcontrol that failed
};

struct GroupMmaState; // GroupMma.h

struct BlockState final : AsyncBlockState {
  BlockState();
  ~BlockState() override;

  std::unordered_map<uint32_t, Mbarrier> barriers; ///< by offset
  bool anyPolled = false;
  /// Bulk operations that threads of this block issued, in order.
  std::vector<std::unique_ptr<Operation>> operations;
  /// wgmma, a group of four warps each.
  std::vector<std::unique_ptr<GroupMmaState>> groups;
  bool releasesPolls = false; ///< try_wait gives up in this round
  unsigned releases = 0;      ///< since anything changed
  uint64_t releasedAt = 0;    ///< Machine::changes then
};

class Engine final : public AsyncEngine {
public:
  explicit Engine(Grid &grid);

  void onBlockStart(Block &block) override;
  void onBlockEnd(Block &block) override;
  bool progress(Block &block, bool idle) override;
  std::string describe(const Block &block) const override;

  bool earliest() const;

  //===--- mbarriers ------------------------------------------------------===//

  /// The initialised barrier at an address in Access form, with its block;
  /// fails the launch if there is none.
  Mbarrier &barrierAt(Warp &warp, const Instruction &in, unsigned lane,
                      uint64_t address, Block *&owner);
  /// Someone found the phase of the barrier not complete.
  void poll(Block &owner, Mbarrier &barrier);
  /// After a phase completed: lets observers know, and waiters go on.
  void phaseCompleted(Block &owner);
  /// An operation of \p warp finished and counts towards a barrier.
  void signal(const Operation &operation, const Signal &signal);
  /// Tells observers that lanes arrived at, or were released by, a barrier.
  void tellSync(Warp &warp, const Instruction &in, LaneMask lanes,
                SyncKind kind, SyncStep step, Block &owner, uint64_t object,
                uint64_t phase, Scope scope = Scope::Cta);

  //===--- cp.async -------------------------------------------------------===//

  /// Carries out copies of \p lanes in order: those of a lane's groups below
  /// limit[lane] and of sequence up to \p sequence.
  void completeCopies(Warp &warp, LaneMask lanes, const uint64_t *limit,
                      uint64_t sequence);
  /// Arrivals whose copies are all done.
  void settleArrivals(Warp &warp);

  //===--- bulk operations ------------------------------------------------===//

  /// Takes over a prepared operation.
  void issue(std::unique_ptr<Operation> operation);
  /// Completes the operation, in order with older ones of its thread.
  void finish(Operation &operation);
  /// Completes what a barrier waits for; true if anything was.
  bool completeFor(Block &owner, uint32_t offset);
  /// Forgets operations that are done.
  void sweep(Block &block);

  Grid &grid;

private:
  bool completeAll(Block &block);
  void reportUnfinished(Block &block);
};

inline Engine &engineOf(Warp &warp) {
  return static_cast<Engine &>(*warp.block->machine->engine);
}
inline WarpState &stateOf(Warp &warp) {
  return static_cast<WarpState &>(*warp.async);
}
inline BlockState &stateOf(Block &block) {
  return static_cast<BlockState &>(*block.async);
}
inline const BlockState &stateOf(const Block &block) {
  return static_cast<const BlockState &>(*block.async);
}
/// Who follows bytes and synchronisation; null for those that only count.
inline Observer *observerOf(Warp &warp) {
  return warp.checked ? warp.block->machine->observer : nullptr;
}

/// The addresses of operand \p position, whose immediate is the \p which-th,
/// in Access form. \p generic: a window is taken off; all lanes must then be
/// in \p space.
void readSpaceAddresses(Warp &warp, const Instruction &in, unsigned position,
                        unsigned which, Space space, bool generic,
                        uint64_t *address);
/// Reports undefined lanes of a source operand as \p use.
void checkPoison(Warp &warp, const Instruction &in, unsigned operand,
                 PoisonUse use);

} // namespace ptx::async

#endif // PTX_ASYNC_ASYNCENGINE_H
