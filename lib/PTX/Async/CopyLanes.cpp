// Where the lanes of a cp.async read and write.
//
// Compiled once for each CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/CopyPlaces.h"
#include "Machine/LaneVectors.h"

namespace ptx::PTX_CPU_LEVEL {

bool placeCopies(const uint32_t *to, uint32_t toOffset, const uint64_t *from,
                 uint64_t fromOffset, uint32_t bytes,
                 async::CopyPlaces &places) {
  using Narrow = Vector<uint32_t>;
  using Wide = Vector<uint64_t>;
  Narrow narrowBits{}, last{};
  for (unsigned l = 0; l < kLanes; l += kHalfLanes) {
    const Narrow at = loadVector<uint32_t>(to + l) + toOffset;
    storeVector<uint32_t>(places.shared.data() + l, at);
    narrowBits |= at;
    last = at > last ? at : last;
  }
  Wide wideBits{}, low = ~Wide{}, high{};
  for (unsigned l = 0; l < kLanes; l += kPerVector<uint64_t>) {
    const Wide at = loadVector<uint64_t>(from + l) + fromOffset;
    storeVector<uint64_t>(places.from.data() + l, at);
    wideBits |= at;
    low = at < low ? at : low;
    high = at > high ? at : high;
  }
  places.last = __builtin_reduce_max(last);
  places.low = __builtin_reduce_min(low);
  places.high = __builtin_reduce_max(high);
  const Narrow narrowRest = narrowBits & (bytes - 1);
  const Wide wideRest = wideBits & uint64_t{bytes - 1};
  if (!isZero<uint32_t>(narrowRest) || !isZero<uint64_t>(wideRest))
    return false;
  // As on the hardware, the data are on their way from now on. Lanes mostly
  // lie side by side: one of each 64 bytes will do.
  for (unsigned l = 0; l < kLanes; l += 64 / bytes)
    __builtin_prefetch(reinterpret_cast<const void *>(places.from[l]));
  return true;
}

} // namespace ptx::PTX_CPU_LEVEL
