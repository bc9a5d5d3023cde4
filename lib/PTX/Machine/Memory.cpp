// Where addresses lead.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Memory.h"
#include "Machine/Machine.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace ptx {

using K = FindingKind;

static std::string hexText(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

Block *sharedOwner(Block &block, uint64_t address) {
  uint64_t field = sharedRankField(address);
  if (!field)
    return &block;
  auto &blocks = block.cluster->blocks;
  return field <= blocks.size() ? blocks[field - 1].get() : nullptr;
}

std::byte *sharedPointer(Block &block, uint64_t address, uint64_t bytes) {
  Block *owner = sharedOwner(block, address);
  uint64_t offset = sharedOffset(address);
  if (!owner || offset > owner->shared.size ||
      owner->shared.size - offset < bytes)
    return nullptr;
  return owner->shared.data + offset;
}

std::byte *localPointer(Warp &warp, unsigned lane, uint64_t address,
                        uint64_t bytes) {
  if (address > warp.localBytes || warp.localBytes - address < bytes)
    return nullptr;
  return warp.local.data + size_t{lane} * warp.localBytes + address;
}

bool Machine::findGlobal(uint64_t address, uint64_t bytes, GlobalRange &range) {
  auto inside = [&](const GlobalRange &r) {
    return address >= r.begin && address < r.end && r.end - address >= bytes;
  };
  for (const GlobalRange &known : ranges)
    if (inside(known)) {
      range = known;
      return true;
    }
  auto allocation = grid.device->find(address);
  if (!allocation)
    return false;
  range.begin = allocation->address;
  range.end = allocation->address + allocation->bytes;
  range.writable = allocation->writable;
  ranges[nextRange++ % 8] = range;
  return inside(range);
}

std::byte *globalPointer(Block &block, uint64_t address, uint64_t bytes) {
  GlobalRange range;
  if (!block.machine->findGlobal(address, bytes, range))
    return nullptr;
  return reinterpret_cast<std::byte *>(address);
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

static std::byte *paramPointer(Warp &warp, unsigned lane, uint64_t address,
                               uint64_t bytes, bool writes) {
  if (address >= kCallParam) {
    uint64_t offset = address - kCallParam;
    uint32_t size = warp.frame->function->paramBytes;
    if (offset > size || size - offset < bytes)
      return nullptr;
    return warp.frame->params.data + size_t{lane} * size + offset;
  }
  std::vector<std::byte> &params = warp.block->grid->params;
  if (writes || address > params.size() || params.size() - address < bytes)
    return nullptr;
  return params.data() + address;
}

//===----------------------------------------------------------------------===//
// Resolving
//===----------------------------------------------------------------------===//

/// Shared memory of a block of the cluster lives as long as its threads.
static bool hasLeft(Block &block, uint64_t address) {
  Block *owner = sharedOwner(block, address);
  return owner && owner != &block && !owner->liveWarps;
}

[[noreturn]] static void failAddress(Warp &warp, const Instruction &in,
                                     Space space, LaneMask lanes,
                                     uint64_t address, uint32_t bytes,
                                     bool writes) {
  std::string what = writes ? "writes " : "reads ";
  what += std::to_string(bytes) + " bytes at " + hexText(address);
  switch (space) {
  case Space::Shared:
    if (hasLeft(*warp.block, address))
      warp.fail(K::UseAfterFree, in, lanes,
                what + " of the shared memory of block " +
                    std::to_string(sharedRankField(address) - 1) +
                    " of the cluster, whose threads have all exited");
    warp.fail(K::OutOfBounds, in, lanes,
              what + " of shared memory, of which the block has " +
                  std::to_string(warp.block->shared.size) + " bytes");
  case Space::Local:
    warp.fail(K::OutOfBounds, in, lanes,
              what + " of local memory, of which the thread has " +
                  std::to_string(warp.localBytes) + " bytes");
  case Space::Param:
    warp.fail(K::OutOfBounds, in, lanes,
              what + " of parameters, which are " +
                  std::to_string(warp.block->grid->params.size()) +
                  " bytes and cannot be written");
  default:
    break;
  }
  Device &device = *warp.block->grid->device;
  if (auto freed = device.findFreed(address))
    warp.fail(K::UseAfterFree, in, lanes,
              what + ", in memory that was freed (" +
                  std::to_string(freed->bytes) + " bytes at " +
                  hexText(freed->address) + ")");
  auto near = device.findBelow(address);
  // Farther away it has nothing to do with that allocation.
  if (near && address - near->address < near->bytes + 65536) {
    std::string name = near->name.empty() ? "" : " (" + near->name + ")";
    if (writes && !near->writable && address - near->address < near->bytes)
      warp.fail(K::ReadOnly, in, lanes,
                what + ", which may not be written" + name);
    warp.fail(K::OutOfBounds, in, lanes,
              what + ", past the end of the " + std::to_string(near->bytes) +
                  " bytes at " + hexText(near->address) + name);
  }
  warp.fail(K::OutOfBounds, in, lanes, what + ", where nothing is allocated");
}

void checkAlignment(Warp &warp, const Instruction &in, const uint64_t *address,
                    LaneMask lanes, uint32_t align) {
  LaneMask wrong = 0;
  forEachLane(lanes, [&](unsigned l) {
    wrong |= LaneMask{(address[l] & (align - 1)) != 0} << l;
  });
  if (wrong)
    warp.fail(K::Misaligned, in, wrong,
              "the address " + hexText(address[__builtin_ctz(wrong)]) +
                  " is no multiple of the " + std::to_string(align) +
                  " bytes accessed");
}

static std::byte *lanePointer(Warp &warp, Space space, unsigned lane,
                              uint64_t address, uint32_t bytes, bool writes) {
  switch (space) {
  case Space::Global:
  case Space::Constant: {
    GlobalRange range;
    if (!warp.block->machine->findGlobal(address, bytes, range) ||
        (writes && !range.writable))
      return nullptr;
    return reinterpret_cast<std::byte *>(address);
  }
  case Space::Shared:
    if (hasLeft(*warp.block, address))
      return nullptr;
    return sharedPointer(*warp.block, address, bytes);
  case Space::Local:
    return localPointer(warp, lane, address, bytes);
  case Space::Param:
    return paramPointer(warp, lane, address, bytes, writes);
  default:
    return nullptr;
  }
}

void resolvePointers(Warp &warp, const Instruction &in, Space space,
                     const uint64_t *address, LaneMask lanes, uint32_t bytes,
                     bool writes, std::byte **pointer) {
  checkAlignment(warp, in, address, lanes, bytes);
  forEachLane(lanes, [&](unsigned l) {
    pointer[l] = lanePointer(warp, space, l, address[l], bytes, writes);
    if (!pointer[l])
      failAddress(warp, in, space, 1u << l, address[l], bytes, writes);
  });
  std::byte *first = pointer[__builtin_ctz(lanes)];
  for (unsigned l = 0; l < kLanes; ++l)
    if (!(lanes >> l & 1))
      pointer[l] = first;
}

LaneMask takeWindow(Warp &warp, const Instruction &in, LaneMask lanes,
                    uint64_t *address, Space &space) {
  uint64_t window = address[__builtin_ctz(lanes)] >> kWindowShift;
  space = windowOf(address[__builtin_ctz(lanes)]);
  LaneMask same = 0;
  forEachLane(lanes, [&](unsigned l) {
    same |= LaneMask{(address[l] >> kWindowShift) == window} << l;
  });
  if (space == Space::Generic)
    warp.fail(K::IllegalAddress, in, same,
              "the address " + hexText(address[__builtin_ctz(lanes)]) +
                  " lies in no address space");
  if (space == Space::Global)
    return same;
  constexpr uint64_t low = (uint64_t{1} << kWindowShift) - 1;
  for (unsigned l = 0; l < kLanes; ++l)
    if ((same >> l & 1) || !(lanes >> l & 1))
      address[l] &= low;
  return same;
}

void readAddresses(const Warp &warp, const Instruction &in, unsigned position,
                   unsigned which, uint64_t *address) {
  Slot slot = in.operand[position];
  auto offset = static_cast<uint64_t>(in.offset[which]);
  for (unsigned l = 0; l < kLanes; ++l) {
    if (slot == kNoSlot)
      address[l] = offset;
    else if (in.width[position] == Width::Double)
      address[l] = warp.lanes<uint64_t>(slot)[l] + offset;
    else
      address[l] = static_cast<uint32_t>(warp.lanes<uint32_t>(slot)[l] +
                                         static_cast<uint32_t>(offset));
  }
}

//===----------------------------------------------------------------------===//
// Observers
//===----------------------------------------------------------------------===//

void checkAddressPoison(Warp &warp, const Instruction &in, unsigned operand) {
  if (!warp.poison || in.operand[operand] == kNoSlot)
    return;
  if (LaneMask undefined = anyPoison(warp, in, operand) & warp.active)
    warp.block->machine->observer->onPoisonUse(warp, in, undefined,
                                               PoisonUse::Address);
}

static Access makeAccess(Warp &warp, const Instruction &in,
                         const MemoryInfo &info, Space space,
                         const uint64_t *address, LaneMask lanes,
                         AccessKind kind) {
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = space;
  access.kind = kind;
  access.lanes = lanes;
  access.bytes = info.total();
  access.elementBytes = info.bytes;
  access.address = address;
  access.order = info.order;
  access.scope = info.scope;
  access.nonCoherent = info.nonCoherent;
  return access;
}

/// Parameters of calls are registers in all but name: no one watches them.
static bool isCallParam(Space space, const uint64_t *address, LaneMask lanes) {
  return space == Space::Param && address[__builtin_ctz(lanes)] >= kCallParam;
}

static unsigned wordsOf(const MemoryInfo &info) {
  return info.bytes > 4 ? info.bytes / 4 : 1;
}

bool passesChecks(Warp &warp, const Instruction &in, const MemoryInfo &info,
                  const WholeAccess &access) {
  const bool stores = access.kind == AccessKind::Store;
  LaneMask undefined = 0;
  if (warp.poison) {
    undefined = anyPoison(warp, in, info.address);
    for (unsigned e = 0; stores && e < info.count; ++e)
      undefined |= anyPoison(warp, in, info.data + e);
  }
  if (undefined || !warp.block->machine->observer->passesWhole(access))
    return false;
  for (unsigned e = 0; warp.poison && !stores && e < info.count; ++e)
    writePoison(warp, in, info.data + e, kAllLanes, 0);
  return true;
}

LaneMask observeLoad(Warp &warp, const Instruction &in, const MemoryInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes) {
  checkAddressPoison(warp, in, info.address);
  Observer &observer = *warp.block->machine->observer;
  if (warp.poison &&
      observer.passes(warp, space, address, lanes, info.total())) {
    for (unsigned e = 0; e < info.count; ++e)
      writePoison(warp, in, info.data + e, lanes, 0);
    return lanes;
  }
  LaneMask poison[64];
  const unsigned words = wordsOf(info);
  if (warp.poison)
    std::fill_n(poison, info.count * words, 0);
  LaneMask allowed = lanes;
  if (!isCallParam(space, address, lanes)) {
    Access access =
        makeAccess(warp, in, info, space, address, lanes, AccessKind::Load);
    access.loadedPoison = warp.poison ? poison : nullptr;
    allowed = warp.observeAccess(access) & lanes;
  }
  LaneMask refused = lanes & ~allowed;
  if (!warp.poison && !refused)
    return allowed;
  for (unsigned e = 0; e < info.count; ++e) {
    unsigned operand = info.data + e;
    if (in.operand[operand] == kNoSlot)
      continue;
    for (unsigned w = 0; warp.poison && w < poisonWords(in.width[operand]); ++w)
      writePoisonWord(warp, in, operand, w, lanes,
                      poison[e * words + (w < words ? w : words - 1)]);
    forEachLane(refused, [&](unsigned l) {
      if (in.width[operand] == Width::Double)
        warp.lanes<uint64_t>(in.operand[operand])[l] = 0;
      else
        warp.lanes<uint32_t>(in.operand[operand])[l] = 0;
    });
  }
  return allowed;
}

/// The stored values by lane, for observers that compare them.
static void readValues(const Warp &warp, const Instruction &in,
                       const MemoryInfo &info, uint64_t *value) {
  for (unsigned e = 0; e < info.count; ++e) {
    Slot slot = in.operand[info.data + e];
    Width width = in.width[info.data + e];
    for (unsigned l = 0; l < kLanes; ++l) {
      uint64_t v = 0;
      if (slot != kNoSlot)
        v = width == Width::Double || width == Width::Quad
                ? warp.lanes<uint64_t>(slot)[l]
                : warp.lanes<uint32_t>(slot)[l];
      if (info.bytes < 8)
        v &= (uint64_t{1} << (8 * info.bytes)) - 1;
      value[e * kLanes + l] = v;
    }
  }
}

LaneMask observeStore(Warp &warp, const Instruction &in, const MemoryInfo &info,
                      Space space, const uint64_t *address, LaneMask lanes) {
  checkAddressPoison(warp, in, info.address);
  if (isCallParam(space, address, lanes))
    return lanes;
  LaneMask poison[64];
  uint64_t value[16 * kLanes];
  Access access =
      makeAccess(warp, in, info, space, address, lanes, AccessKind::Store);
  if (warp.poison) {
    unsigned words = wordsOf(info);
    for (unsigned e = 0; e < info.count; ++e)
      for (unsigned w = 0; w < words; ++w)
        poison[e * words + w] = in.operand[info.data + e] == kNoSlot
                                    ? 0
                                    : readPoison(warp, in, info.data + e, w);
    access.storedPoison = poison;
  }
  if (info.bytes <= 8 && warp.block->machine->observer->wantsValues) {
    readValues(warp, in, info, value);
    access.value = value;
  }
  return warp.observeAccess(access) & lanes;
}

} // namespace ptx
