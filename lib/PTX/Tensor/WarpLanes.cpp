// The fast mode of one warp's m16n8.
//
// The sixteen rows lie in the lanes of a vector; eight sums, one a column,
// stay in registers while K passes by. B is read as scalars, which the CPU
// broadcasts at no cost.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/RowOrder.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

constexpr unsigned kColumns = 8;

/// One register of B as floats: element k of column n at out[n * 4 per + k].
template <Format format>
inline void decodeColumns(const uint32_t *words, float *out) {
  for (unsigned half = 0; half < 2; ++half) {
    U32 w = load<U32>(words + 16 * half);
    if constexpr (format == Format::TF32)
      store(out + 16 * half, elementAsFloat(format, w, 0));
    else
      storePairs(out + 32 * half, elementAsFloat(format, w, 0),
                 elementAsFloat(format, w, 1));
  }
}

inline U32 canonical(F32 v) { return v == v ? (U32)v : U32{} + 0x7fffffff; }

template <Format format>
void multiply(unsigned quads, const uint32_t *const *a,
              const uint32_t *const *b, const uint32_t *const *c,
              uint32_t *const *d) {
  constexpr unsigned per = format == Format::TF32 ? 1 : 2;
  alignas(64) float columns[2][kColumns * 4 * per];
  for (unsigned i = 0; i < quads; ++i)
    decodeColumns<format>(b[i], columns[i]);
  U32 even[4], odd[4];
  gatherRows(c[0], c[2], even);
  gatherRows(c[1], c[3], odd);
  F32 sum[kColumns];
  for (unsigned t = 0; t < 4; ++t) {
    sum[2 * t] = (F32)even[t];
    sum[2 * t + 1] = (F32)odd[t];
  }
  for (unsigned i = 0; i < quads; ++i) {
    U32 rows[4];
    gatherRows(a[2 * i], a[2 * i + 1], rows);
    for (unsigned t = 0; t < 4; ++t)
      for (unsigned j = 0; j < per; ++j) {
        const F32 row = elementAsFloat(format, rows[t], j);
        const float *column = columns[i] + t * per + j;
#pragma clang loop unroll(full)
        for (unsigned n = 0; n < kColumns; ++n)
          sum[n] = multiplyAdd(row, column[n * 4 * per], sum[n]);
      }
  }
  for (unsigned t = 0; t < 4; ++t) {
    even[t] = canonical(sum[2 * t]);
    odd[t] = canonical(sum[2 * t + 1]);
  }
  interleave<0>(even, d[0]);
  interleave<0>(odd, d[1]);
  interleave<8>(even, d[2]);
  interleave<8>(odd, d[3]);
}

} // namespace

void multiplyWarp(Format format, unsigned quads, const uint32_t *const *a,
                  const uint32_t *const *b, const uint32_t *const *c,
                  uint32_t *const *d) {
  switch (format) {
  case Format::BF16:
    return multiply<Format::BF16>(quads, a, b, c, d);
  case Format::F16:
    return multiply<Format::F16>(quads, a, b, c, d);
  default:
    return multiply<Format::TF32>(quads, a, b, c, d);
  }
}

} // namespace ptx::PTX_CPU_LEVEL
