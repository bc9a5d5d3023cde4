// Ld and st.
//
// Compiled once for each CPU level. Addresses of lanes that do not take part
// are set to that of one that does, so that all 32 lanes can be loaded without
// a branch; results are blended in afterwards.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/WholeWarpAccess.h"

#include <cstring>
#include <type_traits>

namespace ptx {
namespace PTX_CPU_LEVEL {

/// register + immediate of every lane; absent lanes as the first present one.
static void laneAddresses(const Warp &warp, const Instruction &in,
                          unsigned operand, uint64_t *address) {
  constexpr unsigned per = kPerVector<uint64_t>;
  using Wide = Vector<uint64_t>;
  using Narrow = uint32_t __attribute__((vector_size(4 * per)));
  const Slot slot = in.operand[operand];
  const auto offset = static_cast<uint64_t>(in.offset[0]);
  if (slot == kNoSlot) {
    for (unsigned l = 0; l < kLanes; ++l)
      address[l] = offset;
    return;
  }
  if (in.width[operand] == Width::Double) {
    const uint64_t *base = warp.lanes<uint64_t>(slot);
    for (unsigned l = 0; l < kLanes; l += per)
      storeVector<uint64_t>(address + l,
                            loadVector<uint64_t>(base + l) + offset);
  } else {
    // 32-bit addresses wrap as 32-bit numbers.
    const uint32_t *base = warp.lanes<uint32_t>(slot);
    for (unsigned l = 0; l < kLanes; l += per) {
      Narrow narrow;
      std::memcpy(&narrow, base + l, sizeof narrow);
      narrow += static_cast<uint32_t>(offset);
      storeVector<uint64_t>(address + l, __builtin_convertvector(narrow, Wide));
    }
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

/// The values at 32 pointers. Written to an array first, element by element:
/// what one wide instruction does where the CPU has it.
template <class T, class Register>
static inline void fetch(std::byte *const *pointer, uint32_t offset,
                         Register *value) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == sizeof(Register) && sizeof(T) >= 4) {
    for (unsigned l = 0; l < kLanes; l += 8) {
      __m512i at = _mm512_loadu_si512(pointer + l);
      if constexpr (sizeof(T) == 4)
        _mm256_storeu_si256(
            reinterpret_cast<__m256i *>(value + l),
            _mm512_i64gather_epi32(
                at, reinterpret_cast<const void *>(uintptr_t{offset}), 1));
      else
        _mm512_storeu_si512(
            value + l,
            _mm512_i64gather_epi64(
                at, reinterpret_cast<const void *>(uintptr_t{offset}), 1));
    }
    return;
  }
#endif
  for (unsigned l = 0; l < kLanes; ++l) {
    T element;
    std::memcpy(&element, pointer[l] + offset, sizeof(T));
    value[l] = static_cast<Register>(element);
  }
}

template <class T, class Register>
static void gather(std::byte *const *pointer, uint32_t offset, LaneMask lanes,
                   Register *result) {
  // Registers hold 8- and 16-bit values zero-extended to their 32 bits; a
  // signed load fills the register it names.
  if (lanes == kAllLanes) {
    fetch<T>(pointer, offset, result);
    return;
  }
  alignas(64) Register value[kLanes];
  fetch<T>(pointer, offset, value);
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
                          LaneMask lanes) {
  if (width == Width::Double) {
    auto *result = warp.lanes<uint64_t>(slot);
    if (isSigned)
      gather<Signed>(pointer, offset, lanes, result);
    else
      gather<Unsigned>(pointer, offset, lanes, result);
    return;
  }
  auto *result = warp.lanes<uint32_t>(slot);
  if (isSigned && sizeof(Unsigned) < 4)
    gather<Signed>(pointer, offset, lanes, result);
  else
    gather<Unsigned>(pointer, offset, lanes, result);
  if (width == Width::Half && isSigned && sizeof(Unsigned) < 4)
    trimHalf(warp, slot, lanes);
}

static void loadElement(Warp &warp, const Instruction &in,
                        const MemoryInfo &info, unsigned element,
                        std::byte *const *pointer, LaneMask lanes) {
  unsigned operand = info.data + element;
  Slot slot = in.operand[operand];
  if (slot == kNoSlot)
    return;
  Width width = in.width[operand];
  uint32_t offset = element * info.bytes;
  switch (info.bytes) {
  case 1:
    gatherElement<uint8_t, int8_t>(warp, slot, width, info.isSigned, pointer,
                                   offset, lanes);
    break;
  case 2:
    gatherElement<uint16_t, int16_t>(warp, slot, width, info.isSigned, pointer,
                                     offset, lanes);
    break;
  case 4:
    gatherElement<uint32_t, int32_t>(warp, slot, width, info.isSigned, pointer,
                                     offset, lanes);
    break;
  case 8:
    gather<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot));
    break;
  default:
    gather<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot));
    gather<uint64_t>(pointer, offset + 8, lanes,
                     warp.lanes<uint64_t>(slot) + kLanes);
  }
}

