// The observer that checks a launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"
#include "Checks/Checks.h"
#include "Machine/ProgramFacts.h"
#include "Machine/UndefinedBytes.h"
#include "ptx/Module.h"

using namespace ptx;
using namespace ptx::checks;

namespace {
/// Concurrent readers remembered for each word.
constexpr unsigned kSharedReaders = 2, kGlobalReaders = 1;

WarpNumbering numberingOf(const Grid &grid) {
  auto warps = static_cast<uint32_t>((grid.block.count() + 31) / 32);
  return {warps, static_cast<uint32_t>(grid.cluster.count())};
}
} // namespace

std::unique_ptr<Observer> ptx::makeChecks(Grid &grid, Journal &journal) {
  const CheckSet &set = grid.options->checks;
  if (!set.any())
    return nullptr;
  return std::make_unique<Checker>(grid, journal);
}

Checker::BlockState::BlockState(Block &block, const CheckSet &set)
    : block(block),
      shared(block.grid->sharedBytes(),
             set.poison ? ByteFlags(block.grid->sharedBytes(), true)
                        : ByteFlags(),
             set.race ? kSharedReaders : 0) {
  shared.ownOnly = true;
  local.resize(block.warps.size() * kLanes);
}

Checker::Checker(Grid &grid, Journal &journal)
    : grid(grid), journal(journal), set(grid.options->checks),
      numbering(numberingOf(grid)),
      traits(grid.module->facts().of<ProgramTraits>()),
      races(numbering, [this](const Race &race) { reportRace(race); }),
      sites(numbering) {
  tracksPoison = set.poison;
  wantsValues = set.race;
  passesWholes = !set.race && !set.async;
  wantedInstructions = traits.wanted.data();
}

void Checker::onGridStart(Grid &) {
  for (const auto &[address, allocation] : grid.device->allocations())
    global.try_emplace(address, allocation.bytes,
                       set.poison ? UndefinedBytes::get().flags(address)
                                  : ByteFlags(),
                       set.race ? kGlobalReaders : 0);
}

void Checker::onGridEnd(Grid &) {
  if (set.poison)
    for (auto &[address, shadow] : global)
      UndefinedBytes::get().setFlags(address, std::move(shadow.undefined));
}

void Checker::onAllocate(uint64_t address, uint64_t bytes) {
  global.try_emplace(address, bytes,
                     set.poison ? ByteFlags(bytes, true) : ByteFlags(),
                     set.race ? kGlobalReaders : 0);
}

void Checker::onFree(uint64_t address, uint64_t) {
  global.erase(address);
  lastGlobal = nullptr;
  lastBegin = 1;
  lastEnd = 0;
}

uint32_t Checker::warpNumber(const Warp &warp, Actor actor) const {
  const Block &block = *warp.block;
  const Dim3 &id = block.cluster->id;
  uint64_t columns = grid.size.x / grid.cluster.x;
  uint64_t rows = grid.size.y / grid.cluster.y;
  uint64_t cluster = id.x + columns * (id.y + rows * id.z);
  return numbering.number(cluster * numbering.blocksPerCluster + block.rank,
                          warp.index, actor);
}

void Checker::onBlockStart(Block &block) {
  auto state = std::make_unique<BlockState>(block, set);
  for (const auto &warp : block.warps)
    state->order.warps.emplace_back(warpNumber(*warp));
  blocks[&block] = std::move(state);
  ++clusters[block.cluster].blocks;
  lastBlock = nullptr;
}

void Checker::onBlockEnd(Block &block) {
  blocks.erase(&block);
  lastBlock = nullptr;
  auto cluster = clusters.find(block.cluster);
  if (cluster != clusters.end() && --cluster->second.blocks == 0)
    clusters.erase(cluster);
}

Checker::BlockState &Checker::stateOf(Block &block) {
  if (lastBlock != &block) {
    lastState = blocks.at(&block).get();
    lastBlock = &block;
  }
  return *lastState;
}

