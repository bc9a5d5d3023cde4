// Matrix products in f32 and f64.
//
// The fast mode starts with C and adds the products in ascending k, each by a
// fused multiply-add in f32: the same result as the hardware's on
// integer-valued data, close to it elsewhere, and the same on every CPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Vectors.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using tensor::Accumulator;
using tensor::Product;

constexpr unsigned kColumns = 32; ///< decoded at a time
constexpr unsigned kTogether = 8; ///< accumulators kept in registers

/// A block of A: out[k] holds element k of the sixteen rows.
void decodeRows(const Product &p, const uint32_t *words, F32 *out) {
  const unsigned per = 32 / tensor::bitsOf(p.a);
  for (unsigned q = 0; q < p.words(); ++q) {
    U32 w = load<U32>(words + q * kRows);
    for (unsigned j = 0; j < per; ++j)
      out[q * per + j] = elementAsFloat(p.a, w, j);
  }
}

/// Columns of B: out[column * K + k], the sign turned where the products are
/// subtracted. The words of a column are contiguous, so are its elements.
void decodeColumns(const Product &p, const uint32_t *words, unsigned columns,
                   float *out) {
  const unsigned per = 32 / tensor::bitsOf(p.b);
  const unsigned count = columns * p.words();
  const U32 flip = U32{} + (p.negate ? 0x80000000u : 0u);
  for (unsigned first = 0; first < count; first += kRows) {
    unsigned here = count - first < kRows ? count - first : kRows;
    U32 w = {};
    if (here == kRows)
      w = load<U32>(words + first);
    else
      std::memcpy(&w, words + first, here * 4);
    F32 e[4];
    for (unsigned j = 0; j < per; ++j)
      e[j] = (F32)((U32)elementAsFloat(p.b, w, j) ^ flip);
    float *to = out + first * per;
    if (per == 1) {
      store(to, e[0]);
    } else if (per == 2) {
      storePairs(to, e[0], e[1]);
    } else {
      for (unsigned i = 0; i < kRows; ++i)
        for (unsigned j = 0; j < 4; ++j)
          to[i * 4 + j] = e[j][i];
    }
  }
}

inline F32 loadC(const uint32_t *c, bool half) {
  U32 w = load<U32>(c);
  return half ? fromHalf(w) : (F32)w;
}

inline void storeD(uint32_t *d, F32 v, bool half) {
  if (half)
    return store(d, toHalf(v));
  store(d, v == v ? (U32)v : U32{} + 0x7fffffff);
}

/// kTogether columns at a time: as many independent chains.
template <bool exact>
void multiplyBlock(unsigned depth, unsigned columns, const F32 *a,
                   const float *b, uint32_t *c, bool halfC, bool halfD) {
  for (unsigned n = 0; n < columns; n += kTogether) {
    F32 sum[kTogether];
    for (unsigned j = 0; j < kTogether; ++j)
      sum[j] = loadC(c + (n + j) * kRows, halfC);
    const float *column = b + n * depth;
    for (unsigned k = 0; k < depth; ++k) {
      F32 row = a[k];
#pragma clang loop unroll(full)
      for (unsigned j = 0; j < kTogether; ++j)
        sum[j] = multiplyAdd<exact>(row, F32{} + column[j * depth + k], sum[j]);
    }
    for (unsigned j = 0; j < kTogether; ++j)
      storeD(c + (n + j) * kRows, sum[j], halfD);
  }
}

/// b * a + c of f64 bits where the result is a NaN: an operand's, quieted,
/// that of b before c before a; otherwise the operation was invalid.
double notANumber(double a, double b, double c) {
  const double operands[] = {b, c, a};
  for (double x : operands)
    if (x != x) {
      uint64_t bits;
      std::memcpy(&bits, &x, 8);
      bits |= uint64_t{1} << 51;
      std::memcpy(&x, &bits, 8);
      return x;
    }
  const uint64_t invalid = 0xfff8000000000000;
  std::memcpy(&a, &invalid, 8);
  return a;
}

/// Whether all products of the block are exact in f32.
bool productsExact(unsigned depth, unsigned columns, const F32 *rows,
                   const float *b) {
  bool all = true;
  for (unsigned k = 0; k < depth; ++k)
    all &= multipliesExactly(rows[k]);
  for (unsigned i = 0; i < columns * depth; i += kRows)
    all &= multipliesExactly(load<F32>(b + i));
  return all;
}

} // namespace

void multiplyFast(const Product &p, const uint32_t *a, const uint32_t *b,
                  uint32_t *c) {
  F32 rows[kMaxDepth];
  // Words are decoded sixteen at a time, the last ones perhaps beyond the end.
  alignas(64) float columns[kColumns * kMaxDepth + 4 * kRows];
  for (unsigned first = 0; first < p.columns; first += kColumns) {
    unsigned count =
        p.columns - first < kColumns ? p.columns - first : kColumns;
    decodeColumns(p, b + first * p.words(), count, columns);
    for (unsigned block = 0; block < p.blocks; ++block) {
      decodeRows(p, a + block * p.words() * kRows, rows);
      const bool exact = kFuses || productsExact(p.depth, count, rows, columns);
      const auto multiply = exact ? multiplyBlock<true> : multiplyBlock<false>;
      multiply(p.depth, count, rows, columns,
               c + (block * p.columns + first) * kRows, p.c == Accumulator::F16,
               p.d == Accumulator::F16);
    }
  }
}

void multiplyF64(unsigned depth, unsigned columns, const double *a,
                 const double *b, double *c) {
  for (unsigned n = 0; n < columns; ++n)
    for (unsigned m = 0; m < kRows; ++m) {
      double d = c[n * kRows + m];
      for (unsigned k = 0; k < depth; ++k) {
        double x = a[k * kRows + m], y = b[n * depth + k];
        double r = __builtin_fma(x, y, d);
        d = r == r ? r : notANumber(x, y, d);
      }
      c[n * kRows + m] = d;
    }
}

} // namespace ptx::PTX_CPU_LEVEL
