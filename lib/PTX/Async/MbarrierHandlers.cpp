// Mbarrier.*.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/MbarrierHandlers.h"

#include "Async/AsyncEngine.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

namespace ptx::async {
namespace {

using K = FindingKind;

struct MbarrierInfo {
  bool generic = false; ///< no state space is written
  bool drop = false;    ///< arrive_drop
  bool expect = false;  ///< arrive.expect_tx
  bool noComplete = false;
  bool subtract = false; ///< complete_tx
  bool parity = false;
  bool tries = false; ///< try_wait
  Scope scope = Scope::Cta;
  /// Operand indices; -1: absent.
  int8_t result = -1, address = 0, value = -1;
};

void addressesOf(Warp &warp, const Instruction &in, const MbarrierInfo &info,
                 uint64_t *address) {
  readSpaceAddresses(warp, in, static_cast<unsigned>(info.address), 0,
                     Space::Shared, info.generic, address);
}

uint32_t valueOf(Warp &warp, const Instruction &in, const MbarrierInfo &info,
                 unsigned lane, uint32_t otherwise) {
  return info.value < 0 ? otherwise
                        : warp.lanes<uint32_t>(in.operand[info.value])[lane];
}

/// Count and transaction operands have limits of the object's bit fields.
void checkRange(Warp &warp, const Instruction &in, unsigned lane,
                uint32_t value, uint32_t least, const char *what) {
  if (value < least || value > Mbarrier::kMostArrivals)
    warp.fail(K::AsyncMisuse, in, 1u << lane,
              std::string(what) + " is " + std::to_string(value) +
                  "; it can be " + std::to_string(least) + " to 2^20 - 1");
}

void writeToken(Warp &warp, const Instruction &in, unsigned lane,
                uint64_t token) {
  warp.lanes<uint64_t>(in.operand[0])[lane] = token;
}

} // namespace

/// An order and its scope come together.
static void checkOrder(DecodeContext &context) {
  const std::string order(context.option("order"));
  if (order.empty() == !context.option("scope").empty())
    context.fail(order.empty() ? "a scope needs a memory order before it"
                               : "'" + order + "' needs .cta or .cluster");
  if (context.sm() < 90 &&
      (order == ".relaxed" || context.option("scope") == ".cluster"))
    context.fail("'.relaxed' and '.cluster' need sm_90");
  if (context.has(".noComplete") &&
      (order == ".relaxed" || context.option("scope") == ".cluster"))
    context.fail("'.noComplete' goes with .release.cta only");
}

void decodeMbarrier(DecodeContext &context, Instruction &in) {
  checkOrder(context);
  MbarrierInfo info;
  info.generic =
      context.option("space").empty() && !context.has(".shared::cluster");
  info.drop = context.has(".arrive_drop");
  info.expect = context.has(".expect_tx");
  info.noComplete = context.has(".noComplete");
  info.subtract = context.has(".complete_tx");
  info.parity = context.has(".parity");
  info.tries = context.has(".try_wait");
  if (context.option("scope") == ".cluster")
    info.scope = Scope::Cluster;
  const auto results = static_cast<int8_t>(in.resultCount);
  info.result = results ? 0 : -1;
  if (results && context.has(".shared::cluster") && in.operand[0] != kNoSlot)
    context.fail("an arrival at another block's mbarrier has no result: "
                 "write '_'");
  info.address = results;
  if (in.operandCount > results + 1 && in.operand[results + 1] != kNoSlot)
    info.value = static_cast<int8_t>(results + 1);
  if (context.sm() < 90 && results && info.value >= 0 && !info.noComplete &&
      (context.has(".arrive") || info.drop))
    context.fail("an arrival with a count needs sm_90 or '.noComplete'");
  in.extra = context.keep(info);
}

void handleMbarrierInit(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MbarrierInfo *>(in.extra);
  uint64_t address[kLanes];
  addressesOf(warp, in, info, address);
  checkPoison(warp, in, 1, PoisonUse::Barrier);
  forEachLane(warp.active, [&](unsigned l) {
    const uint32_t count = valueOf(warp, in, info, l, 0);
    checkRange(warp, in, l, count, 1, "the count of an mbarrier");
    checkAlignment(warp, in, address, 1u << l, 8);
    Block &block = *warp.block;
    if (sharedOwner(block, address[l]) != &block ||
        !sharedPointer(block, address[l], 8))
      warp.fail(K::OutOfBounds, in, 1u << l,
                "the mbarrier is not in shared memory of the block");
    const auto offset = static_cast<uint32_t>(sharedOffset(address[l]));
    Mbarrier &barrier = stateOf(block).barriers[offset];
    barrier.initialised = &in;
    barrier.init(count);
    if (Observer *observer = warp.block->machine->observer)
      observer->onUndefined(&block, Space::Shared, offset, 8);
  });
  warp.block->machine->changed();
}

void handleMbarrierInval(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MbarrierInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  uint64_t address[kLanes];
  addressesOf(warp, in, info, address);
  forEachLane(warp.active, [&](unsigned l) {
    Block *owner;
    engine.barrierAt(warp, in, l, address[l], owner);
    stateOf(*owner).barriers.erase(
        static_cast<uint32_t>(sharedOffset(address[l])));
  });
}

void handleMbarrierTransaction(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MbarrierInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  uint64_t address[kLanes];
  addressesOf(warp, in, info, address);
  forEachLane(warp.active, [&](unsigned l) {
    Block *owner;
    Mbarrier &barrier = engine.barrierAt(warp, in, l, address[l], owner);
    const uint32_t bytes = valueOf(warp, in, info, l, 0);
    checkRange(warp, in, l, bytes, 0, "the transaction count");
    if (info.subtract ? barrier.complete(bytes) : barrier.expect(bytes))
      engine.phaseCompleted(*owner);
  });
}

void handleMbarrierArrive(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MbarrierInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  uint64_t address[kLanes];
  addressesOf(warp, in, info, address);
  if (info.value >= 0)
    checkPoison(warp, in, static_cast<unsigned>(info.value),
                PoisonUse::Barrier);
  const bool writes = info.result >= 0 && in.operand[0] != kNoSlot;
  forEachLane(warp.active, [&](unsigned l) {
    Block *owner;
    Mbarrier &barrier = engine.barrierAt(warp, in, l, address[l], owner);
    const uint32_t value = valueOf(warp, in, info, l, 1);
    const uint32_t count = info.expect ? 1 : value;
    checkRange(warp, in, l, count, 1, "the arrival count");
    if (writes)
      writeToken(warp, in, l, barrier.token());
    if (count > barrier.pending)
      warp.fail(K::AsyncMisuse, in, 1u << l,
                "arrives " + std::to_string(count) +
                    " times at an mbarrier "
                    "that expects " +
                    std::to_string(barrier.pending) +
                    " more arrivals in phase " + std::to_string(barrier.phase));
    if (info.noComplete && count == barrier.pending && !barrier.transactions)
      warp.fail(K::AsyncMisuse, in, 1u << l,
                "an arrival with .noComplete completes the phase");
    if (info.drop)
      barrier.expected -= count;
    engine.tellSync(warp, in, 1u << l, SyncKind::Mbarrier, SyncStep::Arrive,
                    *owner, sharedOffset(address[l]), barrier.phase,
                    info.scope);
    if (info.expect) {
      checkRange(warp, in, l, value, 0, "the transaction count");
      barrier.transactions += value;
    }
    if (barrier.arrive(count))
      engine.phaseCompleted(*owner);
  });
  if (writes && warp.poison)
    writePoison(warp, in, 0, warp.active, 0);
}

void handleMbarrierWait(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MbarrierInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  uint64_t address[kLanes];
  addressesOf(warp, in, info, address);
  checkPoison(warp, in, static_cast<unsigned>(info.value), PoisonUse::Barrier);
  const Slot slot = in.operand[info.value];
  LaneMask complete = 0;
  bool givesUp = false;
  forEachLane(warp.active, [&](unsigned l) {
    Block *owner;
    Mbarrier &barrier = engine.barrierAt(warp, in, l, address[l], owner);
    const bool over =
        info.parity ? barrier.completedParity(warp.lanes<uint32_t>(slot)[l])
                    : barrier.completed(warp.lanes<uint64_t>(slot)[l]);
    if (over) {
      complete |= 1u << l;
      return;
    }
    engine.poll(*owner, barrier);
    givesUp |= stateOf(*warp.block).releasesPolls;
  });
  if (!complete) {
    Machine &machine = *warp.block->machine;
    ++machine.polls;
    if (machine.observer)
      machine.observer->onPoll(warp, in);
    if (info.tries && !givesUp)
      return warp.retry(WaitReason::Mbarrier);
    warp.yield();
  }
  forEachLane(complete, [&](unsigned l) {
    Block *owner;
    Mbarrier &barrier = engine.barrierAt(warp, in, l, address[l], owner);
    engine.tellSync(warp, in, 1u << l, SyncKind::Mbarrier, SyncStep::Release,
                    *owner, sharedOffset(address[l]), barrier.phase,
                    info.scope);
  });
  warp.writePredicate(in.operand[0], complete);
  if (warp.poison)
    writePoison(warp, in, 0, warp.active, 0);
}

void handleMbarrierPendingCount(Warp &warp, const Instruction &in) {
  const auto *token = warp.lanes<uint64_t>(in.operand[1]);
  auto *result = warp.lanes<uint32_t>(in.operand[0]);
  forEachLane(warp.active,
              [&](unsigned l) { result[l] = Mbarrier::pendingOf(token[l]); });
  if (warp.poison)
    writePoison(warp, in, 0, warp.active, anyPoison(warp, in, 1));
}

} // namespace ptx::async
