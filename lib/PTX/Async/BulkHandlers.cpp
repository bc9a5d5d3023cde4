// Cp.async.bulk.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/BulkHandlers.h"

#include "Async/CombineNames.h"
#include "Async/Reach.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

#include <algorithm>
#include <cstring>

namespace ptx::async {
namespace {

using K = FindingKind;

constexpr unsigned kGranule = 16;

struct BulkInfo {
  bool fromGlobal = false, toGlobal = false;
  /// Operand indices; -1: absent. Destination, source, size come first.
  int8_t barrier = -1, receivers = -1, byteMask = -1;
  Combine combine = Combine::Copy;
  Element element = Element::B8;
};

/// The addresses of all lanes.
struct BulkAddresses {
  uint64_t to[kLanes], from[kLanes], barrier[kLanes];
};

void readBulk(Warp &warp, const Instruction &in, const BulkInfo &info,
              BulkAddresses &a) {
  readSpaceAddresses(warp, in, 0, 0,
                     info.toGlobal ? Space::Global : Space::Shared, false,
                     a.to);
  readSpaceAddresses(warp, in, 1, 1,
                     info.fromGlobal ? Space::Global : Space::Shared, false,
                     a.from);
  checkPoison(warp, in, 2, PoisonUse::Address);
  if (info.barrier >= 0)
    readSpaceAddresses(warp, in, static_cast<unsigned>(info.barrier), 2,
                       Space::Shared, false, a.barrier);
}

/// Into shared memory: the pieces of each receiver, and its mbarrier.
void addShared(const Reach &reach, Operation &operation,
               const std::byte *source, uint64_t to, uint64_t barrier,
               uint32_t bytes, const std::vector<Block *> *receivers) {
  auto add = [&](uint64_t address, uint64_t barrierAddress) {
    Piece piece;
    piece.from = source;
    piece.to = reach.shared(address, bytes, piece.block);
    piece.bytes = bytes;
    piece.address = sharedOffset(address);
    operation.pieces.push_back(piece);
    operation.signals.push_back(reach.signalTo(barrierAddress, bytes));
  };
  if (!receivers)
    return add(to, barrier);
  for (Block *block : *receivers)
    add(Reach::sameOffset(to, *block), Reach::sameOffset(barrier, *block));
}

void copyLane(const Reach &reach, const BulkInfo &info, const BulkAddresses &a,
              uint32_t bytes) {
  const unsigned lane = reach.lane;
  Warp &warp = reach.warp;
  const Instruction &in = reach.in;
  if (bytes % kGranule)
    reach.fail(K::IllegalInstruction, "the size of a bulk copy is " +
                                          std::to_string(bytes) +
                                          "; it must be a multiple of 16");
  reach.aligned(a.to[lane], kGranule, "the destination");
  reach.aligned(a.from[lane], kGranule, "the source");
  if (!reach.tell(info.fromGlobal ? Space::Global : Space::Shared,
                  AccessKind::BulkSource, a.from[lane], bytes) ||
      !reach.tell(info.toGlobal ? Space::Global : Space::Shared,
                  AccessKind::BulkDestination, a.to[lane], bytes))
    return;
  Block *block;
  const std::byte *source = info.fromGlobal
                                ? reach.global(a.from[lane], bytes, false)
                                : reach.shared(a.from[lane], bytes, block);
  auto operation = reach.operation();
  operation->combine = info.combine;
  operation->element = info.element;
  if (info.toGlobal) {
    Piece piece;
    piece.from = source;
    piece.to = reach.global(a.to[lane], bytes, true);
    piece.bytes = bytes;
    piece.space = Space::Global;
    piece.address = a.to[lane];
    operation->pieces.push_back(piece);
    operation->group = stateOf(warp).bulkGroups[lane];
    if (info.byteMask >= 0) {
      operation->bytesMasked = true;
      operation->byteMask = static_cast<uint16_t>(
          warp.lanes<uint32_t>(in.operand[info.byteMask])[lane]);
    }
  } else {
    std::vector<Block *> receivers;
    if (info.receivers >= 0)
      receivers = reach.receivers(static_cast<uint16_t>(
          warp.lanes<uint32_t>(in.operand[info.receivers])[lane]));
    addShared(reach, *operation, source, a.to[lane], a.barrier[lane], bytes,
              info.receivers >= 0 ? &receivers : nullptr);
  }
  engineOf(warp).issue(std::move(operation));
}

} // namespace

void decodeBulkCopy(DecodeContext &context, Instruction &in) {
  BulkInfo info;
  // The two state spaces are written destination first.
  bool first = true;
  for (const std::string &modifier : in.row->written) {
    const bool global = modifier == ".global";
    if (!global && !modifier.starts_with(".shared"))
      continue;
    (first ? info.toGlobal : info.fromGlobal) = global;
    first = false;
    if (modifier == ".global" && info.fromGlobal)
      break;
  }
  int8_t next = 3;
  if (!info.toGlobal)
    info.barrier = next++;
  if (context.has(".multicast::cluster"))
    info.receivers = next++;
  if (context.has(".L2::cache_hint"))
    ++next;
  if (context.has(".cp_mask"))
    info.byteMask = next++;
  if (context.has(".reduce")) {
    info.combine = combineOf(context);
    for (const std::string &modifier : in.row->written)
      if (Type type = typeNamed(modifier); type != Type::None)
        info.element = elementOf(type);
  }
  in.extra = context.keep(info);
}

void handleBulkCopy(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const BulkInfo *>(in.extra);
  BulkAddresses addresses;
  readBulk(warp, in, info, addresses);
  const auto *size = warp.lanes<uint32_t>(in.operand[2]);
  forEachLane(warp.active, [&](unsigned l) {
    copyLane(Reach{warp, in, l}, info, addresses, size[l]);
  });
}

void handleBulkPrefetch(Warp &warp, const Instruction &in) {
  uint64_t address[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Global, false, address);
  const auto *size = warp.lanes<uint32_t>(in.operand[1]);
  forEachLane(warp.active, [&](unsigned l) {
    const Reach reach{warp, in, l};
    if (size[l] % kGranule)
      reach.fail(K::IllegalInstruction, "the size of a bulk prefetch is " +
                                            std::to_string(size[l]) +
                                            "; it must be a multiple of 16");
    reach.aligned(address[l], kGranule, "the source");
    reach.tell(Space::Global, AccessKind::Prefetch, address[l], size[l]);
  });
}

void handleBulkCommit(Warp &warp, const Instruction &in) {
  WarpState &state = stateOf(warp);
  forEachLane(warp.active, [&](unsigned l) { ++state.bulkGroups[l]; });
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Arrive, *warp.block, 0, 0);
}

