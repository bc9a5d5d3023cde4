// Matrix products by their definition.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductReference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ptx::test {

using namespace tensor;

FormatInfo infoOf(Format format) {
  switch (format) {
  case Format::F16:
    return {5, 10, true};
  case Format::BF16:
    return {8, 7, true};
  case Format::TF32:
    return {8, 10, true, true, 13};
  case Format::E4M3:
    return {4, 3, false};
  case Format::E3M2:
    return {3, 2, false, false};
  case Format::E2M3:
    return {2, 3, false, false};
  case Format::E2M1:
    return {2, 1, false, false, 2};
  case Format::PackedE2M1:
    return {2, 1, false, false};
  default:
    return {5, 2, true};
  }
}

namespace {

struct Number {
  bool negative, nan, infinite;
  int exponent; ///< of the implicit-one position
  int64_t significand;
  unsigned fractionBits;
};

Number decode(FormatInfo f, uint32_t bits) {
  Number n;
  uint32_t field = bits >> f.fractionBits & ((1u << f.exponentBits) - 1);
  uint32_t fraction = bits & ((1u << f.fractionBits) - 1);
  uint32_t top = (1u << f.exponentBits) - 1;
  n.negative = bits >> (f.exponentBits + f.fractionBits) & 1;
  n.infinite = f.hasInfinity && field == top && fraction == 0;
  n.nan = f.hasInfinity ? field == top && fraction
                        : f.hasNaN && field == top &&
                              fraction == (1u << f.fractionBits) - 1;
  n.significand = fraction | (field ? int64_t{1} << f.fractionBits : 0);
  n.exponent =
      static_cast<int>(std::max(field, 1u)) - ((1 << (f.exponentBits - 1)) - 1);
  n.fractionBits = f.fractionBits;
  return n;
}

Number decode(Format format, uint32_t bits) {
  return decode(infoOf(format), bits >> infoOf(format).low);
}

/// sum * 2^exponent as bits of f32 (cut) or f16 (rounded).
uint32_t finish(__int128 sum, int exponent, bool half, unsigned keep) {
  if (sum == 0)
    return 0;
  const bool negative = sum < 0;
  unsigned __int128 magnitude = negative ? -sum : sum;
  int lead = 0;
  while (magnitude >> lead > 1)
    ++lead;
  const int least = half ? -14 : -126, fraction = half ? 10 : 23;
  const int e = std::max(lead + exponent, least);
  const int drop = e - (half ? 10 : static_cast<int>(keep)) - exponent;
  unsigned __int128 q = magnitude;
  if (drop > 0) {
    q = drop > 100 ? 0 : magnitude >> drop;
    unsigned __int128 rest = drop > 100 ? magnitude : magnitude - (q << drop);
    unsigned __int128 tie =
        drop > 100 ? ~(unsigned __int128)0 : (unsigned __int128)1 << (drop - 1);
    if (half && (rest > tie || (rest == tie && (q & 1))))
      ++q;
  } else {
    q = magnitude << -drop;
  }
  if (!half)
    q <<= 23 - keep;
  uint64_t bits = static_cast<uint64_t>(q);
  if (bits >> fraction)
    bits += (static_cast<uint64_t>(e - least)) << fraction;
  const uint64_t infinity = half ? 0x7c00 : 0x7f800000;
  bits = std::min(bits, infinity);
  return static_cast<uint32_t>(bits) |
         (negative ? half ? 0x8000u : 0x80000000u : 0);
}

uint32_t oneStep(const Product &p, const std::vector<uint32_t> &a,
                 const std::vector<uint32_t> &b,
                 const std::vector<unsigned> &terms, uint32_t c, bool halfC,
                 uint32_t scaleOfRow, uint32_t scaleOfColumn) {
  const bool half = p.d == Accumulator::F16;
  Number start =
      decode(halfC ? FormatInfo{5, 10, true} : FormatInfo{8, 23, true}, c);
  bool nan = start.nan || scaleOfRow == 255 || scaleOfColumn == 255;
  bool plus = start.infinite && !start.negative;
  bool minus = start.infinite && start.negative;
  const int scale = static_cast<int>(scaleOfRow + scaleOfColumn) - 254;
  struct Term {
    int exponent;
    int64_t significand;
    unsigned fractionBits;
    bool negative;
  };
  std::vector<Term> all = {{start.exponent,
                            start.infinite ? 0 : start.significand,
                            start.fractionBits, start.negative}};
  for (unsigned k : terms) {
    Number x = decode(p.a, a[k]), y = decode(p.b, b[k]);
    bool negative = x.negative ^ y.negative ^ p.negate;
    nan |= x.nan || y.nan || (x.infinite && !y.significand) ||
           (y.infinite && !x.significand);
    if (x.infinite || y.infinite)
      (negative ? minus : plus) = true;
    all.push_back({x.exponent + y.exponent + scale,
                   x.significand * y.significand,
                   x.fractionBits + y.fractionBits, negative});
  }
  if (nan || (plus && minus))
    return half ? 0x7fff : 0x7fffffff;
  if (plus || minus)
    return (half ? 0x7c00 : 0x7f800000) |
           (minus ? half ? 0x8000u : 0x80000000u : 0);
  int top = INT32_MIN;
  for (const Term &t : all)
    if (t.significand)
      top = std::max(top, t.exponent);
  __int128 sum = 0;
  for (const Term &t : all) {
    if (!t.significand)
      continue;
    int shift =
        p.rule.fraction - static_cast<int>(t.fractionBits) - (top - t.exponent);
    __int128 cut = shift >= 0    ? (__int128)t.significand << shift
                   : shift > -64 ? (__int128)(t.significand >> -shift)
                                 : 0;
    sum += t.negative ? -cut : cut;
  }
  return finish(sum, top - p.rule.fraction, half, p.rule.keep);
}

} // namespace

