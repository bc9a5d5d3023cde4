// Fragments of tiles in registers, and their products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_MATMULFRAGMENTS_H
#define MOE_LIB_CONVERSION_GPU_MATMULFRAGMENTS_H

#include "TileCopies.h"

namespace mlir::moe {

/// What a warp multiplies in 16 of K, loaded by ldmatrix: four i32 for each of
/// its 16-row blocks, and for each 16 of its columns.
struct Fragments {
  KernelBuilder::Values rows, weights;

  KernelBuilder::Values flat() const;
  static Fragments fromFlat(ValueRange values, int64_t blocks);
};

/// Loads and multiplies fragments.
class MatmulFragments {
public:
  MatmulFragments(KernelBuilder &b, const MatmulShape &shape,
                  const TilePlace &place);

  /// The fragments of 16-deep block `block` of the stage at byte `stage`, of a
  /// warp with `rowBlocks` blocks of 16 rows.
  Fragments load(int64_t block, int64_t stage, int64_t rowBlocks);

  /// sums += rows · weights. Of the sums, element 4 · (8 · b + j) + i is the
  /// i-th of a lane's 16x8 block of row block b and column block j: rows
  /// lane / 4 and 8 more, columns 2 · (lane mod 4) and the next.
  void multiply(const Fragments &fragments, int64_t rowBlocks,
                MutableArrayRef<Value> sums);

private:
  void addWeightBasesByRow();
  void addWeightBasesByDepth();
  void loadMatrices(Value pointer, bool transposed,
                    KernelBuilder::Values &into);
  Value operand(Value word);

  KernelBuilder &b;
  const MatmulShape &shape;
  const TilePlace &place;
  /// Addresses of this lane's row of the matrices: of the input for each block
  /// of 16 of K; of weights for that (layout = nk) or for each 16 columns (kn).
  SmallVector<Value> rowBases, weightBases;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_MATMULFRAGMENTS_H
