// What one host thread executes with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_MACHINE_H
#define PTX_MACHINE_MACHINE_H

#include "Machine/Block.h"
#include "Machine/Observer.h"
#include "Machine/PoisonPlan.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace ptx {

/// Thrown to unwind a host thread whose launch ended early. What happened was
/// reported already.
struct LaunchStopped {};

/// A range of global memory that accesses may touch.
struct GlobalRange {
  uint64_t begin = 1, end = 0;
  bool writable = false;
};

/// Findings and the printf log of a launch, shared by its host threads.
class Journal {
public:
  explicit Journal(unsigned limit) : limit(limit) {}
  /// Merges a finding equal in kind and line with the earlier one.
  void add(Finding finding);
  void print(const std::string &text);
  std::vector<Finding> takeFindings();
  std::string takeLog();

private:
  unsigned limit;
  std::mutex lock;
  std::vector<Finding> findings;
  std::string log;
};

/// Hands out the clusters of a grid in order, to any host thread.
struct WorkList {
  std::atomic<uint64_t> next{0};
  uint64_t count = 0;
};

/// Executes blocks on one host thread.
struct Machine {
  Machine(Grid &grid, Journal &journal, WorkList &work, uint64_t seed);
  ~Machine();

  /// Executes clusters until none is left. Throws LaunchStopped.
  void run();

  // Scheduler.cpp
  void admit();
  void retire();
  bool round();
  bool turn(Warp &warp);
  void stuck(bool deadlock);
  [[noreturn]] void reportStuck(bool deadlock);
  uint64_t totalChanges() const;
  void checkBudget(uint64_t executed);
  // Livelock.cpp
  bool livelocked();
  bool repeats();
  uint64_t fingerprint() const;
  uint64_t fingerprintBytes() const;
  std::string describeWaits() const;

  // Frames.cpp
  Frame *makeFrame(const Function &function, Warp &warp, Frame *parent,
                   const Instruction *call);
  /// The activation in which \p lanes of the running split execute what they
  /// call. Lanes that make the same call in turns share one, or they could not
  /// meet inside. Takes the reference of the running split to the caller.
  Frame *enterActivation(const Function &function, Warp &warp,
                         const Instruction &call, LaneMask lanes);
  void releaseFrame(Frame *frame);
  std::unique_ptr<Cluster> makeCluster(uint64_t index);
  void makeWarps(Block &block);

  /// The writable or readable range around an address; false if there is none.
  bool findGlobal(uint64_t address, uint64_t bytes, GlobalRange &range);

  /// Memory is freed: every thread must look anew where allocations are.
  void forgetRanges() { freed.store(true); }
  std::atomic<bool> freed{false};

  Grid &grid;
  Journal &journal;
  WorkList &work;
  Observer *observer = nullptr; ///< null: the plain loop runs
  /// Where executions are counted (Observer::runCounts), or null.
  RunCount *counts = nullptr;
  /// With `countsOnly`: the last accesses (Observer::wholeMemos).
  WholeMemo *wholeMemos = nullptr;
  bool countsOnly = false; ///< the observer needs no more than counts
  std::unique_ptr<AsyncEngine> engine;
  const PoisonPlan *poison = nullptr; ///< null unless poison is tracked
  std::vector<std::unique_ptr<Cluster>> clusters; ///< resident, oldest first
  std::vector<std::unique_ptr<Frame>> frames;     ///< all that were made
  std::vector<std::vector<Frame *>> freeFrames;   ///< by function
  std::mt19937_64 random;
  GlobalRange ranges[8]; ///< those used last
  unsigned nextRange = 0;
  unsigned residentLimit = 1, residentMost = 1; ///< clusters
  unsigned quantum = 256;
  bool shuffled = false; ///< random order
  uint64_t executed = 0; ///< warp instructions
  uint64_t budgetChecked = 0;
  /// Writes that changed memory, barriers that completed: anything another
  /// warp could be waiting for. Only this thread writes it.
  std::atomic<uint64_t> changes{0};
  /// The changes of all threads when this one found that it cannot get on.
  static constexpr uint64_t kNotQuiet = ~uint64_t{0}, kFinished = kNotQuiet - 1;
  std::atomic<uint64_t> quietAt{kNotQuiet};
  uint64_t polls = 0; ///< loads and atomics that may be a spin
  uint64_t rounds = 0;
  uint64_t ticks = 0;           ///< of the clock, beside instructions
  std::vector<uint64_t> states; ///< of warps, for livelocked()
  std::vector<uint8_t> returned;
  uint64_t statesAt = ~uint64_t{0};
  /// For repeats(): a state of everything, and when it was looked at.
  struct {
    uint64_t saved = 0, steps = 0, power = 0;
    uint64_t polls = 0, executed = 0;
    bool hidden = false; ///< the kernel has state that is not looked at
  } repetition;

  void changed() {
    changes.store(changes.load(std::memory_order_relaxed) + 1,
                  std::memory_order_relaxed);
  }
};

/// Local memory of a frame up to \p end. \p in: for the report of an overflow.
void reserveLocal(Warp &warp, Frame &frame, const Instruction *in,
                  uint32_t end);

// Interpreter.cpp
/// Executes up to \p quantum instructions of the warp's runnable splits;
/// returns how many.
unsigned interpret(Machine &machine, Warp &warp, unsigned quantum);

// Divergence.cpp
/// The running split goes on at \p target for `active`, at `pc` for the rest.
void divide(Warp &warp, uint32_t target);
/// The running split loses `lanes`, which wait at \p pc.
void park(Warp &warp, LaneMask lanes, uint32_t pc, WaitReason reason);
/// Merges the running split with what waits at its pc, goes over to a lower
/// one if there is any; false if nothing can run.
bool meet(Warp &warp);
/// Chooses a split to run; false if all wait.
bool choose(Warp &warp);
/// Puts the running split back among the others.
void suspend(Warp &warp);
void enterFrame(Warp &warp, Frame *frame);
void updateMergePc(Warp &warp);
/// Lanes leave for good.
void exitLanes(Warp &warp, LaneMask lanes, const Instruction &in);
/// Makes splits that wait for members look again.
void wakeMembers(Warp &warp);

// Convergence.cpp
/// Executes an `.aligned` or member-masked instruction, or parks its lanes
/// until the missing ones come.
void executeTogether(Machine &machine, Warp &warp, const Instruction &in);

/// Counts an execution of \p in by `warp.active` and tells the observers of it,
/// of which there is one.
void tellInstruction(Machine &machine, Warp &warp, const Instruction &in);
/// Executes \p in for `warp.active`, observers called where \p observed.
void executeOne(Machine &machine, Warp &warp, const Instruction &in);

// Findings.cpp
FindingPlace placeOf(const Warp &warp, const Instruction &in, LaneMask lanes);
/// "warp 3 lanes 0-15" and the like.
std::string lanesText(LaneMask lanes);

} // namespace ptx

#endif // PTX_MACHINE_MACHINE_H