WarpState &Checker::stateOf(Warp &warp) {
  return stateOf(*warp.block).order.warps[warp.index];
}

void Checker::onInstruction(Warp &warp, const Instruction &in) {
  currentWarp = &warp;
  currentInstruction = &in;
  if (traitsOf(in) & kDivides)
    checkDivision(warp, in);
}

void Checker::checkDivision(Warp &warp, const Instruction &in) {
  const Slot slot = in.operand[2];
  LaneMask zero = 0;
  forEachLane(warp.active, [&](unsigned lane) {
    bool isZero = in.width[2] == Width::Double
                      ? warp.lanes<uint64_t>(slot)[lane] == 0
                      : warp.lanes<uint32_t>(slot)[lane] == 0;
    zero |= LaneMask{isZero} << lane;
  });
  if (zero && set.bounds && reported.insert({&in, nullptr, 200}).second)
    warp.report(FindingKind::DivisionByZero, in, zero,
                "divides an integer by zero; the hardware gives all ones");
}

MemoryShadow *Checker::globalShadow(uint64_t address, uint64_t bytes,
                                    uint64_t &begin) {
  if (address < lastBegin || address + bytes > lastEnd || !lastGlobal) {
    auto after = global.upper_bound(address);
    if (after == global.begin())
      return nullptr;
    auto &[start, shadow] = *std::prev(after);
    if (address + bytes > start + shadow.bytes)
      return nullptr;
    lastBegin = start;
    lastEnd = start + shadow.bytes;
    lastGlobal = &shadow;
  }
  begin = lastBegin;
  return lastGlobal;
}

void Checker::onSync(const SyncEvent &event) {
  if (!set.race && !set.async)
    return;
  WarpState &warp = stateOf(*event.warp);
  const LaneMask live = event.warp->live | event.lanes;
  Block &owner = event.block ? *event.block : *event.warp->block;
  switch (event.kind) {
  case SyncKind::BlockBarrier: {
    BlockOrder &order = stateOf(owner).order;
    order.onBarrier(warp, live, event, order.barriers[event.object & 15]);
    return;
  }
  case SyncKind::ClusterBarrier:
    stateOf(owner).order.onBarrier(warp, live, event,
                                   clusters[owner.cluster].barrier);
    return;
  case SyncKind::Mbarrier: {
    checkInitialised(stateOf(owner), event);
    BlockOrder &order = stateOf(owner).order;
    auto object = order.mbarriers.try_emplace(sharedOffset(event.object), true);
    order.onBarrier(warp, live, event, object.first->second);
    return;
  }
  case SyncKind::AsyncGroup:
    onGroup(warp, event);
    return;
  default:
    applyToWarp(warp, live, event);
  }
}

/// Groups of bulk copies and of wgmma: what they read is read for certain when
/// their group was waited for.
void Checker::onGroup(WarpState &warp, const SyncEvent &event) {
  const uint8_t found = traitsOf(*event.instruction);
  if (!(found & (kBulkGroup | kMatrixGroup)))
    return;
  const bool bulk = found & kBulkGroup;
  CommittedGroups &groups = warp.groups;
  if (event.step == SyncStep::Arrive) {
    groups.matrix += !bulk;
    forEachLane(event.lanes, [&](unsigned lane) { groups.bulk[lane] += bulk; });
    return;
  }
  const Tick keep = static_cast<Tick>(event.object);
  auto over = [&](Tick committed) {
    return committed > keep ? committed - keep : 0;
  };
  Past past;
  if (bulk) {
    std::array<Tick, 32> ticks{};
    forEachLane(event.lanes,
                [&](unsigned lane) { ticks[lane] = over(groups.bulk[lane]); });
    past.order.raise(warpNumber(*event.warp, Actor::BulkGroups), Known(ticks));
  } else {
    past.order.raise(warpNumber(*event.warp, Actor::MatrixGroups),
                     Known(over(groups.matrix)));
  }
  warp.order.acquire(event.lanes, event.warp->live | event.lanes, past);
}

