// Ld and st.
//
// Compiled once for each CPU level. Addresses of lanes that do not take part
// are set to that of one that does, so that all 32 lanes can be loaded without
// a branch; results are blended in afterwards.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"
#include "Machine/Memory.h"

#include <cstring>
#include <type_traits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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

//===----------------------------------------------------------------------===//
// All lanes at one address, or side by side
//===----------------------------------------------------------------------===//

namespace {
/// What the addresses of all 32 lanes have in common.
struct Pattern {
  bool run; ///< lane l is at the first address + l * stride
  bool one; ///< all at the first address
};
} // namespace

static inline Pattern patternOf(const uint64_t *address, uint32_t stride) {
  uint64_t run = 0, one = 0;
  for (unsigned l = 0; l + 1 < kLanes; ++l) {
    uint64_t step = address[l + 1] - address[l];
    one |= step;
    run |= step ^ stride;
  }
  return {!run, !one};
}

/// The bytes at one address, if a look at the usual places finds them.
static inline std::byte *quickPointer(const Warp &warp, Space space,
                                      uint64_t address, uint64_t bytes,
                                      bool writes) {
  if (space == Space::Shared) {
    const AlignedBytes &shared = warp.block->shared;
    bool inside = address <= shared.size && shared.size - address >= bytes;
    return inside ? shared.data + address : nullptr;
  }
  if (space == Space::Global || space == Space::Constant) {
    for (const GlobalRange &range : warp.block->machine->ranges)
      if (address >= range.begin && address < range.end &&
          range.end - address >= bytes && (!writes || range.writable))
        return reinterpret_cast<std::byte *>(address);
    return nullptr;
  }
  if (space == Space::Param && address < kCallParam && !writes) {
    std::vector<std::byte> &params = warp.block->grid->params;
    if (address <= params.size() && params.size() - address >= bytes)
      return params.data() + address;
  }
  return nullptr;
}

/// result[l] = source[l * stride], for the strides of vectors.
template <unsigned stride, class T>
static void copyStrided(T *result, const std::byte *source) {
  for (unsigned l = 0; l < kLanes; ++l)
    std::memcpy(&result[l], source + size_t{l} * stride, sizeof(T));
}

template <class T>
static void copyRun(T *result, const std::byte *source, uint32_t stride) {
  if (stride == sizeof(T))
    std::memcpy(result, source, kLanes * sizeof(T));
  else if (stride == 2 * sizeof(T))
    copyStrided<2 * sizeof(T)>(result, source);
  else if (stride == 4 * sizeof(T))
    copyStrided<4 * sizeof(T)>(result, source);
  else
    copyStrided<8 * sizeof(T)>(result, source);
}

template <class T> static void fillAll(T *result, const std::byte *source) {
  T value;
  std::memcpy(&value, source, sizeof(T));
  for (unsigned l = 0; l < kLanes; ++l)
    result[l] = value;
}

template <class T>
static void loadRun(const Warp &warp, const Instruction &in,
                    const MemoryInfo &info, const std::byte *from, bool one) {
  for (unsigned e = 0; e < info.count; ++e) {
    Slot slot = in.operand[info.data + e];
    if (slot == kNoSlot)
      continue;
    const std::byte *source = from + size_t{e} * sizeof(T);
    if (one)
      fillAll(warp.lanes<T>(slot), source);
    else
      copyRun(warp.lanes<T>(slot), source, info.total());
  }
}

/// Elements of 4 and 8 bytes that fill their registers.
static bool fillsRegisters(const Instruction &in, const MemoryInfo &info) {
  Width width = info.bytes == 4 ? Width::Word : Width::Double;
  return (info.bytes == 4 || info.bytes == 8) && in.width[info.data] == width &&
         in.width[info.data + info.count - 1u] == width;
}

/// The frequent cases of a load by all lanes; false: not one of them.
static bool quickLoad(Warp &warp, const Instruction &in, const MemoryInfo &info,
                      Space space, const uint64_t *address) {
  uint32_t bytes = info.total();
  Pattern pattern = patternOf(address, bytes);
  if ((!pattern.run && !pattern.one) || (address[0] & (bytes - 1)) ||
      !fillsRegisters(in, info))
    return false;
  const std::byte *from = quickPointer(
      warp, space, address[0], pattern.one ? bytes : kLanes * bytes, false);
  if (!from)
    return false;
  if (info.bytes == 4)
    loadRun<uint32_t>(warp, in, info, from, pattern.one);
  else
    loadRun<uint64_t>(warp, in, info, from, pattern.one);
  return true;
}

static void loadFrom(Warp &warp, const Instruction &in, const MemoryInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeLoad(warp, in, info, space, address, lanes);
    if (!lanes ||
        (lanes == kAllLanes && quickLoad(warp, in, info, space, address)))
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
  alignas(64) uint64_t address[kLanes];
  laneAddresses(warp, in, info.address, address);
  // Who looks again and again had better let others run.
  if (info.order != Order::Weak && (++warp.block->machine->polls & 3) == 0)
    warp.yield();
  if (warp.active == kAllLanes && !warp.observed &&
      quickLoad(warp, in, info, info.space, address))
    return;
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

/// A store by all lanes side by side.
static bool quickStore(Warp &warp, const Instruction &in,
                       const MemoryInfo &info, Space space,
                       const uint64_t *address) {
  if (info.count != 1 || (address[0] & (info.bytes - 1)) ||
      !fillsRegisters(in, info) || in.operand[info.data] == kNoSlot ||
      !patternOf(address, info.bytes).run)
    return false;
  uint32_t bytes = kLanes * info.bytes;
  std::byte *to = quickPointer(warp, space, address[0], bytes, true);
  if (!to)
    return false;
  std::memcpy(to, warp.lanes<std::byte>(in.operand[info.data]), bytes);
  warp.block->machine->changed();
  return true;
}

static void storeTo(Warp &warp, const Instruction &in, const MemoryInfo &info,
                    Space space, const uint64_t *address, LaneMask lanes) {
  if (warp.observed) [[unlikely]] {
    lanes = observeStore(warp, in, info, space, address, lanes);
    if (!lanes ||
        (lanes == kAllLanes && quickStore(warp, in, info, space, address)))
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
  alignas(64) uint64_t address[kLanes];
  laneAddresses(warp, in, info.address, address);
  if (warp.active == kAllLanes && !warp.observed &&
      quickStore(warp, in, info, info.space, address))
    return;
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
