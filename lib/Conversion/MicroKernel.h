// The register tile of a grouped matmul as a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_MICROKERNEL_H
#define MOE_LIB_CONVERSION_MICROKERNEL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/IR/MoE.h"

namespace mlir::moe {

/// What a register tile computes: `rows` x `vectors` vectors of `lanes` f32
/// sums over k, from rows of the input and one weight panel.
struct TileShape {
  int64_t lanes, rows, vectors;
  Product product;
  bool prefetch;
  /// Of the rows as the tile reads them: f32, or bf16 for bf16_dot.
  Type rowElement;
  /// Of the panels: the type in which the weights are stored.
  Type panelElement;

  TileShape(ScheduleAttr schedule, Type storage);

  /// Values of k in one step.
  int64_t kStep() const { return product == Product::BF16Dot ? 2 : 1; }
  /// Whether the target converts f16 in hardware: all that have fma do.
  bool hasF16() const { return product != Product::MulAdd; }
  /// Elements of a panel that one step reads.
  int64_t panelWidth() const { return vectors * lanes * kStep(); }
  /// The same in lines of 64 bytes.
  int64_t panelLines() const;
  /// Elements of a panel in 64 bytes.
  int64_t lineElements() const;

  /// [rows, K], rows any distance apart.
  MemRefType rowsType() const;
  /// [K / kStep, panelWidth].
  MemRefType panelType() const;
  /// [rows, vectors·lanes] of f32.
  MemRefType sumsType() const;
};

/// The operands of a tile function, in this order.
struct TileOperands {
  /// The rows, [*, K], and the position in it of each row of the tile.
  Value rows;
  SmallVector<Value> positions;
  /// The panel to multiply with.
  Value panel;
  /// The panel that comes next, and the first elements of the two lines of
  /// each of its steps that this tile prefetches. Absent without prefetch.
  Value next;
  SmallVector<Value> nextLines;
  /// Receives the sums.
  Value sums;

  SmallVector<Value> flat() const;
};

/// The function that computes `count` rows of the tile, 1 <= count <= rows;
/// shared by all callers of one module, so that the many matmuls of a model
/// compile to a handful of kernels.
func::FuncOp getTileFunction(Operation *user, const TileShape &tile,
                             int64_t count);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_MICROKERNEL_H
