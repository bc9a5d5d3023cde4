// From a function of one lane to a handler of a warp.
//
// `laneHandlers<f>()` makes the handlers of a pure function `R f(A...)`: result
// operand 0, sources in order. What the types mean in the register file:
//
//   8- and 16-bit integers, Half, BHalf   a 32-bit word, zero above the value
//   32-bit integers, float                a 32-bit word
//   64-bit integers, double               a 64-bit word
//   bool                                  a predicate
//
// Each handler exists for three CPU levels. Rather than compiling files three
// times, the same body is inlined into three functions with different target
// attributes: no function outside a handler can then end up compiled for a CPU
// that is not there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_LANES_H
#define PTX_ARITHMETIC_LANES_H

#include "Arithmetic/Bits.h"
#include "Isa/IsaTable.h"
#include "Machine/Warp.h"

#include <utility>

#if defined(__x86_64__) && (defined(__clang__) || defined(__GNUC__))
#define PTX_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
// x86-64-v4 by its features: under that name compilers prefer 256-bit vectors.
#define PTX_TARGET_AVX512                                                      \
  __attribute__((target("arch=x86-64-v3,avx512f,avx512bw,avx512cd,avx512dq,"   \
                        "avx512vl")))
#else
#define PTX_TARGET_AVX2
#define PTX_TARGET_AVX512
#endif

// Result and source registers are the same or apart: iterations never depend
// on each other, which the compiler cannot know.
#if defined(__clang__)
#define PTX_LANE_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define PTX_LANE_LOOP _Pragma("GCC ivdep")
#endif

// A loop that stays scalar (a table walked within it) is slow, not wrong.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

namespace ptx::lanes {

/// How a value of type T lies in a register.
template <class T> struct Layout {
  using Word = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static PTX_INLINE T get(Word word) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(word);
    else if constexpr (sizeof(T) == 2)
      return T{static_cast<uint16_t>(word)};
    else
      return bitCast<T>(word);
  }
  static PTX_INLINE Word put(T value) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<Unsigned<T>>(value);
    else if constexpr (sizeof(T) == 2)
      return value.bits;
    else
      return bitCast<Word>(value);
  }
};
template <class T> using Word = typename Layout<T>::Word;

inline constexpr unsigned kPredicateBits[kLanes] = {
    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,
    1u << 7,  1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13,
    1u << 14, 1u << 15, 1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20,
    1u << 21, 1u << 22, 1u << 23, 1u << 24, 1u << 25, 1u << 26, 1u << 27,
    1u << 28, 1u << 29, 1u << 30, 1u << 31};

/// A source operand: value of a lane.
template <class T> struct Source {
  const Word<T> *words;
  PTX_INLINE Source(Warp &warp, const Instruction &in, unsigned at)
      : words(warp.lanes<Word<T>>(in.operand[at])) {}
  PTX_INLINE T operator[](unsigned lane) const {
    return Layout<T>::get(words[lane]);
  }
};
template <> struct Source<bool> {
  LaneMask mask;
  PTX_INLINE Source(Warp &warp, const Instruction &in, unsigned at)
      : mask(warp.readPredicate(in, at)) {}
  PTX_INLINE bool operator[](unsigned lane) const {
    return (mask & kPredicateBits[lane]) != 0;
  }
};

/// Writes words of the active lanes.
template <auto F, class R, class... A>
PTX_INLINE void mapWords(Word<R> *result, LaneMask active, Source<A>... from) {
  if (active == kAllLanes) {
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane)
      result[lane] = Layout<R>::put(F(from[lane]...));
    return;
  }
  PTX_LANE_LOOP
  for (unsigned lane = 0; lane < kLanes; ++lane)
    result[lane] = (active & kPredicateBits[lane])
                       ? Layout<R>::put(F(from[lane]...))
                       : result[lane];
}
template <auto F, class... A> PTX_INLINE LaneMask mapMask(Source<A>... from) {
  LaneMask result = 0;
  PTX_LANE_LOOP
  for (unsigned lane = 0; lane < kLanes; ++lane)
    result |= F(from[lane]...) ? kPredicateBits[lane] : 0;
  return result;
}

