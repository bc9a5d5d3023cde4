// Floating-point numbers in parts, sixteen at a time.
//
// Static, for the files that are compiled once per CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_FLOATPARTS_H
#define PTX_TENSOR_FLOATPARTS_H

#include "Tensor/Vectors.h"

namespace {

/// Far below any exponent, and so that sums of four stay far from overflow.
constexpr int32_t kNoExponent = -20000;

/// What the largest exponent of a format means.
enum class Top : uint8_t {
  Infinities, ///< infinities and NaNs
  OneNaN,     ///< a NaN where the fraction is all ones, else numbers
  Numbers
};

struct FloatFormat {
  unsigned bits; ///< of the container
  unsigned exponentBits, fractionBits;
  Top top;
  unsigned low = 0; ///< position in the container
  int32_t bias() const { return (1 << (exponentBits - 1)) - 1; }
};

constexpr FloatFormat floatFormatOf(Format format) {
  switch (format) {
  case Format::F16:
    return {16, 5, 10, Top::Infinities};
  case Format::BF16:
    return {16, 8, 7, Top::Infinities};
  case Format::TF32:
    return {32, 8, 10, Top::Infinities, 13};
  case Format::E4M3:
    return {8, 4, 3, Top::OneNaN};
  case Format::E3M2:
    return {8, 3, 2, Top::Numbers};
  case Format::E2M3:
    return {8, 2, 3, Top::Numbers};
  case Format::E2M1:
    return {8, 2, 1, Top::Numbers, 2};
  case Format::PackedE2M1:
    return {4, 2, 1, Top::Numbers};
  default:
    return {8, 5, 2, Top::Infinities};
  }
}

constexpr FloatFormat accumulatorFormat(bool half) {
  return half ? FloatFormat{16, 5, 10, Top::Infinities}
              : FloatFormat{32, 8, 23, Top::Infinities};
}

/// sign: 0 or -1; exponent of the implicit-one position; significand as an
/// integer. Infinities and NaNs are marked and count as zero here.
struct Parts {
  I32 significand, exponent, sign, special;
};

inline Parts partsOf(const FloatFormat &f, U32 x) {
  I32 field = (I32)(x >> f.fractionBits & ((1u << f.exponentBits) - 1));
  I32 fraction = (I32)(x & ((1u << f.fractionBits) - 1));
  I32 top = I32{} + ((1 << f.exponentBits) - 1);
  Parts p;
  p.special = field == top;
  if (f.top == Top::OneNaN)
    p.special &= fraction == (1 << f.fractionBits) - 1;
  else if (f.top == Top::Numbers)
    p.special = I32{};
  p.significand =
      fraction | (field > 0 ? I32{} + (1 << f.fractionBits) : I32{});
  p.significand &= ~p.special;
  p.exponent = greater(field, I32{} + 1) - f.bias();
  p.exponent = p.significand == 0 ? I32{} + kNoExponent : p.exponent;
  p.sign = -(I32)(x >> (f.exponentBits + f.fractionBits) & 1);
  return p;
}

/// total * 2^exponent -> bits of an f32, cut toward zero to \p keep fraction
/// bits. |total| < 2^50, an integer.
inline U32 cutToF32(F64 total, I32 exponent, unsigned keep) {
  I64 bits = (I64)total;
  // Leading one, and the 23 bits below it.
  I32 w = __builtin_convertvector(bits >> 29, I32);
  I32 e = (((w >> 23) - 0x1ff) & 0x1ff) + exponent;
  I32 significand = (w & 0x7fffff) | 0x800000;
  I32 subnormal = significand >> lesser(greater(-126 - e, I32{}), I32{} + 31);
  I32 r = e < -126 ? subnormal : ((e + 126) << 23) + significand;
  r = e > 127 ? I32{} + 0x7f800000 : r;
  r &= ~((1 << (23 - keep)) - 1);
  I32 negative = __builtin_convertvector(total < 0.0, I32);
  I32 zero = __builtin_convertvector(total == 0.0, I32);
  return (U32)((r | (negative & INT32_MIN)) & ~zero);
}

} // namespace

#endif // PTX_TENSOR_FLOATPARTS_H