uint32_t fusedReference(const Product &p, const std::vector<uint32_t> &a,
                        const std::vector<uint32_t> &b, uint32_t c,
                        uint32_t scaleOfRow, uint32_t scaleOfColumn) {
  const bool half = p.d == Accumulator::F16;
  std::vector<std::vector<unsigned>> steps;
  if (p.rule.splitPairs) {
    steps.resize(2);
    for (unsigned k = 0; k < p.depth; ++k)
      steps[k % 4 / 2].push_back(k);
  } else {
    for (unsigned k = 0; k < p.depth; ++k) {
      if (k % p.rule.step == 0)
        steps.emplace_back();
      steps.back().push_back(k);
    }
  }
  if (!p.rule.splitPairs) {
    uint32_t d = c;
    bool halfC = p.c == Accumulator::F16;
    for (const auto &terms : steps) {
      d = oneStep(p, a, b, terms, d, halfC, scaleOfRow, scaleOfColumn);
      halfC = half;
    }
    return d;
  }
  uint32_t d = oneStep(p, a, b, steps[0], 0, half, 127, 127);
  d = oneStep(p, a, b, steps[1], d, half, 127, 127);
  // 1 * d + 1 * c, rounded to nearest: in double.
  if (half) {
    double sum = valueOf(Format::F16, d) + valueOf(Format::F16, c);
    if (std::isnan(sum))
      return 0x7fff;
    if (std::isinf(sum))
      return sum < 0 ? 0xfc00 : 0x7c00;
    if (sum == 0)
      return (d & c & 0x8000);
    return finish(static_cast<__int128>(std::ldexp(sum, 24)), -24, true, 23);
  }
  float x, y;
  std::memcpy(&x, &d, 4);
  std::memcpy(&y, &c, 4);
  float sum = x + y;
  uint32_t bits;
  std::memcpy(&bits, &sum, 4);
  return std::isnan(sum) ? 0x7fffffff : bits;
}

double scaleValue(bool ue4m3, uint32_t bits) {
  if (ue4m3)
    return valueOf(Format::E4M3, bits & 0x7f);
  return bits == 255 ? NAN : std::ldexp(1.0, static_cast<int>(bits) - 127);
}

