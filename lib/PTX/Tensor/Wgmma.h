// Products of a warpgroup.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_WGMMA_H
#define PTX_TENSOR_WGMMA_H

#include "Isa/IsaTable.h"
#include "Tensor/Fragment.h"
#include "Tensor/SharedMatrix.h"

namespace ptx::tensor {

/// A warpgroup: four warps, each with 16 of the 64 rows, which lie in its
/// registers as a fragment of m16.
inline constexpr unsigned kGroupWarps = 4, kGroupRows = kGroupWarps * kRows;

/// wgmma.mma_async with everything its modifiers and immediates say.
struct WgmmaShape {
  Format a = Format::F16, b = Format::F16;
  Accumulator d = Accumulator::F32;
  unsigned n = 8, k = 16;
  bool aInRegisters = false;
  bool negate = false; ///< exactly one of imm-scale-a, imm-scale-b is -1
  bool transposedA = false, transposedB = false;
  bool saturate = false, exclusive = false;
  bool sparse = false; ///< of each four values of A two are stored

  /// 32-bit words of K of a row of A and a column of B, and of what is stored
  /// of A.
  unsigned words() const { return k * bitsOf(a) / 32; }
  unsigned wordsOfA() const { return words() / (sparse ? 2 : 1); }
  unsigned registersOfD() const { return n / (d == Accumulator::F16 ? 4 : 2); }
  /// Words of the sums of one warp, and of the group.
  unsigned wordsOfWarp() const { return n * kRows; }
  unsigned wordsOfGroup() const { return n * kGroupRows; }
  MatrixTile tileOf(bool ofB, uint64_t descriptor) const;
};
/// What a row spells; the immediates are not part of that.
WgmmaShape wgmmaShapeOf(const Row &row);

/// The most 32-bit words of A and B.
inline constexpr unsigned kMaxWordsOfGroupA = kGroupRows * 16,
                          kMaxWordsOfGroupB = 256 * 16;

/// D = A B + D. \p a [4][words][16], \p b [n][words], \p d [4][n][16].
void multiplyGroup(const Kernels &kernels, const WgmmaShape &shape,
                   const Rule &rule, bool exact, const uint32_t *a,
                   const uint32_t *b, uint32_t *d);

/// Rows [64][words] -> [4][words][16], as multiplyGroup takes A.
void groupRowsToVectors(const uint32_t *rows, unsigned words, uint32_t *out);

} // namespace ptx::tensor

#endif // PTX_TENSOR_WGMMA_H
