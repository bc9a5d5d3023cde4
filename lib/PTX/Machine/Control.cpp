// Branches, calls, exits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Handlers.h"
#include "Machine/Machine.h"

#include <algorithm>
#include <cstring>

namespace ptx {

static const Program &programOf(const Warp &warp) {
  return *warp.block->grid->program;
}

void handleBranch(Warp &warp, const Instruction &in) {
  divide(warp, in.target);
}

/// Several targets at once: `running` goes to the lowest, the others become
/// splits. \p target: by lane; lanes outside `active` stay at `pc`.
static void divideMany(Warp &warp, const uint32_t *target) {
  LaneMask rest = warp.running & ~warp.active;
  LaneMask lanes = warp.active;
  Frame *frame = warp.frame;
  warp.running = 0;
  auto add = [&](uint32_t pc, LaneMask mask) {
    Split split;
    split.pc = pc;
    split.mask = mask;
    split.frame = frame;
    split.since = warp.executed;
    if (warp.running) // only the first inherits the reference
      ++frame->references;
    warp.running |= mask;
    warp.others.push_back(split);
  };
  if (rest)
    add(warp.pc, rest);
  while (lanes) {
    uint32_t pc = target[__builtin_ctz(lanes)];
    LaneMask same = 0;
    forEachLane(lanes, [&](unsigned lane) {
      same |= LaneMask{target[lane] == pc} << lane;
    });
    add(pc, same);
    lanes &= ~same;
  }
  warp.running = 0;
  choose(warp);
}

void handleIndexedBranch(Warp &warp, const Instruction &in) {
  const auto &table = *static_cast<const BranchTable *>(in.extra);
  const uint32_t *index = warp.lanes<uint32_t>(in.source(0));
  uint32_t target[kLanes] = {};
  LaneMask outside = 0;
  bool uniform = warp.active == warp.running;
  uint32_t first = index[__builtin_ctz(warp.active)];
  forEachLane(warp.active, [&](unsigned lane) {
    if (index[lane] >= table.targets.size())
      outside |= 1u << lane;
    else
      target[lane] = table.targets[index[lane]];
    uniform &= index[lane] == first;
  });
  if (outside)
    warp.fail(FindingKind::IllegalInstruction, in, outside,
              "the index " + std::to_string(index[__builtin_ctz(outside)]) +
                  " is outside the table of " +
                  std::to_string(table.targets.size()) + " targets");
  if (uniform) {
    divide(warp, target[__builtin_ctz(warp.active)]);
    return;
  }
  if (Observer *observer = warp.block->machine->observer)
    observer->onBranch(warp, in, warp.running, warp.active);
  divideMany(warp, target);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Where a lane's bytes of a parameter lie in an activation.
static std::byte *parameterBytes(const Warp &warp, Frame &frame,
                                 const Formal &formal, unsigned lane) {
  if (!formal.inRegister)
    return frame.params.data + size_t{lane} * frame.function->paramBytes +
           formal.offset;
  std::byte *base =
      formal.slot & kConstant ? warp.base[1] : frame.registers.data;
  base += formal.slot & ~kConstant;
  return base + lane * (formal.width == Width::Double ? 8 : 4);
}

static void copyParameter(Warp &warp, Frame &toFrame, const Formal &to,
                          Frame &fromFrame, const Formal &from,
                          LaneMask lanes) {
  if (to.inRegister && to.slot == kNoSlot)
    return;
  auto sizeOf = [](const Formal &formal) -> uint32_t {
    if (!formal.inRegister)
      return formal.size;
    return formal.width == Width::Double ? 8 : 4;
  };
  uint32_t size = std::min(sizeOf(to), sizeOf(from));
  forEachLane(lanes, [&](unsigned lane) {
    std::memcpy(parameterBytes(warp, toFrame, to, lane),
                parameterBytes(warp, fromFrame, from, lane), size);
  });
  if (to.inRegister && !toFrame.poison.empty())
    for (unsigned word = 0; word * 4 < sizeOf(to); ++word)
      toFrame.poison[to.slot / 128 + word] &= ~lanes;
}

static void enterFunction(Warp &warp, const Instruction &in,
                          const CallSite &site, const Function &function,
                          LaneMask lanes) {
  if (function.parameters.size() != site.arguments.size() ||
      function.results.size() != site.results.size())
    warp.fail(FindingKind::IllegalInstruction, in, lanes,
              "the function called, " + function.name +
                  ", takes other parameters than this call gives");
  Frame *caller = warp.frame;
  Frame *callee =
      warp.block->machine->enterActivation(function, warp, in, lanes);
  if (LaneMask rest = warp.running & ~lanes) {
    Split split;
    split.pc = warp.pc;
    split.mask = rest;
    split.frame = caller;
    split.since = warp.executed;
    warp.others.push_back(split);
    ++caller->references;
  }
  for (size_t i = 0; i < site.arguments.size(); ++i)
    copyParameter(warp, *callee, function.parameters[i], *caller,
                  site.arguments[i], lanes);
  warp.running = lanes;
  warp.pc = function.begin;
  enterFrame(warp, callee);
  updateMergePc(warp);
}

/// The lanes that call the same function as the lowest lane; the others
/// execute the call once more.
static LaneMask sameTarget(Warp &warp, const Instruction &in,
                           const uint64_t *address) {
  uint64_t first = address[__builtin_ctz(warp.active)];
  LaneMask lanes = 0;
  forEachLane(warp.active, [&](unsigned lane) {
    lanes |= LaneMask{address[lane] == first} << lane;
  });
  uint64_t index = first - kFunctionWindow;
  if (first < kFunctionWindow || index >= programOf(warp).functions.size() ||
      programOf(warp).functions[index].isEntry)
    warp.fail(FindingKind::IllegalAddress, in, lanes,
              "calls an address that is no device function's");
  return lanes;
}

void handleCall(Warp &warp, const Instruction &in) {
  const auto &site = *static_cast<const CallSite *>(in.extra);
  if (!site.system.empty()) {
    callSystem(warp, in, site);
    return;
  }
  const auto &functions = programOf(warp).functions;
  if (site.function >= 0) {
    enterFunction(warp, in, site, functions[site.function], warp.active);
    return;
  }
  const uint64_t *address = warp.lanes<uint64_t>(in.source(0));
  uint64_t target = address[__builtin_ctz(warp.active)];
  LaneMask lanes = sameTarget(warp, in, address);
  if (LaneMask later = warp.active & ~lanes) {
    park(warp, later, warp.pc - 1, WaitReason::None);
    warp.event = Event::None;
  }
  enterFunction(warp, in, site, functions[target - kFunctionWindow], lanes);
}

void handleReturn(Warp &warp, const Instruction &in) {
  Frame *callee = warp.frame, *caller = callee->parent;
  if (!caller) {
    warp.event = Event::Exit;
    return;
  }
  const auto &site = *static_cast<const CallSite *>(callee->call->extra);
  const Function &function = *callee->function;
  LaneMask lanes = warp.active;
  for (size_t i = 0; i < site.results.size(); ++i)
    copyParameter(warp, *caller, site.results[i], *callee, function.results[i],
                  lanes);
  callee->lanes &= ~lanes;
  ++caller->references;
  uint32_t pc = static_cast<uint32_t>(callee->call -
                                      programOf(warp).instructions.data()) +
                1;
  if (LaneMask rest = warp.running & ~lanes) {
    Split split;
    split.pc = warp.pc;
    split.mask = rest;
    split.frame = callee;
    split.since = warp.executed;
    warp.others.push_back(split);
  } else {
    warp.block->machine->releaseFrame(callee);
  }
  warp.running = lanes;
  warp.pc = pc;
  enterFrame(warp, caller);
  warp.mergePc = warp.others.empty() ? ~0u : 0;
}

void handleExit(Warp &warp, const Instruction &) { warp.event = Event::Exit; }

void handleTrap(Warp &warp, const Instruction &in) {
  warp.fail(FindingKind::Trap, in, warp.active, "the kernel trapped");
}

void handleNothing(Warp &, const Instruction &) {}

/// Launches follow each other: the grid before this one is done already.
void handleGridDependency(Warp &warp, const Instruction &in) {
  if (!warp.observed)
    return;
  SyncEvent event{SyncKind::GridDependency, SyncStep::Release, &in, &warp,
                  warp.active};
  event.block = warp.block;
  event.scope = Scope::Gpu;
  warp.block->machine->observer->onSync(event);
}

void handleNanosleep(Warp &warp, const Instruction &in) {
  Machine &machine = *warp.block->machine;
  ++machine.polls;
  if (machine.observer)
    machine.observer->onPoll(warp, in);
  warp.yield();
}

//===----------------------------------------------------------------------===//
// Clocks and the stack
//===----------------------------------------------------------------------===//

void handleClock(Warp &warp, const Instruction &in) {
  auto kind = static_cast<ClockKind>(reinterpret_cast<uintptr_t>(in.extra));
  Machine &machine = *warp.block->machine;
  // Time passes with instructions, and with every look at the clock, so that a
  // loop that waits for a while ends.
  machine.ticks += 40;
  machine.changed();
  uint64_t now = (machine.executed + warp.executed) * 4 + machine.ticks;
  if (kind == ClockKind::ClockHi || kind == ClockKind::TimerHi)
    now >>= 32;
  if (kind == ClockKind::Pm)
    now = 0;
  if (in.operand[0] == kNoSlot)
    return;
  forEachLane(warp.active, [&](unsigned lane) {
    if (in.width[0] == Width::Double)
      warp.lanes<uint64_t>(in.operand[0])[lane] = now;
    else
      warp.lanes<uint32_t>(in.operand[0])[lane] = static_cast<uint32_t>(now);
  });
}

static uint64_t readInteger(const Warp &warp, const Instruction &in,
                            unsigned operand, unsigned lane) {
  return in.width[operand] == Width::Double
             ? warp.lanes<uint64_t>(in.operand[operand])[lane]
             : warp.lanes<uint32_t>(in.operand[operand])[lane];
}

static void writeInteger(const Warp &warp, const Instruction &in,
                         unsigned operand, unsigned lane, uint64_t value) {
  if (in.width[operand] == Width::Double)
    warp.lanes<uint64_t>(in.operand[operand])[lane] = value;
  else
    warp.lanes<uint32_t>(in.operand[operand])[lane] =
        static_cast<uint32_t>(value);
}

void handleAlloca(Warp &warp, const Instruction &in) {
  uint64_t bytes = 0, align = 8;
  forEachLane(warp.active, [&](unsigned lane) {
    bytes = std::max(bytes, readInteger(warp, in, 1, lane));
    if (in.operandCount > 2 && in.operand[2] != kNoSlot)
      align = readInteger(warp, in, 2, lane);
  });
  Frame &frame = *warp.frame;
  uint64_t begin = (frame.stackTop + align - 1) / align * align;
  uint64_t limit = warp.block->grid->options->stackLimit;
  if (bytes > limit || begin + bytes > uint64_t{frame.localBase} + limit)
    warp.fail(FindingKind::StackOverflow, in, warp.active,
              "alloca of " + std::to_string(bytes) +
                  " bytes exceeds the stack of " + std::to_string(limit) +
                  " bytes a thread");
  reserveLocal(warp, frame, &in, static_cast<uint32_t>(begin + bytes));
  forEachLane(warp.active,
              [&](unsigned lane) { writeInteger(warp, in, 0, lane, begin); });
}

void handleStackSave(Warp &warp, const Instruction &in) {
  forEachLane(warp.active, [&](unsigned lane) {
    writeInteger(warp, in, 0, lane, warp.frame->stackTop);
  });
}

void handleStackRestore(Warp &warp, const Instruction &in) {
  // The lanes of an activation share its stack pointer: it goes down once all
  // of them are here.
  Frame &frame = *warp.frame;
  LaneMask all = frame.parent ? frame.lanes & warp.live : warp.live;
  if ((warp.active & all) == all)
    frame.stackTop = static_cast<uint32_t>(
        readInteger(warp, in, 0, __builtin_ctz(warp.active)));
}

} // namespace ptx
