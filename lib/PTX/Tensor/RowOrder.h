// Between lane order and vectors of rows.
//
// In every fragment lane 4 r + t holds row (or column) r of eight: four words
// a row. The products want a vector a word t instead, over sixteen rows.
// Static, for the files that are compiled once per CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_ROWORDER_H
#define PTX_TENSOR_ROWORDER_H

#include "Tensor/Vectors.h"

namespace {

using Half = uint32_t __attribute__((vector_size(32)));

/// Words t, t + 4, t + 8 ... of 32.
template <int t> inline Half pick(U32 low, U32 high) {
  return __builtin_shufflevector(low, high, t, t + 4, t + 8, t + 12, t + 16,
                                 t + 20, t + 24, t + 28);
}

inline U32 join(Half low, Half high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
                                 11, 12, 13, 14, 15);
}

/// Rows 0..7 (or 8..15, with base 8) of four vectors -> 32 words of lane order.
template <int base> inline void interleave(const U32 (&v)[4], uint32_t *out) {
  U32 ab[2], cd[2];
  ab[0] = __builtin_shufflevector(
      v[0], v[1], base, base + 16, base, base, base + 1, base + 17, base, base,
      base + 2, base + 18, base, base, base + 3, base + 19, base, base);
  ab[1] = __builtin_shufflevector(
      v[0], v[1], base + 4, base + 20, base, base, base + 5, base + 21, base,
      base, base + 6, base + 22, base, base, base + 7, base + 23, base, base);
  cd[0] = __builtin_shufflevector(
      v[2], v[3], base, base + 16, base, base, base + 1, base + 17, base, base,
      base + 2, base + 18, base, base, base + 3, base + 19, base, base);
  cd[1] = __builtin_shufflevector(
      v[2], v[3], base + 4, base + 20, base, base, base + 5, base + 21, base,
      base, base + 6, base + 22, base, base, base + 7, base + 23, base, base);
  for (int i = 0; i < 2; ++i)
    store(out + 16 * i,
          __builtin_shufflevector(ab[i], cd[i], 0, 1, 16, 17, 4, 5, 20, 21, 8,
                                  9, 24, 25, 12, 13, 28, 29));
}

/// Four vectors over the rows from two registers: rows 0 to 7 and 8 to 15.
inline void gatherRows(const uint32_t *lower, const uint32_t *upper,
                       U32 (&v)[4]) {
  U32 l0 = load<U32>(lower), l1 = load<U32>(lower + 16);
  U32 u0 = load<U32>(upper), u1 = load<U32>(upper + 16);
  v[0] = join(pick<0>(l0, l1), pick<0>(u0, u1));
  v[1] = join(pick<1>(l0, l1), pick<1>(u0, u1));
  v[2] = join(pick<2>(l0, l1), pick<2>(u0, u1));
  v[3] = join(pick<3>(l0, l1), pick<3>(u0, u1));
}

} // namespace

#endif // PTX_TENSOR_ROWORDER_H
