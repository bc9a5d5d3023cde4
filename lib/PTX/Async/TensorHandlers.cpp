// Cp.async.bulk.tensor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/TensorHandlers.h"

#include "Async/CombineNames.h"
#include "Async/Reach.h"
#include "Async/TensorBox.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"
#include "ptx/Error.h"
#include "ptx/TensorMap.h"

#include <algorithm>
#include <iterator>

namespace ptx::async {
namespace {

using K = FindingKind;

struct TensorInfo {
  enum Kind : uint8_t { Load, Store, Prefetch } kind = Load;
  uint8_t rank = 1, coordinates = 1;
  bool fourRows = false;
  bool toCluster = false; ///< `.shared::cluster`, the block's own memory too
  /// `.cta_group::`: the mbarrier is in the block of the box (1), or in any of
  /// its pair, which are the even rank and the next (2).
  uint8_t pair = 0;
  /// Operand indices: the map and its coordinates, the box in shared memory.
  uint8_t map = 0;
  int8_t shared = -1, barrier = -1, receivers = -1;
  uint8_t mapOffset = 0, sharedOffset = 0, barrierOffset = 0;
  Combine combine = Combine::Copy;
};

/// The map that a lane's generic address names.
TensorMap readMap(const Reach &reach, uint64_t address) {
  Warp &warp = reach.warp;
  const std::byte *bytes = nullptr;
  constexpr uint64_t low = (uint64_t{1} << kWindowShift) - 1;
  switch (windowOf(address)) {
  case Space::Global:
    bytes = reach.global(address, TensorMap::kBytes, false);
    break;
  case Space::Param: {
    const auto &params = warp.block->grid->params;
    const uint64_t offset = address & low;
    if (offset + TensorMap::kBytes <= params.size())
      bytes = params.data() + offset;
    break;
  }
  case Space::Shared: {
    Block *owner;
    bytes = reach.shared(address & low, TensorMap::kBytes, owner);
    break;
  }
  default:
    break;
  }
  if (!bytes)
    reach.fail(K::IllegalAddress,
               "there is no tensor map at " + hexText(address));
  reach.aligned(address & low, 64, "the address of the tensor map");
  TensorMap map = TensorMap::decode(bytes);
  try {
    map.validate();
  } catch (const Error &error) {
    reach.fail(K::IllegalInstruction, error.why);
  }
  return map;
}

/// The arithmetic of a reduction into tensors of this type.
Element elementOf(const Reach &reach, const TensorMap &map, Combine combine) {
  static constexpr Element elements[] = {
      Element::B8,    Element::B8,   Element::U32,    Element::S32,
      Element::U64,   Element::S64,  Element::F16,    Element::F32,
      Element::F64,   Element::BF16, Element::F32Ftz, Element::F32,
      Element::F32Ftz};
  const auto index = static_cast<unsigned>(map.element);
  const Element element =
      index < std::size(elements) ? elements[index] : Element::B8;
  if (!supports(combine, element))
    reach.fail(K::IllegalInstruction,
               "tensors of this element type have no such reduction");
  return element;
}

/// Tells observers about the runs of one row of a box: what lies together is
/// one access.
class RowAccess {
public:
  RowAccess(const Reach &reach, const TensorInfo &info)
      : reach(reach), load(info.kind != TensorInfo::Store),
        prefetch(info.kind == TensorInfo::Prefetch) {}
  ~RowAccess() { flush(); }

  void add(const BoxRun &run) {
    if (run.inside && count && run.global == global + bytes) {
      bytes += run.bytes;
      sharedBytes += run.bytes + run.padding;
      sharedLow = std::min(sharedLow, run.shared);
    } else if (run.inside) {
      flush();
      global = run.global;
      bytes = run.bytes;
      sharedBytes = run.bytes + run.padding;
      sharedLow = run.shared;
    } else if (load && !prefetch) {
      // Filled: only shared memory is concerned.
      reach.tell(Space::Shared, AccessKind::TensorDestination, run.shared,
                 run.bytes + run.padding);
      return;
    }
    count += run.inside;
  }

