// The loop over instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"
#include "Machine/PoisonSpread.h"

#include "Isa/IsaTable.h"

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

/// Tells the observer, unless it does not want this instruction.
static inline void tell(Machine &machine, Warp &warp, const Instruction &in,
                        size_t pc) {
  const uint8_t *wanted = machine.observer->wantedInstructions;
  if (!wanted || wanted[pc])
    machine.observer->onInstruction(warp, in);
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
  executeObserved(machine, warp, in,
                  &in - machine.grid.program->instructions.data());
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
/// execute.
class RunCounter {
public:
  explicit RunCounter(RunCount *counts) : counts(counts) {}
  ~RunCounter() { close(); }

  /// \p active: those of \p running that the guard left on.
  void execute(uint32_t pc, LaneMask running, LaneMask active) {
    if (active != running)
      counts[pc].off += __builtin_popcount(running & ~active);
    if (pc != end || running != lanes) {
      close();
      begin = pc;
      lanes = running;
    }
    end = pc + 1;
  }
  /// The last instruction was not done: it is executed, and counted, again.
  void takeBack(LaneMask off) {
    --end;
    counts[end].off -= __builtin_popcount(off);
  }

private:
  void close() {
    if (begin != end)
      counts[begin].add(counts[end], lanes);
    begin = end = ~0u;
  }

  RunCount *counts;
  uint32_t begin = ~0u, end = ~0u;
  LaneMask lanes = 0;
};
} // namespace

template <Watch W>
static unsigned interpretAs(Machine &machine, Warp &warp, unsigned quantum) {
  const Instruction *code = machine.grid.program->instructions.data();
  unsigned left = quantum;
  RunCounter counter(machine.counts);
  while (left) {
    if (warp.pc >= warp.mergePc) [[unlikely]]
      if (!meet(warp))
        break;
    const uint32_t pc = warp.pc++;
    const Instruction &in = code[pc];
    const LaneMask running = warp.running;
    LaneMask active = running;
    if (in.flags & kGuarded) {
      LaneMask guard = warp.predicate(in.guard);
      active &= in.guardNegated ? ~guard : guard;
      if constexpr (W == Watch::Everything)
        if (machine.poison)
          checkGuard(machine, warp, in, pc);
    }
    warp.active = active;
    if constexpr (W != Watch::Nothing)
      ++warp.executed;
    if (!active) {
      if constexpr (W == Watch::Counts)
        counter.execute(pc, running, active);
      if constexpr (W == Watch::Everything)
        tell(machine, warp, in, pc);
      --left;
      continue;
    }
    bool counted = false;
    if (in.flags & (kAligned | kMemberMask)) [[unlikely]] {
      executeTogether(machine, warp, in);
    } else if constexpr (W == Watch::Everything) {
      executeObserved(machine, warp, in, pc);
    } else {
      if constexpr (W == Watch::Counts) {
        counter.execute(pc, running, active);
        counted = true;
      }
      in.run(warp, in);
    }
    if (warp.event != Event::None) [[unlikely]] {
      bool retried = warp.event == Event::Retry;
      left -= !retried;
      if (W != Watch::Nothing && retried)
        --warp.executed;
      if (counted && retried)
        counter.takeBack(running & ~active);
      if (!handleEvent(machine, warp, in))
        break;
      continue;
    }
    --left;
  }
  return quantum - left;
}

unsigned interpret(Machine &machine, Warp &warp, unsigned quantum) {
  if (machine.counts)
    return interpretAs<Watch::Counts>(machine, warp, quantum);
  if (machine.observer)
    return interpretAs<Watch::Everything>(machine, warp, quantum);
  unsigned done = interpretAs<Watch::Nothing>(machine, warp, quantum);
  warp.executed += done;
  return done;
}

} // namespace ptx
