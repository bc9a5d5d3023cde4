//===- MemoryLanes.cpp - ld and st ----------------------------------------===//
//
// Compiled once for each CPU level. Addresses of lanes that do not take part
// are set to that of one that does, so that all 32 lanes can be loaded without
// a branch; results are blended in afterwards.
//
//===----------------------------------------------------------------------===//

#include "Machine/Machine.h"
#include "Machine/Memory.h"

#include <cstring>
#include <type_traits>

namespace ptx {
namespace PTX_CPU_LEVEL {

/// register + immediate of every lane; absent lanes as the first present one.
static void laneAddresses(const Warp &warp, const Instruction &in,
                          unsigned operand, uint64_t *address) {
  Slot slot = in.operand[operand];
  int64_t offset = in.offset[0];
  if (in.width[operand] == Width::Double || slot == kNoSlot) {
    if (slot == kNoSlot) {
      for (unsigned l = 0; l < kLanes; ++l)
        address[l] = static_cast<uint64_t>(offset);
      return;
    }
    const uint64_t *base = warp.lanes<uint64_t>(slot);
    for (unsigned l = 0; l < kLanes; ++l)
      address[l] = base[l] + static_cast<uint64_t>(offset);
  } else {
    // 32-bit addresses wrap as 32-bit numbers.
    const uint32_t *base = warp.lanes<uint32_t>(slot);
    uint32_t low = static_cast<uint32_t>(offset);
    for (unsigned l = 0; l < kLanes; ++l)
      address[l] = base[l] + low;
  }
  if (warp.active == kAllLanes)
    return;
  uint64_t first = address[__builtin_ctz(warp.active)];
  LaneMask active = warp.active;
  for (unsigned l = 0; l < kLanes; ++l)
    address[l] = (active >> l & 1) ? address[l] : first;
}

/// True if every address is a multiple of \p bytes (a power of two).
static bool aligned(const uint64_t *address, uint32_t bytes) {
  uint64_t bits = 0;
  for (unsigned l = 0; l < kLanes; ++l)
    bits |= address[l];
  return !(bits & (bytes - 1));
}

/// The fast ways to pointers, when all lanes are in the same piece of memory;
/// false: let resolvePointers find out.
static bool quickPointers(Warp &warp, Space space, const uint64_t *address,
                          uint32_t bytes, bool writes, std::byte **pointer) {
  if (space == Space::Global || space == Space::Constant) {
    uint64_t low = ~uint64_t{0}, high = 0;
    for (unsigned l = 0; l < kLanes; ++l) {
      low = address[l] < low ? address[l] : low;
      high = address[l] > high ? address[l] : high;
    }
    for (const GlobalRange &range : warp.block->machine->ranges) {
      if (low < range.begin || high >= range.end || range.end - high < bytes ||
          (writes && !range.writable))
        continue;
      std::memcpy(pointer, address, kLanes * sizeof(uint64_t));
      return true;
    }
    return false;
  }
  if (space == Space::Shared) {
    uint64_t limit = warp.block->shared.size;
    if (limit < bytes)
      return false;
    uint64_t high = 0;
    for (unsigned l = 0; l < kLanes; ++l)
      high |= uint64_t{address[l] > limit - bytes};
    if (high)
      return false;
    auto base = reinterpret_cast<uint64_t>(warp.block->shared.data);
    uint64_t out[kLanes];
    for (unsigned l = 0; l < kLanes; ++l)
      out[l] = base + address[l];
    std::memcpy(pointer, out, sizeof out);
    return true;
  }
  return false;
}

template <class T, class Register>
static void gather(std::byte *const *pointer, uint32_t offset, LaneMask lanes,
                   Register *result, bool contiguous) {
  // Registers hold 8- and 16-bit values zero-extended to their 32 bits; a
  // signed load fills the register it names.
  Register value[kLanes];
  if (contiguous && sizeof(T) == sizeof(Register)) {
    std::memcpy(value, pointer[0] + offset, sizeof value);
  } else {
    for (unsigned l = 0; l < kLanes; ++l) {
      T element;
      std::memcpy(&element, pointer[l] + offset, sizeof(T));
      value[l] = static_cast<Register>(element);
    }
  }
  if (lanes == kAllLanes) {
    std::memcpy(result, value, sizeof value);
    return;
  }
  for (unsigned l = 0; l < kLanes; ++l)
    result[l] = (lanes >> l & 1) ? value[l] : result[l];
}

/// A signed byte or half in a 16-bit register keeps only 16 bits.
static void trimHalf(Warp &warp, Slot slot, LaneMask lanes) {
  uint32_t *value = warp.lanes<uint32_t>(slot);
  for (unsigned l = 0; l < kLanes; ++l)
    value[l] &= (lanes >> l & 1) ? 0xffffu : ~0u;
}

template <class Unsigned, class Signed>
static void gatherElement(Warp &warp, Slot slot, Width width, bool isSigned,
                          std::byte *const *pointer, uint32_t offset,
                          LaneMask lanes, bool contiguous) {
  if (width == Width::Double) {
    auto *result = warp.lanes<uint64_t>(slot);
    if (isSigned)
      gather<Signed>(pointer, offset, lanes, result, contiguous);
    else
      gather<Unsigned>(pointer, offset, lanes, result, contiguous);
    return;
  }
  auto *result = warp.lanes<uint32_t>(slot);
  if (isSigned && sizeof(Unsigned) < 4)
    gather<Signed>(pointer, offset, lanes, result, contiguous);
  else
    gather<Unsigned>(pointer, offset, lanes, result, contiguous);
  if (width == Width::Half && isSigned && sizeof(Unsigned) < 4)
    trimHalf(warp, slot, lanes);
}

static void loadElement(Warp &warp, const Instruction &in,
                        const MemoryInfo &info, unsigned element,
                        std::byte *const *pointer, LaneMask lanes,
                        bool contiguous) {
  unsigned operand = info.data + element;
  Slot slot = in.operand[operand];
  if (slot == kNoSlot)
    return;
  Width width = in.width[operand];
  uint32_t offset = element * info.bytes;
  switch (info.bytes) {
  case 1:
    gatherElement<uint8_t, int8_t>(warp, slot, width, info.isSigned, pointer,
                                   offset, lanes, contiguous);
    break;
  case 2:
    gatherElement<uint16_t, int16_t>(warp, slot, width, info.isSigned, pointer,
                                     offset, lanes, contiguous);
    break;
  case 4:
    gatherElement<uint32_t, int32_t>(warp, slot, width, info.isSigned, pointer,
                                     offset, lanes, contiguous);
    break;
  case 8:
    gather<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot),
                     contiguous);
    break;
  default:
    gather<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot), false);
    gather<uint64_t>(pointer, offset + 8, lanes,
                     warp.lanes<uint64_t>(slot) + kLanes, false);
  }
}

