// Sizes of what moe ops make, from what they read: so that asking for a size
// does not keep a tensor alive.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Transforms/ResolveDims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/IR/MoE.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

/// A size of a field of `plan`.
static Value fieldSize(OpBuilder &b, Location loc, Value plan, Field field,
                       int64_t dim) {
  Value tensor = PlanFieldOp::create(b, loc, plan, field);
  return tensor::DimOp::create(b, loc, tensor, dim);
}

static Value sizeOf(OpBuilder &b, Location loc, DispatchOp op, int64_t dim) {
  if (dim == 0)
    return fieldSize(b, loc, op.getPlan(), Field::RowToken, 0);
  return tensor::DimOp::create(b, loc, op.getX(), int64_t(2));
}

static Value sizeOf(OpBuilder &b, Location loc, GroupedMatmulOp op,
                    int64_t dim) {
  if (dim == 0)
    return fieldSize(b, loc, op.getPlan(), Field::RowToken, 0);
  Value columns =
      tensor::DimOp::create(b, loc, op.getWeights().front(),
                            int64_t(op.getLayout() == Layout::NK ? 1 : 2));
  if (!op.getArrangement())
    return columns;
  Value two = arith::ConstantIndexOp::create(b, loc, 2);
  return arith::DivUIOp::create(b, loc, columns, two);
}

static Value sizeOf(OpBuilder &b, Location loc, CombineOp op, int64_t dim) {
  if (dim == 2)
    return tensor::DimOp::create(b, loc, op.getRows(), int64_t(1));
  Value size = fieldSize(b, loc, op.getPlan(), Field::TokenOffsets, dim);
  if (dim == 0)
    return size;
  // [S, T+1]
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  return arith::SubIOp::create(b, loc, size, one);
}

namespace {
struct ResolveDim : OpRewritePattern<tensor::DimOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::DimOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<int64_t> dim = op.getConstantIndex();
    Operation *source = op.getSource().getDefiningOp();
    if (!dim || !source)
      return rewriter.notifyMatchFailure(op, "no constant dimension");
    Location loc = op.getLoc();
    Value size =
        TypeSwitch<Operation *, Value>(source)
            .Case<DispatchOp, GroupedMatmulOp, CombineOp>(
                [&](auto maker) { return sizeOf(rewriter, loc, maker, *dim); })
            // The gates: one for each row.
            .Case<RouteOp, PlanFromChoiceOp>([&](auto maker) {
              return fieldSize(rewriter, loc, maker.getPlan(), Field::RowToken,
                               0);
            })
            .Default(Value());
    if (!size)
      return rewriter.notifyMatchFailure(op, "not made by a moe op");
    rewriter.replaceOp(op, size);
    return success();
  }
};
} // namespace

void mlir::moe::populateResolveDimsPatterns(RewritePatternSet &patterns) {
  patterns.add<ResolveDim>(patterns.getContext());
}