uint32_t groupReference(const Product &p, const std::vector<uint32_t> &a,
                        const std::vector<uint32_t> &b, uint32_t c,
                        uint32_t scaleOfRow, uint32_t scaleOfColumn) {
  const Number start = decode(FormatInfo{8, 23, true}, c);
  bool nan = start.nan;
  // significand * 2^place; aligned by its exponent.
  struct Term {
    int exponent, place;
    __int128 significand;
  };
  std::vector<Term> terms;
  if (start.significand)
    terms.push_back({start.exponent, start.exponent - 23,
                     start.negative ? -start.significand : start.significand});
  const unsigned length = p.depth / 4;
  for (unsigned group = 0; group < 4; ++group) {
    double sum = 0;
    for (unsigned k = group * length; k < (group + 1) * length; ++k)
      sum += valueOf(p.a, a[k]) * valueOf(p.b, b[k]);
    int exponent = 0;
    int64_t factor = 1;
    for (uint32_t word : {scaleOfRow, scaleOfColumn}) {
      const uint32_t bits = word >> 8 * (group * p.scales.chunks / 4) & 255;
      if (std::isnan(scaleValue(p.scales.ue4m3, bits))) {
        nan = true;
      } else if (p.scales.ue4m3) {
        const Number x = decode(Format::E4M3, bits & 0x7f);
        exponent += x.exponent;
        factor *= x.significand;
      } else {
        exponent += static_cast<int>(bits) - 127;
        factor *= 8;
      }
    }
    // Sums are quarters, scales eighths.
    if (factor)
      terms.push_back(
          {exponent, exponent - 8, static_cast<__int128>(sum * 4) * factor});
  }
  if (nan)
    return 0x7fffffff;
  if (start.infinite)
    return c;
  int top = INT32_MIN;
  for (const Term &t : terms)
    top = std::max(top, t.exponent);
  __int128 sum = 0;
  for (const Term &t : terms) {
    const int shift = t.place - (top - p.rule.fraction);
    const __int128 magnitude =
        t.significand < 0 ? -t.significand : t.significand;
    const __int128 cut = shift >= 0    ? magnitude << shift
                         : shift > -90 ? magnitude >> -shift
                                       : 0;
    sum += t.significand < 0 ? -cut : cut;
  }
  return finish(sum, top - p.rule.fraction, false, p.rule.keep);
}

uint32_t integerReference(const Product &p, const std::vector<uint32_t> &a,
                          const std::vector<uint32_t> &b, uint32_t c) {
  auto value = [](Format format, uint32_t bits) -> int64_t {
    const unsigned width = bitsOf(format);
    const bool isSigned = format == Format::S8 || format == Format::S4;
    return isSigned && (bits >> (width - 1) & 1)
               ? static_cast<int64_t>(bits) - (1 << width)
               : bits;
  };
  int64_t sum = static_cast<int32_t>(c);
  for (unsigned k = 0; k < p.depth; ++k) {
    if (p.a == Format::B1)
      sum += p.exclusive ? a[k] ^ b[k] : a[k] & b[k];
    else
      sum += value(p.a, a[k]) * value(p.b, b[k]);
  }
  if (p.saturate)
    sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
  return static_cast<uint32_t>(sum);
}

double valueOf(Format format, uint32_t bits) {
  Number n = decode(format, bits);
  if (n.nan)
    return NAN;
  double x = n.infinite
                 ? INFINITY
                 : std::ldexp(static_cast<double>(n.significand),
                              n.exponent - static_cast<int>(n.fractionBits));
  return n.negative ? -x : x;
}

void Operands::pack(const Product &p) {
  const unsigned bits = bitsOf(p.a), per = 32 / bits, words = p.words();
  packedRows.assign(p.blocks * words * 16, 0);
  packedColumns.assign(p.columns * words, 0);
  packedC.assign(p.blocks * p.columns * 16, 0);
  for (unsigned m = 0; m < rows.size(); ++m)
    for (unsigned k = 0; k < p.depth; ++k)
      packedRows[(m / 16 * words + k / per) * 16 + m % 16] |= rows[m][k]
                                                              << k % per * bits;
  for (unsigned n = 0; n < p.columns; ++n)
    for (unsigned k = 0; k < p.depth; ++k)
      packedColumns[n * words + k / per] |= columns[n][k] << k % per * bits;
  for (unsigned m = 0; m < rows.size(); ++m)
    for (unsigned n = 0; n < p.columns; ++n)
      packedC[(m / 16 * p.columns + n) * 16 + m % 16] = c[m][n];
}

} // namespace ptx::test
