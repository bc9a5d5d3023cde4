// shfl.sync d|p, a, b, c, membermask
//
// Compiled once for each CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/LaneVectors.h"
#include "Machine/Shuffle.h"

namespace ptx {
namespace PTX_CPU_LEVEL {

using Unsigned = Vector<uint32_t>;
using Signed = Vector<int32_t>;

/// The lanes that 16 lanes read, and bit by bit whether those are inside their
/// segment. All fields of b and c are read per lane.
template <ShuffleMode mode>
static inline uint32_t sourceLanes(Unsigned lane, Unsigned b, Unsigned c,
                                   uint32_t *from) {
  const Unsigned shift = b & 31, clamp = c & 31, segment = c >> 8 & 31;
  const Signed most = (Signed)((lane & segment) | (clamp & ~segment));
  Signed source, inside;
  if constexpr (mode == ShuffleMode::Up) {
    source = (Signed)(lane - shift);
    inside = source >= most;
  } else if constexpr (mode == ShuffleMode::Down) {
    source = (Signed)(lane + shift);
    inside = source <= most;
  } else if constexpr (mode == ShuffleMode::Butterfly) {
    source = (Signed)(lane ^ shift);
    inside = source <= most;
  } else {
    source = (Signed)((lane & segment) | (shift & ~segment));
    inside = source <= most;
  }
  storeVector<uint32_t>(from, (Unsigned)(inside ? source : (Signed)lane));
  return signMask(inside);
}

/// value[l] = a[from[l]].
static inline void pick(const uint32_t *a, const uint32_t *from,
                        uint32_t *value) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_loadu_si512(a), high = _mm512_loadu_si512(a + 16);
  for (unsigned l = 0; l < kLanes; l += kHalfLanes)
    _mm512_storeu_si512(
        value + l,
        _mm512_permutex2var_epi32(low, _mm512_loadu_si512(from + l), high));
#else
  for (unsigned l = 0; l < kLanes; ++l)
    value[l] = a[from[l]];
#endif
}

template <ShuffleMode mode>
static void shuffle(Warp &warp, const Instruction &in) {
  const auto *a = warp.lanes<uint32_t>(in.source(0));
  const auto *b = warp.lanes<uint32_t>(in.source(1));
  const auto *c = warp.lanes<uint32_t>(in.source(2));
  alignas(64) uint32_t from[kLanes], value[kLanes];
  LaneMask inside = 0;
  for (unsigned l = 0; l < kLanes; l += kHalfLanes)
    inside |= sourceLanes<mode>(laneNumbers(uint32_t{}) + l,
                                loadVector<uint32_t>(b + l),
                                loadVector<uint32_t>(c + l), from + l)
              << l;
  if (warp.poison) [[unlikely]]
    spreadShuffledPoison(warp, in, from);
  if (in.operand[0] != kNoSlot) {
    pick(a, from, value);
    auto *d = warp.lanes<uint32_t>(in.operand[0]);
    if (warp.active == kAllLanes)
      std::memcpy(d, value, sizeof value);
    else
      forEachLane(warp.active, [&](unsigned l) { d[l] = value[l]; });
  }
  if (in.resultCount > 1)
    warp.writePredicate(in.operand[1], inside);
}

void handleShuffleUp(Warp &warp, const Instruction &in) {
  shuffle<ShuffleMode::Up>(warp, in);
}
void handleShuffleDown(Warp &warp, const Instruction &in) {
  shuffle<ShuffleMode::Down>(warp, in);
}
void handleShuffleButterfly(Warp &warp, const Instruction &in) {
  shuffle<ShuffleMode::Butterfly>(warp, in);
}
void handleShuffleIndex(Warp &warp, const Instruction &in) {
  shuffle<ShuffleMode::Index>(warp, in);
}

} // namespace PTX_CPU_LEVEL
} // namespace ptx
