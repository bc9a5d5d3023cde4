// The tensor cores' truncating fused sum.
//
// One step computes, for each element of D, C plus the products over K: every
// exact product, and C, is aligned to the largest exponent among them, cut
// toward zero at 2^-F of it, and added exactly; the sum is cut toward zero
// (f32) or rounded to nearest even (f16). The largest exponent is that of the
// factors as they are written (ea + eb, significands not normalised); zeros
// have none.
//
// The exponents of ue8m0 scales are added to those of the factors.
//
// A product has at most 22 bits below 4.0, so with F = 25 a term fits 28 bits
// and sixteen of them a signed word: the sum needs no wider lanes until C.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/FloatParts.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using tensor::Accumulator;
using tensor::Product;

/// Columns decoded at a time.
constexpr unsigned kColumns = 32;

/// Elements in the order in which the steps take them.
struct Order {
  uint8_t place[kMaxDepth]; ///< of element k
};

Order orderOf(const Product &p) {
  Order order;
  for (unsigned k = 0; k < p.depth; ++k)
    order.place[k] = p.rule.splitPairs
                         ? k / 4 * 2 + k % 2 + (k % 4 < 2 ? 0 : p.depth / 2)
                         : k;
  return order;
}

/// A block of A, element k at [place of k].
struct DecodedRows {
  I32 significand[kMaxDepth], exponent[kMaxDepth], sign[kMaxDepth];
  I32 special; ///< rows with an infinity or a NaN
};

/// The exponents of the lowest bytes' ue8m0 scales, of which 255 is a NaN.
inline I32 scaleExponents(const uint32_t *scales, I32 &special) {
  const I32 field = (I32)(load<U32>(scales) & 0xff);
  special |= field == 0xff;
  return field - 127;
}

void decodeRows(const Product &p, const Order &order, const uint32_t *words,
                unsigned shift, DecodedRows &out) {
  const FloatFormat f = floatFormatOf(p.a);
  const unsigned per = 32 / f.bits;
  out.special = I32{};
  I32 scale = {};
  if (p.scales.chunks)
    scale = scaleExponents(p.scales.rows, out.special);
  for (unsigned q = 0; q < p.words(); ++q)
    for (unsigned j = 0; j < per; ++j) {
      U32 w = load<U32>(words + q * kRows);
      Parts parts = partsOf(f, element(w, f.bits, j) >> f.low);
      unsigned at = order.place[q * per + j];
      out.significand[at] = parts.significand << shift;
      out.exponent[at] = parts.exponent + scale;
      out.sign[at] = parts.sign;
      out.special |= parts.special;
    }
}

/// Up to kColumns columns of B, [column][place of k]. Words are decoded sixteen
/// at a time, the last ones perhaps beyond the end.
struct DecodedColumns {
  static constexpr unsigned kSize = kColumns * kMaxDepth + 4 * kRows;
  alignas(64) int32_t significand[kSize];
  alignas(64) int32_t exponent[kSize];
  alignas(64) int32_t sign[kSize];
  bool special; ///< one of them holds an infinity or a NaN
};

/// Stores element vectors of sixteen words in the order of their elements.
inline void storeElements(int32_t *out, const I32 (&e)[4], unsigned per) {
  if (per == 1)
    return store(out, e[0]);
  if (per == 2) {
    store(out, __builtin_shufflevector(e[0], e[1], 0, 16, 1, 17, 2, 18, 3, 19,
                                       4, 20, 5, 21, 6, 22, 7, 23));
    store(out + 16,
          __builtin_shufflevector(e[0], e[1], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                  28, 13, 29, 14, 30, 15, 31));
    return;
  }
  for (unsigned i = 0; i < kRows; ++i)
    for (unsigned j = 0; j < 4; ++j)
      out[4 * i + j] = e[j][i];
}

/// Puts each column's elements where the steps take them.
void reorder(const Product &p, const Order &order, unsigned columns,
             int32_t *elements) {
  int32_t column[kMaxDepth];
  for (unsigned n = 0; n < columns; ++n, elements += p.depth) {
    std::memcpy(column, elements, p.depth * sizeof *column);
    for (unsigned k = 0; k < p.depth; ++k)
      elements[order.place[k]] = column[k];
  }
}

void decodeColumns(const Product &p, const Order &order, const uint32_t *words,
                   unsigned columns, DecodedColumns &out) {
  const FloatFormat f = floatFormatOf(p.b);
  const unsigned per = 32 / f.bits;
  const unsigned count = columns * p.words();
  const I32 flip = I32{} - static_cast<int32_t>(p.negate);
  I32 special = {};
  for (unsigned first = 0; first < count; first += kRows) {
    unsigned here = count - first < kRows ? count - first : kRows;
    U32 w = {};
    std::memcpy(&w, words + first, here * 4);
    I32 significand[4], exponent[4], sign[4];
    for (unsigned j = 0; j < per; ++j) {
      Parts parts = partsOf(f, element(w, f.bits, j) >> f.low);
      significand[j] = parts.significand;
      exponent[j] = parts.exponent;
      sign[j] = parts.sign ^ flip;
      special |= parts.special;
    }
    storeElements(out.significand + first * per, significand, per);
    storeElements(out.exponent + first * per, exponent, per);
    storeElements(out.sign + first * per, sign, per);
  }
  if (p.scales.chunks)
    for (unsigned n = 0; n < columns; ++n) {
      const auto scale = static_cast<int32_t>(p.scales.columns[n] & 0xff);
      special |= I32{} - static_cast<int32_t>(scale == 0xff);
      for (unsigned k = 0; k < p.depth; ++k)
        out.exponent[n * p.depth + k] += scale - 127;
    }
  out.special = __builtin_reduce_or(special);
  if (p.rule.splitPairs) {
    reorder(p, order, columns, out.significand);
    reorder(p, order, columns, out.exponent);
    reorder(p, order, columns, out.sign);
  }
}