/// A barrier between the begin of a cp.async and the wait for it orders
/// nothing: what was copied is written when its warp waits.
void Checker::completeCopy(MemoryShadow &shadow, uint64_t offset,
                           uint64_t bytes) {
  if (!currentWarp || !currentInstruction || bytes > 16 ||
      !(traitsOf(*currentInstruction) & kCopies))
    return;
  races.complete(
      shadow.cells, offset, bytes, stateOf(*currentWarp).order,
      [this](const Instruction &in) { return (traitsOf(in) & kCopies) != 0; });
}

void Checker::setFlight(Block *block, Space space, uint64_t address,
                        uint64_t bytes, bool starts) {
  MemoryShadow *shadow = nullptr;
  uint64_t offset = address;
  if (space == Space::Shared && block) {
    BlockState *state = sharedState(*block, address);
    if (!state)
      return;
    shadow = &state->shared;
    offset = sharedOffset(address);
    if (starts)
      noteInitialised(*state, offset);
  } else if (space == Space::Global) {
    uint64_t begin = 0;
    shadow = globalShadow(address, bytes, begin);
    offset = address - begin;
  }
  if (!shadow || offset + bytes > shadow->bytes)
    return;
  if (set.race && !starts)
    completeCopy(*shadow, offset, bytes);
  if (set.poison)
    shadow->setUndefined(offset, bytes, starts);
  // An mbarrier's word is undefined too, but nothing will be written there.
  if (!set.async || (starts && currentInstruction &&
                     !(traitsOf(*currentInstruction) & kCopies)))
    return;
  if (starts)
    shadow->startFlight(
        {offset, offset + bytes, currentInstruction, currentWarp});
  else
    shadow->endFlight(offset, bytes);
}

void Checker::onUndefined(Block *block, Space space, uint64_t address,
                          uint64_t bytes) {
  setFlight(block, space, address, bytes, true);
}

void Checker::onUndefinedLanes(Block *block, Space space,
                               const uint64_t *address, LaneMask lanes,
                               uint64_t bytes, bool undefined) {
  // Races are a matter of what was copied.
  if (!set.poison && !set.async && undefined)
    return;
  if (set.race || set.async || space != Space::Shared)
    return Observer::onUndefinedLanes(block, space, address, lanes, bytes,
                                      undefined);
  MemoryShadow &shadow = stateOf(*block).shared;
  if (bytes > shadow.bytes ||
      lanes & ~kernels.inside(address, 0, shadow.bytes - bytes, nullptr))
    return Observer::onUndefinedLanes(block, space, address, lanes, bytes,
                                      undefined);
  if (!set.poison)
    return;
  uint32_t same = 0, next = 0;
  kernels.neighbours(address, bytes, same, next);
  while (lanes) {
    // Lanes side by side are one range.
    const auto lane = static_cast<unsigned>(__builtin_ctz(lanes));
    const uint32_t on = (next & lanes >> 1) >> lane;
    const auto count =
        1 + static_cast<unsigned>(__builtin_ctzll(~uint64_t{on}));
    shadow.setUndefined(address[lane], count * bytes, undefined);
    lanes &= ~static_cast<LaneMask>(((uint64_t{1} << count) - 1) << lane);
  }
}

void Checker::onDefined(Block *block, Space space, uint64_t address,
                        uint64_t bytes) {
  setFlight(block, space, address, bytes, false);
}

void Checker::onPadding(Block &block, uint64_t address, uint64_t bytes) {
  BlockState *state = set.poison ? sharedState(block, address) : nullptr;
  if (state && sharedOffset(address) + bytes <= state->shared.bytes)
    state->shared.setUndefined(sharedOffset(address), bytes, true);
}