/// All lanes at once: for functions that vectorise.
template <auto F> struct Map {
  template <class R, class... A, size_t... K>
  static PTX_INLINE void call(Warp &warp, const Instruction &in, R (*)(A...),
                              std::index_sequence<K...>) {
    if constexpr (std::is_same_v<R, bool>)
      warp.writePredicate(in.operand[0],
                          mapMask<F, A...>(Source<A>(warp, in, 1 + K)...));
    else
      mapWords<F, R, A...>(warp.lanes<Word<R>>(in.operand[0]), warp.active,
                           Source<A>(warp, in, 1 + K)...);
  }
  template <class R, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               R (*f)(A...)) {
    call(warp, in, f, std::index_sequence_for<A...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};

/// One active lane after the other: for functions with branches and loops.
template <auto F> struct MapEach {
  template <class R, class... A, size_t... K>
  static PTX_INLINE void call(Warp &warp, const Instruction &in, R (*)(A...),
                              std::index_sequence<K...>) {
    Word<R> *result = warp.lanes<Word<R>>(in.operand[0]);
    forEachLane(warp.active, [&](unsigned lane) {
      result[lane] = Layout<R>::put(F(Source<A>(warp, in, 1 + K)[lane]...));
    });
  }
  template <class R, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               R (*f)(A...)) {
    call(warp, in, f, std::index_sequence_for<A...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};

/// A quick function that knows where it may be wrong; then the exact one runs.
template <auto Quick, auto Exact> struct MapChecked {
  template <class R, class... A>
  static PTX_INLINE void run(Word<R> *to, LaneMask active, Source<A>... from) {
    alignas(64) Word<R> results[kLanes];
    uint32_t doubt = 0;
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      Checked<R> result = Quick(from[lane]...);
      results[lane] = Layout<R>::put(result.value);
      doubt |= result.doubtful;
    }
    if (doubt) [[unlikely]] {
      mapWords<Exact, R, A...>(to, active, from...);
      return;
    }
    PTX_LANE_LOOP
    for (unsigned lane = 0; lane < kLanes; ++lane)
      to[lane] = (active & kPredicateBits[lane]) ? results[lane] : to[lane];
  }
  template <class R, class... A, size_t... K>
  static PTX_INLINE void call(Warp &warp, const Instruction &in, R (*)(A...),
                              std::index_sequence<K...>) {
    run<R, A...>(warp.lanes<Word<R>>(in.operand[0]), warp.active,
                 Source<A>(warp, in, 1 + K)...);
  }
  template <class R, class... A>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               R (*f)(A...)) {
    call(warp, in, f, std::index_sequence_for<A...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, Exact);
  }
};

/// The three handlers of a body.
template <class Body> struct Levels {
  static void baseline(Warp &warp, const Instruction &in) {
    Body::run(warp, in);
  }
  PTX_TARGET_AVX2 static void avx2(Warp &warp, const Instruction &in) {
    Body::run(warp, in);
  }
  PTX_TARGET_AVX512 static void avx512(Warp &warp, const Instruction &in) {
    Body::run(warp, in);
  }
};
template <class Body> HandlerSet handlersOf() {
  using Each = Levels<Body>;
  return {Each::baseline, Each::avx2, Each::avx512};
}

template <auto F> HandlerSet laneHandlers() { return handlersOf<Map<F>>(); }
/// For functions no vector instruction helps: one handler serves all levels.
template <auto F> HandlerSet eachLaneHandlers() {
  return {Levels<MapEach<F>>::baseline};
}
template <auto Quick, auto Exact> HandlerSet checkedLaneHandlers() {
  return handlersOf<MapChecked<Quick, Exact>>();
}

} // namespace ptx::lanes

#endif // PTX_ARITHMETIC_LANES_H
