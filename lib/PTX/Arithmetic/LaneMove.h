// Handlers of mov.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_LANEMOVE_H
#define PTX_ARITHMETIC_LANEMOVE_H

#include "Arithmetic/Lanes.h"

namespace ptx::lanes {

/// A register to another. Spelled out: the loop of a plain copy would become a
/// call of memcpy, and a masked one a choice between addresses.
template <class T> struct Move {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    T *to = warp.lanes<T>(in.operand[0]);
    const T *from = warp.lanes<T>(in.operand[1]);
    LaneMask active = warp.active;
    if (active == kAllLanes) {
      T words[kLanes];
      __builtin_memcpy(words, from, sizeof(words));
      __builtin_memcpy(to, words, sizeof(words));
      return;
    }
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      T mask = (active & kPredicateBits[lane]) ? ~T{0} : T{0};
      to[lane] = (from[lane] & mask) | (to[lane] & ~mask);
    }
  }
};
PTX_INLINE LaneMask sameMask(LaneMask x) { return x; }

/// mov.b128: 32 low halves, then 32 high halves.
struct MoveQuad {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    uint64_t *to = warp.lanes<uint64_t>(in.operand[0]);
    const uint64_t *from = warp.lanes<uint64_t>(in.operand[1]);
    forEachLane(warp.active, [&](unsigned lane) {
      to[lane] = from[lane];
      to[kLanes + lane] = from[kLanes + lane];
    });
  }
};

/// `Count` registers to as many others. All are read first: `{a, b} = {b, a}`
/// swaps.
template <class T, unsigned Count> struct MoveVector {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    T values[Count][kLanes];
    for (unsigned k = 0; k < Count; ++k)
      __builtin_memcpy(values[k], warp.lanes<T>(in.operand[Count + k]),
                       sizeof(values[k]));
    for (unsigned k = 0; k < Count; ++k) {
      if (in.operand[k] == kNoSlot)
        continue;
      T *to = warp.lanes<T>(in.operand[k]);
      forEachLane(warp.active,
                  [&](unsigned lane) { to[lane] = values[k][lane]; });
    }
  }
};

/// `Count` elements of `Bits` bits as the bits of one register of up to 64.
/// The elements lie in words of 32 bits.
template <unsigned Count, unsigned Bits> struct Pack {
  using Whole = std::conditional_t<(Count * Bits > 32), uint64_t, uint32_t>;
  static constexpr uint32_t mask =
      Bits == 32 ? ~0u : static_cast<uint32_t>((uint64_t{1} << Bits) - 1);
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    const uint32_t *from[Count];
    for (unsigned k = 0; k < Count; ++k)
      from[k] = warp.lanes<uint32_t>(in.operand[1 + k]);
    Whole *to = warp.lanes<Whole>(in.operand[0]);
    LaneMask active = warp.active;
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      Whole value = 0;
      for (unsigned k = 0; k < Count; ++k)
        value |= static_cast<Whole>(from[k][lane] & mask) << (k * Bits);
      to[lane] = (active & kPredicateBits[lane]) ? value : to[lane];
    }
  }
};
/// The other way; elements may be sinks.
template <unsigned Count, unsigned Bits> struct Unpack {
  using Whole = typename Pack<Count, Bits>::Whole;
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    const Whole *from = warp.lanes<Whole>(in.operand[Count]);
    LaneMask active = warp.active;
    for (unsigned k = 0; k < Count; ++k) {
      if (in.operand[k] == kNoSlot)
        continue;
      uint32_t *to = warp.lanes<uint32_t>(in.operand[k]);
      PTX_LANE_LOOP
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        uint32_t value = static_cast<uint32_t>(from[lane] >> (k * Bits)) &
                         Pack<Count, Bits>::mask;
        to[lane] = (active & kPredicateBits[lane]) ? value : to[lane];
      }
    }
  }
};

/// 128 bits of two 64-bit or four 32-bit elements.
template <unsigned Count> struct PackQuad {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    uint64_t *to = warp.lanes<uint64_t>(in.operand[0]);
    for (unsigned half = 0; half < 2; ++half)
      forEachLane(warp.active, [&](unsigned lane) {
        uint64_t value;
        if constexpr (Count == 2) {
          value = warp.lanes<uint64_t>(in.operand[1 + half])[lane];
        } else {
          const Slot *pair = in.operand + 1 + 2 * half;
          value = warp.lanes<uint32_t>(pair[0])[lane] |
                  uint64_t{warp.lanes<uint32_t>(pair[1])[lane]} << 32;
        }
        to[half * kLanes + lane] = value;
      });
  }
};
template <unsigned Count> struct UnpackQuad {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    const uint64_t *from = warp.lanes<uint64_t>(in.operand[Count]);
    for (unsigned k = 0; k < Count; ++k) {
      Slot slot = in.operand[k];
      if (slot == kNoSlot)
        continue;
      forEachLane(warp.active, [&](unsigned lane) {
        if constexpr (Count == 2)
          warp.lanes<uint64_t>(slot)[lane] = from[k * kLanes + lane];
        else
          warp.lanes<uint32_t>(slot)[lane] = static_cast<uint32_t>(
              from[k / 2 * kLanes + lane] >> (k % 2 * 32));
      });
    }
  }
};

} // namespace ptx::lanes

#endif // PTX_ARITHMETIC_LANEMOVE_H
