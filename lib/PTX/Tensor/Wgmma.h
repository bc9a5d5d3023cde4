//===- Wgmma.h - Products of a warpgroup ------------------------*- C++ -*-===//

#ifndef PTX_TENSOR_WGMMA_H
#define PTX_TENSOR_WGMMA_H

#include "Tensor/Fragment.h"
#include "Tensor/SharedMatrix.h"

namespace ptx::tensor {

/// wgmma.mma_async with everything its modifiers and immediates say. M is 64:
/// each of the four warps holds 16 rows, as a fragment of m16.
struct WgmmaShape {
  Format a = Format::F16, b = Format::F16;
  Accumulator d = Accumulator::F32;
  unsigned n = 8, k = 16;
  bool aInRegisters = false;
  bool negate = false; ///< exactly one of imm-scale-a, imm-scale-b is -1
  bool transposedA = false, transposedB = false;
  bool saturate = false;

  unsigned words() const { return k * bitsOf(a) / 32; }
  unsigned registersOfD() const { return n / (d == Accumulator::F16 ? 4 : 2); }
  MatrixTile tileOf(bool ofB, uint64_t descriptor) const;
};

/// The most 32-bit words of B, and of one warp's C and D.
inline constexpr unsigned kMaxWordsOfGroupB = 256 * 8,
                          kMaxWordsOfGroupC = 256 * kRows;

/// One warp's part: D = A B + C for its 16 rows. \p a [words][16], \p b
/// [n][words]; \p c and \p d are the warp's registers (c null: zero).
void multiplyGroupRows(const Kernels &kernels, const WgmmaShape &shape,
                       const Rule &rule, bool exact, const uint32_t *a,
                       const uint32_t *b, Registers c, MutableRegisters d);

/// Rows [row][words] -> [words][16], as multiplyGroupRows takes A.
void rowsToVectors(const uint32_t *rows, unsigned words, uint32_t *out);

} // namespace ptx::tensor

#endif // PTX_TENSOR_WGMMA_H
