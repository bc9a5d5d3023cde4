// Operations of other dialects that a front end could not lower.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_IMPORT_RESIDUAL_H
#define MOE_LIB_IMPORT_RESIDUAL_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// An op of StableHLO or tm_tensor. These dialects are not registered, so that
/// nothing about the op has been verified: what is read is checked here, and
/// each error names the op.
class ResidualOp {
public:
  explicit ResidualOp(Operation *op) : op(op) {}

  Operation *operator->() const { return op; }
  ImplicitLocOpBuilder getBuilder() const {
    ImplicitLocOpBuilder builder(op->getLoc(), op->getContext());
    builder.setInsertionPoint(op);
    return builder;
  }
  InFlightDiagnostic emitError() const { return op->emitOpError(); }

  FailureOr<int64_t> getInteger(StringRef name) const;
  FailureOr<SmallVector<int64_t>> getIntegers(StringRef name) const;
  FailureOr<bool> getBool(StringRef name) const;

  /// Fails unless there are between `low` and `high` operands.
  LogicalResult checkOperandCount(unsigned low, unsigned high) const;
  /// Fails unless the results have these types.
  LogicalResult checkResultTypes(TypeRange expected) const;
  /// Fails unless 0 <= value < rank.
  LogicalResult checkDimension(StringRef name, int64_t value,
                               int64_t rank) const;

  /// The only block of a region. Fails unless it takes these arguments and its
  /// terminator, the dialect's own, gives these results.
  FailureOr<Block *> getBlock(unsigned region, TypeRange arguments,
                              TypeRange results) const;

  /// Replaces the op by `values`, one for each result, and erases it.
  void replace(ValueRange values) const;

private:
  Operation *op;
};

/// The type of rank 0 with the element of a tensor type.
RankedTensorType getScalarTensor(Type tensor);
/// A dimension of a tensor as an index value.
Value getDim(ImplicitLocOpBuilder &builder, Value tensor, int64_t dim);
/// All of them.
SmallVector<Value> getDims(ImplicitLocOpBuilder &builder, Value tensor);
/// An index constant.
Value getIndex(ImplicitLocOpBuilder &builder, int64_t value);
/// Sequential loops from 0 to `bounds` that carry `values`; their results.
SmallVector<Value> buildLoops(
    ImplicitLocOpBuilder &builder, ValueRange bounds, ValueRange values,
    llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &,
                                          ValueRange indices, ValueRange)>
        body);

/// One lowering for each op; the op is gone afterwards.
LogicalResult lowerStableHLOSort(ResidualOp op);
LogicalResult lowerTMTensorSort(ResidualOp op);
LogicalResult lowerStableHLOScatter(ResidualOp op);
LogicalResult lowerTMTensorScatter(ResidualOp op);
LogicalResult lowerTMTensorScan(ResidualOp op);
LogicalResult lowerWhile(ResidualOp op);
LogicalResult lowerCase(ResidualOp op);
LogicalResult lowerIf(ResidualOp op);
LogicalResult lowerOptimizationBarrier(ResidualOp op);
LogicalResult lowerGetDimensionSize(ResidualOp op);
LogicalResult lowerDynamicReshape(ResidualOp op);
LogicalResult lowerDynamicBroadcastInDim(ResidualOp op);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_RESIDUAL_H
