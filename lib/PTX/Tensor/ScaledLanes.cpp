// Products with block scaling.
//
// The hardware's sum of packed e2m1: a fourth of K (sixteen products, half of
// them zero where A is sparse) is added up exactly and multiplied by the
// significands of its two scales. These four terms and C are aligned to the
// largest among the sums of the scales' exponents and C's exponent, cut toward
// zero at 2^-35 of it, and added exactly; the sum is cut toward zero to f32.
// Nothing is known of it but what published models of RTX Blackwell found.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/FloatParts.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using tensor::Accumulator;
using tensor::kMaxPackedDepth;
using tensor::Product;

constexpr unsigned kGroups = 4; ///< of K

/// Twice an e2m1.
inline I32 doubled(U32 x) {
  const I32 exponent = (I32)(x >> 1 & 3), fraction = (I32)(x & 1);
  const I32 magnitude =
      exponent > 0 ? (fraction + 2) << greater(exponent - 1, I32{}) : fraction;
  const I32 sign = -(I32)(x >> 3 & 1);
  return (magnitude ^ sign) - sign;
}

/// Scale \p chunk of sixteen rows or columns.
struct Scale {
  I32 significand, exponent, nan;
};
inline Scale scaleOf(const Product &p, U32 words, unsigned chunk) {
  const U32 x = words >> 8 * chunk & 0xff;
  if (!p.scales.ue4m3)
    return {I32{} + 1, (I32)x - 127, (I32)(x == 0xff)};
  const Parts parts = partsOf(floatFormatOf(Format::E4M3), x & 0x7f);
  return {parts.significand, parts.exponent, parts.special};
}

/// The same as numbers, NaNs among them.
inline F64 scaleAsDouble(const Product &p, U32 words, unsigned chunk) {
  const Scale scale = scaleOf(p, words, chunk);
  const int32_t fraction = p.scales.ue4m3 ? 3 : 0;
  const I32 exponent = greater(scale.exponent, I32{} - 200) - fraction + 1023;
  const I64 power = __builtin_convertvector(exponent, I64) << 52;
  const F64 value =
      __builtin_convertvector(scale.significand, F64) * (F64)power;
  const I64 nan = __builtin_convertvector(scale.nan, I64);
  return (F64)((I64)value | (nan & 0x7ff8000000000000));
}

/// The four sums of a column, twice each factor, over sixteen rows.
void addGroups(const Product &p, const I32 *rows, const uint32_t *column,
               I32 (&sums)[kGroups]) {
  static constexpr int8_t kDoubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                          0, -1, -2, -3, -4, -6, -8, -12};
  const unsigned length = p.depth / kGroups;
  for (unsigned g = 0; g < kGroups; ++g) {
    sums[g] = I32{};
    for (unsigned k = g * length; k < (g + 1) * length; ++k)
      sums[g] += rows[k] * int32_t{kDoubled[column[k / 8] >> 4 * (k % 8) & 15]};
  }
}

/// A term, \p significand * 2^(exponent - fractionBits), in units of
/// 2^(top - fraction), cut toward zero.
inline F64 aligned(I32 significand, unsigned fractionBits, I32 exponent,
                   I32 top, unsigned fraction) {
  const I64 wide = __builtin_convertvector(significand, I64);
  const I64 sign = wide >> 63;
  const I64 magnitude = ((wide ^ sign) - sign) << (fraction - fractionBits);
  const I64 distance =
      __builtin_convertvector(lesser(top - exponent, I32{} + 63), I64);
  const I64 cut = magnitude >> distance;
  return __builtin_convertvector((cut ^ sign) - sign, F64);
}