/// total * 2^exponent, |total| < 2^50 an integer, rounded to nearest even ->
/// bits of an f16.
inline U32 roundToF16(F64 total, I32 exponent) {
  I64 bits = (I64)total;
  I32 w = __builtin_convertvector(bits >> 29, I32);
  I32 e = (((w >> 23) - 0x1ff) & 0x1ff) + exponent;
  I32 floor = greater(e, I32{} - 14);
  // Scale the last kept bit to 1 and let an addition of 2^52 round.
  I32 scale =
      greater(lesser(exponent - (floor - 10), I32{} + 1000), I32{} - 1000);
  I64 wide = __builtin_convertvector(scale + 1023, I64);
  F64 magnitude = (F64)(bits & INT64_MAX) * (F64)(wide << 52);
  magnitude = (magnitude + 0x1p52) - 0x1p52;
  I32 q = __builtin_convertvector(magnitude, I32);
  I32 r = q >= 1024 ? ((floor + 14) << 10) + q : q;
  r = e > 15 ? I32{} + 0x7c00 : lesser(r, I32{} + 0x7c00);
  I32 negative = __builtin_convertvector(total < 0.0, I32);
  I32 zero = __builtin_convertvector(total == 0.0, I32);
  return (U32)((r | (negative & 0x8000)) & ~zero);
}

/// The sixteen rows of one column, terms [from, to).
inline U32 fusedColumn(const Product &p, const DecodedRows &a,
                       const int32_t *bs, const int32_t *be, const int32_t *bg,
                       unsigned from, unsigned to, const Parts &c,
                       unsigned fractionOfC, bool half) {
  I32 top = c.exponent;
  for (unsigned k = from; k < to; ++k)
    top = greater(top, a.exponent[k] + be[k]);
  I32 sums[2] = {};
  for (unsigned first = from, s = 0; first < to; first += 16, s ^= 1) {
    unsigned last = to - first < 16 ? to : first + 16;
    I32 sum = {};
    for (unsigned k = first; k < last; ++k) {
      I32 distance = lesser(top - (a.exponent[k] + be[k]), I32{} + 31);
      I32 term = (a.significand[k] * bs[k]) >> distance;
      I32 sign = a.sign[k] ^ bg[k];
      sum += (term ^ sign) - sign;
    }
    sums[s] += sum;
  }
  const int shift = p.rule.fraction - static_cast<int>(fractionOfC);
  I32 distance = top - c.exponent;
  I32 ofC;
  if (shift >= 0)
    ofC = (c.significand << shift) >> lesser(distance, I32{} + 31);
  else
    ofC = c.significand >> lesser(distance - shift, I32{} + 31);
  ofC = (ofC ^ c.sign) - c.sign;
  F64 total = __builtin_convertvector(sums[0], F64) +
              __builtin_convertvector(sums[1], F64) +
              __builtin_convertvector(ofC, F64);
  I32 exponent = top - p.rule.fraction;
  return half ? roundToF16(total, exponent)
              : cutToF32(total, exponent, p.rule.keep);
}

/// What an element of A or B is besides a number.
struct Kind {
  bool nan, infinite, zero, negative;
};
Kind kindOf(const FloatFormat &f, uint32_t x) {
  uint32_t magnitude = x & ((1u << (f.exponentBits + f.fractionBits)) - 1);
  uint32_t top = ((1u << f.exponentBits) - 1) << f.fractionBits;
  Kind k;
  k.negative = x >> (f.exponentBits + f.fractionBits) & 1;
  k.zero = magnitude == 0;
  k.infinite = f.top == Top::Infinities && magnitude == top;
  k.nan = f.top == Top::Infinities
              ? magnitude > top
              : f.top == Top::OneNaN &&
                    magnitude == (top | ((1u << f.fractionBits) - 1));
  return k;
}

uint32_t elementOf(Format format, const uint32_t *words, unsigned stride,
                   unsigned k) {
  unsigned bits = tensor::bitsOf(format), per = 32 / bits;
  uint32_t w = words[k / per * stride];
  uint32_t container =
      bits == 32 ? w : w >> k % per * bits & ((1u << bits) - 1);
  return container >> floatFormatOf(format).low;
}

