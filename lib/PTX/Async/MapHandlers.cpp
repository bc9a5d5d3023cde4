// Tensormap.replace, tensormap.cp_fenceproxy.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Reach.h"
#include "Async/TensorHandlers.h"
#include "Async/TensorMapFields.h"
#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

#include <cstring>
#include <utility>

namespace ptx::async {
namespace {

using K = FindingKind;

constexpr std::pair<const char *, MapField> kFields[] = {
    {".global_address", MapField::GlobalAddress},
    {".rank", MapField::Rank},
    {".box_dim", MapField::BoxDim},
    {".global_dim", MapField::GlobalDim},
    {".global_stride", MapField::GlobalStride},
    {".element_stride", MapField::ElementStride},
    {".elemtype", MapField::ElemType},
    {".interleave_layout", MapField::InterleaveLayout},
    {".swizzle_mode", MapField::SwizzleMode},
    {".fill_mode", MapField::FillMode},
    {".swizzle_atomicity", MapField::SwizzleAtomicity}};

struct ReplaceInfo {
  MapField field = MapField::Rank;
  Space space = Space::Generic;
  int8_t ordinal = -1; ///< operand index
  uint8_t value = 1;
  /// Up to PTX 8.5 strides are written in units of 16 bytes.
  unsigned shift = 0;
};

/// Writable bytes of a map of one lane.
std::byte *mapBytes(const Reach &reach, Space space, uint64_t address) {
  Block *owner;
  return space == Space::Global
             ? reach.global(address, TensorMap::kBytes, true)
             : reach.shared(address, TensorMap::kBytes, owner);
}

uint64_t valueOf(const Warp &warp, const Instruction &in, unsigned operand,
                 unsigned lane) {
  if (in.width[operand] == Width::Double)
    return warp.lanes<uint64_t>(in.operand[operand])[lane];
  return warp.lanes<uint32_t>(in.operand[operand])[lane];
}

} // namespace

void decodeMapReplace(DecodeContext &context, Instruction &in) {
  ReplaceInfo info;
  for (auto [name, field] : kFields)
    if (context.has(name))
      info.field = field;
  if (context.has(".global"))
    info.space = Space::Global;
  else if (context.has(".shared::cta"))
    info.space = Space::Shared;
  if (in.operandCount == 3) {
    info.ordinal = 1;
    info.value = 2;
  }
  if (info.field == MapField::GlobalStride && context.ptxVersion() <= 85)
    info.shift = 4;
  in.extra = context.keep(info);
}

void handleMapReplace(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const ReplaceInfo *>(in.extra);
  uint64_t address[kLanes];
  checkPoison(warp, in, 0, PoisonUse::Address);
  readAddresses(warp, in, 0, 0, address);
  forEachSpace(
      warp, in, info.space, address,
      [&](Space space, LaneMask lanes, const uint64_t *at) {
        forEachLane(lanes, [&](unsigned l) {
          const Reach reach{warp, in, l};
          reach.aligned(at[l], 64, "the address of the tensor map");
          std::byte *bytes = mapBytes(reach, space, at[l]);
          if (!reach.tell(space, AccessKind::Store, at[l], TensorMap::kBytes))
            return;
          const uint64_t ordinal =
              info.ordinal < 0
                  ? 0
                  : valueOf(warp, in, static_cast<unsigned>(info.ordinal), l);
          const uint64_t value = valueOf(warp, in, info.value, l) << info.shift;
          if (!replaceField(bytes, info.field, static_cast<unsigned>(ordinal),
                            value))
            reach.fail(K::IllegalInstruction,
                       "the tensor map's field has no value " +
                           std::to_string(value));
        });
      });
  warp.block->machine->changed();
}

void handleMapCopy(Warp &warp, const Instruction &in) {
  uint64_t to[kLanes], from[kLanes];
  readSpaceAddresses(warp, in, 0, 0, Space::Global, false, to);
  readSpaceAddresses(warp, in, 1, 1, Space::Shared, false, from);
  // One copy by the warp, whose lanes all name the same places.
  const unsigned lane = static_cast<unsigned>(__builtin_ctz(warp.active));
  forEachLane(warp.active, [&](unsigned l) {
    if (to[l] != to[lane] || from[l] != from[lane])
      warp.fail(K::Divergence, in, 1u << l,
                "all lanes must name the same tensor map");
  });
  const Reach reach{warp, in, lane};
  reach.aligned(to[lane], TensorMap::kBytes, "the destination");
  reach.aligned(from[lane], TensorMap::kBytes, "the source");
  Block *owner;
  const std::byte *source = reach.shared(from[lane], TensorMap::kBytes, owner);
  std::byte *target = reach.global(to[lane], TensorMap::kBytes, true);
  if (reach.tell(Space::Shared, AccessKind::Load, from[lane],
                 TensorMap::kBytes) &&
      reach.tell(Space::Global, AccessKind::Store, to[lane], TensorMap::kBytes))
    std::memcpy(target, source, TensorMap::kBytes);
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::ProxyFence,
                          SyncStep::Both, *warp.block, 0, 0, Scope::Gpu);
  warp.block->machine->changed();
}

} // namespace ptx::async
