// Vectors of sixteen lanes.
//
// For the files that are compiled once per CPU level: everything here is
// static, so that no level's code is linked into another's. The compiler
// splits the vectors where the CPU's are shorter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_VECTORS_H
#define PTX_TENSOR_VECTORS_H

#include "Tensor/Product.h"

#include <cstdint>
#include <cstring>

namespace {

using U32 = uint32_t __attribute__((vector_size(64)));
using I32 = int32_t __attribute__((vector_size(64)));
using F32 = float __attribute__((vector_size(64)));
using I64 = int64_t __attribute__((vector_size(128)));
using F64 = double __attribute__((vector_size(128)));

using ptx::tensor::Format;
using ptx::tensor::kMaxDepth;
using ptx::tensor::kRows;

template <class V> inline V load(const void *from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class V> inline void store(void *to, const V &v) {
  std::memcpy(to, &v, sizeof v);
}

inline I32 lesser(I32 a, I32 b) { return a < b ? a : b; }
inline I32 greater(I32 a, I32 b) { return a > b ? a : b; }

/// Element \p j of the packed words \p w, zero extended.
inline U32 element(U32 w, unsigned bits, unsigned j) {
  return bits == 32 ? w : w >> (bits * j) & ((1u << bits) - 1);
}

/// Bits of an f16 -> f32, exactly; a NaN stays one.
inline F32 fromHalf(U32 h) {
  U32 magnitude = (h & 0x7fff) << 13;
  U32 scaled = (U32)((F32)magnitude * 0x1p112f);
  U32 r = magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : scaled;
  return (F32)(r | (h & 0x8000) << 16);
}

inline F32 fromE4M3(U32 x) {
  U32 magnitude = (x & 0x7f) << 20;
  U32 scaled = (U32)((F32)magnitude * 0x1p120f);
  U32 r = (x & 0x7f) == 0x7f ? U32{} + 0x7fc00000 : scaled;
  return (F32)(r | (x & 0x80) << 24);
}

/// A number whose format has no infinities and no NaNs: \p exponentBits and
/// \p fractionBits, the sign above them.
inline F32 fromSmall(U32 x, unsigned exponentBits, unsigned fractionBits) {
  const unsigned width = exponentBits + fractionBits;
  const U32 magnitude = (x & ((1u << width) - 1)) << (23 - fractionBits);
  // Move the exponent field from its bias to that of f32, by a product.
  const uint32_t move = (254 - ((1u << (exponentBits - 1)) - 1)) << 23;
  float factor;
  std::memcpy(&factor, &move, 4);
  const U32 r = (U32)((F32)magnitude * factor);
  return (F32)(r | (x >> width & 1) << 31);
}

/// f32 -> bits of an f16, rounded to nearest even; NaN 7fff.
inline U32 toHalf(F32 f) {
  U32 u = (U32)f, magnitude = u & 0x7fffffff;
  // Below the normal range an addition rounds at 2^-24; above, the bits do.
  U32 small = (U32)((F32)magnitude + 0.5f) - 0x3f000000;
  U32 normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  U32 r = magnitude < 0x38800000 ? small : normal;
  r = magnitude >= 0x477ff000 ? U32{} + 0x7c00 : r;
  r |= u >> 16 & 0x8000;
  return magnitude > 0x7f800000 ? U32{} + 0x7fff : r;
}

/// Elements of floating-point formats as f32. tf32: the low 13 bits are
/// ignored.
inline F32 elementAsFloat(Format format, U32 w, unsigned j) {
  switch (format) {
  case Format::BF16:
    return (F32)(j ? w & 0xffff0000 : w << 16);
  case Format::F16:
    return fromHalf(j ? w >> 16 : w & 0xffff);
  case Format::TF32:
    return (F32)(w & 0xffffe000);
  case Format::E4M3:
    return fromE4M3(w >> 8 * j & 0xff);
  case Format::E3M2:
    return fromSmall(w >> 8 * j, 3, 2);
  case Format::E2M3:
    return fromSmall(w >> 8 * j, 2, 3);
  case Format::E2M1:
    return fromSmall(w >> (8 * j + 2), 2, 1);
  case Format::PackedE2M1:
    return fromSmall(w >> 4 * j, 2, 1);
  default:
    return fromHalf((w >> 8 * j & 0xff) << 8);
  }
}

/// Whether the CPU has an instruction for a * b + c with one rounding.
#ifdef __FMA__
inline constexpr bool kFuses = true;
#else
inline constexpr bool kFuses = false;
#endif

/// True if the product of two such numbers of the formats here is exact in
/// f32: it has bits enough, but must not leave the range.
inline bool multipliesExactly(F32 v) {
  const U32 magnitude = (U32)v & 0x7fffffff;
  constexpr uint32_t low = (127u - 50) << 23, high = (127u + 60) << 23;
  const U32 outside = (U32)(magnitude - low >= high - low);
  const U32 wrong = outside & (U32)(magnitude != 0);
  uint32_t any = 0;
  for (unsigned i = 0; i < kRows; ++i)
    any |= wrong[i];
  return !any;
}

/// a * b + c, rounded once. \p exact: the product is exact in f32, so that two
/// operations give the same where the CPU has no instruction for it.
template <bool exact> inline F32 multiplyAdd(F32 a, F32 b, F32 c) {
  if constexpr (kFuses) {
    return __builtin_elementwise_fma(a, b, c);
  } else if constexpr (exact) {
    return a * b + c;
  } else {
    for (unsigned i = 0; i < kRows; ++i)
      c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
  }
}

/// Stores low[0], high[0], low[1], ...
inline void storePairs(float *out, F32 low, F32 high) {
  store(out, __builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                     20, 5, 21, 6, 22, 7, 23));
  store(out + 16, __builtin_shufflevector(low, high, 8, 24, 9, 25, 10, 26, 11,
                                          27, 12, 28, 13, 29, 14, 30, 15, 31));
}

} // namespace

#endif // PTX_TENSOR_VECTORS_H
