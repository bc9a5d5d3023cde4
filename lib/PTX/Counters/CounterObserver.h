// Counts what a launch does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_COUNTEROBSERVER_H
#define PTX_COUNTERS_COUNTEROBSERVER_H

#include "Counters/AccessRules.h"
#include "Counters/BlockTrace.h"
#include "Counters/ChipReplay.h"
#include "Counters/Footprint.h"
#include "Counters/MachineCode.h"
#include "Counters/MatrixWork.h"
#include "Machine/Block.h"
#include "Machine/Observer.h"
#include "ptx/Counters.h"

#include <array>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace ptx {

/// What an access is for the memory pipe.
enum class AccessClass : uint8_t {
  GlobalLoad,
  GlobalStore,
  GlobalReduction,
  GlobalAtomic,
  LocalLoad,
  LocalStore,
  SharedLoad,
  SharedStore,
  SharedAtomic,
  LoadMatrix,
  StoreMatrix,
  CopyCached, ///< cp.async.ca
  CopyBypass, ///< cp.async.cg
  Constant,
  BulkRead,  ///< global memory read by bulk and tensor copies
  BulkWrite, ///< and written
  Count,
};

struct AccessSums {
  uint64_t requests = 0; ///< warp instructions
  uint64_t sectors = 0, lines = 0, ideal = 0, bytes = 0;
  uint64_t wavefronts = 0, conflicts = 0;
  void operator+=(const AccessSums &other);
};

/// The same of one instruction.
struct SiteSums {
  uint64_t sectors = 0, ideal = 0, wavefronts = 0, idealWavefronts = 0;
};

/// What all host threads of a launch share: facts known before it, and the
/// caches, which see the CTAs of all threads.
struct CountingShared {
  CountingShared(const Grid &grid);

  const Program &program;
  MachineCode code;
  LaunchShape shape;
  const Chip &chip;
  std::vector<MatrixShape> matrices;  ///< by instruction
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
  InstructionCount *instructionCounts() override { return instructions.data(); }
  void onBranch(Warp &, const Instruction &, LaneMask, LaneMask) override {
    ++divergent;
  }
  LaneMask onAccess(const Access &access) override;
  void onPoll(Warp &, const Instruction &) override { ++polls; }

  /// After the launch.
  std::shared_ptr<CounterValues> summarize();

private:
  friend class CounterSummary;

  AccessSums &sums(AccessClass c) { return classes[size_t(c)]; }
  uint32_t siteOf(const Access &access) const;
  void countGlobal(const Access &access, uint32_t site, AccessClass c);
  void countAtomic(const Access &access, uint32_t site);
  void countLocal(const Access &access, uint32_t site);
  void countShared(const Access &access, uint32_t site);
  void countSharedAtomic(const Access &access, uint32_t site);
  void countCopy(const Access &access, uint32_t site);
  void countConstant(const Access &access);
  void countBulk(const Access &access, uint32_t site);
  void addSectors(AccessClass c, uint32_t site, RequestCount count,
                  const Access &access);
  void addWaves(AccessClass c, uint32_t site, WaveCount count);
  void addSliceClocks(const Access &access, uint32_t sectors, bool floats);
  void touch(Footprint &footprint, const Access &access);
  void trace(const Access &access, uint32_t site, Request kind, bool local);

  /// A resident CTA of this host thread.
  struct Running {
    std::unique_ptr<BlockTrace> trace;
  };
  Running &running(Block &block);

  std::shared_ptr<CountingShared> shared;
  const AccessRules &rules;
  std::vector<InstructionCount> instructions;
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
  uint32_t copyLanes = 0;
  std::array<uint64_t, kLanes> copyDestination{};
};

} // namespace ptx

#endif // PTX_COUNTERS_COUNTEROBSERVER_H
