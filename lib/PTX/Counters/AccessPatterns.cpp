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

uint32_t PatternSet::phaseMaskOf(AccessClass kind) {
  switch (kind) {
  case AccessClass::SharedLoad:
  case AccessClass::SharedStore:
  case AccessClass::LoadMatrix:
  case AccessClass::StoreMatrix:
    return 15; // banks turn with the address
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
        (first ^ pattern.phase) & pattern.phaseMask ||
        pattern.bytes != access.bytes || pattern.partner != partner ||
        !rules.sameShape(access.address, pattern.distance.data(), access.lanes))
      continue;
    last = at;
    return &pattern;
  }
  return nullptr;
}

} // namespace ptx
