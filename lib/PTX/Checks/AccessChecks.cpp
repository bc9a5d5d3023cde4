// What the checker does with an access.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"

#include <algorithm>
#include <cstring>

using namespace ptx;
using namespace ptx::checks;

namespace {
bool isAsyncProxy(AccessKind kind) {
  return kind >= AccessKind::BulkSource &&
         kind <= AccessKind::TensorDestination;
}

ScopeLevel levelOf(Scope scope) {
  switch (scope) {
  case Scope::Cta:
    return kCta;
  case Scope::Cluster:
    return kCluster;
  case Scope::None: // what PTX takes where none is written
  case Scope::Gpu:
    return kGpu;
  default:
    return kSys;
  }
}

bool isAtomic(AccessKind kind) {
  return kind == AccessKind::Atomic || kind == AccessKind::Reduction;
}
} // namespace

Checker::BlockState *Checker::sharedState(Block &block, uint64_t address) {
  if (sharedRankField(address) == 0)
    return &stateOf(block);
  Block *owner = sharedOwner(block, address);
  auto state = owner ? blocks.find(owner) : blocks.end();
  return state == blocks.end() ? nullptr : state->second.get();
}

void Checker::findGlobalPart(const Access &access, LaneMask rest, Part &part) {
  const uint64_t first = access.address[__builtin_ctz(rest)];
  part.shadow = globalShadow(first, access.bytes, part.base);
  if (!part.shadow)
    return;
  part.data = reinterpret_cast<const std::byte *>(part.base);
  part.offset = part.made;
  part.lanes =
      rest & kernels.inside(access.address, part.base,
                            part.shadow->bytes - access.bytes, part.made);
}

void Checker::findSharedPart(const Access &access, LaneMask rest, Part &part) {
  Block &block = *access.warp->block;
  const uint64_t first = access.address[__builtin_ctz(rest)];
  BlockState *state = sharedState(block, first);
  const bool foreign = state && &state->block != &block;
  if (foreign && state->block.liveThreads == 0)
    reportDeparted(access);
  if (!state)
    return;
  part.shadow = &state->shared;
  part.base = 0;
  part.data = state->block.shared.data;
  if (foreign) {
    part.shadow->ownOnly = false;
    noteVisit(access, *state);
  }
  if (access.bytes > part.shadow->bytes)
    return;
  // Addresses in other blocks are larger than any offset.
  const uint64_t base = sharedRankField(first) << kRankShift;
  part.offset = base ? part.made : access.address;
  part.lanes = rest & kernels.inside(access.address, base,
                                     part.shadow->bytes - access.bytes,
                                     base ? part.made : nullptr);
}

void Checker::findLocalPart(const Access &access, LaneMask rest, Part &part) {
  const unsigned first = static_cast<unsigned>(__builtin_ctz(rest));
  part.shadow = localShadow(*access.warp, first);
  part.base = 0;
  part.offset = access.address;
  if (part.shadow && access.address[first] + access.bytes <= part.shadow->bytes)
    part.lanes = 1u << first;
}

bool Checker::nextPart(const Access &access, LaneMask &rest, Part &part) {
  if (rest == 0)
    return false;
  part.lanes = 0;
  part.shadow = nullptr;
  if (access.space == Space::Global)
    findGlobalPart(access, rest, part);
  else if (access.space == Space::Shared)
    findSharedPart(access, rest, part);
  else if (access.space == Space::Local)
    findLocalPart(access, rest, part);
  else
    return false;
  rest &= ~(part.lanes | (rest & -rest));
  return true;
}

void Checker::noteVisit(const Access &access, BlockState &owner) {
  const WarpOrder &order = stateOf(*access.warp).order;
  const unsigned lane = __builtin_ctz(access.lanes);
  Visit visit{access.instruction, order.warp(), lane, order.tick(), {}};
  auto [known, isNew] = owner.visits.try_emplace(order.warp(), visit);
  if (!isNew && known->second.tick == visit.tick &&
      known->second.instruction == visit.instruction)
    return;
  visit.place = placeOf(*access.warp, *access.instruction, access.lanes);
  known->second = std::move(visit);
}

