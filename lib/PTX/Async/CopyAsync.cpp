// Cp.async of single threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/CopyAsync.h"

#include "Async/AsyncEngine.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

#include <algorithm>
#include <cstring>

namespace ptx::async {
namespace {

using K = FindingKind;

struct CopyInfo {
  uint8_t bytes = 16;
  /// Operand index of the source size or of the ignore-src predicate.
  int8_t sourceSize = -1, ignore = -1;
};

/// Bytes each lane reads.
void sourceBytes(Warp &warp, const Instruction &in, const CopyInfo &info,
                 std::array<uint8_t, kLanes> &taken) {
  taken.fill(info.bytes);
  if (info.sourceSize >= 0) {
    const auto *size = warp.lanes<uint32_t>(in.operand[info.sourceSize]);
    forEachLane(warp.active, [&](unsigned l) {
      if (size[l] > info.bytes)
        warp.fail(K::IllegalInstruction, in, 1u << l,
                  "src-size is " + std::to_string(size[l]) +
                      ", more than cp-size");
      taken[l] = static_cast<uint8_t>(size[l]);
    });
  } else if (info.ignore >= 0) {
    const LaneMask ignored = warp.readPredicate(in, info.ignore);
    for (unsigned l = 0; l < kLanes; ++l)
      if (ignored >> l & 1)
        taken[l] = 0;
  }
}

const std::byte *sourceOf(const LaneCopy &copy, unsigned lane) {
  return reinterpret_cast<const std::byte *>(copy.places.from[lane]);
}

/// Whole pieces of a size the compiler knows.
template <unsigned bytes>
void copyWhole(std::byte *shared, const LaneCopy &copy, LaneMask lanes) {
  auto copyLane = [&](unsigned l) {
    std::memcpy(shared + copy.places.shared[l], sourceOf(copy, l), bytes);
  };
  if (lanes != kAllLanes)
    return forEachLane(lanes, copyLane);
  for (unsigned l = 0; l < kLanes; ++l)
    copyLane(l);
}

template <unsigned bytes>
void spoilWhole(std::byte *shared, const LaneCopy &copy) {
  auto spoilLane = [&](unsigned l) {
    std::memset(shared + copy.places.shared[l], kGarbage, bytes);
  };
  if (copy.lanes != kAllLanes)
    return forEachLane(copy.lanes, spoilLane);
  for (unsigned l = 0; l < kLanes; ++l)
    spoilLane(l);
}

using Addresses = std::array<uint64_t, kLanes>;

/// Where the lanes write, as observers want it.
Addresses destinations(const LaneCopy &copy) {
  Addresses shared;
  for (unsigned l = 0; l < kLanes; ++l)
    shared[l] = copy.places.shared[l];
  return shared;
}

/// The destination of some lanes becomes undefined, or defined.
void tellUndefined(Observer &observer, Block &block, const LaneCopy &copy,
                   LaneMask lanes, bool undefined) {
  observer.onUndefinedLanes(&block, Space::Shared, destinations(copy).data(),
                            lanes, copy.bytes, undefined);
}

/// Carries out the copy of some lanes.
void copyLanes(Warp &warp, const LaneCopy &copy, LaneMask lanes) {
  Block &block = *warp.block;
  std::byte *shared = block.shared.data;
  if (copy.whole) {
    auto run = copy.bytes == 16  ? copyWhole<16>
               : copy.bytes == 8 ? copyWhole<8>
                                 : copyWhole<4>;
    run(shared, copy, lanes);
    if (Observer *observer = observerOf(warp))
      tellUndefined(*observer, block, copy, lanes, false);
    return;
  }
  forEachLane(lanes, [&](unsigned l) {
    std::byte *to = shared + copy.places.shared[l];
    const unsigned taken = copy.taken[l];
    if (taken)
      std::memcpy(to, sourceOf(copy, l), taken);
    if (taken < copy.bytes)
      std::memset(to + taken, 0, copy.bytes - taken);
    if (Observer *observer = observerOf(warp))
      observer->onDefined(&block, Space::Shared, copy.places.shared[l],
                          copy.bytes);
  });
}

/// The destination holds garbage until the copy is complete.
void spoil(Warp &warp, const LaneCopy &copy) {
  std::byte *shared = warp.block->shared.data;
  auto run = copy.bytes == 16  ? spoilWhole<16>
             : copy.bytes == 8 ? spoilWhole<8>
                               : spoilWhole<4>;
  run(shared, copy);
  if (Observer *observer = observerOf(warp))
    tellUndefined(*observer, *warp.block, copy, copy.lanes, true);
}

/// Lanes whose count of groups is \p group, or larger.
LaneMask lanesInGroup(const uint64_t *groups, uint64_t group) {
  LaneMask mask = 0;
  for (unsigned l = 0; l < kLanes; ++l)
    mask |= LaneMask{groups[l] == group} << l;
  return mask;
}
LaneMask lanesBeyond(const WarpState &state, const uint64_t *limit,
                     uint64_t group) {
  if (state.sameGroups)
    return limit[0] > group ? kAllLanes : 0;
  LaneMask mask = 0;
  for (unsigned l = 0; l < kLanes; ++l)
    mask |= LaneMask{limit[l] > group} << l;
  return mask;
}

/// Asks observers for one side of the copy; resolves its addresses.
LaneMask side(Warp &warp, const Instruction &in, Space space, AccessKind kind,
              LaneMask lanes, uint32_t bytes, const uint64_t *address,
              std::byte **pointer) {
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = space;
  access.kind = kind;
  access.lanes = lanes;
  access.bytes = access.elementBytes = bytes;
  access.address = address;
  lanes &= warp.access(access);
  if (lanes)
    resolvePointers(warp, in, space, address, lanes, bytes,
                    kind == AccessKind::CopyDestination, pointer);
  return lanes;
}

/// A lane that reads nothing may have any source address; the access of the
/// others is that of the bytes they take.
LaneMask prepareSource(Warp &warp, const Instruction &in, LaneCopy &copy,
                       const uint64_t *address) {
  std::byte *pointer[kLanes];
  LaneMask allowed = 0;
  for (LaneMask rest = copy.lanes; rest;) {
    const uint8_t taken = copy.taken[__builtin_ctz(rest)];
    LaneMask same = 0;
    forEachLane(rest, [&](unsigned l) {
      same |= LaneMask{copy.taken[l] == taken} << l;
    });
    rest &= ~same;
    if (!taken) {
      allowed |= same;
      continue;
    }
    if (taken == copy.bytes) {
      same = side(warp, in, Space::Global, AccessKind::CopySource, same, taken,
                  address, pointer);
    } else {
      // Fewer bytes, of any number: aligned as the whole.
      checkAlignment(warp, in, address, same, copy.bytes);
      Access access;
      access.instruction = &in;
      access.warp = &warp;
      access.space = Space::Global;
      access.kind = AccessKind::CopySource;
      access.lanes = same;
      access.bytes = access.elementBytes = taken;
      access.address = address;
      same &= warp.access(access);
      forEachLane(same, [&](unsigned l) {
        pointer[l] = globalPointer(*warp.block, address[l], taken);
        if (!pointer[l])
          warp.fail(K::OutOfBounds, in, 1u << l,
                    "reads " + std::to_string(taken) +
                        " bytes where nothing is allocated");
      });
    }
    forEachLane(same, [&](unsigned l) {
      copy.places.from[l] = reinterpret_cast<uint64_t>(pointer[l]);
    });
    allowed |= same;
  }
  return allowed;
}

} // namespace

void decodeCopyAsync(DecodeContext &context, Instruction &in) {
  CopyInfo info;
  info.bytes = static_cast<uint8_t>(context.constant(2).value_or(0));
  const bool small = info.bytes == 4 || info.bytes == 8;
  if (info.bytes != 16 && !(small && context.has(".ca")))
    context.fail(context.has(".ca") ? "cp-size must be 4, 8 or 16"
                                    : "cp-size must be 16 with .cg");
  if (in.operandCount > 3 && in.operand[3] != kNoSlot) {
    if (in.width[3] == Width::Predicate)
      info.ignore = 3;
    else if (in.row->operands.size() > 3 &&
             in.row->operands[3].type == Type::B32)
      info.sourceSize = 3;
  }
  if (auto size = info.sourceSize >= 0 ? context.constant(3) : std::nullopt)
    if (*size > info.bytes)
      context.fail("src-size is larger than cp-size");
  in.extra = context.keep(info);
}

namespace {

/// A record to fill: one that was used before, if there is any.
std::unique_ptr<LaneCopy> freshCopy(WarpState &state) {
  if (state.spare.empty())
    return std::make_unique<LaneCopy>();
  auto copy = std::move(state.spare.back());
  state.spare.pop_back();
  return copy;
}

/// Puts garbage where the copy will write, and the copy among those in
/// flight: a record for the lanes that are in the same group.
void enqueue(Warp &warp, std::unique_ptr<LaneCopy> copy) {
  WarpState &state = stateOf(warp);
  spoil(warp, *copy);
  if (state.sameGroups) {
    copy->group = state.copyGroups[0];
    state.copies.push_back(std::move(copy));
    return;
  }
  for (LaneMask rest = copy->lanes; rest;) {
    const uint64_t group = state.copyGroups[__builtin_ctz(rest)];
    const LaneMask same = rest & lanesInGroup(state.copyGroups.data(), group);
    rest &= ~same;
    auto part = rest ? std::make_unique<LaneCopy>(*copy) : std::move(copy);
    part->lanes = same;
    part->group = group;
    state.copies.push_back(std::move(part));
  }
}

/// All lanes copy whole pieces, and everything is where it may be: nothing to
/// look at one by one. Fills \p copy; false if that is not so.
template <PlaceCopies &place>
bool prepareQuickly(Warp &warp, const Instruction &in, const CopyInfo &info,
                    LaneCopy &copy) {
  if (warp.active != kAllLanes || info.sourceSize >= 0 || info.ignore >= 0 ||
      in.width[0] != Width::Word || in.width[1] != Width::Double ||
      !place(warp.lanes<uint32_t>(in.operand[0]),
             static_cast<uint32_t>(in.offset[0]),
             warp.lanes<uint64_t>(in.operand[1]),
             static_cast<uint64_t>(in.offset[1]), info.bytes, copy.places))
    return false;
  const auto &[shared, from, last, low, high] = copy.places;
  const uint64_t bytes = info.bytes;
  GlobalRange range;
  return last + bytes <= warp.block->shared.size && high - low < UINT32_MAX &&
         warp.block->machine->findGlobal(low, high - low + bytes, range);
}

/// Tells the observers of both sides of a whole copy; the lanes they leave.
LaneMask observeWhole(Warp &warp, const Instruction &in, const LaneCopy &copy) {
  if (!warp.checked && warp.block->machine->observer->onWholeCopy(
                           {&in, &warp, copy.bytes, copy.places.shared.data(),
                            copy.places.from.data()}))
    return copy.lanes;
  checkPoison(warp, in, 0, PoisonUse::Address);
  checkPoison(warp, in, 1, PoisonUse::Address);
  const Addresses shared = destinations(copy);
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = Space::Shared;
  access.kind = AccessKind::CopyDestination;
  access.lanes = copy.lanes;
  access.bytes = access.elementBytes = copy.bytes;
  access.address = shared.data();
  access.lanes = warp.access(access);
  access.space = Space::Global;
  access.kind = AccessKind::CopySource;
  access.address = &copy.places.from[0];
  return access.lanes ? warp.access(access) : 0;
}

template <PlaceCopies &place>
void handleCopyAsync(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const CopyInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  WarpState &state = stateOf(warp);
  std::unique_ptr<LaneCopy> fresh = freshCopy(state);
  LaneCopy &copy = *fresh;
  copy.instruction = &in;
  copy.bytes = info.bytes;
  copy.lanes = warp.active;
  copy.whole = prepareQuickly<place>(warp, in, info, copy);
  copy.sequence = state.nextSequence++;
  if (copy.whole && warp.observed)
    copy.lanes = observeWhole(warp, in, copy);
  if (!copy.whole) {
    uint64_t shared[kLanes], global[kLanes];
    readSpaceAddresses(warp, in, 0, 0, Space::Shared, false, shared);
    readSpaceAddresses(warp, in, 1, 1, Space::Global, false, global);
    sourceBytes(warp, in, info, copy.taken);
    std::byte *pointer[kLanes];
    copy.lanes &= side(warp, in, Space::Shared, AccessKind::CopyDestination,
                       copy.lanes, info.bytes, shared, pointer);
    if (copy.lanes)
      copy.lanes &= prepareSource(warp, in, copy, global);
    forEachLane(copy.lanes, [&](unsigned l) {
      copy.places.shared[l] =
          static_cast<uint32_t>(pointer[l] - warp.block->shared.data);
    });
  }
  if (!engine.earliest())
    return enqueue(warp, std::move(fresh));
  copyLanes(warp, copy, copy.lanes);
  state.spare.push_back(std::move(fresh));
}

} // namespace

HandlerSet copyAsyncHandlers() {
  return {handleCopyAsync<baseline::placeCopies>,
          handleCopyAsync<avx2::placeCopies>,
          handleCopyAsync<avx512::placeCopies>};
}

void Engine::completeCopies(Warp &warp, LaneMask lanes, const uint64_t *limit,
                            uint64_t sequence) {
  WarpState &state = stateOf(warp);
  size_t kept = 0;
  for (size_t i = 0; i < state.copies.size(); ++i) {
    LaneCopy &copy = *state.copies[i];
    LaneMask now = copy.sequence > sequence ? 0 : copy.lanes & lanes;
    if (now && limit)
      now &= lanesBeyond(state, limit, copy.group);
    if (!now) {
      std::swap(state.copies[kept++], state.copies[i]);
      continue;
    }
    copyLanes(warp, copy, now);
    copy.lanes &= ~now;
    if (copy.lanes)
      std::swap(state.copies[kept++], state.copies[i]);
    else
      state.spare.push_back(std::move(state.copies[i]));
  }
  state.copies.resize(kept);
  if (!state.arrivals.empty())
    settleArrivals(warp);
}

void Engine::settleArrivals(Warp &warp) {
  WarpState &state = stateOf(warp);
  for (size_t i = 0; i < state.arrivals.size(); ++i) {
    LaneArrival &arrival = state.arrivals[i];
    LaneMask waiting = 0;
    for (const auto &copy : state.copies)
      if (copy->sequence <= arrival.sequence)
        waiting |= copy->lanes;
    const LaneMask ready = arrival.lanes & ~waiting;
    if (!ready)
      continue;
    Block &owner = *arrival.owner;
    auto &barriers = stateOf(owner).barriers;
    auto found = barriers.find(arrival.offset);
    if (found == barriers.end())
      warp.fail(K::AsyncMisuse, *arrival.instruction, ready,
                "the mbarrier is gone when the copies are complete");
    tellSync(warp, *arrival.instruction, ready, SyncKind::Mbarrier,
             SyncStep::Arrive, owner, arrival.offset, found->second.phase);
    const auto count = static_cast<uint32_t>(__builtin_popcount(ready));
    if (found->second.pending < count)
      warp.fail(K::AsyncMisuse, *arrival.instruction, ready,
                "more arrivals than the mbarrier expects");
    if (found->second.arrive(count))
      phaseCompleted(owner);
    arrival.lanes &= ~ready;
  }
  std::erase_if(state.arrivals,
                [](const LaneArrival &arrival) { return !arrival.lanes; });
}

void handleCopyCommit(Warp &warp, const Instruction &in) {
  WarpState &state = stateOf(warp);
  for (unsigned l = 0; l < kLanes; ++l)
    state.copyGroups[l] += warp.active >> l & 1;
  state.sameGroups = state.sameGroups && warp.active == kAllLanes;
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Arrive, *warp.block, 0, 0);
}

