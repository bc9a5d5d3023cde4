// Where a grouped matmul reads its rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_ROWSOURCE_H
#define MOE_LIB_CONVERSION_ROWSOURCE_H

#include "LoopBuilder.h"
#include "MicroKernel.h"

namespace mlir::moe {

/// The rows of a grouped matmul, as tile functions read them. Rows that lie in
/// memory as a tile wants them are read in place, gathered ones included: a
/// tile takes the position of each of its rows. Others (types to be widened,
/// elements apart from each other, an odd k for pairs) are copied to a scratch
/// block of the task.
class RowSource {
public:
  /// `blockRows` is the most rows that a block may have.
  RowSource(LoopBuilder &b, IdxGroupedMatmulOp op, const TileShape &tile,
            int64_t blockRows);

  /// Starts a task, which runs on one thread: allocates its scratch block.
  void beginTask();
  /// Makes rows [begin, end) of the plan readable.
  void beginBlock(Value begin, Value end);
  /// The memory of the rows, of type `rowsType` of the tile.
  Value getRows() const { return rows; }
  /// Where the row lies in it; a row of the block that was begun last.
  Value positionOf(Value row);
  void endTask();

private:
  /// The indices of a row in the input: [row], or [sequence, token].
  SmallVector<Value> inputIndices(Value row);
  void copyRow(Value source, Value target);
  Value tokenOf(Value row);

  LoopBuilder &b;
  IdxGroupedMatmulOp op;
  const TileShape &tile;
  int64_t blockRows;
  bool inPlace;
  Value depth;
  Value rows, block, blockBegin;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_ROWSOURCE_H
