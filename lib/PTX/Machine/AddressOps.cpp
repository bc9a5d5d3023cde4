// Conversions of addresses, cache hints.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/AddressOps.h"
#include "Decode/DecodeContext.h"
#include "Machine/Machine.h"
#include "Machine/Memory.h"

namespace ptx {

using W = AddressWindow;

void decodeAddressOp(DecodeContext &context, Instruction &in) {
  AddressInfo info;
  if (context.has(".const"))
    info.window = W::Constant;
  else if (context.has(".local"))
    info.window = W::Local;
  else if (context.has(".shared") || context.has(".shared::cta"))
    info.window = W::Shared;
  else if (context.has(".shared::cluster"))
    info.window = W::SharedCluster;
  else if (context.has(".param") || context.has(".param::entry"))
    info.window = W::Param;
  info.generic = !context.has(".shared::cluster");
  in.extra = context.keep(info);
}

static uint64_t baseOf(AddressWindow window) {
  switch (window) {
  case W::Local:
    return kLocalWindow;
  case W::Shared:
  case W::SharedCluster:
    return kSharedWindow;
  case W::Param:
    return kParamWindow;
  default:
    return 0;
  }
}

static const AddressInfo &infoOf(const Instruction &in) {
  return *static_cast<const AddressInfo *>(in.extra);
}

template <class Body>
static void mapLanes(Warp &warp, const Instruction &in, Body body) {
  if (in.operand[0] == kNoSlot)
    return;
  uint64_t *d = warp.lanes<uint64_t>(in.operand[0]);
  const uint64_t *a = warp.lanes<uint64_t>(in.operand[1]);
  if (warp.active == kAllLanes) {
    for (unsigned l = 0; l < kLanes; ++l)
      d[l] = body(a[l]);
    return;
  }
  forEachLane(warp.active, [&](unsigned l) { d[l] = body(a[l]); });
}

void handleToGeneric(Warp &warp, const Instruction &in) {
  uint64_t base = baseOf(infoOf(in).window);
  mapLanes(warp, in, [&](uint64_t a) { return a + base; });
}

void handleToSpace(Warp &warp, const Instruction &in) {
  uint64_t base = baseOf(infoOf(in).window);
  mapLanes(warp, in, [&](uint64_t a) { return a - base; });
}

static bool isInside(const Warp &warp, AddressWindow window, uint64_t a) {
  switch (window) {
  case W::Local:
    return windowOf(a) == Space::Local;
  case W::SharedCluster:
    return windowOf(a) == Space::Shared;
  case W::Shared: {
    uint64_t rank = sharedRankField(a & ((uint64_t{1} << kWindowShift) - 1));
    return windowOf(a) == Space::Shared &&
           (!rank || rank == warp.block->rank + 1);
  }
  case W::Param:
    return windowOf(a) == Space::Param;
  case W::Constant: {
    auto allocation = warp.block->grid->device->find(a);
    return windowOf(a) == Space::Global && allocation && !allocation->writable;
  }
  case W::Global:
    return windowOf(a) == Space::Global;
  }
  return false;
}

void handleIsSpace(Warp &warp, const Instruction &in) {
  LaneMask inside = 0;
  const uint64_t *a = warp.lanes<uint64_t>(in.source(0));
  forEachLane(warp.active, [&](unsigned l) {
    inside |= LaneMask{isInside(warp, infoOf(in).window, a[l])} << l;
  });
  warp.writePredicate(in.operand[0], inside);
}

static uint64_t readAddress(const Warp &warp, const Instruction &in,
                            unsigned operand, unsigned lane) {
  return in.width[operand] == Width::Double
             ? warp.lanes<uint64_t>(in.operand[operand])[lane]
             : warp.lanes<uint32_t>(in.operand[operand])[lane];
}

void handleMapAddress(Warp &warp, const Instruction &in) {
  const uint32_t *rank = warp.lanes<uint32_t>(in.source(1));
  uint64_t base = infoOf(in).generic ? kSharedWindow : 0;
  size_t blocks = warp.block->cluster->blocks.size();
  LaneMask outside = 0;
  uint64_t result[kLanes];
  forEachLane(warp.active, [&](unsigned l) {
    uint64_t offset = sharedOffset(readAddress(warp, in, 1, l) - base);
    if (rank[l] >= blocks)
      outside |= 1u << l;
    // The own block keeps the plain form: both name the same bytes.
    uint64_t field = rank[l] == warp.block->rank ? 0 : rank[l] + 1;
    result[l] = base + offset + (field << kRankShift);
  });
  if (outside)
    warp.fail(FindingKind::IllegalInstruction, in, outside,
              "the cluster has " + std::to_string(blocks) +
                  " blocks; there is no block " +
                  std::to_string(rank[__builtin_ctz(outside)]));
  if (in.operand[0] == kNoSlot)
    return;
  forEachLane(warp.active, [&](unsigned l) {
    if (in.width[0] == Width::Double)
      warp.lanes<uint64_t>(in.operand[0])[l] = result[l];
    else
      warp.lanes<uint32_t>(in.operand[0])[l] = static_cast<uint32_t>(result[l]);
  });
}

void handleGetRank(Warp &warp, const Instruction &in) {
  if (in.operand[0] == kNoSlot)
    return;
  uint32_t *d = warp.lanes<uint32_t>(in.operand[0]);
  uint64_t base = infoOf(in).generic ? kSharedWindow : 0;
  forEachLane(warp.active, [&](unsigned l) {
    uint64_t field = sharedRankField(readAddress(warp, in, 1, l) - base);
    d[l] = field ? static_cast<uint32_t>(field - 1) : warp.block->rank;
  });
}

//===----------------------------------------------------------------------===//
// Prefetches: no effect on data, but observers count them
//===----------------------------------------------------------------------===//

void decodePrefetch(DecodeContext &context, Instruction &in) {
  PrefetchInfo info;
  if (context.has(".global"))
    info.space = Space::Global;
  else if (context.has(".local"))
    info.space = Space::Local;
  else if (context.has(".const"))
    info.space = Space::Constant;
  else if (context.has(".param"))
    info.space = Space::Param;
  in.extra = context.keep(info);
}

void handlePrefetch(Warp &warp, const Instruction &in) {
  if (!warp.observed)
    return;
  const auto &info = *static_cast<const PrefetchInfo *>(in.extra);
  uint64_t address[kLanes];
  readAddresses(warp, in, 0, 0, address);
  checkAddressPoison(warp, in, 0);
  forEachSpace(warp, in, info.space, address,
               [&](Space space, LaneMask lanes, const uint64_t *plain) {
                 Access access;
                 access.instruction = &in;
                 access.warp = &warp;
                 access.space = space;
                 access.kind = AccessKind::Prefetch;
                 access.lanes = lanes;
                 access.bytes = access.elementBytes = 1;
                 access.address = plain;
                 warp.observeAccess(access);
               });
}

/// `discard` makes the bytes undefined.
void handleDiscard(Warp &warp, const Instruction &in) {
  uint64_t address[kLanes];
  readAddresses(warp, in, 0, 0, address);
  checkAlignment(warp, in, address, warp.active, 128);
  forEachLane(warp.active, [&](unsigned l) {
    if (!globalPointer(*warp.block, address[l], 128))
      warp.fail(FindingKind::OutOfBounds, in, 1u << l,
                "discards 128 bytes that are not inside an allocation");
    if (warp.observed)
      warp.block->machine->observer->onUndefined(warp.block, Space::Global,
                                                 address[l], 128);
  });
}

/// A policy has no meaning of its own here; loads take any.
void handleCreatePolicy(Warp &warp, const Instruction &in) {
  if (in.operand[0] == kNoSlot)
    return;
  uint64_t *d = warp.lanes<uint64_t>(in.operand[0]);
  forEachLane(warp.active, [&](unsigned l) { d[l] = 0x12f0000000000000u; });
}

} // namespace ptx
