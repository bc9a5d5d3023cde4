// The loop over instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"
#include "Machine/PoisonSpread.h"

#include "Isa/IsaTable.h"

#include <type_traits>

namespace ptx {

/// Guards of branches and of instructions that change memory must be defined.
static void checkGuard(Machine &machine, Warp &warp, const Instruction &in,
                       size_t pc) {
  const LaneMask undefined = guardPoison(warp, in) & warp.running;
  if (!undefined) [[likely]]
    return;
  PoisonPlan::Kind kind = machine.poison->entry(pc).kind;
  if (kind == PoisonPlan::Kind::Branch || !in.resultCount)
    machine.observer->onPoisonUse(warp, in, undefined, PoisonUse::Guard);
}

/// Counts an execution by `warp.running` lanes, of which `warp.active` are on.
static void countOne(RunCount *counts, const Warp &warp, size_t pc,
                     int64_t times = 1) {
  counts[pc].add(counts[pc + 1], warp.running, times);
  counts[pc].off += times * __builtin_popcount(warp.running & ~warp.active);
}

/// Counts the instruction and tells the observer, unless it does not want it.
static inline void tell(Machine &machine, Warp &warp, const Instruction &in,
                        size_t pc) {
  if (machine.counts)
    countOne(machine.counts, warp, pc);
  const uint8_t *wanted = machine.observer->wantedInstructions;
  if (!wanted || wanted[pc])
    machine.observer->onInstruction(warp, in);
}

static size_t pcOf(const Machine &machine, const Instruction &in) {
  return &in - machine.grid.program->instructions.data();
}

void tellInstruction(Machine &machine, Warp &warp, const Instruction &in) {
  tell(machine, warp, in, pcOf(machine, in));
}

static inline void executeObserved(Machine &machine, Warp &warp,
                                   const Instruction &in, size_t pc) {
  tell(machine, warp, in, pc);
  const PoisonPlan::Entry *entry =
      machine.poison ? &machine.poison->entry(pc) : nullptr;
  if (!entry || !entry->spreads()) {
    in.run(warp, in);
    return;
  }
  const LaneMask active = warp.active;
  in.run(warp, in);
  if (warp.event == Event::Retry)
    return;
  warp.active = active;
  spreadPoison(*machine.poison, *entry, warp, in);
}

void executeOne(Machine &machine, Warp &warp, const Instruction &in) {
  if (!machine.observer) {
    in.run(warp, in);
    return;
  }
  executeObserved(machine, warp, in, pcOf(machine, in));
}

/// What a handler asked for. False: the turn ends.
static bool handleEvent(Machine &machine, Warp &warp, const Instruction &in) {
  Event event = warp.event;
  warp.event = Event::None;
  switch (event) {
  case Event::None:
    return true;
  case Event::Yield:
    return false;
  case Event::Retry:
    park(warp, warp.active, warp.pc - 1, warp.waitReason);
    warp.event = Event::None;
    break;
  case Event::Exit:
    exitLanes(warp, warp.active, in);
    warp.event = Event::None;
    break;
  case Event::Switch:
    break;
  }
  if (warp.running)
    return true;
  return choose(warp);
}

/// What the loop does beside executing.
enum class Watch { Nothing, Counts, Everything };

namespace {
/// Counts executions by runs: consecutive instructions that the same lanes
/// execute. Only where a run begins and ends there is anything to do.
class RunCounter {
public:
  RunCounter(RunCount *counts, const Warp &warp) : counts(counts), warp(warp) {
    open();
  }
  /// A launch that ends early leaves its last run open.
  ~RunCounter() {
    if (begin < warp.pc)
      close(warp.pc);
  }
  RunCounter(const RunCounter &) = delete;