namespace {
struct BulkWait {
  bool onlyRead = false;
};
} // namespace

void decodeBulkWait(DecodeContext &context, Instruction &in) {
  in.extra = context.keep(BulkWait{context.has(".read")});
}

void handleBulkWait(Warp &warp, const Instruction &in) {
  const auto &wait = *static_cast<const BulkWait *>(in.extra);
  Engine &engine = engineOf(warp);
  WarpState &state = stateOf(warp);
  const uint32_t keep = warp.lanes<uint32_t>(in.operand[0])[0];
  auto &operations = stateOf(*warp.block).operations;
  for (size_t i = 0; i < operations.size(); ++i) {
    Operation &operation = *operations[i];
    if (operation.warp != &warp || operation.group == Operation::kNoGroup ||
        !(warp.active >> operation.lane & 1) ||
        operation.group + keep >= state.bulkGroups[operation.lane])
      continue;
    if (wait.onlyRead)
      operation.readSources();
    else
      engine.finish(operation);
  }
  engine.sweep(*warp.block);
  engine.tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                  SyncStep::Release, *warp.block, keep, 0);
}

//===----------------------------------------------------------------------===//
// st.bulk
//===----------------------------------------------------------------------===//

namespace {
struct BulkFill {
  bool generic = false;
};
/// What observers are told of at once.
constexpr uint64_t kFilledAtOnce = 128;
} // namespace