static bool isContiguous(std::byte *const *pointer, uint32_t bytes) {
  uint64_t address[kLanes], different = 0;
  std::memcpy(address, pointer, sizeof address);
  for (unsigned l = 0; l < kLanes; ++l)
    different |= address[l] ^ (address[0] + uint64_t{l} * bytes);
  return !different;
}

static void loadFrom(Warp &warp, const Instruction &in, const MemoryInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeLoad(warp, in, info, space, address, lanes);
    if (!lanes)
      return;
  }
  alignas(64) std::byte *pointer[kLanes];
  bool whole = lanes == warp.active;
  if (!whole || !aligned(address, info.total()) ||
      !quickPointers(warp, space, address, info.total(), false, pointer))
    resolvePointers(warp, in, space, address, lanes, info.total(), false,
                    pointer);
  bool contiguous = info.count == 1 && isContiguous(pointer, info.bytes);
  for (unsigned e = 0; e < info.count; ++e)
    loadElement(warp, in, info, e, pointer, lanes, contiguous);
}

void handleLoad(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MemoryInfo *>(in.extra);
  alignas(64) uint64_t address[kLanes];
  laneAddresses(warp, in, info.address, address);
  if (info.order != Order::Weak)
    ++warp.block->machine->polls;
  if (info.space != Space::Generic) {
    loadFrom(warp, in, info, info.space, address, warp.active);
    return;
  }
  forEachSpace(warp, in, info.space, address,
               [&](Space space, LaneMask lanes, const uint64_t *plain) {
                 loadFrom(warp, in, info, space, plain, lanes);
               });
}

