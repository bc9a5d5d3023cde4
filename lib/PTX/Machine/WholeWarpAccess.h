// Loads and stores of all 32 lanes whose addresses lie in a simple order.
//
// Most accesses of most kernels: in each half of the warp, lanes side by side
// or all at one place. Such a half is one copy; nothing is looked up lane by
// lane. Static, for the file that is compiled once per CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_WHOLEWARPACCESS_H
#define PTX_MACHINE_WHOLEWARPACCESS_H

#include "Machine/LaneVectors.h"
#include "Machine/Machine.h"
#include "Machine/Memory.h"

#include <cstring>

namespace {

using namespace ptx;

/// What the addresses of 16 lanes have in common.
struct HalfOrder {
  bool run; ///< side by side
  bool one; ///< all equal
  bool any() const { return run || one; }
};

/// \p shift: log2 of the bytes a lane takes.
template <class Address>
inline HalfOrder orderOf(const Address *address, unsigned shift) {
  constexpr unsigned per = kPerVector<Address>;
  const Vector<Address> first = Vector<Address>{} + address[0];
  Vector<Address> step = laneNumbers(Address{}) << shift;
  Vector<Address> run{}, one{};
  for (unsigned i = 0; i < kHalfLanes; i += per) {
    const Vector<Address> distance = loadVector<Address>(address + i) - first;
    one |= distance;
    run |= distance ^ step;
    step += static_cast<Address>(per) << shift;
  }
  return {isZero<Address>(run), isZero<Address>(one)};
}

/// The bytes from \p address on, if a look at the usual places finds them.
inline std::byte *usualPlace(const Warp &warp, Space space, uint64_t address,
                             uint64_t bytes, bool writes) {
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

/// Where the two halves of a warp access memory.
struct HalfPlaces {
  std::byte *at[2];
  uint64_t first[2]; ///< the same as addresses of `space`
  Space space;
  bool one[2]; ///< all lanes of the half at the same place
};

/// Finds the places of all lanes; false if they are in no simple order, or not
/// aligned, or elsewhere than usual. \p base: of each lane, to which \p offset
/// is added as an Address.
template <class Address>
inline bool findPlaces(const Warp &warp, const MemoryInfo &info, Space space,
                       const Address *base, Address offset, bool writes,
                       HalfPlaces &places) {
  const uint32_t bytes = info.total();
  const auto shift = static_cast<unsigned>(__builtin_ctz(bytes));
  const HalfOrder low = orderOf(base, shift);
  const HalfOrder high = orderOf(base + kHalfLanes, shift);
  if (!low.any() || !high.any())
    return false;
  uint64_t first[2] = {static_cast<Address>(base[0] + offset),
                       static_cast<Address>(base[kHalfLanes] + offset)};
  if ((first[0] | first[1]) & (bytes - 1))
    return false;
  if (space == Space::Generic) {
    if ((first[0] ^ first[1]) >> kWindowShift)
      return false;
    space = windowOf(first[0]);
    if (space != Space::Global && space != Space::Shared)
      return false;
    for (uint64_t &address : first)
      address &= (uint64_t{1} << kWindowShift) - 1;
  }
  places.space = space;
  places.first[0] = first[0];
  places.first[1] = first[1];
  places.one[0] = low.one;
  places.one[1] = high.one;
  const uint64_t taken[2] = {low.one ? bytes : kHalfLanes * uint64_t{bytes},
                             high.one ? bytes : kHalfLanes * uint64_t{bytes}};
  const bool swapped = first[1] < first[0];
  const uint64_t begin = first[swapped];
  const uint64_t end0 = first[0] + taken[0], end1 = first[1] + taken[1];
  const uint64_t end = end0 > end1 ? end0 : end1;
  std::byte *all = usualPlace(warp, space, begin, end - begin, writes);
  if (!all)
    return false;
  places.at[0] = all + (first[0] - begin);
  places.at[1] = all + (first[1] - begin);
  return true;
}

inline WholeAccess wholeAccess(Warp &warp, const Instruction &in,
                               AccessKind kind, uint32_t bytes,
                               const HalfPlaces &places) {
  return {&in,
          &warp,
          places.space,
          kind,
          bytes,
          {places.first[0], places.first[1]},
          {places.one[0], places.one[1]}};
}

/// Tells an observer that only counts; false: it wants to know more.
inline bool tellWhole(Warp &warp, const Instruction &in, AccessKind kind,
                      uint32_t bytes, const HalfPlaces &places) {
  Machine &machine = *warp.block->machine;
  if (machine.wholeMemos) {
    WholeMemo &memo = machine.wholeMemos[warp.pc - 1];
    if (memo.pattern && !memo.told &&
        places.first[1] - places.first[0] == memo.gap &&
        !((places.first[0] ^ memo.phase) & memo.phaseMask) &&
        places.space == memo.space && places.one[0] == memo.one[0] &&
        places.one[1] == memo.one[1]) {
      ++memo.uses;
      return true;
    }
    if (memo.ignored)
      return true;
  }
  return machine.observer->onWholeAccess(
      wholeAccess(warp, in, kind, bytes, places));
}

/// Tells the observer, if there is one; false: it wants to see each lane.
inline bool mayGo(Warp &warp, const Instruction &in, const MemoryInfo &info,
                  AccessKind kind, const HalfPlaces &places) {
  if (!warp.observed)
    return true;
  return warp.checked
             ? passesChecks(warp, in, info,
                            wholeAccess(warp, in, kind, info.total(), places))
             : tellWhole(warp, in, kind, info.total(), places);
}

//===----------------------------------------------------------------------===//
// Vectors of several elements a lane
//===----------------------------------------------------------------------===//

template <int first>
inline auto everyOther(Vector<uint32_t> a, Vector<uint32_t> b) {
  return __builtin_shufflevector(
      a, b, first, first + 2, first + 4, first + 6, first + 8, first + 10,
      first + 12, first + 14, first + 16, first + 18, first + 20, first + 22,
      first + 24, first + 26, first + 28, first + 30);
}
template <int first>
inline auto everyOther(Vector<uint64_t> a, Vector<uint64_t> b) {
  return __builtin_shufflevector(a, b, first, first + 2, first + 4, first + 6,
                                 first + 8, first + 10, first + 12, first + 14);
}
/// a[s] b[s] a[s + 1] b[s + 1] ...
template <int s> inline auto zip(Vector<uint32_t> a, Vector<uint32_t> b) {
  constexpr int f = 8 * s;
  return __builtin_shufflevector(a, b, f, f + 16, f + 1, f + 17, f + 2, f + 18,
                                 f + 3, f + 19, f + 4, f + 20, f + 5, f + 21,
                                 f + 6, f + 22, f + 7, f + 23);
}
template <int s> inline auto zip(Vector<uint64_t> a, Vector<uint64_t> b) {
  constexpr int f = 4 * s;
  return __builtin_shufflevector(a, b, f, f + 8, f + 1, f + 9, f + 2, f + 10,
                                 f + 3, f + 11);
}

/// Vectors in the order of memory -> a vector an element.
template <class T, unsigned count>
inline void split(const std::byte *from, Vector<T> (&out)[count]) {
  for (unsigned i = 0; i < count; ++i)
    out[i] = loadVector<T>(from + 64 * i);
  if constexpr (count == 2) {
    const Vector<T> even = everyOther<0>(out[0], out[1]);
    out[1] = everyOther<1>(out[0], out[1]);
    out[0] = even;
  } else if constexpr (count == 4) {
    const Vector<T> even[2] = {everyOther<0>(out[0], out[1]),
                               everyOther<0>(out[2], out[3])};
    const Vector<T> odd[2] = {everyOther<1>(out[0], out[1]),
                              everyOther<1>(out[2], out[3])};
    out[0] = everyOther<0>(even[0], even[1]);
    out[1] = everyOther<0>(odd[0], odd[1]);
    out[2] = everyOther<1>(even[0], even[1]);
    out[3] = everyOther<1>(odd[0], odd[1]);
  }
}

/// The inverse.
template <class T, unsigned count>
inline void join(const Vector<T> (&in)[count], std::byte *to) {
  if constexpr (count == 1) {
    storeVector<T>(to, in[0]);
  } else if constexpr (count == 2) {
    storeVector<T>(to, zip<0>(in[0], in[1]));
    storeVector<T>(to + 64, zip<1>(in[0], in[1]));
  } else {
    const Vector<T> even[2] = {zip<0>(in[0], in[2]), zip<1>(in[0], in[2])};
    const Vector<T> odd[2] = {zip<0>(in[1], in[3]), zip<1>(in[1], in[3])};
    for (unsigned i = 0; i < 2; ++i) {
      storeVector<T>(to + 128 * i, zip<0>(even[i], odd[i]));
      storeVector<T>(to + 128 * i + 64, zip<1>(even[i], odd[i]));
    }
  }
}

//===----------------------------------------------------------------------===//
// Copies between places and registers
//===----------------------------------------------------------------------===//

/// Registers of the elements; a sink is none.
template <class T, unsigned count>
inline void registersOf(const Warp &warp, const Instruction &in,
                        const MemoryInfo &info, T *(&out)[count]) {
  for (unsigned e = 0; e < count; ++e) {
    const Slot slot = in.operand[info.data + e];
    out[e] = slot == kNoSlot ? nullptr : warp.lanes<T>(slot);
  }
}

template <class T, unsigned count>
inline void loadPlaces(const Warp &warp, const Instruction &in,
                       const MemoryInfo &info, const HalfPlaces &places) {
  constexpr unsigned per = kPerVector<T>;
  T *to[count];
  registersOf(warp, in, info, to);
  for (unsigned half = 0; half < 2; ++half) {
    const std::byte *from = places.at[half];
    for (unsigned l = 0; l < kHalfLanes; l += per) {
      Vector<T> value[count];
      if (places.one[half]) {
        for (unsigned e = 0; e < count; ++e) {
          T element;
          std::memcpy(&element, from + e * sizeof(T), sizeof(T));
          value[e] = Vector<T>{} + element;
        }
      } else {
        split<T, count>(from + l * count * sizeof(T), value);
      }
      for (unsigned e = 0; e < count; ++e)
        if (to[e])
          storeVector<T>(to[e] + half * kHalfLanes + l, value[e]);
    }
  }
}

/// Elements of one and two bytes, one a lane, extended to 32 bits.
template <class T>
inline void loadNarrow(const Warp &warp, const Instruction &in,
                       const MemoryInfo &info, const HalfPlaces &places) {
  auto *to = warp.lanes<uint32_t>(in.operand[info.data]);
  const uint32_t kept =
      in.width[info.data] == Width::Half ? 0xffffu : ~uint32_t{0};
  for (unsigned half = 0; half < 2; ++half) {
    T value[kHalfLanes];
    if (places.one[half]) {
      std::memcpy(value, places.at[half], sizeof(T));
      for (unsigned l = 1; l < kHalfLanes; ++l)
        value[l] = value[0];
    } else {
      std::memcpy(value, places.at[half], sizeof value);
    }
    for (unsigned l = 0; l < kHalfLanes; ++l)
      to[half * kHalfLanes + l] = static_cast<uint32_t>(value[l]) & kept;
  }
}

template <class T, unsigned count>
inline void storePlaces(const Warp &warp, const Instruction &in,
                        const MemoryInfo &info, const HalfPlaces &places) {
  constexpr unsigned per = kPerVector<T>;
  T *from[count];
  registersOf(warp, in, info, from);
  for (unsigned half = 0; half < 2; ++half)
    for (unsigned l = 0; l < kHalfLanes; l += per) {
      Vector<T> value[count];
      for (unsigned e = 0; e < count; ++e)
        value[e] = loadVector<T>(from[e] + half * kHalfLanes + l);
      join<T, count>(value, places.at[half] + l * count * sizeof(T));
    }
}

template <class T>
inline void storeNarrow(const Warp &warp, const Instruction &in,
                        const MemoryInfo &info, const HalfPlaces &places) {
  const auto *from = warp.lanes<uint32_t>(in.operand[info.data]);
  for (unsigned half = 0; half < 2; ++half) {
    T value[kHalfLanes];
    for (unsigned l = 0; l < kHalfLanes; ++l)
      value[l] = static_cast<T>(from[half * kHalfLanes + l]);
    std::memcpy(places.at[half], value, sizeof value);
  }
}

/// A load by all lanes from \p places; false: the form has no short way.
inline bool loadWhole(const Warp &warp, const Instruction &in,
                      const MemoryInfo &info, const HalfPlaces &places) {
  switch (info.form) {
  case ElementForm::Word:
    loadPlaces<uint32_t, 1>(warp, in, info, places);
    return true;
  case ElementForm::Words2:
    loadPlaces<uint32_t, 2>(warp, in, info, places);
    return true;
  case ElementForm::Words4:
    loadPlaces<uint32_t, 4>(warp, in, info, places);
    return true;
  case ElementForm::Double:
    loadPlaces<uint64_t, 1>(warp, in, info, places);
    return true;
  case ElementForm::Doubles2:
    loadPlaces<uint64_t, 2>(warp, in, info, places);
    return true;
  case ElementForm::Half:
    if (info.isSigned)
      loadNarrow<int16_t>(warp, in, info, places);
    else
      loadNarrow<uint16_t>(warp, in, info, places);
    return true;
  case ElementForm::Byte:
    if (info.isSigned)
      loadNarrow<int8_t>(warp, in, info, places);
    else
      loadNarrow<uint8_t>(warp, in, info, places);
    return true;
  case ElementForm::Other:
    break;
  }
  return false;
}

inline bool storeWhole(const Warp &warp, const Instruction &in,
                       const MemoryInfo &info, const HalfPlaces &places) {
  // Who writes last where all write to one place is decided lane by lane.
  if (places.one[0] || places.one[1])
    return false;
  switch (info.form) {
  case ElementForm::Word:
    storePlaces<uint32_t, 1>(warp, in, info, places);
    return true;
  case ElementForm::Words2:
    storePlaces<uint32_t, 2>(warp, in, info, places);
    return true;
  case ElementForm::Words4:
    storePlaces<uint32_t, 4>(warp, in, info, places);
    return true;
  case ElementForm::Double:
    storePlaces<uint64_t, 1>(warp, in, info, places);
    return true;
  case ElementForm::Doubles2:
    storePlaces<uint64_t, 2>(warp, in, info, places);
    return true;
  case ElementForm::Half:
    storeNarrow<uint16_t>(warp, in, info, places);
    return true;
  case ElementForm::Byte:
    storeNarrow<uint8_t>(warp, in, info, places);
    return true;
  case ElementForm::Other:
    break;
  }
  return false;
}

} // namespace

#endif // PTX_MACHINE_WHOLEWARPACCESS_H
