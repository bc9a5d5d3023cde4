// Counts what a launch does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_COUNTEROBSERVER_H
#define PTX_COUNTERS_COUNTEROBSERVER_H

#include "Counters/AccessPatterns.h"
#include "Counters/BlockTrace.h"
#include "Counters/ChipReplay.h"
#include "Counters/Footprint.h"
#include "Counters/LineList.h"
#include "Counters/MachineCode.h"
#include "Counters/MatrixWork.h"
#include "Machine/Block.h"
#include "Machine/Observer.h"
#include "ptx/Counters.h"

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace ptx {

/// What the accesses of one instruction cost.
struct SiteSums {
  uint64_t sectors = 0, ideal = 0, wavefronts = 0, idealWavefronts = 0;
};

/// What all host threads of a launch share: facts known before it, and the
/// caches, which see the CTAs of all threads.
struct CountingShared {
  CountingShared(const Grid &grid);

  const Program &program;
  const MachineCode &code;
  const MatrixShapes &matrices;
  LaunchShape shape;
  const Chip &chip;
  std::vector<float> blockWork;       ///< executed PTX instructions of a CTA
  std::unique_ptr<ChipReplay> replay; ///< null without the cache model
  std::mutex lock;                    ///< of replay
};

class CounterObserver final : public Observer {
public:
  explicit CounterObserver(std::shared_ptr<CountingShared> shared);

  std::unique_ptr<Observer> fork() override;
  void join(Observer &other) override;
  void onGridEnd(Grid &) override;
  void onBlockStart(Block &block) override;
  void onBlockEnd(Block &block) override;
  void onInstruction(Warp &warp, const Instruction &in) override;
  RunCount *runCounts() override { return runs.data(); }
  WholeMemo *wholeMemos() override { return memos.data(); }
  void onBranch(Warp &, const Instruction &, LaneMask, LaneMask) override {
    ++divergent;
  }
  LaneMask onAccess(const Access &access) override;
  bool onWholeAccess(const WholeAccess &access) override;
  bool onRows(const RowsAccess &access) override;
  bool onWholeCopy(const WholeCopy &copy) override;
  void onPoll(Warp &, const Instruction &) override { ++polls; }

  /// After the launch.
  std::shared_ptr<CounterValues> summarize();

private:
  friend class CounterSummary;

  AccessSums &sums(AccessClass c) { return classes[size_t(c)]; }
  uint32_t siteOf(const Access &access) const;
  /// Accesses whose cost is that of their shape.
  LaneMask countNew(const Access &access, uint32_t site);
  void countShape(const Access &access, uint32_t site, AccessClass kind,
                  uint32_t partner = 0);
  AccessPattern &patternOf(const Access &access, uint32_t site,
                           AccessClass kind, uint32_t partner);
  void learn(AccessPattern &pattern, const Access &access, uint32_t site,
             AccessClass kind, uint32_t partner);
  AccessSums costOf(const Access &access, uint32_t site,
                    AccessClass kind) const;
  uint32_t loadedBytes(const Access &access, uint32_t site) const;
  void fold(AccessPattern &pattern, uint32_t site);
  void settle(WholeMemo &memo);
  void foldPatterns();
  void foldRuns();

  void countAtomic(const Access &access, uint32_t site);
  void countSharedAtomic(const Access &access, uint32_t site);
  void countCopy(const Access &access, uint32_t site);
  void countBulk(const Access &access, uint32_t site);
  void addSectors(AccessClass c, uint32_t site, RequestCount count,
                  const Access &access);
  void addWaves(AccessClass c, uint32_t site, WaveCount count);
  void addSliceClocks(const Access &access, uint32_t sectors, bool floats);
  /// Marks what was reached, and writes it down for the caches.
  void reach(const Warp &warp, Space space, uint32_t site, Request kind,
             std::span<const LineAccess> lines, uint64_t base);
  void reach(const Access &access, uint32_t site, Request kind);
  void reach(const Access &access, uint32_t site, const AccessPattern &pattern);

  /// A resident CTA of this host thread.
  struct Running {
    std::unique_ptr<BlockTrace> trace;
  };
  Running &running(Block &block);

  std::shared_ptr<CountingShared> shared;
  const AccessRules &rules;
  std::vector<RunCount> runs; ///< an entry more than there are instructions
  std::vector<InstructionCount> instructions; ///< made of `runs` at the end
  std::vector<std::unique_ptr<PatternSet>> patterns; ///< by instruction
  std::vector<WholeMemo> memos;                      ///< by instruction
  uint32_t patternsMade = 0;
  LineList lineList;
  std::vector<SiteSums> sites;
  std::array<AccessSums, size_t(AccessClass::Count)> classes{};
  uint64_t divergent = 0, polls = 0;
  uint64_t atomicRequests = 0, reductionRequests = 0;
  uint64_t extraInstructions = 0; ///< loops that PTX has no instruction for
  uint64_t busiestWarp = 0;
  MatrixWork matrix;
  Footprint loaded, stored;
  std::vector<double> sliceClocks;
  std::unordered_map<const Block *, Running> blocks;
  const Block *lastBlock = nullptr;
  Running *lastRunning = nullptr;
  /// The destination of a cp.async whose source follows.
  const Instruction *copying = nullptr;
  uint32_t copyShape = 0; ///< number of its pattern
  std::array<uint64_t, kLanes> copyDestination{};
};

} // namespace ptx

#endif // PTX_COUNTERS_COUNTEROBSERVER_H
