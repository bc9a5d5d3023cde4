// What the checker says.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/Checker.h"

#include <algorithm>
#include <cstring>

using namespace ptx;
using namespace ptx::checks;

/// Whether the racing writes store the same bytes. The memory still holds what
/// the earlier one stored, unless both are lanes of one store.
bool Checker::equalValues(const Race &race) const {
  const Access &access = *currentAccess;
  if (race.kind != RaceKind::WriteAfterWrite || !access.value || !currentPart ||
      access.elementBytes > 8 || access.kind != AccessKind::Store)
    return false;
  const Part &part = *currentPart;
  const uint64_t within = race.offset > part.offset[race.lane]
                              ? race.offset - part.offset[race.lane]
                              : 0;
  const uint64_t element = within / access.elementBytes;
  const unsigned shift =
      static_cast<unsigned>(within % access.elementBytes) * 8;
  uint64_t mine = access.value[element * kLanes + race.lane] >> shift;
  const uint64_t bytes =
      std::min<uint64_t>(4, access.elementBytes - within % access.elementBytes);
  const uint64_t mask = (uint64_t{1} << bytes * 8) - 1;
  const uint64_t at = part.offset[race.lane] + within;
  bool sameStore = race.other.instruction == access.instruction &&
                   race.other.warp == race.touch->event.warp &&
                   race.other.tick == race.touch->event.tick;
  if (sameStore && race.otherLane < kLanes &&
      (part.lanes >> race.otherLane & 1) && part.offset[race.otherLane] <= at &&
      at < part.offset[race.otherLane] + access.bytes) {
    uint64_t theirs = at - part.offset[race.otherLane];
    uint64_t value =
        access.value[theirs / access.elementBytes * kLanes + race.otherLane] >>
        theirs % access.elementBytes * 8;
    return ((value ^ mine) & mask) == 0;
  }
  uint64_t stored = 0;
  std::memcpy(&stored, part.data + at, bytes);
  return ((stored ^ mine) & mask) == 0;
}

namespace {
const char *describe(RaceKind kind) {
  switch (kind) {
  case RaceKind::ReadAfterWrite:
    return "reads what another thread wrote, and nothing orders the two";
  case RaceKind::WriteAfterRead:
    return "writes what another thread read, and nothing orders the two";
  case RaceKind::WriteAfterWrite:
    return "writes what another thread wrote, and nothing orders the two";
  case RaceKind::MissingProxyFence:
    return "reads through the async proxy what was written by an ordinary "
           "store: fence.proxy.async is missing between them";
  }
  return "";
}
} // namespace

void Checker::reportRace(const Race &race) {
  const bool proxy = race.kind == RaceKind::MissingProxyFence;
  if (proxy && !set.async)
    return;
  const bool same = equalValues(race);
  if (same && !set.sameValueRaces)
    return;
  const Access &access = *currentAccess;
  // Once for a pair of instructions, whichever of them came first.
  const Instruction *a = access.instruction, *b = race.other.instruction;
  auto key = std::make_tuple(std::min(a, b), std::max(a, b),
                             (proxy ? 100 : 102) + same);
  if (!reported.insert(key).second)
    return;
  const bool inGroup = numbering.actor(race.other.warp) != Actor::Lanes;
  Finding finding;
  finding.kind = proxy || inGroup ? FindingKind::MissingWait
                 : same           ? FindingKind::SameValueRace
                                  : FindingKind::Race;
  finding.place = placeOf(*access.warp, *access.instruction, 1u << race.lane);
  // The other warp may be gone: its place is made from the instruction.
  FindingPlace other =
      placeOf(*access.warp, *race.other.instruction,
              race.otherLane < kLanes ? 1u << race.otherLane : 0);
  const uint32_t block = numbering.block(race.other.warp);
  const uint32_t cluster = block / numbering.blocksPerCluster;
  const uint32_t rank = block % numbering.blocksPerCluster;
  const uint32_t columns = grid.size.x / grid.cluster.x;
  const uint32_t rows = grid.size.y / grid.cluster.y;
  other.block.x = cluster % columns * grid.cluster.x + rank % grid.cluster.x;
  other.block.y = cluster / columns % rows * grid.cluster.y +
                  rank / grid.cluster.x % grid.cluster.y;
  other.block.z = cluster / columns / rows * grid.cluster.z +
                  rank / grid.cluster.x / grid.cluster.y;
  other.warp = numbering.warpInBlock(race.other.warp);
  finding.other = std::move(other);
  finding.message =
      inGroup
          ? "writes what an asynchronous operation may still read: wait for "
            "its group first"
          : describe(race.kind);
  if (access.space == Space::Shared)
    finding.message +=
        " (shared memory, byte " + std::to_string(race.offset) + ")";
  else
    finding.message += " (global memory, byte " + std::to_string(race.offset) +
                       " of its allocation)";
  journal.add(std::move(finding));
}

static const char *describe(PoisonUse use) {
  switch (use) {
  case PoisonUse::Address:
    return "the address is undefined: it comes from memory or a register that "
           "nothing wrote";
  case PoisonUse::Guard:
    return "a branch or guard depends on an undefined value";
  case PoisonUse::Store:
    return "stores an undefined value to global memory";
  case PoisonUse::MemberMask:
    return "the member mask is undefined";
  case PoisonUse::Barrier:
    return "the number or the thread count of the barrier is undefined";
  case PoisonUse::Trap:
    return "an undefined value decides over a trap";
  }
  return "";
}

void Checker::onPoisonUse(Warp &warp, const Instruction &in, LaneMask lanes,
                          PoisonUse use) {
  if (!set.poison ||
      !reported.insert({&in, nullptr, static_cast<int>(use)}).second)
    return;
  Finding finding;
  finding.kind = FindingKind::Uninitialised;
  finding.place = placeOf(warp, in, lanes);
  finding.message = describe(use);
  journal.add(std::move(finding));
}
