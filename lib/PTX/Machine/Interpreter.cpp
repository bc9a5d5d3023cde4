// The loop over instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"

#include "Isa/IsaTable.h"
#include "ptx/Counters.h"

namespace ptx {

/// Undefined sources make results undefined; see PoisonPlan.
static void spreadPoison(Machine &machine, Warp &warp, const Instruction &in) {
  const PoisonPlan::Entry &entry =
      machine.poison->entry(*machine.grid.program, in);
  if (entry.kind == PoisonPlan::Kind::Handler ||
      entry.kind == PoisonPlan::Kind::Branch || !entry.results)
    return;
  const PoisonPlan::Place *place = machine.poison->placesOf(entry);
  auto at = [&](PoisonPlan::Place p) -> LaneMask & {
    std::byte *base = p & PoisonPlan::kInRegisters
                          ? warp.base[0]
                          : reinterpret_cast<std::byte *>(warp.poison);
    return *reinterpret_cast<LaneMask *>(base +
                                         (p & ~PoisonPlan::kInRegisters));
  };
  const PoisonPlan::Place *source = place + entry.results;
  LaneMask guard = 0;
  if ((in.flags & kGuarded) && !(in.guard & kConstant))
    guard = (&warp.predicate(in.guard))[1];
  LaneMask lanes = warp.active | guard;
  if (entry.kind == PoisonPlan::Kind::Words) {
    LaneMask words[16];
    for (unsigned i = 0; i < entry.sources; ++i)
      words[i] = source[i] == ~0u ? 0 : at(source[i]);
    for (unsigned i = 0; i < entry.results; ++i)
      if (place[i] != ~0u) {
        LaneMask &mask = at(place[i]);
        mask = (mask & ~lanes) | ((words[i] | guard) & lanes);
      }
    return;
  }
  LaneMask undefined = guard;
  if (entry.kind == PoisonPlan::Kind::Select) {
    // The last source is the predicate, the others the halves of a and b.
    LaneMask p = warp.readPredicate(in, in.operandCount - 1u);
    unsigned half = (entry.sources - 1u) / 2;
    for (unsigned i = 0; i < 2 * half; ++i)
      if (source[i] != ~0u)
        undefined |= at(source[i]) & (i < half ? p : ~p);
    if (source[2 * half] != ~0u)
      undefined |= at(source[2 * half]);
  } else if (entry.kind == PoisonPlan::Kind::Generic) {
    for (unsigned i = 0; i < entry.sources; ++i)
      undefined |= at(source[i]);
  }
  for (unsigned i = 0; i < entry.results; ++i) {
    LaneMask &mask = at(place[i]);
    mask = (mask & ~lanes) | (undefined & lanes);
  }
}

/// Guards of branches and of instructions that change memory must be defined.
static void checkGuard(Machine &machine, Warp &warp, const Instruction &in) {
  if (in.guard & kConstant)
    return;
  LaneMask undefined = (&warp.predicate(in.guard))[1] & warp.running;
  if (!undefined)
    return;
  PoisonPlan::Kind kind = machine.poison->entry(*machine.grid.program, in).kind;
  if (kind == PoisonPlan::Kind::Branch || !in.resultCount)
    machine.observer->onPoisonUse(warp, in, undefined, PoisonUse::Guard);
}

void executeOne(Machine &machine, Warp &warp, const Instruction &in) {
  if (!machine.observer) {
    in.run(warp, in);
    return;
  }
  machine.observer->onInstruction(warp, in);
  LaneMask active = warp.active;
  in.run(warp, in);
  if (machine.poison && warp.event != Event::Retry) {
    warp.active = active;
    spreadPoison(machine, warp, in);
  }
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

static void count(Machine &machine, const Warp &warp, uint32_t pc) {
  InstructionCount &count = machine.counts[pc];
  ++count.warps;
  count.lanes += static_cast<unsigned>(__builtin_popcount(warp.running));
  count.on += static_cast<unsigned>(__builtin_popcount(warp.active));
}

/// The instruction was not done: it is executed, and counted, again.
static void uncount(Machine &machine, uint32_t pc, LaneMask running,
                    LaneMask active) {
  InstructionCount &count = machine.counts[pc];
  --count.warps;
  count.lanes -= static_cast<unsigned>(__builtin_popcount(running));
  count.on -= static_cast<unsigned>(__builtin_popcount(active));
}

template <Watch W>
static unsigned interpretAs(Machine &machine, Warp &warp, unsigned quantum) {
  const Instruction *code = machine.grid.program->instructions.data();
  unsigned left = quantum;
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
          checkGuard(machine, warp, in);
    }
    warp.active = active;
    if constexpr (W != Watch::Nothing)
      ++warp.executed;
    if (!active) {
      if constexpr (W == Watch::Counts)
        count(machine, warp, pc);
      if constexpr (W == Watch::Everything)
        machine.observer->onInstruction(warp, in);
      --left;
      continue;
    }
    bool counted = false;
    if (in.flags & (kAligned | kMemberMask)) [[unlikely]] {
      executeTogether(machine, warp, in);
    } else if constexpr (W == Watch::Everything) {
      executeOne(machine, warp, in);
    } else {
      if constexpr (W == Watch::Counts) {
        count(machine, warp, pc);
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
        uncount(machine, pc, running, active);
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
