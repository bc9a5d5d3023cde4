// Between lane order and rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/RowOrder.h"

namespace ptx::PTX_CPU_LEVEL {

void lanesToRows(const uint32_t *lower, const uint32_t *upper, uint32_t *out,
                 unsigned stride) {
  static const uint32_t zeros[32] = {};
  U32 v[4];
  gatherRows(lower, upper ? upper : zeros, v);
  for (unsigned t = 0; t < 4; ++t)
    store(out + t * stride, v[t]);
}

void rowsToLanes(const uint32_t *in, unsigned stride, uint32_t *lower,
                 uint32_t *upper) {
  U32 v[4];
  for (unsigned t = 0; t < 4; ++t)
    v[t] = load<U32>(in + t * stride);
  interleave<0>(v, lower);
  if (upper)
    interleave<8>(v, upper);
}

} // namespace ptx::PTX_CPU_LEVEL
