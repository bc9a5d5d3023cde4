// The epilogue of a grouped matmul on the sums in registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_MATMULEPILOGUE_H
#define MOE_LIB_CONVERSION_GPU_MATMULEPILOGUE_H

#include "TileCopies.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::moe {

/// What an epilogue reads and writes besides sums, as kernel arguments.
struct EpilogueOperands {
  Value outs;
  SmallVector<Value> extras;
  /// Values that the region uses from outside, as arguments.
  IRMapping outside;
};

/// Applies the region of a grouped matmul to eight elements of a row at a time,
/// and stores them: 16 bytes of 16-bit elements, where alignment allows it.
class MatmulEpilogue {
public:
  MatmulEpilogue(KernelBuilder &b, IdxGroupedMatmulOp op,
                 const MatmulShape &shape, const TilePlace &place,
                 const EpilogueOperands &operands);

  /// For the sums, as MatmulFragments makes them, of a warp with `rowBlocks`
  /// blocks of 16 rows.
  void emit(ArrayRef<Value> sums, int64_t rowBlocks);

private:
  void emitRow(ArrayRef<Value> sums, int64_t block, int64_t half);
  Value outputOf(ArrayRef<Value> sums, int64_t output, int64_t group,
                 int64_t half);
  Value columnOfRun(int64_t group, int64_t run);
  Value loadColumns(Value rowStart, Type element, int64_t group);
  Value loadElement(Type type, Value pointer);
  Value exchange(Value values);
  void transposeQuad(MutableArrayRef<KernelBuilder::Values> units);
  void storeRow(Value values, Value rowStart, int64_t ahead, int64_t group);

  KernelBuilder &b;
  IdxGroupedMatmulOp op;
  const MatmulShape &shape;
  const EpilogueOperands &operands;
  const TilePlace &place;
  Type element;
  /// Adjacent columns that a lane has.
  int64_t run;
  Value quadLane, column, firstRow;
  /// Extras of kind column, for each group of columns.
  SmallVector<SmallVector<Value>> columnExtras;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_MATMULEPILOGUE_H
