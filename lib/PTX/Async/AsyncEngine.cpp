// What is in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/AsyncEngine.h"

#include "Async/GroupMma.h"
#include "Isa/IsaTable.h"
#include "Machine/Memory.h"

#include <algorithm>
#include <cstring>

namespace ptx {

std::unique_ptr<AsyncEngine> makeAsyncEngine(Grid &grid) {
  return std::make_unique<async::Engine>(grid);
}

} // namespace ptx

namespace ptx::async {

using K = FindingKind;

BlockState::BlockState() = default;
BlockState::~BlockState() = default;

Engine::Engine(Grid &grid) : grid(grid) {}

bool Engine::earliest() const {
  return grid.options->completion == Completion::Earliest;
}

void Engine::onBlockStart(Block &block) {
  block.async = std::make_unique<BlockState>();
  for (auto &warp : block.warps)
    warp->async = std::make_unique<WarpState>();
}

//===----------------------------------------------------------------------===//
// mbarriers
//===----------------------------------------------------------------------===//

Mbarrier &Engine::barrierAt(Warp &warp, const Instruction &in, unsigned lane,
                            uint64_t address, Block *&owner) {
  const LaneMask lanes = 1u << lane;
  if (address % 8)
    warp.fail(K::Misaligned, in, lanes,
              "an mbarrier must lie at a multiple of 8 bytes");
  owner = sharedOwner(*warp.block, address);
  if (!owner || !sharedPointer(*warp.block, address, 8))
    warp.fail(K::OutOfBounds, in, lanes,
              "the mbarrier is not in shared memory of the block or its "
              "cluster");
  auto &barriers = stateOf(*owner).barriers;
  auto found = barriers.find(static_cast<uint32_t>(sharedOffset(address)));
  if (found == barriers.end())
    warp.fail(K::AsyncMisuse, in, lanes,
              "there is no mbarrier at shared address " +
                  std::to_string(sharedOffset(address)) +
                  ": mbarrier.init was not executed, or mbarrier.inval was");
  return found->second;
}

void Engine::poll(Block &owner, Mbarrier &barrier) {
  barrier.polled = true;
  stateOf(owner).anyPolled = true;
}

void Engine::phaseCompleted(Block &owner) { owner.machine->changed(); }

void Engine::tellSync(Warp &warp, const Instruction &in, LaneMask lanes,
                      SyncKind kind, SyncStep step, Block &owner,
                      uint64_t object, uint64_t phase, Scope scope) {
  Observer *observer = observerOf(warp);
  if (!observer)
    return;
  SyncEvent event{kind,   step,   &in,   &warp, lanes,
                  object, &owner, phase, scope, Order::AcqRel};
  observer->onSync(event);
}

void Engine::signal(const Operation &operation, const Signal &signal) {
  auto &barriers = stateOf(*signal.owner).barriers;
  auto found = barriers.find(signal.offset);
  if (found == barriers.end())
    operation.warp->fail(
        K::AsyncMisuse, *operation.instruction, 1u << operation.lane,
        "the mbarrier at shared address " + std::to_string(signal.offset) +
            " is gone when the operation completes");
  tellSync(*operation.warp, *operation.instruction, 1u << operation.lane,
           SyncKind::Mbarrier, SyncStep::Arrive, *signal.owner, signal.offset,
           found->second.phase, Scope::Cluster);
  if (found->second.complete(signal.bytes))
    phaseCompleted(*signal.owner);
}

//===----------------------------------------------------------------------===//
// Bulk operations
//===----------------------------------------------------------------------===//

void Engine::issue(std::unique_ptr<Operation> operation) {
  Block &block = *operation->warp->block;
  auto &operations = stateOf(block).operations;
  operations.push_back(std::move(operation));
  Operation &issued = *operations.back();
  if (earliest()) {
    finish(issued);
    sweep(block);
  } else {
    issued.spoil(block.machine->observer);
  }
}

void Engine::finish(Operation &operation) {
  if (operation.done)
    return;
  operation.writeResults();
  operation.done = true;
  for (const Signal &s : operation.signals)
    signal(operation, s);
  operation.warp->block->machine->changed();
}

bool Engine::completeFor(Block &owner, uint32_t offset) {
  bool any = false;
  for (auto &block : owner.cluster->blocks) {
    BlockState &state = stateOf(*block);
    for (size_t i = 0; i < state.operations.size(); ++i) {
      Operation &operation = *state.operations[i];
      bool concerned =
          std::any_of(operation.signals.begin(), operation.signals.end(),
                      [&](const Signal &s) {
                        return s.owner == &owner && s.offset == offset;
                      });
      if (!concerned || operation.done)
        continue;
      finish(operation);
      any = true;
    }
    sweep(*block);
    for (auto &warp : block->warps) {
      WarpState &lanes = stateOf(*warp);
      for (size_t i = 0; i < lanes.arrivals.size(); ++i) {
        const LaneArrival arrival = lanes.arrivals[i];
        if (arrival.owner != &owner || arrival.offset != offset)
          continue;
        completeCopies(*warp, arrival.lanes, nullptr, arrival.sequence);
        any = true;
        i = static_cast<size_t>(-1); // the list changed: look again
      }
    }
  }
  return any;
}

void Engine::sweep(Block &block) {
  auto &operations = stateOf(block).operations;
  operations.erase(
      std::remove_if(operations.begin(), operations.end(),
                     [](const auto &operation) { return operation->done; }),
      operations.end());
}

//===----------------------------------------------------------------------===//
// The machine's calls
//===----------------------------------------------------------------------===//

bool Engine::completeAll(Block &block) {
  BlockState &state = stateOf(block);
  bool any = !state.operations.empty();
  for (size_t i = 0; i < state.operations.size(); ++i)
    finish(*state.operations[i]);
  state.operations.clear();
  for (auto &warp : block.warps) {
    WarpState &lanes = stateOf(*warp);
    any |= !lanes.arrivals.empty();
    if (!lanes.arrivals.empty())
      completeCopies(*warp, kAllLanes, nullptr, lanes.nextSequence);
  }
  return any;
}

bool Engine::progress(Block &block, bool idle) {
  if (!block.async)
    return false;
  BlockState &state = stateOf(block);
  bool any = false;
  if (state.anyPolled) {
    state.anyPolled = false;
    std::vector<uint32_t> polled;
    for (auto &[offset, barrier] : state.barriers)
      if (barrier.polled) {
        barrier.polled = false;
        polled.push_back(offset);
      }
    std::sort(polled.begin(), polled.end());
    for (uint32_t offset : polled)
      any |= completeFor(block, offset);
  }
  if (!idle) {
    state.releasesPolls = false;
    return any;
  }
  any |= completeAll(block);
  if (any)
    return true;
  // Waiting try_waits may give up: a program may do something else then. If
  // nothing comes of that, time after time, this is a deadlock.
  const uint64_t now = block.machine->changes.load(std::memory_order_relaxed);
  if (now != state.releasedAt) {
    state.releasedAt = now;
    state.releases = 0;
  }
  bool waits = false;
  for (auto &warp : block.warps)
    for (const Split &split : warp->others)
      waits |= split.wait == WaitReason::Mbarrier;
  constexpr unsigned kReleases = 4;
  if (!waits || state.releases >= kReleases)
    return false;
  ++state.releases;
  state.releasesPolls = true;
  return true;
}

void Engine::reportUnfinished(Block &block) {
  for (auto &operation : stateOf(block).operations) {
    if (operation->done)
      continue;
    bool stores = operation->group != Operation::kNoGroup;
    if (stores && operation->read)
      continue;
    operation->warp->report(
        K::MissingWait, *operation->instruction, 1u << operation->lane,
        stores ? "the block ends before the copy has read its shared memory: "
                 "cp.async.bulk.wait_group (.read) is missing"
               : "the block ends while the copy is on its way to shared "
                 "memory: nobody waited for its mbarrier");
  }
}

void Engine::onBlockEnd(Block &block) {
  if (!block.async)
    return;
  if (grid.options->checks.async)
    reportUnfinished(block);
  completeAll(block);
  for (auto &warp : block.warps)
    completeCopies(*warp, kAllLanes, nullptr, ~uint64_t{0});
}

std::string Engine::describe(const Block &block) const {
  if (!block.async)
    return {};
  const BlockState &state = stateOf(block);
  std::string text;
  for (const auto &[offset, barrier] : state.barriers) {
    if (!barrier.transactions && barrier.pending == barrier.expected)
      continue;
    text += "  mbarrier at shared address " + std::to_string(offset) +
            ": phase " + std::to_string(barrier.phase) + ", " +
            std::to_string(barrier.pending) + " of " +
            std::to_string(barrier.expected) + " arrivals missing, " +
            std::to_string(barrier.transactions) + " bytes missing\n";
  }
  for (const auto &operation : state.operations)
    text += "  in flight: line " +
            std::to_string(operation->instruction->line) + ", " +
            operation->instruction->row->name() + "\n";
  return text;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

void readSpaceAddresses(Warp &warp, const Instruction &in, unsigned position,
                        unsigned which, Space space, bool generic,
                        uint64_t *address) {
  checkPoison(warp, in, position, PoisonUse::Address);
  readAddresses(warp, in, position, which, address);
  if (!generic)
    return;
  Space found;
  LaneMask lanes = takeWindow(warp, in, warp.active, address, found);
  if (lanes != warp.active || found != space)
    warp.fail(K::IllegalAddress, in,
              warp.active & ~lanes ? ~lanes & warp.active : lanes,
              "the generic address is not in " + std::string(spaceName(space)) +
                  " memory");
}

void checkPoison(Warp &warp, const Instruction &in, unsigned operand,
                 PoisonUse use) {
  if (!warp.poison || in.operand[operand] == kNoSlot)
    return;
  if (LaneMask undefined = anyPoison(warp, in, operand) & warp.active)
    observerOf(warp)->onPoisonUse(warp, in, undefined, use);
}

} // namespace ptx::async
