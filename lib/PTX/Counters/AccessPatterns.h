// What accesses of one shape cost, remembered.
//
// The cost of an access depends on how far its lanes lie from each other and on
// where the first of them lies in a line. Most accesses of an instruction
// differ in neither, so each instruction remembers its last few shapes with
// what they cost: counting an access is finding its shape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_ACCESSPATTERNS_H
#define PTX_COUNTERS_ACCESSPATTERNS_H

#include "Counters/AccessRules.h"
#include "Counters/BlockTrace.h"
#include "Machine/Observer.h"

#include <array>
#include <cstdint>
#include <vector>

namespace ptx {

/// What an access is for the memory pipe.
enum class AccessClass : uint8_t {
  GlobalLoad,
  GlobalStore,
  GlobalReduction,
  GlobalAtomic,
  LocalLoad,
  LocalStore,
  SharedLoad,
  SharedStore,
  SharedAtomic,
  LoadMatrix,
  StoreMatrix,
  CopyCached, ///< cp.async.ca
  CopyBypass, ///< cp.async.cg
  Constant,
  BulkRead,  ///< global memory read by bulk and tensor copies
  BulkWrite, ///< and written
  Count,
};

struct AccessSums {
  uint64_t requests = 0; ///< warp instructions
  uint64_t sectors = 0, lines = 0, ideal = 0, bytes = 0;
  uint64_t wavefronts = 0, conflicts = 0;
  void add(const AccessSums &other, uint64_t times = 1);
};

struct alignas(64) AccessPattern {
  LaneMask lanes = 0; ///< 0: not in use
  uint32_t bytes = 0;
  /// Where the first address lies, as far as the cost depends on it.
  uint32_t phase = 0, phaseMask = 0;
  uint32_t partner = 0; ///< of the source of a copy: number of the destination
  AccessClass kind = AccessClass::Count;
  AccessKind access = AccessKind::Prefetch; ///< as the machine calls it
  Space space = Space::Generic;
  Request request = Request::Load; ///< to the caches
  /// All lanes, in each half side by side or at one place; see WholeAccess.
  bool whole = false, one[2] = {};
  uint64_t gap = 0; ///< with `whole`: between the halves
  /// `lines` as bits, four a line, if these sixteen lines hold all; else 0.
  uint64_t sectors = 0;
  uint32_t number = 0; ///< no other pattern of the launch ever has it
  uint64_t uses = 0;   ///< that are in no sum yet
  alignas(64) std::array<uint64_t, kLanes> distance{}; ///< from the first lane
  std::array<uint32_t, kLanes> shortDistance{};        ///< its lower halves
  AccessSums cost;                                     ///< of one use
  /// Lines that are touched, counted from that of the first address.
  std::vector<LineAccess> lines;

  bool isPhase(uint64_t first) const { return !((first ^ phase) & phaseMask); }
  bool isOf(const RowsAccess &rows, const AccessRules &rules) const {
    return lanes == rows.lanes && kind == AccessClass::LoadMatrix &&
           isPhase(rows.address[0] + rows.offset) &&
           rows.address[1] - rows.address[0] == shortDistance[1] &&
           rules.sameRows(rows.address, shortDistance.data(), lanes);
  }
};

/// The shapes one instruction remembers.
class PatternSet {
public:
  static constexpr unsigned kMost = 8;
  /// `partner` of the destination of a copy.
  static constexpr uint32_t kDestination = ~uint32_t{0};

  /// The pattern used last, if it is that of \p access, which copies nothing
  /// asynchronously. Else null.
  AccessPattern *recent(const Access &access, const AccessRules &rules) {
    AccessPattern &pattern = entries[last];
    if (pattern.lanes != access.lanes || pattern.access != access.kind ||
        pattern.space != access.space || pattern.bytes != access.bytes ||
        pattern.partner)
      return nullptr;
    uint64_t first = access.address[__builtin_ctz(access.lanes)];
    if (!pattern.isPhase(first) ||
        !rules.sameShape(access.address, pattern.distance.data(), access.lanes))
      return nullptr;
    return &pattern;
  }
  AccessPattern *find(const WholeAccess &access) {
    const uint64_t gap = access.first[1] - access.first[0];
    for (unsigned i = 0; i < kMost; ++i) {
      const unsigned at = (last + i) % kMost;
      AccessPattern &pattern = entries[at];
      if (!pattern.whole || pattern.gap != gap ||
          pattern.one[0] != access.one[0] || pattern.one[1] != access.one[1] ||
          pattern.access != access.kind || pattern.space != access.space ||
          pattern.bytes != access.bytes || !pattern.isPhase(access.first[0]))
        continue;
      last = at;
      return &pattern;
    }
    return nullptr;
  }
  /// The pattern of \p access, or null.
  AccessPattern *find(const Access &access, AccessClass kind, uint32_t partner,
                      const AccessRules &rules);
  AccessPattern *find(const RowsAccess &access, const AccessRules &rules);
  /// Those of the destination and the source of a copy; null without both.
  struct CopyPatterns {
    AccessPattern *destination = nullptr, *source = nullptr;
  };
  CopyPatterns find(const WholeCopy &copy, const AccessRules &rules);
  /// The one to forget for a new pattern: the oldest.
  AccessPattern &toForget() {
    last = next++ % kMost;
    return entries[last];
  }
  std::array<AccessPattern, kMost> &all() { return entries; }

  /// \p bytes: of a lane.
  static uint32_t phaseMaskOf(AccessClass kind, uint32_t bytes);

private:
  std::array<AccessPattern, kMost> entries;
  unsigned last = 0; ///< used last
  unsigned next = 0; ///< number of patterns there were
};

} // namespace ptx

#endif // PTX_COUNTERS_ACCESSPATTERNS_H
