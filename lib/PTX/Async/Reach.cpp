// Memory that bulk operations reach.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Reach.h"

#include <cstdio>

namespace ptx::async {

using K = FindingKind;

std::string hexText(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

std::byte *Reach::global(uint64_t address, uint64_t bytes, bool writes) const {
  GlobalRange range;
  if (!warp.block->machine->findGlobal(address, bytes, range))
    fail(K::OutOfBounds, std::string(writes ? "writes " : "reads ") +
                             std::to_string(bytes) + " bytes at " +
                             hexText(address) +
                             ", which is not all allocated memory");
  if (writes && !range.writable)
    fail(K::ReadOnly,
         "writes at " + hexText(address) + ", which may not be written");
  return reinterpret_cast<std::byte *>(address);
}

std::byte *Reach::shared(uint64_t address, uint64_t bytes,
                         Block *&owner) const {
  owner = sharedOwner(*warp.block, address);
  std::byte *pointer = sharedPointer(*warp.block, address, bytes);
  if (!owner || !pointer)
    fail(K::OutOfBounds,
         std::to_string(bytes) + " bytes at offset " +
             std::to_string(sharedOffset(address)) +
             " are not inside the shared memory of the block (" +
             std::to_string(warp.block->shared.size) + " bytes)");
  return pointer;
}

void Reach::aligned(uint64_t address, uint64_t align, const char *what) const {
  if (address % align)
    fail(K::Misaligned, std::string(what) + " " + hexText(address) +
                            " is no multiple of " + std::to_string(align));
}

bool Reach::tell(Space space, AccessKind kind, uint64_t address,
                 uint64_t bytes) const {
  if (!warp.observed || !bytes)
    return true;
  uint64_t addresses[kLanes] = {};
  addresses[lane] = address;
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = space;
  access.kind = kind;
  access.lanes = lanes();
  access.bytes = static_cast<uint32_t>(bytes);
  access.elementBytes = 16;
  access.address = addresses;
  return warp.observeAccess(access) & lanes();
}

std::unique_ptr<Operation> Reach::operation() const {
  auto made = std::make_unique<Operation>();
  made->instruction = &in;
  made->warp = &warp;
  made->lane = lane;
  return made;
}

Signal Reach::signalTo(uint64_t address, int64_t bytes) const {
  Signal signal;
  engineOf(warp).barrierAt(warp, in, lane, address, signal.owner);
  signal.offset = static_cast<uint32_t>(sharedOffset(address));
  signal.bytes = bytes;
  return signal;
}

std::vector<Block *> Reach::receivers(uint16_t mask) const {
  std::vector<Block *> blocks;
  auto &all = warp.block->cluster->blocks;
  for (unsigned rank = 0; rank < 16; ++rank) {
    if (!(mask >> rank & 1))
      continue;
    if (rank >= all.size())
      fail(K::AsyncMisuse,
           "the multicast mask names block " + std::to_string(rank) +
               " of a cluster that has " + std::to_string(all.size()));
    blocks.push_back(all[rank].get());
  }
  return blocks;
}

} // namespace ptx::async