  void open() {
    begin = warp.pc;
    lanes = warp.running;
  }
  /// The next instruction of the run, and those of its lanes that are on.
  void execute(uint32_t pc, LaneMask active) {
    if (active != lanes)
      counts[pc].off += __builtin_popcount(lanes & ~active);
  }
  /// Counts the open run, if there is one; its last instruction is the one
  /// before \p end.
  void close(uint32_t end) {
    if (begin < end)
      counts[begin].add(counts[end], lanes);
    begin = kClosed;
  }

private:
  static constexpr uint32_t kClosed = ~0u;
  RunCount *counts;
  const Warp &warp;
  uint32_t begin = kClosed;
  LaneMask lanes = 0;
};

struct NoCounter {
  NoCounter(RunCount *, const Warp &) {}
  void open() {}
  void execute(uint32_t, LaneMask) {}
  void close(uint32_t) {}
};
} // namespace

/// The instruction was not done: it is executed, and counted, again.
static void takeBack(Machine &machine, Warp &warp, uint32_t pc) {
  --warp.executed;
  if (machine.counts)
    countOne(machine.counts, warp, pc, -1);
}

/// Whether \p active are all lanes and a member mask, if there is one, is
/// known to name all: they need not look for each other.
static inline bool areTogether(const Warp &warp, const Instruction &in,
                               LaneMask active) {
  if (active != kAllLanes)
    return false;
  if (!(in.flags & kMemberMask))
    return true;
  const Slot mask = in.operand[in.memberMask];
  return (mask & kConstant) && *warp.lanes<uint32_t>(mask) == kAllLanes;
}

/// Applies the guard; the lanes that are left.
template <Watch W>
static inline LaneMask guardedLanes(Machine &machine, Warp &warp,
                                    const Instruction &in, uint32_t pc) {
  const LaneMask guard = warp.predicate(in.guard);
  const LaneMask active = warp.running & (in.guardNegated ? ~guard : guard);
  if constexpr (W == Watch::Everything)
    if (machine.poison)
      checkGuard(machine, warp, in, pc);
  return active;
}

template <Watch W>
static inline void executeAs(Machine &machine, Warp &warp,
                             const Instruction &in, uint32_t pc) {
  if constexpr (W == Watch::Everything)
    return executeObserved(machine, warp, in, pc);
  if constexpr (W == Watch::Counts)
    if ((in.flags & kAligned) && machine.observer->wantedInstructions[pc])
      machine.observer->onInstruction(warp, in);
  in.run(warp, in);
}

template <Watch W>
static unsigned interpretAs(Machine &machine, Warp &warp, unsigned quantum) {
  const Instruction *code = machine.grid.program->instructions.data();
  unsigned left = quantum;
  std::conditional_t<W == Watch::Counts, RunCounter, NoCounter> counter(
      machine.counts, warp);
  while (left) {
    if (warp.pc >= warp.mergePc) [[unlikely]] {
      counter.close(warp.pc);
      if (!meet(warp))
        break;
      counter.open();
    }
    const uint32_t pc = warp.pc++;
    const Instruction &in = code[pc];
    LaneMask active = warp.running;
    if constexpr (W != Watch::Nothing)
      ++warp.executed;
    bool apart = false;
    if (in.flags & (kGuarded | kAligned | kMemberMask)) [[unlikely]] {
      if (in.flags & kGuarded)
        active = guardedLanes<W>(machine, warp, in, pc);
      if (!active) {
        warp.active = 0;
        if constexpr (W == Watch::Everything)
          tell(machine, warp, in, pc);
        counter.execute(pc, active);
        --left;
        continue;
      }
      if (in.flags & (kAligned | kMemberMask))
        apart = !areTogether(warp, in, active);
    }
    warp.active = active;
    if (apart) [[unlikely]] {
      counter.close(pc);
      executeTogether(machine, warp, in);
    } else {
      counter.execute(pc, active);
      executeAs<W>(machine, warp, in, pc);
    }
    if (warp.event != Event::None) [[unlikely]] {
      const bool retried = warp.event == Event::Retry;
      left -= !retried;
      if (W != Watch::Nothing && retried)
        takeBack(machine, warp, pc);
      counter.close(pc + 1);
      if (!handleEvent(machine, warp, in))
        break;
      counter.open();
      continue;
    }
    if (W == Watch::Counts && (apart || (in.flags & kBranches))) {
      counter.close(pc + 1);
      counter.open();
    }
    --left;
  }
  return quantum - left;
}

unsigned interpret(Machine &machine, Warp &warp, unsigned quantum) {
  if (machine.countsOnly)
    return interpretAs<Watch::Counts>(machine, warp, quantum);
  if (machine.observer)
    return interpretAs<Watch::Everything>(machine, warp, quantum);
  unsigned done = interpretAs<Watch::Nothing>(machine, warp, quantum);
  warp.executed += done;
  return done;
}

} // namespace ptx
