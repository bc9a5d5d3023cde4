// Running a kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_LAUNCH_H
#define PTX_LAUNCH_H

#include "ptx/Device.h"
#include "ptx/Types.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ptx {

class Module;
struct Observer;
struct CounterValues;

/// What a launch looks for. Without any, only what cannot be carried out is
/// found (an address outside every allocation, a deadlock, a trap ...).
struct CheckSet {
  bool bounds = false; ///< and misalignment, use after free
  bool race = false;
  bool poison = false;         ///< uninitialised memory and registers
  bool async = false;          ///< missing waits, commits, fences
  bool sameValueRaces = false; ///< with race: also writes of equal values
  bool any() const { return bounds || race || poison || async; }
};

enum class ScheduleOrder : uint8_t { RoundRobin, Random };
enum class TensorMode : uint8_t { Exact, Fast };
/// When an asynchronous operation takes effect within its legal time.
enum class Completion : uint8_t { Latest, Earliest };

struct LaunchOptions {
  Dim3 grid, block;
  Dim3 cluster{0, 0, 0}; ///< 0: what the kernel asks for, else 1 x 1 x 1
  uint32_t dynamicShared = 0;
  bool cooperative = false;
  CheckSet checks;
  bool counters = false;
  bool cacheModel = false;
  ScheduleOrder order = ScheduleOrder::RoundRobin;
  uint64_t seed = 0;
  /// Blocks in flight at once (a host thread); default: what the occupancy
  /// allows for cooperative grids, else a few.
  std::optional<unsigned> resident;
  unsigned threads = 1; ///< host threads
  /// The architecture whose limits and numerics hold: 75, 80, 86, 89, 90,
  /// 100, 120. Default: the module's target.
  std::optional<unsigned> sm;
  TensorMode tensor = TensorMode::Exact;
  Completion completion = Completion::Latest;
  uint64_t instructionBudget = 0; ///< warp instructions in all; 0: no bound
  /// Warp instructions of one turn; default 256.
  std::optional<unsigned> quantum;
  /// Bytes of stack a thread may use for calls (cudaLimitStackSize).
  uint32_t stackLimit = 64u << 10;
  unsigned findingLimit = 100; ///< more of a kind and line are only counted
  /// Further observers (they must outlive the launch).
  std::vector<Observer *> observers;
};

/// Kinds of what can be wrong with a running kernel.
enum class FindingKind : uint8_t {
  OutOfBounds,
  UseAfterFree,
  Misaligned,
  ReadOnly, ///< a write to memory that is not writable
  Uninitialised,
  Race,
  SameValueRace,
  BarrierDivergence, ///< warps at different barriers, counts that differ
  Divergence,        ///< `.aligned`, `.sync` executed by the wrong lanes
  MissingWait,
  AsyncMisuse,
  Deadlock,
  Livelock,
  DivisionByZero,
  StackOverflow,
  Budget,
  Trap,
  Assertion,
  IllegalInstruction, ///< an operand value the hardware refuses
  IllegalAddress,
};
std::string_view findingName(FindingKind kind); ///< "out-of-bounds"

/// One side of a finding.
struct FindingPlace {
  uint32_t line = 0, column = 0; ///< in the PTX text
  uint32_t sourceLine = 0;       ///< from .loc, 0: none
  std::string sourceFile;
  std::string instruction; ///< as written, for the reader
  Dim3 block;
  unsigned warp = 0;
  LaneMask lanes = 0;
};

struct Finding {
  FindingKind kind = FindingKind::Trap;
  FindingPlace place;
  std::optional<FindingPlace> other; ///< the second party of a race
  std::string message;
  bool fatal = false;       ///< the launch ended here
  uint64_t count = 1;       ///< equal ones at this line
  std::string text() const; ///< all of it, for people
};

struct LaunchResult {
  std::vector<Finding> findings;
  std::shared_ptr<CounterValues> counters; ///< null without counters
  std::string log;                         ///< device printf
  bool completed = true; ///< false: a fatal finding ended the launch
  uint64_t warpInstructions = 0;
};

/// Blocks of \p threads threads and \p sharedBytes bytes of shared memory each
/// that fit on one multiprocessor of \p sm (with \p registers a thread).
unsigned occupancy(unsigned sm, unsigned threads, uint32_t sharedBytes,
                   unsigned registers);
unsigned multiprocessors(unsigned sm);

/// Runs a kernel to its end. \p params: the parameters as laid out by
/// KernelInfo. Throws Error for a launch that cannot be made, before anything
/// changed.
LaunchResult launch(Device &device, const Module &module,
                    const std::string &kernel, const LaunchOptions &options,
                    std::span<const std::byte> params);

} // namespace ptx

#endif // PTX_LAUNCH_H
