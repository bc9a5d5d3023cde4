// Matrix products of integers and single bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Vectors.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using tensor::Product;

constexpr unsigned kColumns = 16;   ///< decoded at a time
constexpr unsigned kIntegers = 128; ///< largest K

inline I32 elementAsInteger(Format format, U32 w, unsigned j) {
  const unsigned bits = tensor::bitsOf(format);
  U32 raised = w << (32 - bits * (j + 1));
  bool isSigned = format == Format::S8 || format == Format::S4;
  return isSigned ? (I32)raised >> (32 - bits) : (I32)(raised >> (32 - bits));
}

/// c + sum, wrapping or clamped. A sum of products stays below 2^23.
inline U32 addToC(U32 c, I32 sum, bool saturate) {
  I32 wrapped = (I32)(c + (U32)sum);
  if (!saturate)
    return (U32)wrapped;
  // It overflowed where both terms have the sign the result has not.
  I32 overflow = (((I32)c ^ wrapped) & (sum ^ wrapped)) >> 31;
  I32 limit = ((I32)c >> 31) ^ INT32_MAX;
  return (U32)((wrapped & ~overflow) | (limit & overflow));
}

inline U32 populationCount(U32 x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f;
  return x * 0x01010101 >> 24;
}

void multiplyBits(const Product &p, const uint32_t *a, const uint32_t *b,
                  uint32_t *c) {
  for (unsigned block = 0; block < p.blocks; ++block)
    for (unsigned n = 0; n < p.columns; ++n) {
      uint32_t *out = c + (block * p.columns + n) * kRows;
      U32 sum = load<U32>(out);
      for (unsigned q = 0; q < p.words(); ++q) {
        U32 row = load<U32>(a + (block * p.words() + q) * kRows);
        uint32_t column = b[n * p.words() + q];
        sum += populationCount(p.exclusive ? row ^ column : row & column);
      }
      store(out, sum);
    }
}

void decodeRows(const Product &p, const uint32_t *words, I32 *out) {
  const unsigned per = 32 / tensor::bitsOf(p.a);
  for (unsigned q = 0; q < p.words(); ++q)
    for (unsigned j = 0; j < per; ++j)
      out[q * per + j] = elementAsInteger(p.a, load<U32>(words + q * kRows), j);
}

void decodeColumns(const Product &p, const uint32_t *words, unsigned columns,
                   int32_t *out) {
  const unsigned per = 32 / tensor::bitsOf(p.b);
  const unsigned count = columns * p.words();
  for (unsigned first = 0; first < count; first += kRows) {
    unsigned here = count - first < kRows ? count - first : kRows;
    U32 w = {};
    std::memcpy(&w, words + first, here * 4);
    for (unsigned j = 0; j < per; ++j) {
      I32 e = elementAsInteger(p.b, w, j);
      for (unsigned i = 0; i < here; ++i)
        out[(first + i) * per + j] = e[i];
    }
  }
}

} // namespace

void multiplyIntegers(const Product &p, const uint32_t *a, const uint32_t *b,
                      uint32_t *c) {
  if (p.a == Format::B1)
    return multiplyBits(p, a, b, c);
  I32 rows[kIntegers];
  alignas(64) int32_t columns[kColumns * kIntegers];
  for (unsigned first = 0; first < p.columns; first += kColumns) {
    unsigned count =
        p.columns - first < kColumns ? p.columns - first : kColumns;
    decodeColumns(p, b + first * p.words(), count, columns);
    for (unsigned block = 0; block < p.blocks; ++block) {
      decodeRows(p, a + block * p.words() * kRows, rows);
      uint32_t *out = c + (block * p.columns + first) * kRows;
      for (unsigned n = 0; n < count; ++n, out += kRows) {
        I32 sum = {};
        for (unsigned k = 0; k < p.depth; ++k)
          sum += rows[k] * columns[n * p.depth + k];
        store(out, addToC(load<U32>(out), sum, p.saturate));
      }
    }
  }
}

} // namespace ptx::PTX_CPU_LEVEL