  void flush() {
    if (!count)
      return;
    if (prefetch) {
      reach.tell(Space::Global, AccessKind::Prefetch, global, bytes);
    } else {
      reach.tell(Space::Global,
                 load ? AccessKind::TensorSource
                      : AccessKind::TensorDestination,
                 global, bytes);
      reach.tell(Space::Shared,
                 load ? AccessKind::TensorDestination
                      : AccessKind::TensorSource,
                 sharedLow, sharedBytes);
    }
    count = 0;
  }

private:
  const Reach &reach;
  bool load, prefetch;
  unsigned count = 0;
  uint64_t global = 0, bytes = 0, sharedBytes = 0;
  uint32_t sharedLow = 0;
};

void tellRows(const Reach &reach, const TensorInfo &info,
              const std::vector<BoxRun> &runs) {
  if (!reach.warp.observed)
    return;
  RowAccess row(reach, info);
  for (const BoxRun &run : runs)
    row.add(run);
}

void addLoad(const Reach &reach, Operation &operation, const TensorMap &map,
             bool fourRows, const std::vector<BoxRun> &runs, uint64_t box,
             uint64_t barrier) {
  Block *owner;
  std::byte *base = reach.shared(box, spannedBytes(map, fourRows), owner);
  const uint64_t start = sharedOffset(box);
  for (const BoxRun &run : runs) {
    Piece piece;
    piece.from =
        run.inside ? reach.global(run.global, run.bytes, false) : nullptr;
    piece.to = base + (run.shared - start);
    piece.bytes = run.bytes;
    piece.padding = run.padding;
    piece.block = owner;
    piece.address = run.shared;
    operation.pieces.push_back(piece);
  }
  operation.signals.push_back(
      reach.signalTo(barrier, transactionBytes(map, fourRows)));
}

void addStore(const Reach &reach, Operation &operation, const TensorMap &map,
              bool fourRows, const std::vector<BoxRun> &runs, uint64_t box) {
  Block *owner;
  const std::byte *base = reach.shared(box, spannedBytes(map, fourRows), owner);
  const uint64_t start = sharedOffset(box);
  for (const BoxRun &run : runs) {
    if (!run.inside)
      continue;
    Piece piece;
    piece.from = base + (run.shared - start);
    piece.bytes = run.bytes;
    // Whole granules are written: padding behind the last row may lie behind
    // the allocation, where a real store does no harm either.
    GlobalRange range;
    if (reach.warp.block->machine->findGlobal(run.global, 1, range))
      piece.bytes = static_cast<uint32_t>(
          std::min<uint64_t>(piece.bytes, range.end - run.global));
    piece.to = reach.global(run.global, piece.bytes, true);
    piece.space = Space::Global;
    piece.address = run.global;
    operation.pieces.push_back(piece);
  }
}

/// The mbarrier that hears of the box in \p block when \p barrier was named.
/// A multicast asks for each of its blocks.
uint64_t barrierFor(const Reach &reach, const TensorInfo &info,
                    const Block &block, uint64_t barrier) {
  const Block *named = sharedOwner(*reach.warp.block, barrier);
  if (info.pair == 0 || !named)
    return info.receivers < 0 ? barrier : Reach::sameOffset(barrier, block);
  const auto &all = reach.warp.block->cluster->blocks;
  if (info.receivers < 0) {
    const bool near =
        info.pair == 1 ? named == &block : named->rank / 2 == block.rank / 2;
    if (!near)
      reach.fail(K::AsyncMisuse,
                 "the mbarrier is in block " + std::to_string(named->rank) +
                     " of the cluster and the box in block " +
                     std::to_string(block.rank) +
                     (info.pair == 1
                          ? ": .cta_group::1 wants both in one block"
                          : ": .cta_group::2 wants them in one pair"));
    return barrier;
  }
  if (info.pair == 1)
    return Reach::sameOffset(barrier, block);
  const unsigned rank = (block.rank & ~1u) | (named->rank & 1u);
  if (rank >= all.size())
    reach.fail(K::AsyncMisuse, "block " + std::to_string(block.rank) +
                                   " of the cluster has no other block of its "
                                   "pair");
  return Reach::sameOffset(barrier, *all[rank]);
}

/// What only some architectures have.
void checkTarget(const Reach &reach, const TensorInfo &info,
                 const TensorMap &map) {
  const unsigned sm = reach.warp.block->grid->sm;
  const bool small = map.element >= TensorElement::B4x16;
  const std::string name = " on sm_" + std::to_string(sm);
  if (small && sm < 100)
    reach.fail(K::IllegalInstruction,
               "there are no tensors of 4- and 6-bit elements" + name);
  if (map.swizzle == 96 && sm != 103)
    reach.fail(K::IllegalInstruction,
               "there are no swizzles of 96 bytes" + name);
  if (info.toCluster && sm >= 120 && (small || map.atomicity != 16))
    reach.fail(K::IllegalInstruction,
               "copies to .shared::cluster of 4- and 6-bit elements, and with "
               "swizzles that keep more than 16 bytes together, do not exist" +
                   name + "; those to .shared::cta do");
}

void copyLane(const Reach &reach, const TensorInfo &info, uint64_t mapAddress,
              uint64_t box, uint64_t barrier) {
  Warp &warp = reach.warp;
  const Instruction &in = reach.in;
  const TensorMap map = readMap(reach, mapAddress);
  checkTarget(reach, info, map);
  if (map.rank != info.rank)
    reach.fail(K::IllegalInstruction,
               "the tensor map has " + std::to_string(map.rank) +
                   " dimensions, the instruction " + std::to_string(info.rank));
  BoxPlace place;
  place.fourRows = info.fourRows;
  for (unsigned d = 0; d < info.coordinates; ++d)
    place.coordinate[d] =
        warp.lanes<int32_t>(in.operand[info.map + 1 + d])[reach.lane];
  const bool store = info.kind == TensorInfo::Store;
  if (std::string why = refusal(map, place, store); !why.empty())
    reach.fail(K::IllegalInstruction, why);
  const auto start = static_cast<uint32_t>(sharedOffset(box));
  if (info.kind != TensorInfo::Prefetch)
    reach.aligned(start, 128, "the address of the box in shared memory");
  const auto runs = boxRuns(map, place, start, store);
  tellRows(reach, info, runs);
  if (info.kind == TensorInfo::Prefetch)
    return;
  auto operation = reach.operation();
  operation->combine = info.combine;
  if (store) {
    if (info.combine != Combine::Copy)
      operation->element = elementOf(reach, map, info.combine);
    operation->group = stateOf(warp).bulkGroups[reach.lane];
    operation->packsSixBits = map.element == TensorElement::B6x16Padded;
    addStore(reach, *operation, map, info.fourRows, runs, box);
  } else {
    operation->fill = map.nanFill ? 0x7ff7 : 0;
    operation->roundsTF32 = map.element == TensorElement::TF32 ||
                            map.element == TensorElement::TF32Ftz;
    if (info.receivers < 0) {
      const Block *owner = sharedOwner(*warp.block, box);
      addLoad(reach, *operation, map, info.fourRows, runs, box,
              owner ? barrierFor(reach, info, *owner, barrier) : barrier);
    } else {
      auto mask = static_cast<uint16_t>(
          warp.lanes<uint32_t>(in.operand[info.receivers])[reach.lane]);
      for (Block *block : reach.receivers(mask))
        addLoad(reach, *operation, map, info.fourRows, runs,
                Reach::sameOffset(box, *block),
                barrierFor(reach, info, *block, barrier));
    }
  }
  engineOf(warp).issue(std::move(operation));
}

} // namespace

void decodeTensorCopy(DecodeContext &context, Instruction &in) {
  if (in.row->needsA && context.sm() >= 120)
    context.fail("'" + in.row->name() + "' ended with the targets of sm_110a");
  TensorInfo info;
  for (unsigned rank = 1; rank <= 5; ++rank)
    if (context.has("." + std::to_string(rank) + "d"))
      info.rank = static_cast<uint8_t>(rank);
  info.fourRows =
      context.has(".tile::gather4") || context.has(".tile::scatter4");
  info.coordinates = info.fourRows ? 5 : info.rank;
  int8_t next = 0;
  if (context.has(".prefetch")) {
    info.kind = TensorInfo::Prefetch;
  } else if (context.has(".bulk_group")) {
    info.kind = TensorInfo::Store;
    info.shared = static_cast<int8_t>(1 + info.coordinates);
    info.sharedOffset = 1;
  } else {
    info.map = 1;
    info.mapOffset = 1;
    info.shared = 0;
    info.barrier = static_cast<int8_t>(2 + info.coordinates);
    info.barrierOffset = 2;
    next = static_cast<int8_t>(info.barrier + 1);
    info.toCluster = context.has(".shared::cluster");
    info.pair = context.has(".cta_group::2")   ? 2
                : context.has(".cta_group::1") ? 1
                                               : 0;
    if (context.has(".multicast::cluster"))
      info.receivers = next;
  }
  if (context.has(".reduce"))
    info.combine = combineOf(context);
  in.extra = context.keep(info);
}

void handleTensorCopy(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const TensorInfo *>(in.extra);
  uint64_t map[kLanes], shared[kLanes] = {}, barrier[kLanes] = {};
  readSpaceAddresses(warp, in, info.map, info.mapOffset, Space::Generic, false,
                     map);
  for (unsigned d = 0; d < info.coordinates; ++d)
    checkPoison(warp, in, info.map + 1u + d, PoisonUse::Address);
  if (info.shared >= 0)
    readSpaceAddresses(warp, in, static_cast<unsigned>(info.shared),
                       info.sharedOffset, Space::Shared, false, shared);
  if (info.barrier >= 0)
    readSpaceAddresses(warp, in, static_cast<unsigned>(info.barrier),
                       info.barrierOffset, Space::Shared, false, barrier);
  forEachLane(warp.active, [&](unsigned l) {
    copyLane(Reach{warp, in, l}, info, map[l], shared[l], barrier[l]);
  });
}

} // namespace ptx::async
