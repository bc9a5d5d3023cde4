// Constants of a function, each kept once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/ConstantPool.h"

#include "ptx/Error.h"

#include <algorithm>
#include <cstring>

using namespace ptx;

Slot ConstantPool::reserve(Width width) {
  uint32_t bytes = std::max(64u, fileBytesOf(width));
  if (size > (1u << 30))
    throw Error("the module has more than 1 GiB of distinct constants");
  uint32_t offset = size;
  size += bytes;
  Slot slot = offset | kConstant;
  entryOf.emplace(slot, static_cast<uint32_t>(entries.size()));
  entries.push_back({0, offset, width});
  return slot;
}

Slot ConstantPool::get(uint64_t bits, Width width) {
  auto [position, added] = known.try_emplace({bits, width}, kNoSlot);
  if (added) {
    position->second = reserve(width);
    set(position->second, width, bits);
  }
  return position->second;
}

void ConstantPool::set(Slot slot, Width, uint64_t bits) {
  entries[entryOf.at(slot)].bits = bits;
}

uint64_t ConstantPool::value(Slot slot, Width) const {
  return entries[entryOf.at(slot)].bits;
}

AlignedBytes ConstantPool::finish() const {
  AlignedBytes bytes(std::max(64u, size));
  for (const Entry &entry : entries) {
    std::byte *at = bytes.data + entry.offset;
    if (entry.width == Width::Predicate) {
      uint32_t mask = entry.bits ? kAllLanes : 0;
      std::memcpy(at, &mask, sizeof mask);
    } else if (entry.width == Width::Double || entry.width == Width::Quad) {
      for (unsigned lane = 0; lane < kLanes; ++lane)
        std::memcpy(at + 8 * lane, &entry.bits, 8);
    } else {
      uint32_t word = static_cast<uint32_t>(entry.bits);
      for (unsigned lane = 0; lane < kLanes; ++lane)
        std::memcpy(at + 4 * lane, &word, 4);
    }
  }
  return bytes;
}