bool Checker::passes(Warp &warp, Space space, const uint64_t *address,
                     LaneMask lanes, uint32_t bytes) {
  if (set.race || set.async)
    return false;
  if (space == Space::Shared) {
    const MemoryShadow &shadow = stateOf(*warp.block).shared;
    return bytes <= std::min<uint64_t>(shadow.bytes, 64) &&
           kernels.allDefined(shadow.undefined.data(), address, lanes, bytes,
                              shadow.bytes - bytes);
  }
  if (space != Space::Global || !lastGlobal || lastGlobal->undefined.any() ||
      bytes > lastGlobal->bytes)
    return false;
  return (lanes & ~kernels.inside(address, lastBegin, lastGlobal->bytes - bytes,
                                  nullptr)) == 0;
}

bool Checker::passesWhole(const WholeAccess &access) {
  MemoryShadow *shadow = nullptr;
  uint64_t base = 0;
  if (access.space == Space::Shared)
    shadow = &stateOf(*access.warp->block).shared;
  else if (access.space == Space::Global)
    shadow = globalShadow(access.first[0], access.bytes, base);
  else
    return true; // nobody watches parameters and constants
  if (!shadow)
    return false;
  if (!shadow->undefined.any())
    return true;
  for (unsigned half = 0; half < 2; ++half) {
    const uint64_t offset = access.first[half] - base;
    const uint64_t bytes =
        access.one[half] ? access.bytes : uint64_t{kLanes / 2} * access.bytes;
    if (access.kind == AccessKind::Store)
      shadow->undefined.set(offset, bytes, false);
    else if (shadow->undefined.anyIn(offset, bytes))
      return false;
  }
  return true;
}

LaneMask Checker::onAccess(const Access &access) {
  if (access.kind == AccessKind::Prefetch || access.bytes == 0)
    return access.lanes;
  if (access.space == Space::Local && !set.poison)
    return access.lanes;
  Part part;
  LaneMask rest = access.lanes;
  while (nextPart(access, rest, part))
    if (part.shadow && part.lanes)
      checkPart(access, part);
  return access.lanes;
}

void Checker::checkPart(const Access &access, Part &part) {
  if (!part.shadow->copies.empty())
    checkFlight(access, part);
  if (set.poison)
    checkPoison(access, part);
  if (set.race && access.space != Space::Local) {
    checkRace(access, part);
    if (access.order != Order::Weak || isAtomic(access.kind))
      synchronise(access, part);
  }
}

void Checker::checkPoison(const Access &access, Part &part) {
  if (access.reads() && access.loadedPoison &&
      !(traitsOf(*access.instruction) & kBitField))
    loadUndefined(*part.shadow, access, part.lanes, part.offset,
                  access.loadedPoison);
  if (!access.writes())
    return;
  LaneMask undefined = 0;
  if (access.storedPoison && access.elementBytes > 0) {
    const unsigned pieces =
        access.bytes / access.elementBytes * poisonWordsOf(access.elementBytes);
    for (unsigned i = 0; i < pieces; ++i)
      undefined |= access.storedPoison[i] & part.lanes;
  }
  if (undefined && access.space == Space::Global)
    onPoisonUse(*access.warp, *access.instruction, undefined, PoisonUse::Store);
  // What an atomic leaves is as defined as what it found.
  if (!access.reads())
    storeUndefined(*part.shadow, access, part.lanes, part.offset);
}

/// Bytes that a copy in flight will write are nobody's until it is complete.
void Checker::checkFlight(const Access &access, Part &part) {
  // The copy itself, when it is carried out.
  if (access.kind == AccessKind::CopyDestination ||
      access.kind == AccessKind::BulkDestination ||
      access.kind == AccessKind::TensorDestination)
    return;
  const InFlight *copy = nullptr;
  LaneMask lanes = 0;
  forEachLane(part.lanes, [&](unsigned lane) {
    if (const InFlight *hit =
            part.shadow->inFlight(part.offset[lane], access.bytes)) {
      copy = hit;
      lanes |= 1u << lane;
    }
  });
  if (!copy)
    return;
  Finding finding;
  finding.kind = FindingKind::MissingWait;
  finding.place = placeOf(*access.warp, *access.instruction, lanes);
  if (copy->instruction && copy->warp)
    finding.other = placeOf(*copy->warp, *copy->instruction, 0);
  finding.message = std::string(access.writes() ? "writes" : "reads") +
                    " bytes that an asynchronous copy is still writing: wait "
                    "for the copy first";
  journal.add(std::move(finding));
  // Reported here: not once more where the value is used.
  if (access.loadedPoison)
    forEachLane(lanes, [&](unsigned lane) {
      part.shadow->undefined.set(part.offset[lane], access.bytes, false);
    });
}

