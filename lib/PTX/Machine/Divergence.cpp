// Splits of a warp.
//
// Lanes of a warp that part form splits: a pc, a mask, an activation. The
// lowest pc runs first and splits merge where they meet, which reconverges
// what structured code diverged without any marks in the text. Inside calls,
// positions are compared in the innermost activation both have in common.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Handlers.h"
#include "Machine/Machine.h"

#include <algorithm>
#include <limits>

namespace ptx {

/// Splits that wait *at* their instruction: who comes there joins them.
static bool waitsAtInstruction(const Split &split) {
  return split.wait != WaitReason::Barrier;
}

namespace {
/// Where a split is, seen from an activation: at a pc of it, or inside a call
/// made at that pc.
struct Position {
  uint32_t pc;
  bool inside;
};
} // namespace

static uint32_t callPc(const Warp &warp, const Frame *callee) {
  return static_cast<uint32_t>(callee->call -
                               warp.block->grid->program->instructions.data());
}

/// The innermost activation both have, and their positions in it.
static void project(const Warp &warp, const Frame *a, Position &pa,
                    const Frame *b, Position &pb) {
  auto up = [&](const Frame *&frame, Position &position) {
    position = {callPc(warp, frame), true};
    frame = frame->parent;
  };
  while (a->depth > b->depth)
    up(a, pa);
  while (b->depth > a->depth)
    up(b, pb);
  while (a != b) {
    up(a, pa);
    up(b, pb);
  }
}

/// True if \p a must run before \p b. Of equal pcs, those inside the call.
static bool runsBefore(const Warp &warp, const Split &a, const Split &b) {
  Position pa{a.pc, false}, pb{b.pc, false};
  if (a.frame != b.frame)
    project(warp, a.frame, pa, b.frame, pb);
  return pa.pc != pb.pc ? pa.pc < pb.pc : pa.inside > pb.inside;
}

void updateMergePc(Warp &warp) {
  constexpr uint32_t never = std::numeric_limits<uint32_t>::max();
  uint32_t merge = never;
  for (const Split &other : warp.others) {
    bool runnable = other.wait == WaitReason::None;
    if (other.frame == warp.frame) {
      if (other.pc >= warp.pc) {
        if (runnable || waitsAtInstruction(other))
          merge = std::min(merge, other.pc);
      } else if (runnable && !warp.insists) {
        merge = 0;
      }
      continue;
    }
    if (!runnable || warp.insists)
      continue;
    Position mine{warp.pc, false}, its{other.pc, false};
    const Frame *own = warp.frame;
    project(warp, own, mine, other.frame, its);
    if (mine.inside) { // fixed until the call returns
      if (its.pc < mine.pc)
        merge = 0;
    } else if (its.pc < mine.pc) {
      merge = 0;
    } else {
      merge = std::min(merge, its.pc + 1);
    }
  }
  warp.mergePc = merge;
}

static void loadSplit(Warp &warp, const Split &split) {
  warp.pc = split.pc;
  warp.running = split.mask;
  enterFrame(warp, split.frame);
}

void suspend(Warp &warp) {
  if (!warp.running)
    return;
  Split split;
  split.pc = warp.pc;
  split.mask = warp.running;
  split.frame = warp.frame;
  split.since = warp.executed;
  warp.others.push_back(split);
  warp.running = 0;
}

/// Joins the running split with all that stand at its pc.
static void mergeHere(Warp &warp) {
  auto &others = warp.others;
  for (size_t i = 0; i < others.size();) {
    const Split &other = others[i];
    if (other.pc != warp.pc || other.frame != warp.frame ||
        !waitsAtInstruction(other)) {
      ++i;
      continue;
    }
    warp.running |= other.mask;
    --warp.frame->references;
    others[i] = others.back();
    others.pop_back();
  }
}

bool choose(Warp &warp) {
  auto &others = warp.others;
  size_t best = others.size();
  for (size_t i = 0; i < others.size(); ++i)
    if (others[i].wait == WaitReason::None &&
        (best == others.size() || runsBefore(warp, others[i], others[best])))
      best = i;
  if (best == others.size())
    return false;
  Split split = others[best];
  others[best] = others.back();
  others.pop_back();
  loadSplit(warp, split);
  mergeHere(warp);
  updateMergePc(warp);
  return true;
}

bool meet(Warp &warp) {
  if (warp.running) {
    mergeHere(warp);
    if (warp.insists) {
      updateMergePc(warp);
      return true;
    }
    // Through the list, so that the lowest runs whichever it is. The running
    // split keeps its reference to the frame.
    suspend(warp);
  }
  return choose(warp);
}

void divide(Warp &warp, uint32_t target) {
  LaneMask rest = warp.running & ~warp.active;
  if (!rest || target == warp.pc) {
    warp.pc = target;
    if (!warp.others.empty())
      updateMergePc(warp);
    return;
  }
  if (Observer *observer = warp.block->machine->observer)
    observer->onBranch(warp,
                       warp.block->grid->program->instructions[warp.pc - 1],
                       warp.running, warp.active);
  Split other;
  other.frame = warp.frame;
  other.since = warp.executed;
  if (target < warp.pc) {
    other.pc = warp.pc;
    other.mask = rest;
    warp.pc = target;
    warp.running = warp.active;
  } else {
    other.pc = target;
    other.mask = warp.active;
    warp.running = rest;
  }
  for (Split &split : warp.others)
    if (split.pc == other.pc && split.frame == other.frame &&
        split.wait == WaitReason::None) {
      split.mask |= other.mask;
      updateMergePc(warp);
      return;
    }
  ++warp.frame->references;
  warp.others.push_back(other);
  updateMergePc(warp);
}

void park(Warp &warp, LaneMask lanes, uint32_t pc, WaitReason reason) {
  Split split;
  split.pc = pc;
  split.mask = lanes;
  split.frame = warp.frame;
  split.wait = reason;
  split.since = warp.executed;
  warp.running &= ~lanes;
  if (warp.running)
    ++warp.frame->references;
  warp.others.push_back(split);
  warp.event = Event::Switch;
  warp.mergePc = 0;
}

void wakeMembers(Warp &warp) {
  for (Split &split : warp.others)
    if (split.wait == WaitReason::Members)
      split.wait = WaitReason::None;
  warp.asleep = false;
  warp.mergePc = 0;
}

void exitLanes(Warp &warp, LaneMask lanes, const Instruction &in) {
  Machine &machine = *warp.block->machine;
  if (machine.observer)
    machine.observer->onWarpExit(warp, in, lanes);
  if (machine.engine)
    machine.engine->onWarpExit(warp, lanes);
  warp.live &= ~lanes;
  warp.running &= ~lanes;
  warp.block->liveThreads -= __builtin_popcount(lanes);
  if (!warp.running)
    machine.releaseFrame(warp.frame);
  if (!warp.live) {
    --warp.block->liveWarps;
    warp.asleep = true;
  }
  machine.changed();
  wakeMembers(warp);
  recheckBarriers(*warp.block);
  recheckClusterBarrier(*warp.block->cluster);
}

} // namespace ptx