void decodeBulkFill(DecodeContext &context, Instruction &in) {
  in.extra = context.keep(BulkFill{context.option("space").empty()});
}

void handleBulkFill(Warp &warp, const Instruction &in) {
  uint64_t address[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Shared,
                     static_cast<const BulkFill *>(in.extra)->generic, address);
  checkPoison(warp, in, 1, PoisonUse::Address);
  const auto *size = warp.lanes<uint64_t>(in.operand[1]);
  forEachLane(warp.active, [&](unsigned l) {
    const Reach reach{warp, in, l};
    reach.aligned(address[l], 8, "the address");
    if (size[l] % 8 || size[l] > uint64_t{1} << 24)
      reach.fail(K::IllegalInstruction,
                 "the size of a bulk store is " + std::to_string(size[l]) +
                     "; it must be a multiple of 8, up to 16 MiB");
    if (sharedOwner(*warp.block, address[l]) != warp.block)
      reach.fail(K::OutOfBounds, "the bytes of a bulk store must lie in shared "
                                 "memory of the block");
    Block *owner;
    std::byte *to = reach.shared(address[l], size[l], owner);
    for (uint64_t done = 0; done < size[l]; done += kFilledAtOnce) {
      const uint64_t now = std::min(kFilledAtOnce, size[l] - done);
      if (reach.tell(Space::Shared, AccessKind::Store, address[l] + done, now))
        std::memset(to + done, 0, now);
    }
  });
  warp.block->machine->changed();
}

//===----------------------------------------------------------------------===//
// st.async, red.async
//===----------------------------------------------------------------------===//

namespace {
struct RemoteStore {
  uint8_t bytes = 4, count = 1;
  bool generic = false;
  Combine combine = Combine::Copy;
  Element element = Element::B8;
};
} // namespace

void decodeRemoteStore(DecodeContext &context, Instruction &in) {
  RemoteStore store;
  store.generic = context.option("space").empty();
  Type type = Type::None;
  for (const std::string &modifier : in.row->written)
    if (Type found = typeNamed(modifier); found != Type::None)
      type = found;
  store.bytes = static_cast<uint8_t>(ptx::byteSize(type));
  store.count = static_cast<uint8_t>(in.operandCount - 2);
  if (in.row->opcode == "red") {
    store.combine = combineOf(context);
    store.element = elementOf(type);
  }
  in.extra = context.keep(store);
}

void handleRemoteStore(Warp &warp, const Instruction &in) {
  const auto &store = *static_cast<const RemoteStore *>(in.extra);
  const unsigned barrierAt = store.count + 1u;
  const uint32_t bytes = uint32_t{store.bytes} * store.count;
  uint64_t address[kLanes], barrier[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Shared, store.generic, address);
  readSpaceAddresses(warp, in, barrierAt, 1, Space::Shared, store.generic,
                     barrier);
  forEachLane(warp.active, [&](unsigned l) {
    const Reach reach{warp, in, l};
    reach.aligned(address[l], bytes, "the address");
    if (!reach.tell(Space::Shared, AccessKind::BulkDestination, address[l],
                    bytes))
      return;
    auto operation = reach.operation();
    operation->combine = store.combine;
    operation->element = store.element;
    Piece piece;
    piece.to = reach.shared(address[l], bytes, piece.block);
    piece.bytes = bytes;
    piece.address = sharedOffset(address[l]);
    operation->pieces.push_back(piece);
    operation->signals.push_back(reach.signalTo(barrier[l], bytes));
    std::byte data[32];
    for (unsigned e = 0; e < store.count; ++e) {
      const Slot slot = in.operand[1 + e];
      const auto *lanes =
          reinterpret_cast<const std::byte *>(warp.lanes<uint32_t>(slot));
      const unsigned width = in.width[1 + e] == Width::Double ? 8 : 4;
      std::memcpy(data + e * store.bytes, lanes + width * l, store.bytes);
    }
    operation->provide(data, bytes);
    engineOf(warp).issue(std::move(operation));
  });
}

} // namespace ptx::async
