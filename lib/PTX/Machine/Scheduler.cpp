// Which warp runs next.
//
// Resident blocks take turns, warps of a block take turns, a turn is a quantum
// of instructions. When nothing gets on any more, more blocks are admitted (as
// many as the hardware would hold at once); then it is a deadlock. Warps that
// only spin are found by their state coming back: see Livelock.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace ptx {

static bool isRetried(WaitReason reason) {
  return reason != WaitReason::None && reason != WaitReason::Members &&
         reason != WaitReason::Barrier;
}

void Machine::admit() {
  while (clusters.size() < residentLimit) {
    uint64_t index = work.next.fetch_add(1);
    if (index >= work.count)
      return;
    clusters.push_back(makeCluster(index));
  }
}

void Machine::retire() {
  auto finished = [&](std::unique_ptr<Cluster> &cluster) {
    for (auto &block : cluster->blocks)
      if (block->liveWarps)
        return false;
    for (auto &block : cluster->blocks) {
      if (engine)
        engine->onBlockEnd(*block);
      if (observer)
        observer->onBlockEnd(*block);
    }
    return true;
  };
  clusters.erase(std::remove_if(clusters.begin(), clusters.end(), finished),
                 clusters.end());
}

/// A spinning split must not keep its siblings from running: with polls and
/// without changes, the split that ran least recently gets the turn.
static void rotate(Warp &warp, std::mt19937_64 *random) {
  std::vector<Split> &others = warp.others;
  suspend(warp);
  size_t pick = others.size();
  unsigned runnable = 0;
  for (size_t i = 0; i < others.size(); ++i) {
    if (others[i].wait != WaitReason::None)
      continue;
    ++runnable;
    if (pick == others.size() ||
        (random ? (*random)() % runnable == 0
                : others[i].since < others[pick].since))
      pick = i;
  }
  if (pick == others.size())
    return;
  Split split = others[pick];
  others[pick] = others.back();
  others.pop_back();
  warp.pc = split.pc;
  warp.running = split.mask;
  enterFrame(warp, split.frame);
  warp.insists = true;
  updateMergePc(warp);
}

bool Machine::turn(Warp &warp) {
  bool woken = false;
  for (Split &split : warp.others)
    if (isRetried(split.wait)) {
      split.wait = WaitReason::None;
      woken = true;
    }
  if (woken)
    warp.mergePc = 0;
  bool parted = !warp.others.empty();
  if (parted && (shuffled || warp.spins)) {
    rotate(warp, shuffled ? &random : nullptr);
    warp.spins = false;
  } else if (parted && ++warp.partedTurns >= 4096) {
    // However long the loop: in the end the others get a turn.
    warp.partedTurns = 0;
    rotate(warp, nullptr);
  }
  if (!warp.running && !choose(warp)) {
    warp.asleep = true;
    return false;
  }
  if (freed.load(std::memory_order_relaxed)) {
    freed = false;
    for (GlobalRange &range : ranges)
      range = GlobalRange{};
  }
  uint64_t pollsBefore = polls;
  uint64_t changesBefore = changes.load(std::memory_order_relaxed);
  unsigned share = shuffled ? 1 + random() % quantum : quantum;
  unsigned done = interpret(*this, warp, share);
  executed += done;
  if (warp.insists) {
    warp.insists = false;
    warp.mergePc = 0;
  }
  if (!warp.others.empty())
    warp.spins = polls > pollsBefore &&
                 changes.load(std::memory_order_relaxed) == changesBefore;
  else
    warp.partedTurns = 0;
  return done != 0;
}

void Machine::checkBudget(uint64_t) {
  uint64_t budget = grid.options->instructionBudget;
  if (!budget)
    return;
  uint64_t sum = grid.executed.fetch_add(executed - budgetChecked) +
                 (executed - budgetChecked);
  budgetChecked = executed;
  if (sum <= budget)
    return;
  Finding finding;
  finding.kind = FindingKind::Budget;
  finding.fatal = true;
  finding.message = "the launch used up its budget of " +
                    std::to_string(budget) + " warp instructions\n" +
                    describeWaits();
  journal.add(std::move(finding));
  throw LaunchStopped{};
}

/// One turn for every resident warp; true if any got on.
bool Machine::round() {
  bool progressed = false;
  std::vector<Block *> order;
  for (auto &cluster : clusters)
    for (auto &block : cluster->blocks)
      order.push_back(block.get());
  if (shuffled)
    std::shuffle(order.begin(), order.end(), random);
  for (Block *block : order) {
    if (!block->liveWarps)
      continue;
    size_t count = block->warps.size();
    if (shuffled) {
      for (size_t i = 0; i < count; ++i) {
        Warp &warp = *block->warps[random() % count];
        if (warp.live && !warp.asleep)
          progressed |= turn(warp);
      }
    } else {
      for (auto &warp : block->warps)
        if (warp->live && !warp->asleep)
          progressed |= turn(*warp);
    }
    if (engine)
      progressed |= engine->progress(*block, false);
    if (grid.stopped.load(std::memory_order_relaxed))
      throw LaunchStopped{};
  }
  // Nothing may depend on whom chance drew.
  if (shuffled && !progressed)
    for (Block *block : order)
      for (auto &warp : block->warps)
        if (warp->live && !warp->asleep)
          progressed |= turn(*warp);
  checkBudget(executed);
  return progressed;
}

/// Nothing here gets on by itself: admits more blocks, waits for other host
/// threads, or reports.
void Machine::stuck(bool deadlock) {
  bool asleep = false;
  for (auto &cluster : clusters)
    for (auto &block : cluster->blocks) {
      if (engine && engine->progress(*block, true))
        return;
      asleep |= block->liveWarps != 0;
    }
  if (!asleep)
    return;
  if (residentLimit < residentMost && work.next.load() < work.count) {
    residentLimit = std::min(residentMost, residentLimit * 2);
    admit();
    return;
  }
  // With several host threads all must be stuck, having seen the same memory.
  uint64_t now = totalChanges();
  quietAt = now;
  for (Machine *machine : grid.machines) {
    uint64_t at = machine->quietAt;
    if (at != kFinished && at != now) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return;
    }
  }
  if (totalChanges() == now)
    reportStuck(deadlock);
}

uint64_t Machine::totalChanges() const {
  uint64_t sum = 0;
  for (const Machine *machine : grid.machines)
    sum += machine->changes.load(std::memory_order_relaxed);
  return sum;
}

void Machine::run() {
  admit();
  while (!clusters.empty()) {
    bool progressed = round();
    retire();
    admit();
    if (!progressed && !clusters.empty())
      stuck(true);
    else if ((++rounds & 63) == 0 && (livelocked() || repeats()))
      stuck(false);
  }
  quietAt = kFinished;
}

} // namespace ptx
