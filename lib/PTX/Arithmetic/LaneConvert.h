// Handlers of cvt.
//
// The registers of a cvt may be wider than its types: a source is then cut, a
// result extended, by its sign if its type has one. The handler asks
// Instruction::width; registers of the usual width take the quick way.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_LANECONVERT_H
#define PTX_ARITHMETIC_LANECONVERT_H

#include "Arithmetic/Lanes.h"

namespace ptx::lanes {

/// A result as it fills 64 bits.
template <class R> PTX_INLINE uint64_t extended(R value) {
  if constexpr (std::is_integral_v<R> && std::is_signed_v<R>)
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  else
    return Layout<R>::put(value);
}
/// True if the register of an operand has words of another size.
template <class T>
PTX_INLINE bool isUnusual(const Instruction &in, unsigned at) {
  return (in.width[at] == Width::Double) != (sizeof(T) == 8);
}

template <auto F> struct Convert {
  template <class A>
  static PTX_INLINE A read(Warp &warp, const Instruction &in, unsigned at,
                           unsigned lane) {
    Slot slot = in.operand[at];
    uint64_t word = in.width[at] == Width::Double
                        ? warp.lanes<uint64_t>(slot)[lane]
                        : warp.lanes<uint32_t>(slot)[lane];
    return Layout<A>::get(static_cast<Word<A>>(word));
  }
  /// Any widths.
  template <class R, class... A, size_t... K>
  static PTX_INLINE void each(Warp &warp, const Instruction &in, R (*)(A...),
                              std::index_sequence<K...>) {
    Slot slot = in.operand[0];
    forEachLane(warp.active, [&](unsigned lane) {
      uint64_t value = extended(F(read<A>(warp, in, 1 + K, lane)...));
      if (in.width[0] == Width::Double)
        warp.lanes<uint64_t>(slot)[lane] = value;
      else
        warp.lanes<uint32_t>(slot)[lane] = static_cast<uint32_t>(
            in.width[0] == Width::Half ? value & 0xffff : value);
    });
  }
  template <class R, class... A, size_t... K>
  static PTX_INLINE void all(Warp &warp, const Instruction &in, R (*)(A...),
                             std::index_sequence<K...>) {
    loop<R, A...>(warp.lanes<Word<R>>(in.operand[0]), warp.active,
                  in.width[0] == Width::Half ? 0xffffu : ~Word<R>{0},
                  Source<A>(warp, in, 1 + K)...);
  }
  template <class R, class... A>
  static PTX_INLINE void loop(Word<R> *to, LaneMask active, Word<R> mask,
                              Source<A>... from) {
    if (active == kAllLanes) {
      PTX_LANE_LOOP
      for (unsigned lane = 0; lane < kLanes; ++lane)
        to[lane] = static_cast<Word<R>>(extended(F(from[lane]...))) & mask;
      return;
    }
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane)
      to[lane] = (active & kPredicateBits[lane])
                     ? static_cast<Word<R>>(extended(F(from[lane]...))) & mask
                     : to[lane];
  }
  template <class R, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               R (*f)(A...)) {
    unsigned at = 1;
    bool unusual = isUnusual<R>(in, 0);
    ((unusual |= isUnusual<A>(in, at++)), ...);
    if (unusual) [[unlikely]]
      each(warp, in, f, std::index_sequence_for<A...>());
    else
      all(warp, in, f, std::index_sequence_for<A...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};

/// Lane by lane only.
template <auto F> struct ConvertEach {
  template <class R, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               R (*f)(A...)) {
    Convert<F>::each(warp, in, f, std::index_sequence_for<A...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};

template <auto F> HandlerSet convertHandlers() {
  return handlersOf<Convert<F>>();
}
template <auto F> HandlerSet eachConvertHandlers() {
  return {Levels<ConvertEach<F>>::baseline};
}

} // namespace ptx::lanes

#endif // PTX_ARITHMETIC_LANECONVERT_H
