// The body of a grouped matmul kernel: a pipeline of copies and products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_MATMULKERNEL_H
#define MOE_LIB_CONVERSION_GPU_MATMULKERNEL_H

#include "MatmulEpilogue.h"
#include "MatmulFragments.h"

namespace mlir::moe {

/// Makes one tile of the result with one block of threads.
///
/// While one step of K is multiplied, the next ones are copied to the other
/// stages. Steps are unrolled by the number of stages, so that a stage is an
/// immediate of an address; fragments are loaded one block of 16 of K ahead,
/// also across the barrier at the end of a step. A warp's loop is one of
/// several, made for the number of 16-row blocks that it has: no product is
/// spent on rows that a tile does not have.
class MatmulKernel {
public:
  MatmulKernel(KernelBuilder &b, IdxGroupedMatmulOp op,
               const MatmulShape &shape, MatmulOperands operands,
               EpilogueOperands epilogueOperands);

  /// `tiles` is the list of tiles of the shape's rows; surplus blocks leave.
  void emit(Value tiles);

private:
  /// What is carried from one step to the next.
  struct State {
    SmallVector<Value> sums;
    KernelBuilder::Values pointers;
    Fragments fragments;
  };

  void readPlace(Value record, Value columnTile);
  void emitTile();
  void emitFirstCopies();
  void emitForBlocks(int64_t rowBlocks);
  void emitBody(int64_t rowBlocks);
  void emitLoop(State &state, int64_t trips, int64_t rowBlocks);
  void emitStep(State &state, int64_t step, int64_t ahead, int64_t rowBlocks);
  void waitForCopies(int64_t mayBeOpen);
  int64_t stageOf(int64_t step) {
    return step % shape.stages * shape.stageBytes();
  }

  KernelBuilder &b;
  IdxGroupedMatmulOp op;
  const MatmulShape &shape;
  MatmulOperands operands;
  EpilogueOperands epilogueOperands;
  TilePlace place;
  std::optional<TileCopies> copies;
  std::optional<MatmulFragments> fragments;
  /// Pointers to the first step that the first copies do not take.
  KernelBuilder::Values pointers;
  /// 16-row blocks of this warp.
  Value rowBlocksOfWarp;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_MATMULKERNEL_H
