// What accesses of one shape cost, remembered.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/AccessPatterns.h"

namespace ptx {

void AccessSums::add(const AccessSums &other, uint64_t times) {
  requests += times * other.requests;
  sectors += times * other.sectors;
  lines += times * other.lines;
  ideal += times * other.ideal;
  bytes += times * other.bytes;
  wavefronts += times * other.wavefronts;
  conflicts += times * other.conflicts;
}

uint32_t PatternSet::phaseMaskOf(AccessClass kind, uint32_t bytes) {
  switch (kind) {
  case AccessClass::SharedLoad:
  case AccessClass::SharedStore:
  case AccessClass::LoadMatrix:
  case AccessClass::StoreMatrix:
    // Banks turn with the address, in steps of what a lane moves.
    return bytes <= 4 ? 3 : bytes <= 8 ? 7 : 15;
  case AccessClass::LocalLoad:
  case AccessClass::LocalStore:
    return 3;
  case AccessClass::Constant:
    return 0;
  default:
    return 127;
  }
}

AccessPattern *PatternSet::find(const Access &access, AccessClass kind,
                                uint32_t partner, const AccessRules &rules) {
  uint64_t first = access.address[__builtin_ctz(access.lanes)];
  for (unsigned i = 0; i < kMost; ++i) {
    unsigned at = (last + i) % kMost;
    AccessPattern &pattern = entries[at];
    if (pattern.lanes != access.lanes || pattern.kind != kind ||
        !pattern.isPhase(first) || pattern.bytes != access.bytes ||
        pattern.partner != partner ||
        !rules.sameShape(access.address, pattern.distance.data(), access.lanes))
      continue;
    last = at;
    return &pattern;
  }
  return nullptr;
}

AccessPattern *PatternSet::find(const RowsAccess &access,
                                const AccessRules &rules) {
  for (AccessPattern &pattern : entries)
    if (pattern.isOf(access, rules))
      return &pattern;
  return nullptr;
}

PatternSet::CopyPatterns PatternSet::find(const WholeCopy &copy,
                                          const AccessRules &rules) {
  CopyPatterns found;
  auto isPlain = [&](const AccessPattern &pattern, AccessKind kind,
                     uint64_t first) {
    return pattern.lanes == kAllLanes && pattern.access == kind &&
           pattern.bytes == copy.bytes && pattern.isPhase(first);
  };
  for (AccessPattern &pattern : entries)
    if (isPlain(pattern, AccessKind::CopyDestination, copy.shared[0]) &&
        rules.sameRows(copy.shared, pattern.shortDistance.data(), kAllLanes)) {
      found.destination = &pattern;
      break;
    }
  if (!found.destination)
    return {};
  for (AccessPattern &pattern : entries)
    if (pattern.partner == found.destination->number &&
        isPlain(pattern, AccessKind::CopySource, copy.from[0]) &&
        rules.sameShape(copy.from, pattern.distance.data(), kAllLanes)) {
      found.source = &pattern;
      return found;
    }
  return {};
}

} // namespace ptx
