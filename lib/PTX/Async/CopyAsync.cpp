//===- CopyAsync.cpp - cp.async of single threads -------------------------===//

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

/// Carries out one lane of a copy.
void copyLane(Warp &warp, const LaneCopy &copy, unsigned l) {
  Block &block = *warp.block;
  std::byte *to = block.shared.data + copy.shared[l];
  const unsigned taken = copy.taken[l];
  if (taken)
    std::memcpy(to, copy.from[l], taken);
  if (taken < copy.bytes)
    std::memset(to + taken, 0, copy.bytes - taken);
  if (Observer *observer = block.machine->observer)
    observer->onDefined(&block, Space::Shared, copy.shared[l], copy.bytes);
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
    forEachLane(same, [&](unsigned l) { copy.from[l] = pointer[l]; });
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

void handleCopyAsync(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const CopyInfo *>(in.extra);
  Engine &engine = engineOf(warp);
  WarpState &state = stateOf(warp);
  uint64_t shared[kLanes], global[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Shared, false, shared);
  readSpaceAddresses(warp, in, 1, 1, Space::Global, false, global);
  LaneCopy copy;
  copy.instruction = &in;
  copy.bytes = info.bytes;
  copy.lanes = warp.active;
  sourceBytes(warp, in, info, copy.taken);
  std::byte *pointer[kLanes];
  copy.lanes &= side(warp, in, Space::Shared, AccessKind::CopyDestination,
                     copy.lanes, info.bytes, shared, pointer);
  if (copy.lanes)
    copy.lanes &= prepareSource(warp, in, copy, global);
  forEachLane(copy.lanes, [&](unsigned l) {
    copy.shared[l] =
        static_cast<uint64_t>(pointer[l] - warp.block->shared.data);
  });
  copy.sequence = state.nextSequence++;
  if (engine.earliest()) {
    forEachLane(copy.lanes, [&](unsigned l) { copyLane(warp, copy, l); });
    return;
  }
  Observer *observer = observerOf(warp);
  forEachLane(copy.lanes, [&](unsigned l) {
    std::memset(pointer[l], kGarbage, info.bytes);
    if (observer)
      observer->onUndefined(warp.block, Space::Shared, copy.shared[l],
                            info.bytes);
  });
  // One record for the lanes that are in the same group.
  for (LaneMask rest = copy.lanes; rest;) {
    copy.group = state.copyGroups[__builtin_ctz(rest)];
    LaneMask same = 0;
    forEachLane(rest, [&](unsigned l) {
      same |= LaneMask{state.copyGroups[l] == copy.group} << l;
    });
    copy.lanes = same;
    state.copies.push_back(copy);
    rest &= ~same;
  }
}

void Engine::completeCopies(Warp &warp, LaneMask lanes, const uint64_t *limit,
                            uint64_t sequence) {
  WarpState &state = stateOf(warp);
  for (LaneCopy &copy : state.copies) {
    if (copy.sequence > sequence)
      break;
    LaneMask now = copy.lanes & lanes;
    if (limit)
      forEachLane(now, [&](unsigned l) {
        if (copy.group >= limit[l])
          now &= ~(1u << l);
      });
    forEachLane(now, [&](unsigned l) { copyLane(warp, copy, l); });
    copy.lanes &= ~now;
  }
  while (!state.copies.empty() && !state.copies.front().lanes)
    state.copies.pop_front();
  if (!state.arrivals.empty())
    settleArrivals(warp);
}

void Engine::settleArrivals(Warp &warp) {
  WarpState &state = stateOf(warp);
  for (size_t i = 0; i < state.arrivals.size(); ++i) {
    LaneArrival &arrival = state.arrivals[i];
    LaneMask waiting = 0;
    for (const LaneCopy &copy : state.copies)
      if (copy.sequence <= arrival.sequence)
        waiting |= copy.lanes;
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
  forEachLane(warp.active, [&](unsigned l) { ++state.copyGroups[l]; });
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
