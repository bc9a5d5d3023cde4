// Loops and index arithmetic as the generators of this folder write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_LOOPBUILDER_H
#define MOE_LIB_CONVERSION_LOOPBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

namespace mlir::moe {

/// A builder with index arithmetic that folds, and with structured control
/// flow whose bodies are lambdas. All sizes and positions are of type index
/// and not negative.
class LoopBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value index(int64_t value) {
    return createOrFold<arith::ConstantIndexOp>(value);
  }
  Value add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b ? add(a, index(b)) : a; }
  Value sub(Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, int64_t b) {
    return createOrFold<arith::DivUIOp>(a, index(b));
  }
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), b); }
  Value min(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }
  Value less(Value a, Value b) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b);
  }
  Value equal(Value a, Value b) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b);
  }
  Value both(Value a, Value b) { return createOrFold<arith::AndIOp>(a, b); }
  Value select(Value condition, Value a, Value b) {
    return createOrFold<arith::SelectOp>(condition, a, b);
  }
  /// The size of a dimension: a constant where the type knows it.
  Value dim(Value memref, int64_t dimension) {
    return createOrFold<memref::DimOp>(memref, index(dimension));
  }
  /// The i32 at `position`, an entry of a plan, as an index.
  Value loadIndex(Value memref, ValueRange position) {
    Value entry = memref::LoadOp::create(*this, memref, position);
    return createOrFold<arith::IndexCastOp>(getIndexType(), entry);
  }

  /// for (iv = begin; iv < end; iv += step) body(iv)
  void forEach(Value begin, Value end, int64_t step,
               function_ref<void(Value)> body) {
    forEach(begin, end, index(step), body);
  }
  void forEach(Value begin, Value end, Value step,
               function_ref<void(Value)> body) {
    auto loop = scf::ForOp::create(*this, begin, end, step);
    InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  }
  /// if (condition) body()
  void when(Value condition, function_ref<void()> body) {
    auto branch = scf::IfOp::create(*this, condition, /*withElse=*/false);
    InsertionGuard guard(*this);
    setInsertionPointToStart(branch.thenBlock());
    body();
  }
  /// body(ivs) for all ivs below `ends`, in any order and at the same time.
  void forEachParallel(ValueRange ends, function_ref<void(ValueRange)> body) {
    SmallVector<Value> zeros(ends.size(), index(0)),
        ones(ends.size(), index(1));
    auto loop = scf::ParallelOp::create(*this, zeros, ends, ones);
    InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVars());
  }

  /// The 1-d view memref[indices..., 0:size]; `indices` are all but the last.
  Value lastDimView(Value memref, ValueRange indices, Value size);
  /// The 2-d view packed[expert, panel, :, :] as a memref of `type`.
  Value panelView(Value packed, Value expert, Value panel, MemRefType type);
};

/// Whether the elements of the last dimension lie next to each other.
bool hasUnitLastStride(Value memref);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_LOOPBUILDER_H
