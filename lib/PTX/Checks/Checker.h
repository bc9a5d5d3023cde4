// The observer that checks a launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_CHECKER_H
#define PTX_CHECKS_CHECKER_H

#include "Checks/BlockOrder.h"
#include "Checks/InstructionTraits.h"
#include "Checks/MemoryShadow.h"
#include "Checks/RaceDetector.h"
#include "Machine/Machine.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

namespace ptx::checks {

class Checker final : public Observer {
public:
  Checker(Grid &grid, Journal &journal);

  void onGridStart(Grid &) override;
  void onGridEnd(Grid &) override;
  void onBlockStart(Block &block) override;
  void onBlockEnd(Block &block) override;
  void onWarpExit(Warp &warp, const Instruction &in, LaneMask lanes) override;
  void onInstruction(Warp &warp, const Instruction &in) override;
  bool passes(Warp &warp, Space space, const uint64_t *address, LaneMask lanes,
              uint32_t bytes) override;
  bool passesWhole(const WholeAccess &access) override;
  LaneMask onAccess(const Access &access) override;
  void onSync(const SyncEvent &event) override;
  void onPoisonUse(Warp &warp, const Instruction &in, LaneMask lanes,
                   PoisonUse use) override;
  void onUndefined(Block *block, Space space, uint64_t address,
                   uint64_t bytes) override;
  void onDefined(Block *block, Space space, uint64_t address,
                 uint64_t bytes) override;
  void onPadding(Block &block, uint64_t address, uint64_t bytes) override;
  void onUndefinedLanes(Block *block, Space space, const uint64_t *address,
                        LaneMask lanes, uint64_t bytes,
                        bool undefined) override;
  void onAllocate(uint64_t address, uint64_t bytes) override;
  void onFree(uint64_t address, uint64_t bytes) override;

private:
  /// The last access of a warp of another block to shared memory; who
  /// initialised an mbarrier.
  struct Visit {
    const Instruction *instruction;
    uint32_t warp;
    unsigned lane;
    Tick tick;
    FindingPlace place;
  };
  /// Everything kept for a resident block.
  struct BlockState {
    BlockState(Block &block, const CheckSet &set);
    Block &block;
    BlockOrder order;
    MemoryShadow shared;
    std::map<uint32_t, Visit> visits; ///< by warp
    /// Who initialised the mbarriers, by offset.
    std::map<uint64_t, Visit> initialised;
    /// By warp * 32 + lane; made when first touched.
    std::vector<std::unique_ptr<MemoryShadow>> local;
  };
  struct ClusterState {
    SyncObject barrier;
    unsigned blocks = 0;
  };
  /// Lanes of an access that touch the same piece of memory.
  struct Part {
    MemoryShadow *shadow = nullptr;
    LaneMask lanes = 0;
    uint64_t base = 0;               ///< of the piece: address of offset 0
    const std::byte *data = nullptr; ///< its bytes
    /// [32]: the addresses of the access, or `made`.
    const uint64_t *offset = nullptr;
    alignas(64) uint64_t made[kLanes];
  };

  uint8_t traitsOf(const Instruction &in) const {
    return traits.traits[&in - grid.program->instructions.data()];
  }
  void checkDivision(Warp &warp, const Instruction &in);

  BlockState &stateOf(Block &block);
  WarpState &stateOf(Warp &warp);
  uint32_t warpNumber(const Warp &warp, Actor actor = Actor::Lanes) const;
  MemoryShadow *globalShadow(uint64_t address, uint64_t bytes, uint64_t &begin);
  MemoryShadow *localShadow(Warp &warp, unsigned lane);
  /// The next piece that lanes of \p rest touch; removes them from it.
  bool nextPart(const Access &access, LaneMask &rest, Part &part);
  void findGlobalPart(const Access &access, LaneMask rest, Part &part);
  void findSharedPart(const Access &access, LaneMask rest, Part &part);
  void findLocalPart(const Access &access, LaneMask rest, Part &part);

  void reportDeparted(const Access &access);
  void noteVisit(const Access &access, BlockState &owner);
  void noteInitialised(BlockState &owner, uint64_t offset);
  void checkInitialised(BlockState &owner, const SyncEvent &event);
  void checkPart(const Access &access, Part &part);
  void checkPoison(const Access &access, Part &part);
  void checkFlight(const Access &access, Part &part);
  void checkRace(const Access &access, Part &part);
  void touchLanes(const Access &access, Part &part, WarpState &warp,
                  Touch &touch);
  void onGroup(WarpState &warp, const SyncEvent &event);
  void synchronise(const Access &access, const Part &part);
  void reportRace(const Race &race);
  bool equalValues(const Race &race) const;
  void collectEvents();
  void completeCopy(MemoryShadow &shadow, uint64_t offset, uint64_t bytes);
  void setFlight(Block *block, Space space, uint64_t address, uint64_t bytes,
                 bool starts);

  Grid &grid;
  Journal &journal;
  const CheckSet set;
  WarpNumbering numbering;
  const ProgramTraits &traits;
  const CellKernels &kernels = cellKernels();
  RaceDetector races;
  ReleaseSites sites;

  std::unordered_map<Block *, std::unique_ptr<BlockState>> blocks;
  std::unordered_map<Cluster *, ClusterState> clusters;
  /// Global memory by begin.
  std::map<uint64_t, MemoryShadow> global;
  Block *lastBlock = nullptr;
  BlockState *lastState = nullptr;
  uint64_t lastBegin = 1, lastEnd = 0;
  MemoryShadow *lastGlobal = nullptr;

  /// The shadow of the shared memory that \p address names, or null.
  BlockState *sharedState(Block &block, uint64_t address);

  /// What executes now.
  Warp *currentWarp = nullptr;
  const Instruction *currentInstruction = nullptr;
  const Access *currentAccess = nullptr;
  const Part *currentPart = nullptr;
  std::set<std::tuple<const Instruction *, const Instruction *, int>> reported;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_CHECKER_H