void handleCopyWaitGroup(Warp &warp, const Instruction &in) {
  WarpState &state = stateOf(warp);
  const uint32_t keep = warp.lanes<uint32_t>(in.operand[0])[0];
  uint64_t limit[kLanes];
  for (unsigned l = 0; l < kLanes; ++l)
    limit[l] = state.copyGroups[l] > keep ? state.copyGroups[l] - keep : 0;
  engineOf(warp).completeCopies(warp, warp.active, limit, ~uint64_t{0});
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Release, *warp.block, keep, 0);
}

void handleCopyWaitAll(Warp &warp, const Instruction &in) {
  engineOf(warp).completeCopies(warp, warp.active, nullptr, ~uint64_t{0});
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Release, *warp.block, 0, 0);
}

namespace {
struct ArriveInfo {
  bool counted = false; ///< .noinc: the barrier's count includes it
  bool generic = false;
};
} // namespace

void decodeCopyArrive(DecodeContext &context, Instruction &in) {
  in.extra = context.keep(
      ArriveInfo{context.has(".noinc"), context.option("space").empty()});
}

void handleCopyArrive(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const ArriveInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  WarpState &state = stateOf(warp);
  uint64_t address[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Shared, info.generic, address);
  forEachLane(warp.active, [&](unsigned l) {
    LaneArrival arrival;
    Mbarrier &barrier =
        engine.barrierAt(warp, in, l, address[l], arrival.owner);
    if (!info.counted) {
      if (barrier.pending >= Mbarrier::kMostArrivals)
        warp.fail(K::AsyncMisuse, in, 1u << l,
                  "the mbarrier cannot expect more arrivals");
      ++barrier.pending;
    }
    arrival.instruction = &in;
    arrival.offset = static_cast<uint32_t>(sharedOffset(address[l]));
    arrival.lanes = 1u << l;
    arrival.sequence = state.nextSequence - 1;
    // Lanes that arrive together need one record.
    for (LaneArrival &other : state.arrivals)
      if (other.owner == arrival.owner && other.offset == arrival.offset &&
          other.sequence == arrival.sequence && other.instruction == &in &&
          !(other.lanes >> l & 1)) {
        other.lanes |= 1u << l;
        return;
      }
    state.arrivals.push_back(arrival);
  });
  engine.settleArrivals(warp);
}

} // namespace ptx::async
