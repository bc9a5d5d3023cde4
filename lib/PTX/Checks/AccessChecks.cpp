// What the checker does with an access.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"

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

bool Checker::nextPart(const Access &access, LaneMask &rest, Part &part) {
  if (rest == 0)
    return false;
  const uint64_t *address = access.address;
  const unsigned first = __builtin_ctz(rest);
  part.lanes = 0;
  part.shadow = nullptr;
  switch (access.space) {
  case Space::Global: {
    part.shadow = globalShadow(address[first], access.bytes, part.base);
    if (!part.shadow)
      break;
    part.data = reinterpret_cast<const std::byte *>(part.base);
    const uint64_t last = part.shadow->bytes - access.bytes;
    forEachLane(rest, [&](unsigned lane) {
      part.offset[lane] = address[lane] - part.base;
      if (part.offset[lane] <= last)
        part.lanes |= 1u << lane;
    });
    break;
  }
  case Space::Shared: {
    Block *owner = sharedOwner(*access.warp->block, address[first]);
    auto state = owner ? blocks.find(owner) : blocks.end();
    if (owner && owner->liveThreads == 0 && owner != access.warp->block)
      reportDeparted(access);
    if (state == blocks.end())
      break;
    part.shadow = &state->second->shared;
    part.base = 0;
    part.data = owner->shared.data;
    if (owner != access.warp->block)
      noteVisit(access, *state->second);
    const uint64_t rank = sharedRankField(address[first]);
    forEachLane(rest, [&](unsigned lane) {
      if (sharedRankField(address[lane]) != rank)
        return;
      part.offset[lane] = sharedOffset(address[lane]);
      if (part.offset[lane] + access.bytes <= part.shadow->bytes)
        part.lanes |= 1u << lane;
    });
    break;
  }
  case Space::Local:
    part.shadow = localShadow(*access.warp, first);
    part.base = 0;
    part.offset[first] = address[first];
    if (part.shadow && address[first] + access.bytes <= part.shadow->bytes)
      part.lanes = 1u << first;
    break;
  default:
    rest = 0;
    return false;
  }
  rest &= ~(part.lanes | 1u << first);
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
  if (!inGroup) {
    touchLanes(access, part, warp, touch);
  } else if (found & kMatrixGroup) {
    touch.event.warp = warpNumber(*access.warp, Actor::MatrixGroups);
    touch.event.tick = warp.groups.matrix + 1;
    touchLanes(access, part, warp, touch);
  } else {
    touch.event.warp = warpNumber(*access.warp, Actor::BulkGroups);
    for (LaneMask rest = part.lanes; rest; rest &= rest - 1) {
      Part one = part;
      one.lanes = rest & -rest;
      touch.event.tick = warp.groups.bulk[__builtin_ctz(rest)] + 1;
      touchLanes(access, one, warp, touch);
    }
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
  const bool whole =
      access.bytes % 4 == 0 || access.bytes == 1 || access.bytes == 2;
  forEachLane(part.lanes, [&](unsigned lane) {
    uint64_t offset = part.offset[lane];
    bool onePage = (offset & (ShadowCells::kPageBytes - 1)) + access.bytes <=
                   ShadowCells::kPageBytes;
    if (onePage && whole)
      races.touch(part.shadow->cells, offset, access.bytes, lane, touch);
    else
      races.touchRange(part.shadow->cells, offset, access.bytes, lane, touch);
  });
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
    for (WarpState &warp : state->order.warps)
      warp.events.fill({});
}