/// One element of D whose terms [from, to) or C hold an infinity or a NaN;
/// false if the sum stands after all. \p nan: a scale is one.
bool resolveSpecial(const Product &p, const Order &order, const uint32_t *row,
                    const uint32_t *column, unsigned from, unsigned to, Kind kc,
                    bool nan, bool half, uint32_t &out) {
  const FloatFormat fa = floatFormatOf(p.a), fb = floatFormatOf(p.b);
  nan |= kc.nan;
  bool plus = kc.infinite && !kc.negative, minus = kc.infinite && kc.negative;
  for (unsigned k = 0; k < p.depth; ++k) {
    if (order.place[k] < from || order.place[k] >= to)
      continue;
    Kind x = kindOf(fa, elementOf(p.a, row, kRows, k));
    Kind y = kindOf(fb, elementOf(p.b, column, 1, k));
    nan |= x.nan || y.nan || (x.infinite && y.zero) || (y.infinite && x.zero);
    if (x.infinite || y.infinite) {
      bool negative = x.negative ^ y.negative ^ p.negate;
      (negative ? minus : plus) = true;
    }
  }
  const uint32_t infinity = half ? 0x7c00 : 0x7f800000;
  if (nan || (plus && minus))
    out = half ? 0x7fff : 0x7fffffff;
  else if (plus || minus)
    out = infinity | (minus ? (half ? 0x8000u : 0x80000000u) : 0);
  return nan || plus || minus;
}

/// Everything about one block of rows and some columns.
struct Work {
  const Product &p;
  const Order &order;
  const DecodedRows &a;
  const DecodedColumns &b;
  const uint32_t *aWords, *bWords;
  bool half; ///< D is f16
};

/// Whether the ue8m0 scale of a row or a column is a NaN.
bool isScaleNaN(const Product &p, unsigned row, unsigned column) {
  return p.scales.chunks && ((p.scales.rows[row] & 0xff) == 0xff ||
                             (p.scales.columns[column] & 0xff) == 0xff);
}

/// One fused step over terms [from, to) of column \p n: c -> d.
U32 step(const Work &w, unsigned n, unsigned from, unsigned to, U32 c,
         bool halfC) {
  const FloatFormat f = accumulatorFormat(halfC);
  Parts parts = partsOf(f, c);
  const unsigned at = n * w.p.depth;
  U32 d = fusedColumn(w.p, w.a, w.b.significand + at, w.b.exponent + at,
                      w.b.sign + at, from, to, parts, f.fractionBits, w.half);
  I32 special = w.a.special | parts.special | -int32_t(w.b.special);
  if (!__builtin_reduce_or(special))
    return d;
  for (unsigned m = 0; m < kRows; ++m) {
    uint32_t value;
    if (special[m] &&
        resolveSpecial(w.p, w.order, w.aWords + m, w.bWords + n * w.p.words(),
                       from, to, kindOf(f, c[m]), isScaleNaN(w.p, m, n), w.half,
                       value))
      d[m] = value;
  }
  return d;
}

/// An ordinary addition, in f32 or f16, with canonical NaNs.
U32 addOrdinary(U32 x, U32 y, bool half) {
  if (half) // the sum of two f16 is rounded once: f32 holds it exactly or
            // further than half a unit from any tie
    return toHalf(fromHalf(x) + fromHalf(y));
  F32 sum = (F32)x + (F32)y;
  return sum == sum ? (U32)sum : U32{} + 0x7fffffff;
}

U32 multiplyColumn(const Work &w, unsigned n, U32 c) {
  const Product &p = w.p;
  const unsigned length = p.rule.splitPairs
                              ? p.depth / 2
                              : (p.rule.step < p.depth ? p.rule.step : p.depth);
  const bool halfC = p.c == Accumulator::F16;
  U32 d = p.rule.splitPairs ? U32{} : c;
  for (unsigned from = 0; from < p.depth; from += length)
    d = step(w, n, from, from + length, d,
             from || p.rule.splitPairs ? w.half : halfC);
  return p.rule.splitPairs ? addOrdinary(d, c, w.half) : d;
}

} // namespace

void multiplyExact(const Product &p, const uint32_t *a, const uint32_t *b,
                   uint32_t *c) {
  const Order order = orderOf(p);
  const unsigned fractions =
      floatFormatOf(p.a).fractionBits + floatFormatOf(p.b).fractionBits;
  DecodedRows rows;
  DecodedColumns columns;
  for (unsigned first = 0; first < p.columns; first += kColumns) {
    unsigned count =
        p.columns - first < kColumns ? p.columns - first : kColumns;
    const uint32_t *bWords = b + first * p.words();
    decodeColumns(p, order, bWords, count, columns);
    for (unsigned block = 0; block < p.blocks; ++block) {
      const uint32_t *aWords = a + block * p.words() * kRows;
      decodeRows(p, order, aWords, p.rule.fraction - fractions, rows);
      const Work work{
          p, order, rows, columns, aWords, bWords, p.d == Accumulator::F16};
      uint32_t *out = c + (block * p.columns + first) * kRows;
      for (unsigned n = 0; n < count; ++n, out += kRows)
        store(out, multiplyColumn(work, n, load<U32>(out)));
    }
  }
}

} // namespace ptx::PTX_CPU_LEVEL
