// Handlers whose results are predicates.
//
// A predicate is one mask of a warp: logic on predicates is logic on masks,
// and a comparison combines its mask with another predicate afterwards.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_LANEPREDICATE_H
#define PTX_ARITHMETIC_LANEPREDICATE_H

#include "Arithmetic/BitField.h"
#include "Arithmetic/Compare.h"
#include "Arithmetic/Lanes.h"

namespace ptx::lanes {

/// `F` of masks; one result.
template <auto F> struct MapPredicates {
  template <class... M, size_t... K>
  static PTX_INLINE void call(Warp &warp, const Instruction &in,
                              LaneMask (*)(M...), std::index_sequence<K...>) {
    warp.writePredicate(in.operand[0], F(warp.readPredicate(in, 1 + K)...));
  }
  template <class... M>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               LaneMask (*f)(M...)) {
    call(warp, in, f, std::index_sequence_for<M...>());
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};
template <auto F> HandlerSet predicateHandlers() {
  return {Levels<MapPredicates<F>>::baseline};
}

/// How a setp or set goes on; Row::decode leaves it in Instruction::extra.
struct AfterComparison {
  arithmetic::Bool combination; ///< with the operand after the compared ones
  uint32_t yes;                 ///< the bits that set writes for true
};

/// The comparisons of all lanes, combined with predicate operand \p at.
PTX_INLINE LaneMask combined(Warp &warp, const Instruction &in, LaneMask holds,
                             unsigned at) {
  using arithmetic::Bool;
  switch (static_cast<const AfterComparison *>(in.extra)->combination) {
  case Bool::None:
    return holds;
  case Bool::And:
    return holds & warp.readPredicate(in, at);
  case Bool::Or:
    return holds | warp.readPredicate(in, at);
  case Bool::Xor:
    return holds ^ warp.readPredicate(in, at);
  }
  __builtin_unreachable();
}

/// setp p|q, a, b, c: p is the comparison, q its complement, each combined
/// with c. Operands: p, q (perhaps absent), a, b, perhaps c. Without
/// \p Complement there is no position for q.
template <auto F, bool Complement> struct SetPredicates {
  template <class T>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               bool (*)(T, T)) {
    constexpr unsigned first = Complement ? 2 : 1;
    LaneMask holds = mapMask<F, T, T>(Source<T>(warp, in, first),
                                      Source<T>(warp, in, first + 1));
    warp.writePredicate(in.operand[0], combined(warp, in, holds, first + 2));
    if (Complement && in.operand[1] != kNoSlot)
      warp.writePredicate(in.operand[1], combined(warp, in, ~holds, first + 2));
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};
/// setp of packed halves: p of the low ones, q (perhaps absent) of the high.
template <auto Low, auto High> struct SetPredicatesOfHalves {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    Source<uint32_t> a(warp, in, 2), b(warp, in, 3);
    LaneMask low = mapMask<Low, uint32_t, uint32_t>(a, b);
    LaneMask high = mapMask<High, uint32_t, uint32_t>(a, b);
    low = combined(warp, in, low, 4);
    high = combined(warp, in, high, 4);
    warp.writePredicate(in.operand[0], low);
    if (in.operand[1] != kNoSlot)
      warp.writePredicate(in.operand[1], high);
  }
};

/// set d, a, b, c: a value for true, 0 for false. Operands: d, a, b, perhaps c.
template <auto F> struct SetValues {
  template <class T>
  static PTX_INLINE void apply(Warp &warp, const Instruction &in,
                               bool (*)(T, T)) {
    LaneMask holds =
        mapMask<F, T, T>(Source<T>(warp, in, 1), Source<T>(warp, in, 2));
    holds = combined(warp, in, holds, 3);
    uint32_t yes = static_cast<const AfterComparison *>(in.extra)->yes;
    uint32_t *to = warp.lanes<uint32_t>(in.operand[0]);
    forEachLane(warp.active, [&](unsigned lane) {
      to[lane] = (holds & kPredicateBits[lane]) ? yes : 0;
    });
  }
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    apply(warp, in, F);
  }
};
/// The same for each half of packed operands.
template <auto Low, auto High> struct SetHalves {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    Source<uint32_t> a(warp, in, 1), b(warp, in, 2);
    LaneMask low = mapMask<Low, uint32_t, uint32_t>(a, b);
    LaneMask high = mapMask<High, uint32_t, uint32_t>(a, b);
    low = combined(warp, in, low, 3);
    high = combined(warp, in, high, 3);
    uint32_t yes = static_cast<const AfterComparison *>(in.extra)->yes;
    uint32_t *to = warp.lanes<uint32_t>(in.operand[0]);
    forEachLane(warp.active, [&](unsigned lane) {
      LaneMask bit = kPredicateBits[lane];
      to[lane] = ((low & bit) ? yes : 0) | ((high & bit) ? yes << 16 : 0);
    });
  }
};

/// lop3.BoolOp d|p, a, b, c, table, q: p is (d != 0) combined with q.
template <arithmetic::Bool B> struct Lop3WithPredicate {
  static PTX_INLINE void run(Warp &warp, const Instruction &in) {
    Source<uint32_t> a(warp, in, 2), b(warp, in, 3), c(warp, in, 4);
    Source<uint32_t> table(warp, in, 5);
    LaneMask active = warp.active, other = warp.readPredicate(in, 6);
    LaneMask nonzero = 0;
    uint32_t unused[kLanes];
    uint32_t *to =
        in.operand[0] == kNoSlot ? unused : warp.lanes<uint32_t>(in.operand[0]);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      LaneMask bit = kPredicateBits[lane];
      uint32_t value = arithmetic::lop3(a[lane], b[lane], c[lane], table[lane]);
      nonzero |= value ? bit : 0;
      if (active & bit)
        to[lane] = value;
    }
    warp.writePredicate(in.operand[1], arithmetic::combine<B>(nonzero, other));
  }
};

} // namespace ptx::lanes

#endif // PTX_ARITHMETIC_LANEPREDICATE_H
