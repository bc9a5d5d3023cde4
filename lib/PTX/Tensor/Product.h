// Matrix products of the tensor cores.
//
// Pure arithmetic: D = A * B + C over words of packed elements. Where the
// words come from (registers, shared memory) and which lane holds which
// element is Fragment.h's business.
//
// All of it is laid out so that the sixteen rows of a block lie in the lanes
// of one vector: a warp's m16n8 instruction is one block, a warpgroup's m64
// instruction four.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_PRODUCT_H
#define PTX_TENSOR_PRODUCT_H

#include <cstddef>
#include <cstdint>

namespace ptx::tensor {

/// Formats of A and B.
enum class Format : uint8_t {
  F16,
  BF16,
  TF32,
  E4M3,
  E5M2,
  E3M2, ///< the low six bits of a byte
  E2M3,
  E2M1,       ///< bits 2 to 5 of a byte
  PackedE2M1, ///< two in a byte
  F64,
  S8,
  U8,
  S4,
  U4,
  B1
};
/// Formats of C and D.
enum class Accumulator : uint8_t { F16, F32, S32, F64 };

constexpr unsigned bitsOf(Format format) {
  constexpr unsigned bits[] = {16, 16, 32, 8, 8, 8, 8, 8, 4, 64, 8, 8, 4, 4, 1};
  return bits[static_cast<unsigned>(format)];
}
constexpr bool isFp8(Format format) {
  return format == Format::E4M3 || format == Format::E5M2;
}
constexpr bool isInteger(Format format) { return format >= Format::S8; }

inline constexpr unsigned kRows = 16;     ///< rows of a block
inline constexpr unsigned kMaxDepth = 64; ///< largest K of floating point
inline constexpr unsigned kMaxPackedDepth = 128; ///< the same of PackedE2M1

/// How the hardware adds up, per generation.
struct Rule {
  /// Terms are cut toward zero at 2^-fraction of the largest exponent.
  uint8_t fraction = 25;
  /// Fraction bits an f32 result keeps.
  uint8_t keep = 23;
  /// K of one fused step; several run in sequence.
  uint8_t step = 64;
  /// mma.sync with FP8 operands on sm_90: the elements of K with k % 4 < 2
  /// in one step, the others in a second, and C by an ordinary addition.
  bool splitPairs = false;
};

/// Block scaling: K is divided into chunks, and the elements of a chunk of a
/// row of A or a column of B are multiplied by its scale.
struct Scales {
  const uint32_t *rows = nullptr;    ///< [16]: the scale of chunk j in byte j
  const uint32_t *columns = nullptr; ///< [N], likewise
  uint8_t chunks = 0;                ///< 1, 2 or 4; 0: no scales
  bool ue4m3 = false;                ///< else powers of two: ue8m0
};

struct Product {
  Format a = Format::F16, b = Format::F16;
  Accumulator c = Accumulator::F32, d = Accumulator::F32;
  unsigned depth = 16;    ///< K, in elements
  unsigned columns = 8;   ///< N
  unsigned blocks = 1;    ///< M / 16
  bool negate = false;    ///< the products are subtracted
  bool saturate = false;  ///< integers clamp instead of wrapping
  bool exclusive = false; ///< single bits: xor instead of and
  Rule rule;
  Scales scales; ///< with one block of rows

  /// 32-bit words that hold the K elements of one row of A or column of B.
  unsigned words() const { return (depth * bitsOf(a) + 31) / 32; }
};

/// The arithmetic compiled for one CPU level. A value of f16 takes one word
/// of C here, as the others do.
struct Kernels {
  /// a [blocks][words][16], b [columns][words], c [blocks][columns][16]:
  /// words of elements with ascending k from the low bits on; c is replaced
  /// by D. Sums as the hardware does it.
  void (*exact)(const Product &, const uint32_t *a, const uint32_t *b,
                uint32_t *c);
  /// The same with f32 multiply-adds in ascending k.
  void (*fast)(const Product &, const uint32_t *a, const uint32_t *b,
               uint32_t *c);
  /// Integers and single bits: exact.
  void (*integer)(const Product &, const uint32_t *a, const uint32_t *b,
                  uint32_t *c);
  /// The same of PackedE2M1 with scales: the sums of a fourth of K each are
  /// exact, and the terms of the hardware's sum.
  void (*exactGroups)(const Product &, const uint32_t *a, const uint32_t *b,
                      uint32_t *c);
  /// All products with scales: each chunk's in f32, ascending k, and its sum
  /// times the scales added to C in f64, rounded to f32.
  void (*fastScaled)(const Product &, const uint32_t *a, const uint32_t *b,
                     uint32_t *c);
  /// a [depth][16], b [columns][depth], c [columns][16]: chains of fused
  /// multiply-adds, k = 0 first.
  void (*f64)(unsigned depth, unsigned columns, const double *a,
              const double *b, double *c);
  /// The fast mode of an m16n8 instruction with f32 sums, from registers to
  /// registers: where matrix kernels spend their time. \p quads: quadruples of
  /// words a row (1 or 2); A and B are f16, bf16 or tf32.
  void (*warp)(Format format, unsigned quads, const uint32_t *const *a,
               const uint32_t *const *b, const uint32_t *const *c,
               uint32_t *const *d);
  /// 8 x 4 words of lane order (word 4 r + t) -> [t][row] of a block, the
  /// vectors of rows \p stride words apart. lower gives rows 0 to 7, upper
  /// (may be null: zeros) rows 8 to 15.
  void (*toRows)(const uint32_t *lower, const uint32_t *upper, uint32_t *out,
                 unsigned stride);
  /// The inverse; upper may be null.
  void (*fromRows)(const uint32_t *in, unsigned stride, uint32_t *lower,
                   uint32_t *upper);
  /// ldmatrix where all is well: row r of matrix j at shared address
  /// address[8 j + r] + offset. False, and nothing done, if an address is
  /// misaligned or outside.
  bool (*loadRows)(const uint32_t *address, uint32_t offset,
                   const std::byte *shared, uint64_t size, unsigned count,
                   bool transposed, uint32_t *const *result);
};

extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

} // namespace ptx::tensor

#define PTX_DECLARE_PRODUCT_KERNELS(LEVEL)                                     \
  namespace ptx::LEVEL {                                                       \
  void multiplyExact(const tensor::Product &, const uint32_t *,                \
                     const uint32_t *, uint32_t *);                            \
  void multiplyFast(const tensor::Product &, const uint32_t *,                 \
                    const uint32_t *, uint32_t *);                             \
  void multiplyIntegers(const tensor::Product &, const uint32_t *,             \
                        const uint32_t *, uint32_t *);                         \
  void multiplyGroups(const tensor::Product &, const uint32_t *,               \
                      const uint32_t *, uint32_t *);                           \
  void multiplyScaled(const tensor::Product &, const uint32_t *,               \
                      const uint32_t *, uint32_t *);                           \
  void multiplyF64(unsigned, unsigned, const double *, const double *,         \
                   double *);                                                  \
  void multiplyWarp(tensor::Format, unsigned, const uint32_t *const *,         \
                    const uint32_t *const *, const uint32_t *const *,          \
                    uint32_t *const *);                                        \
  void lanesToRows(const uint32_t *, const uint32_t *, uint32_t *, unsigned);  \
  void rowsToLanes(const uint32_t *, unsigned, uint32_t *, uint32_t *);        \
  bool loadMatrixRows(const uint32_t *, uint32_t, const std::byte *, uint64_t, \
                      unsigned, bool, uint32_t *const *);                      \
  }

#endif // PTX_TENSOR_PRODUCT_H
