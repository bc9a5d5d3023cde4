// Barriers of a block and of a cluster.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Handlers.h"
#include "Machine/Machine.h"

namespace ptx {

using K = FindingKind;

static void tellSync(Machine &machine, SyncKind kind, SyncStep step,
                     const Instruction &in, Warp &warp, LaneMask lanes,
                     uint64_t object, uint64_t phase, Scope scope,
                     Order order = Order::AcqRel) {
  if (!machine.observer)
    return;
  SyncEvent event{kind,   step,       &in,   &warp, lanes,
                  object, warp.block, phase, scope, order};
  machine.observer->onSync(event);
}

//===----------------------------------------------------------------------===//
// Named barriers
//===----------------------------------------------------------------------===//

/// Writes the result of barrier.red into the lanes of a split that waited.
static void writeReduction(Warp &warp, const Split &split,
                           const Barrier &barrier) {
  const Instruction &in = *split.instruction;
  if (!in.resultCount || in.operand[0] == kNoSlot)
    return;
  const auto &info = *static_cast<const BarrierInfo *>(in.extra);
  std::byte *registers = warp.base[0];
  LaneMask *poison = warp.poison;
  warp.base[0] = split.frame->registers.data;
  if (info.reduction == Reduction::Popc) {
    uint32_t *result = warp.lanes<uint32_t>(in.operand[0]);
    forEachLane(split.mask, [&](unsigned l) { result[l] = barrier.popc; });
  } else {
    bool value = info.reduction == Reduction::And ? barrier.all : barrier.any;
    warp.active = split.mask;
    warp.writePredicate(in.operand[0], value ? kAllLanes : 0);
  }
  if (poison) {
    warp.poison = split.frame->poison.data();
    writePoison(warp, in, 0, split.mask, 0);
  }
  warp.base[0] = registers;
  warp.poison = poison;
}

/// Everyone came: lets the waiting splits go on and opens the next phase.
static void complete(Block &block, unsigned number) {
  Barrier &barrier = block.barriers[number];
  Machine &machine = *block.machine;
  for (auto &warp : block.warps) {
    if (!warp->live)
      continue;
    for (Split &split : warp->others) {
      if (split.wait != WaitReason::Barrier || split.barrier != number)
        continue;
      writeReduction(*warp, split, barrier);
      split.wait = WaitReason::None;
      warp->asleep = false;
      warp->mergePc = 0;
      tellSync(machine, SyncKind::BlockBarrier, SyncStep::Release,
               *split.instruction, *warp, split.mask, number, barrier.phase,
               Scope::Cta);
    }
  }
  uint64_t phase = barrier.phase + 1;
  barrier = Barrier{};
  barrier.phase = phase;
  machine.changed();
}

static bool isComplete(const Block &block, const Barrier &barrier) {
  if (!barrier.first)
    return false;
  return barrier.expected ? barrier.rounded >= barrier.expected
                          : barrier.arrived >= block.liveThreads;
}

void recheckBarriers(Block &block) {
  for (unsigned i = 0; i < 16; ++i)
    if (isComplete(block, block.barriers[i]))
      complete(block, i);
}

/// The number and thread count a barrier instruction names, equal in all lanes.
static uint32_t uniformOperand(Warp &warp, const Instruction &in,
                               unsigned operand, const char *what) {
  const uint32_t *value = warp.lanes<uint32_t>(in.operand[operand]);
  uint32_t first = value[__builtin_ctz(warp.active)];
  LaneMask different = 0, undefined = 0;
  forEachLane(warp.active, [&](unsigned lane) {
    different |= LaneMask{value[lane] != first} << lane;
  });
  if (different)
    warp.fail(K::Divergence, in, different,
              std::string("lanes name different ") + what + "s");
  if (warp.poison && (undefined = anyPoison(warp, in, operand) & warp.active))
    warp.block->machine->observer->onPoisonUse(warp, in, undefined,
                                               PoisonUse::Barrier);
  return first;
}

static void checkBarrier(Warp &warp, const Instruction &in, Barrier &barrier,
                         unsigned number, uint32_t count,
                         const BarrierInfo &info) {
  if (count % kLanes)
    warp.fail(K::IllegalInstruction, in, warp.active,
              "the thread count " + std::to_string(count) + " of barrier " +
                  std::to_string(number) + " is no multiple of 32");
  if (!barrier.first) {
    barrier.first = &in;
    barrier.firstWarp = warp.index;
    barrier.expected = count;
    return;
  }
  const auto &first = *static_cast<const BarrierInfo *>(barrier.first->extra);
  auto other = [&] {
    return " (line " + std::to_string(barrier.first->line) + ", warp " +
           std::to_string(barrier.firstWarp) + ")";
  };
  if (barrier.expected != count) {
    auto text = [](uint32_t n) {
      return n ? std::to_string(n) + " threads" : "all threads";
    };
    warp.fail(K::BarrierDivergence, in, warp.active,
              "barrier " + std::to_string(number) + " is used here for " +
                  text(count) + ", but the first to arrive expected " +
                  text(barrier.expected) + other());
  }
  if (first.reduction != info.reduction && !info.arriveOnly &&
      !first.arriveOnly)
    warp.fail(K::BarrierDivergence, in, warp.active,
              "barrier " + std::to_string(number) +
                  " does another operation here than the first to arrive" +
                  other());
}

void handleBarrier(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const BarrierInfo *>(in.extra);
  Block &block = *warp.block;
  Machine &machine = *block.machine;
  uint32_t number = uniformOperand(warp, in, info.number, "barrier");
  if (number > 15)
    warp.fail(K::IllegalInstruction, in, warp.active,
              "there is no barrier " + std::to_string(number) +
                  "; the last one is 15");
  uint32_t count =
      info.count < 0 ? 0 : uniformOperand(warp, in, info.count, "thread count");
  Barrier &barrier = block.barriers[number];
  checkBarrier(warp, in, barrier, number, count, info);
  uint32_t threads = __builtin_popcount(warp.active);
  barrier.arrived += threads;
  barrier.rounded += warp.active == warp.live ? kLanes : threads;
  if (info.reduction != Reduction::None) {
    LaneMask value = warp.readPredicate(in, info.predicate) & warp.active;
    barrier.popc += __builtin_popcount(value);
    barrier.all = barrier.all && value == warp.active;
    barrier.any = barrier.any || value;
  }
  if (barrier.expected && barrier.rounded > barrier.expected)
    warp.fail(K::BarrierDivergence, in, warp.active,
              "more threads arrive at barrier " + std::to_string(number) +
                  " than the " + std::to_string(barrier.expected) +
                  " it was told to expect");
  tellSync(machine, SyncKind::BlockBarrier, SyncStep::Arrive, in, warp,
           warp.active, number, barrier.phase, Scope::Cta);
  if (!info.arriveOnly) {
    LaneMask lanes = warp.active;
    park(warp, lanes, warp.pc, WaitReason::Barrier);
    warp.others.back().barrier = number;
    warp.others.back().instruction = &in;
  }
  if (isComplete(block, barrier))
    complete(block, number);
}

//===----------------------------------------------------------------------===//
// barrier.cluster
//===----------------------------------------------------------------------===//

unsigned Cluster::liveThreads() const {
  unsigned sum = 0;
  for (const auto &block : blocks)
    sum += block->liveThreads;
  return sum;
}

void recheckClusterBarrier(Cluster &cluster) {
  if (!cluster.arrived || cluster.arrived < cluster.liveThreads())
    return;
  cluster.arrived = 0;
  ++cluster.phase;
  for (auto &block : cluster.blocks)
    block->machine->changed();
}

void handleClusterArrive(Warp &warp, const Instruction &in) {
  Cluster &cluster = *warp.block->cluster;
  const auto &info = *static_cast<const BarrierInfo *>(in.extra);
  if (LaneMask twice = warp.clusterArrived & warp.active)
    warp.fail(K::BarrierDivergence, in, twice,
              "arrives at the cluster barrier again without having waited");
  forEachLane(warp.active,
              [&](unsigned lane) { warp.clusterPhase[lane] = cluster.phase; });
  warp.clusterArrived |= warp.active;
  cluster.arrived += __builtin_popcount(warp.active);
  tellSync(*warp.block->machine, SyncKind::ClusterBarrier, SyncStep::Arrive, in,
           warp, warp.active, 0, cluster.phase, Scope::Cluster,
           info.relaxed ? Order::Relaxed : Order::AcqRel);
  recheckClusterBarrier(cluster);
}

void handleClusterWait(Warp &warp, const Instruction &in) {
  Cluster &cluster = *warp.block->cluster;
  if (LaneMask missing = warp.active & ~warp.clusterArrived)
    warp.fail(K::BarrierDivergence, in, missing,
              "waits at the cluster barrier without having arrived");
  bool waits = false;
  forEachLane(warp.active, [&](unsigned lane) {
    waits |= warp.clusterPhase[lane] == cluster.phase;
  });
  if (waits) {
    warp.retry(WaitReason::ClusterBarrier);
    return;
  }
  warp.clusterArrived &= ~warp.active;
  tellSync(*warp.block->machine, SyncKind::ClusterBarrier, SyncStep::Release,
           in, warp, warp.active, 0, cluster.phase - 1, Scope::Cluster);
}

//===----------------------------------------------------------------------===//
// bar.warp.sync and fences
//===----------------------------------------------------------------------===//

void handleWarpBarrier(Warp &warp, const Instruction &in) {
  uint32_t members =
      warp.lanes<uint32_t>(in.operand[0])[__builtin_ctz(warp.active)];
  tellSync(*warp.block->machine, SyncKind::WarpBarrier, SyncStep::Both, in,
           warp, warp.active, members, 0, Scope::Cta);
}

void handleFence(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const FenceInfo *>(in.extra);
  if (warp.block->grid->machines.size() > 1)
    std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!warp.observed)
    return;
  SyncEvent event{info.proxy ? SyncKind::ProxyFence : SyncKind::Fence,
                  SyncStep::Both,
                  &in,
                  &warp,
                  warp.active,
                  0,
                  warp.block,
                  0,
                  info.scope,
                  info.order};
  warp.block->machine->observer->onSync(event);
}

} // namespace ptx
