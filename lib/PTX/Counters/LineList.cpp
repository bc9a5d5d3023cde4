// The lines an access touches, with their bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/LineList.h"

#include <algorithm>

namespace ptx {

static bool isRun(const Access &access) {
  if (access.lanes != kAllLanes)
    return false;
  uint64_t different = 0;
  for (unsigned l = 0; l < kLanes; ++l)
    different |=
        access.address[l] ^ (access.address[0] + uint64_t(l) * access.bytes);
  return !different;
}

LineAccess &LineList::lineOf(uint64_t number) {
  for (unsigned i = count; i-- > 0;)
    if (lines[i].line == number)
      return lines[i];
  lines[count] = LineAccess();
  lines[count].line = number;
  return lines[count++];
}

/// Bytes [first, first + bytes), which lie in at most two sectors.
void LineList::addBytes(uint64_t first, uint32_t bytes, bool stores) {
  while (bytes) {
    uint32_t from = first % 32, part = std::min(bytes, 32 - from);
    LineAccess &line = lineOf(first / 128);
    unsigned sector = first / 32 % 4;
    line.sectors |= 1u << sector;
    if (stores)
      line.bytes[sector] |= (part == 32 ? ~0u : ((1u << part) - 1)) << from;
    first += part;
    bytes -= part;
  }
}

void LineList::addRun(uint64_t first, uint64_t end, bool stores) {
  for (uint64_t line = first / 128; line <= (end - 1) / 128; ++line) {
    LineAccess &access = lines[count++];
    access = LineAccess();
    access.line = line;
    uint64_t from = std::max(first, line * 128),
             to = std::min(end, line * 128 + 128);
    for (uint64_t sector = from / 32; sector <= (to - 1) / 32; ++sector) {
      unsigned s = sector % 4;
      access.sectors |= 1u << s;
      uint64_t low = std::max(from, sector * 32) - sector * 32;
      uint64_t high = std::min(to, sector * 32 + 32) - sector * 32;
      if (stores)
        access.bytes[s] = uint32_t(((uint64_t(1) << (high - low)) - 1) << low);
    }
  }
}

/// Word j of lane l lies at byte (32 * j + l) * 4 of the warp's memory.
void LineList::addLocal(const Access &access) {
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    unsigned l = unsigned(__builtin_ctz(rest));
    uint64_t offset = access.address[l];
    for (uint32_t done = 0; done < access.bytes;) {
      uint32_t part =
          std::min<uint32_t>(access.bytes - done, 4 - (offset + done) % 4);
      uint64_t word = (offset + done) / 4;
      addBytes((32 * word + l) * 4 + (offset + done) % 4, part, true);
      done += part;
    }
  }
}

void LineList::assign(const Access &access, bool stores) {
  count = 0;
  if (access.space == Space::Local)
    addLocal(access);
  else if (isRun(access))
    addRun(access.address[0], access.address[0] + kLanes * access.bytes,
           stores);
  else
    for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
      addBytes(access.address[__builtin_ctz(rest)], access.bytes, stores);
  for (unsigned i = 0; stores && i < count; ++i)
    for (unsigned s = 0; s < 4; ++s)
      if (lines[i].sectors >> s & 1 && lines[i].bytes[s] != ~0u)
        lines[i].partial |= 1u << s;
}

} // namespace ptx