//===----------------------------------------------------------------------===//
// st
//===----------------------------------------------------------------------===//

template <class T, class Register>
static void scatter(std::byte *const *pointer, uint32_t offset, LaneMask lanes,
                    const Register *source, bool contiguous) {
  if (contiguous && lanes == kAllLanes && sizeof(T) == sizeof(Register)) {
    std::memcpy(pointer[0] + offset, source, kLanes * sizeof(T));
    return;
  }
  if (lanes == kAllLanes) {
    for (unsigned l = 0; l < kLanes; ++l) {
      T element = static_cast<T>(source[l]);
      std::memcpy(pointer[l] + offset, &element, sizeof(T));
    }
    return;
  }
  forEachLane(lanes, [&](unsigned l) {
    T element = static_cast<T>(source[l]);
    std::memcpy(pointer[l] + offset, &element, sizeof(T));
  });
}

template <class T>
static void scatterElement(const Warp &warp, Slot slot, Width width,
                           std::byte *const *pointer, uint32_t offset,
                           LaneMask lanes, bool contiguous) {
  if (width == Width::Double)
    scatter<T>(pointer, offset, lanes, warp.lanes<uint64_t>(slot), contiguous);
  else
    scatter<T>(pointer, offset, lanes, warp.lanes<uint32_t>(slot), contiguous);
}

static void storeElement(Warp &warp, const Instruction &in,
                         const MemoryInfo &info, unsigned element,
                         std::byte *const *pointer, LaneMask lanes,
                         bool contiguous) {
  unsigned operand = info.data + element;
  Slot slot = in.operand[operand];
  if (slot == kNoSlot) // the sink of a vector: nothing is written
    return;
  Width width = in.width[operand];
  uint32_t offset = element * info.bytes;
  switch (info.bytes) {
  case 1:
    scatterElement<uint8_t>(warp, slot, width, pointer, offset, lanes,
                            contiguous);
    break;
  case 2:
    scatterElement<uint16_t>(warp, slot, width, pointer, offset, lanes,
                             contiguous);
    break;
  case 4:
    scatterElement<uint32_t>(warp, slot, width, pointer, offset, lanes,
                             contiguous);
    break;
  case 8:
    scatter<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot),
                      contiguous);
    break;
  default:
    scatter<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot),
                      false);
    scatter<uint64_t>(pointer, offset + 8, lanes,
                      warp.lanes<uint64_t>(slot) + kLanes, false);
  }
}

static void storeTo(Warp &warp, const Instruction &in, const MemoryInfo &info,
                    Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeStore(warp, in, info, space, address, lanes);
    if (!lanes)
      return;
  }
  alignas(64) std::byte *pointer[kLanes];
  if (lanes != warp.active || !aligned(address, info.total()) ||
      !quickPointers(warp, space, address, info.total(), true, pointer))
    resolvePointers(warp, in, space, address, lanes, info.total(), true,
                    pointer);
  bool contiguous = info.count == 1 && isContiguous(pointer, info.bytes);
  for (unsigned e = 0; e < info.count; ++e)
    storeElement(warp, in, info, e, pointer, lanes, contiguous);
  if (space == Space::Global || space == Space::Shared)
    warp.block->machine->changed();
}

void handleStore(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MemoryInfo *>(in.extra);
  alignas(64) uint64_t address[kLanes];
  laneAddresses(warp, in, info.address, address);
  if (info.space != Space::Generic) {
    storeTo(warp, in, info, info.space, address, warp.active);
    return;
  }
  forEachSpace(warp, in, info.space, address,
               [&](Space space, LaneMask lanes, const uint64_t *plain) {
                 storeTo(warp, in, info, space, plain, lanes);
               });
}

} // namespace PTX_CPU_LEVEL
} // namespace ptx