void Checker::checkRace(const Access &access, Part &part) {
  if (races.full())
    collectEvents();
  WarpState &warp = stateOf(*access.warp);
  Touch touch;
  touch.event.instruction = access.instruction;
  touch.event.asyncProxy = isAsyncProxy(access.kind);
  touch.event.atomic = isAtomic(access.kind);
  touch.event.strongScope = access.order != Order::Weak || touch.event.atomic
                                ? levelOf(access.scope)
                                : kWeak;
  const uint8_t found = traitsOf(*access.instruction);
  if ((found & kOptimistic) || ((found & kReduces) && access.writes())) {
    touch.event.strongScope = kGpu;
    touch.event.atomic = !(found & kOptimistic);
  }
  touch.order = &warp.order;
  touch.reads = access.reads();
  touch.writes = access.writes();
  currentAccess = &access;
  currentPart = &part;
  const bool inGroup = (found & (kBulkGroup | kMatrixGroup)) && touch.reads &&
                       !touch.writes && access.space == Space::Shared;
  if (inGroup)
    part.shadow->ownOnly = false;
  if (!inGroup) {
    touchLanes(access, part, warp, touch);
  } else if (found & kMatrixGroup) {
    touch.event.warp = warpNumber(*access.warp, Actor::MatrixGroups);
    touch.event.tick = warp.groups.matrix + 1;
    touchLanes(access, part, warp, touch);
  } else {
    touch.event.warp = warpNumber(*access.warp, Actor::BulkGroups);
    const LaneMask all = part.lanes;
    for (LaneMask rest = all; rest; rest &= rest - 1) {
      part.lanes = rest & -rest;
      touch.event.tick = warp.groups.bulk[__builtin_ctz(rest)] + 1;
      touchLanes(access, part, warp, touch);
    }
    part.lanes = all;
  }
  currentAccess = nullptr;
  currentPart = nullptr;
}

void Checker::touchLanes(const Access &access, Part &part, WarpState &warp,
                         Touch &touch) {
  EventCache &cache =
      warp.events[reinterpret_cast<uintptr_t>(access.instruction) / 64 %
                  warp.events.size()];
  const bool known = cache.instruction == access.instruction &&
                     cache.asyncProxy == touch.event.asyncProxy;
  races.begin(touch, known ? cache.number : 0);
  cache = {access.instruction, touch.event.asyncProxy, touch.number};
  Horizon horizon;
  if (part.shadow->ownOnly)
    horizon =
        stateOf(*access.warp->block)
            .order.horizonOf(warp, static_cast<uint32_t>(races.table.size()));
  races.touchLanes(part.shadow->cells, part.lanes, part.offset, access.bytes,
                   touch, horizon);
}

void Checker::synchronise(const Access &access, const Part &part) {
  StrongAccess strong;
  strong.order = &stateOf(*access.warp).order;
  strong.lanes = part.lanes;
  strong.live = access.warp->live | access.lanes;
  uint64_t key[kLanes];
  forEachLane(part.lanes, [&](unsigned lane) {
    // Pieces of host memory do not overlap: its address names the word.
    key[lane] = reinterpret_cast<uint64_t>(part.data) + part.offset[lane];
  });
  strong.key = key;
  strong.reads = access.reads();
  strong.writes = access.writes();
  strong.acquires =
      access.order == Order::Acquire || access.order == Order::AcqRel;
  strong.releases =
      access.order == Order::Release || access.order == Order::AcqRel;
  strong.scope = levelOf(access.scope);
  sites.access(strong);
}

MemoryShadow *Checker::localShadow(Warp &warp, unsigned lane) {
  auto &shadow = stateOf(*warp.block).local[warp.index * kLanes + lane];
  if (!shadow)
    shadow = std::make_unique<MemoryShadow>(
        warp.localBytes, ByteFlags(warp.localBytes, true), 0);
  return shadow.get();
}

void Checker::collectEvents() {
  races.collect([this](auto body) {
    for (auto &[block, state] : blocks)
      state->shared.cells.visit(body);
    for (auto &[begin, shadow] : global)
      shadow.cells.visit(body);
  });
  for (auto &[block, state] : blocks)
    state->order.forgetEvents(static_cast<uint32_t>(races.table.size()));
}
