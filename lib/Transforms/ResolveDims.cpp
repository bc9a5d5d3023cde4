// Sizes of what moe ops make, from what they read: so that asking for a size
// does not keep a tensor alive.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Transforms/ResolveDims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
struct ResolveDim : OpRewritePattern<tensor::DimOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::DimOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<int64_t> dim = op.getConstantIndex();
    Operation *source = op.getSource().getDefiningOp();
    if (!dim || !isa_and_nonnull<GroupedMatmulOp, DispatchOp>(source))
      return rewriter.notifyMatchFailure(op, "no constant dimension of rows");
    if (*dim == 0) {
      Value plan = isa<DispatchOp>(source)
                       ? Value(cast<DispatchOp>(source).getPlan())
                       : Value(cast<GroupedMatmulOp>(source).getPlan());
      Value rows =
          PlanFieldOp::create(rewriter, op.getLoc(), plan, Field::RowToken);
      rewriter.replaceOpWithNewOp<tensor::DimOp>(op, rows, int64_t(0));
      return success();
    }
    if (auto dispatch = dyn_cast<DispatchOp>(source)) {
      rewriter.replaceOpWithNewOp<tensor::DimOp>(op, dispatch.getX(),
                                                 int64_t(2));
      return success();
    }
    auto matmul = cast<GroupedMatmulOp>(source);
    Value columns = tensor::DimOp::create(
        rewriter, op.getLoc(), matmul.getWeights().front(),
        int64_t(matmul.getLayout() == Layout::NK ? 1 : 2));
    if (matmul.getArrangement())
      columns = arith::DivUIOp::create(
          rewriter, op.getLoc(), columns,
          arith::ConstantIndexOp::create(rewriter, op.getLoc(), 2));
    rewriter.replaceOp(op, columns);
    return success();
  }
};
} // namespace

void mlir::moe::populateResolveDimsPatterns(RewritePatternSet &patterns) {
  patterns.add<ResolveDim>(patterns.getContext());
}
