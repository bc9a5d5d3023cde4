// Clusterlaunchcontrol.
//
// A request takes the next cluster of the grid that no one has started, which
// then never starts. The response is 16 bytes that only query_cancel reads:
// the first block of the cluster, and a mark that tells a response from bytes
// that are none.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/LaunchControl.h"

#include "Async/Reach.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

#include <cstring>

namespace ptx::async {
namespace {

using K = FindingKind;

constexpr uint32_t kRefused = 0x434c4330u, kCanceled = kRefused + 1;

struct Response {
  uint32_t x = 0, y = 0, z = 0, mark = kRefused;
};
static_assert(sizeof(Response) == 16);

struct TryCancel {
  bool generic = false, toAll = false;
};

Response takeCluster(Machine &machine) {
  const Grid &grid = machine.grid;
  Response response;
  if (machine.work.next.load() >= machine.work.count)
    return response;
  const uint64_t index = machine.work.next.fetch_add(1);
  if (index >= machine.work.count)
    return response;
  const Dim3 &cluster = grid.cluster;
  const uint64_t nx = grid.size.x / cluster.x, ny = grid.size.y / cluster.y;
  response.x = static_cast<uint32_t>(index % nx) * cluster.x;
  response.y = static_cast<uint32_t>(index / nx % ny) * cluster.y;
  response.z = static_cast<uint32_t>(index / nx / ny) * cluster.z;
  response.mark = kCanceled;
  return response;
}

/// The response that operand \p at of a lane holds.
Response responseOf(Warp &warp, const Instruction &in, unsigned at,
                    unsigned lane) {
  const auto *words = warp.lanes<uint64_t>(in.operand[at]);
  const uint64_t both[2] = {words[lane], words[kLanes + lane]};
  Response response;
  std::memcpy(&response, both, sizeof response);
  if (response.mark != kRefused && response.mark != kCanceled)
    warp.fail(K::AsyncMisuse, in, 1u << lane,
              "the 16 bytes are no response of "
              "clusterlaunchcontrol.try_cancel");
  return response;
}

void request(const Reach &reach, const TryCancel &info, uint64_t to,
             uint64_t barrier) {
  Warp &warp = reach.warp;
  if (stateOf(warp).sawRefusal & reach.lanes())
    reach.fail(K::AsyncMisuse, "asks for another cluster although this thread "
                               "saw that a request was refused");
  reach.aligned(to, sizeof(Response), "the address of the response");
  if (!reach.tell(Space::Shared, AccessKind::BulkDestination, to,
                  sizeof(Response)))
    return;
  auto operation = reach.operation();
  auto answer = [&](uint64_t address, uint64_t barrierAddress) {
    Piece piece;
    piece.to = reach.shared(address, sizeof(Response), piece.block);
    piece.bytes = sizeof(Response);
    piece.address = sharedOffset(address);
    operation->pieces.push_back(piece);
    operation->signals.push_back(
        reach.signalTo(barrierAddress, sizeof(Response)));
  };
  if (!info.toAll)
    answer(to, barrier);
  else
    for (auto &block : warp.block->cluster->blocks)
      answer(Reach::sameOffset(to, *block), Reach::sameOffset(barrier, *block));
  const std::vector<Response> responses(operation->pieces.size(),
                                        takeCluster(*warp.block->machine));
  operation->provide(reinterpret_cast<const std::byte *>(responses.data()),
                     responses.size() * sizeof(Response));
  engineOf(warp).issue(std::move(operation));
}

} // namespace

void decodeTryCancel(DecodeContext &context, Instruction &in) {
  TryCancel info;
  info.generic = context.option("space").empty();
  info.toAll = context.has(".multicast::cluster::all");
  in.extra = context.keep(info);
}

void handleTryCancel(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const TryCancel *>(in.extra);
  uint64_t to[kLanes], barrier[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Shared, info.generic, to);
  readSpaceAddresses(warp, in, 1, 1, Space::Shared, info.generic, barrier);
  forEachLane(warp.active, [&](unsigned l) {
    request(Reach{warp, in, l}, info, to[l], barrier[l]);
  });
}

void handleIsCanceled(Warp &warp, const Instruction &in) {
  checkPoison(warp, in, 1, PoisonUse::Barrier);
  LaneMask canceled = 0;
  forEachLane(warp.active, [&](unsigned l) {
    if (responseOf(warp, in, 1, l).mark == kCanceled)
      canceled |= 1u << l;
  });
  stateOf(warp).sawRefusal |= warp.active & ~canceled;
  if (in.operand[0] != kNoSlot)
    warp.writePredicate(in.operand[0], canceled);
}

void decodeFirstBlock(DecodeContext &context, Instruction &in) {
  int first = 0;
  if (context.has(".get_first_ctaid::y"))
    first = 1;
  else if (context.has(".get_first_ctaid::z"))
    first = 2;
  in.extra = context.keep(first);
}

void handleFirstBlock(Warp &warp, const Instruction &in) {
  const unsigned source = in.resultCount;
  const int first = *static_cast<const int *>(in.extra);
  checkPoison(warp, in, source, PoisonUse::Barrier);
  forEachLane(warp.active, [&](unsigned l) {
    const Response response = responseOf(warp, in, source, l);
    if (response.mark != kCanceled)
      warp.fail(K::AsyncMisuse, in, 1u << l,
                "asks a refused request for its cluster");
    // The fourth element has no meaning.
    const uint32_t value[4] = {response.x, response.y, response.z, 0};
    for (unsigned k = 0; k < in.resultCount; ++k)
      if (in.operand[k] != kNoSlot)
        warp.lanes<uint32_t>(in.operand[k])[l] =
            value[static_cast<unsigned>(first) + k];
  });
}

} // namespace ptx::async