/// The frequent cases of a load by all lanes; false: not one of them.
/// \p base: of each lane, to which \p offset is added. \p tell: the observer,
/// if there is one, has not been told.
template <bool tell, class Address>
static bool quickLoad(Warp &warp, const Instruction &in, const MemoryInfo &info,
                      Space space, const Address *base, Address offset) {
  HalfPlaces places;
  return info.form != ElementForm::Other &&
         findPlaces(warp, info, space, base, offset, false, places) &&
         (!tell || mayGo(warp, in, info, AccessKind::Load, places)) &&
         loadWhole(warp, in, info, places);
}

template <bool tell, class Address>
static bool quickStore(Warp &warp, const Instruction &in,
                       const MemoryInfo &info, Space space, const Address *base,
                       Address offset) {
  HalfPlaces places;
  if (info.form == ElementForm::Other ||
      !findPlaces(warp, info, space, base, offset, true, places) ||
      places.one[0] || places.one[1] ||
      (tell && !mayGo(warp, in, info, AccessKind::Store, places)) ||
      !storeWhole(warp, in, info, places))
    return false;
  warp.block->machine->changed();
  return true;
}

/// False if an observer sees each lane anyway.
static inline bool mayPass(const Warp &warp) {
  return !warp.checked || warp.block->machine->observer->passesWholes;
}

/// Both by the registers that the instruction names.
template <bool store>
static bool quickAccess(Warp &warp, const Instruction &in,
                        const MemoryInfo &info) {
  const Slot slot = in.operand[info.address];
  if (slot == kNoSlot)
    return false;
  auto access = [&](auto *base) {
    using Address = std::remove_cvref_t<decltype(*base)>;
    auto offset = static_cast<Address>(in.offset[0]);
    return store ? quickStore<true>(warp, in, info, info.space, base, offset)
                 : quickLoad<true>(warp, in, info, info.space, base, offset);
  };
  return in.width[info.address] == Width::Double
             ? access(warp.lanes<uint64_t>(slot))
             : access(warp.lanes<uint32_t>(slot));
}

static void loadFrom(Warp &warp, const Instruction &in, const MemoryInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeLoad(warp, in, info, space, address, lanes);
    if (!lanes ||
        (lanes == kAllLanes &&
         quickLoad<false>(warp, in, info, space, address, uint64_t{0})))
      return;
  }
  alignas(64) std::byte *pointer[kLanes];
  bool whole = lanes == warp.active;
  if (!whole || !aligned(address, info.total()) ||
      !quickPointers(warp, space, address, info.total(), false, pointer))
    resolvePointers(warp, in, space, address, lanes, info.total(), false,
                    pointer);
  for (unsigned e = 0; e < info.count; ++e)
    loadElement(warp, in, info, e, pointer, lanes);
}

void handleLoad(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MemoryInfo *>(in.extra);
  // Who looks again and again had better let others run.
  if (info.order != Order::Weak && (++warp.block->machine->polls & 3) == 0)
    warp.yield();
  if (warp.active == kAllLanes && mayPass(warp) &&
      quickAccess<false>(warp, in, info))
    return;
  alignas(64) uint64_t address[kLanes];
  laneAddresses(warp, in, info.address, address);
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
                    const Register *source) {
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
                           LaneMask lanes) {
  if (width == Width::Double)
    scatter<T>(pointer, offset, lanes, warp.lanes<uint64_t>(slot));
  else
    scatter<T>(pointer, offset, lanes, warp.lanes<uint32_t>(slot));
}

static void storeElement(Warp &warp, const Instruction &in,
                         const MemoryInfo &info, unsigned element,
                         std::byte *const *pointer, LaneMask lanes) {
  unsigned operand = info.data + element;
  Slot slot = in.operand[operand];
  if (slot == kNoSlot) // the sink of a vector: nothing is written
    return;
  Width width = in.width[operand];
  uint32_t offset = element * info.bytes;
  switch (info.bytes) {
  case 1:
    scatterElement<uint8_t>(warp, slot, width, pointer, offset, lanes);
    break;
  case 2:
    scatterElement<uint16_t>(warp, slot, width, pointer, offset, lanes);
    break;
  case 4:
    scatterElement<uint32_t>(warp, slot, width, pointer, offset, lanes);
    break;
  case 8:
    scatter<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot));
    break;
  default:
    scatter<uint64_t>(pointer, offset, lanes, warp.lanes<uint64_t>(slot));
    scatter<uint64_t>(pointer, offset + 8, lanes,
                      warp.lanes<uint64_t>(slot) + kLanes);
  }
}

static void storeTo(Warp &warp, const Instruction &in, const MemoryInfo &info,
                    Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeStore(warp, in, info, space, address, lanes);
    if (!lanes ||
        (lanes == kAllLanes &&
         quickStore<false>(warp, in, info, space, address, uint64_t{0})))
      return;
  }
  alignas(64) std::byte *pointer[kLanes];
  if (lanes != warp.active || !aligned(address, info.total()) ||
      !quickPointers(warp, space, address, info.total(), true, pointer))
    resolvePointers(warp, in, space, address, lanes, info.total(), true,
                    pointer);
  for (unsigned e = 0; e < info.count; ++e)
    storeElement(warp, in, info, e, pointer, lanes);
  if (space == Space::Global || space == Space::Shared)
    warp.block->machine->changed();
}

void handleStore(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const MemoryInfo *>(in.extra);
  if (warp.active == kAllLanes && mayPass(warp) &&
      quickAccess<true>(warp, in, info))
    return;
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
