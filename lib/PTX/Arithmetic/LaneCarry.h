// Handlers that use or set the carry flag.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_LANECARRY_H
#define PTX_ARITHMETIC_LANECARRY_H

#include "Arithmetic/Integer.h"
#include "Arithmetic/Lanes.h"

namespace ptx::lanes {

/// The carry that goes in: none, one, or the flag.
enum class Carry : uint8_t { Clear, Set, Use };

/// For `WithCarry<T> F(T..., bool)`.
template <auto F, Carry In, bool Out> struct MapCarry {
  template <class T, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               arithmetic::WithCarry<T> (*)(T, A...)) {
    constexpr size_t sources = sizeof...(A); // T and A, less the carry
    call<T>(warp, in, std::make_index_sequence<sources>());
  }
  template <class T, size_t... K>
  static PTX_INLINE void call(Warp &warp, const Instruction &in,
                              std::index_sequence<K...>) {
    loop<T>(warp, in, Source<same<T, K>>(warp, in, 1 + K)...);
  }
  template <class T, size_t> using same = T;
  template <class T, class... From>
  static PTX_INLINE void loop(Warp &warp, const Instruction &in, From... from) {
    LaneMask active = warp.active, flags = 0;
    LaneMask carries = In == Carry::Use   ? warp.carry
                       : In == Carry::Set ? kAllLanes
                                          : 0;
    Word<T> *to = warp.lanes<Word<T>>(in.operand[0]);
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      LaneMask bit = kPredicateBits[lane];
      auto result = F(from[lane]..., (carries & bit) != 0);
      to[lane] = (active & bit) ? Layout<T>::put(result.value) : to[lane];
      flags |= result.carry ? bit : 0;
    }
    if (Out)
      warp.carry = (warp.carry & ~active) | (flags & active);
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};
template <auto F, Carry In, bool Out> HandlerSet carryHandlers() {
  return handlersOf<MapCarry<F, In, Out>>();
}

} // namespace ptx::lanes

#endif // PTX_ARITHMETIC_LANECARRY_H