U32 multiplyColumn(const Product &p, const I32 *rows, const Scale *ofRows,
                   const uint32_t *column, U32 ofColumn, U32 c) {
  I32 sums[kGroups], exponents[kGroups];
  addGroups(p, rows, column, sums);
  const Parts parts = partsOf(accumulatorFormat(false), c);
  I32 top = parts.exponent, nan = {};
  for (unsigned g = 0; g < kGroups; ++g) {
    const Scale &a = ofRows[g];
    const Scale b = scaleOf(p, ofColumn, g * p.scales.chunks / kGroups);
    exponents[g] = a.exponent + b.exponent;
    top = greater(top, exponents[g]);
    sums[g] *= a.significand * b.significand;
    nan |= a.nan | b.nan;
  }
  const unsigned fraction = p.rule.fraction, bits = p.scales.ue4m3 ? 8 : 2;
  const I32 ofC = (parts.significand ^ parts.sign) - parts.sign;
  F64 total = aligned(ofC, 23, parts.exponent, top, fraction);
  for (unsigned g = 0; g < kGroups; ++g)
    total += aligned(sums[g], bits, exponents[g], top, fraction);
  const U32 d = cutToF32(total, top - static_cast<int32_t>(fraction), 23);
  nan |= parts.special & (I32)((c & 0x7fffff) != 0);
  const U32 special = nan ? U32{} + 0x7fffffff : c;
  return nan | parts.special ? special : d;
}

/// Numbers of up to sixteen columns, column n at out + n * K.
void decodeColumns(const Product &p, const uint32_t *words, float *out) {
  const unsigned per = 32 / tensor::bitsOf(p.b);
  for (unsigned n = 0; n < p.columns; ++n)
    for (unsigned k = 0; k < p.depth; ++k) {
      const U32 w = U32{} + words[n * p.words() + k / per];
      out[n * p.depth + k] = elementAsFloat(p.b, w, k % per)[0];
    }
}

} // namespace

void multiplyGroups(const Product &p, const uint32_t *a, const uint32_t *b,
                    uint32_t *c) {
  I32 rows[kMaxPackedDepth];
  for (unsigned k = 0; k < p.depth; ++k)
    rows[k] = doubled(load<U32>(a + k / 8 * kRows) >> 4 * (k % 8));
  const U32 words = load<U32>(p.scales.rows);
  Scale ofRows[kGroups];
  for (unsigned g = 0; g < kGroups; ++g)
    ofRows[g] = scaleOf(p, words, g * p.scales.chunks / kGroups);
  for (unsigned n = 0; n < p.columns; ++n)
    store(c + n * kRows, multiplyColumn(p, rows, ofRows, b + n * p.words(),
                                        U32{} + p.scales.columns[n],
                                        load<U32>(c + n * kRows)));
}

void multiplyScaled(const Product &p, const uint32_t *a, const uint32_t *b,
                    uint32_t *c) {
  constexpr unsigned kMostColumns = 16;
  float columns[kMostColumns * kMaxPackedDepth];
  decodeColumns(p, b, columns);
  const unsigned per = 32 / tensor::bitsOf(p.a);
  const unsigned length = p.depth / p.scales.chunks;
  const U32 words = load<U32>(p.scales.rows);
  for (unsigned n = 0; n < p.columns; ++n) {
    F32 d = (F32)load<U32>(c + n * kRows);
    for (unsigned chunk = 0; chunk < p.scales.chunks; ++chunk) {
      F32 sum = {};
      for (unsigned k = chunk * length; k < (chunk + 1) * length; ++k) {
        const U32 w = load<U32>(a + k / per * kRows);
        const F32 column = F32{} + columns[n * p.depth + k];
        sum = multiplyAdd<true>(elementAsFloat(p.a, w, k % per), column, sum);
      }
      const F64 scale = scaleAsDouble(p, words, chunk) *
                        scaleAsDouble(p, U32{} + p.scales.columns[n], chunk);
      const F64 total = __builtin_convertvector(sum, F64) * scale +
                        __builtin_convertvector(d, F64);
      d = __builtin_convertvector(total, F32);
    }
    store(c + n * kRows, d == d ? (U32)d : U32{} + 0x7fffffff);
  }
}

} // namespace ptx::PTX_CPU_LEVEL
