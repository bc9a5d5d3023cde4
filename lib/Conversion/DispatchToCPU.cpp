// moe.idx.dispatch: one copy for each row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VectorLoop.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToCPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// Lanes of a copy without a schedule: every target can split them.
static constexpr int64_t kDefaultLanes = 16;

namespace {
struct LowerDispatch : OpRewritePattern<IdxDispatchOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxDispatchOp op,
                                PatternRewriter &rewriter) const override {
    LoopBuilder b(op.getLoc(), rewriter);
    Value x = op.getX(), rows = op.getOuts();
    int64_t lanes =
        op.getSchedule() ? op.getSchedule()->getVector() : kDefaultLanes;
    Value tokens = b.dim(x, 1), width = b.dim(x, 2);
    Value last = b.sub(b.mul(b.dim(x, 0), tokens), b.index(1));
    Value experts = b.sub(b.dim(op.getExpertOffsets(), 0), b.index(1));
    // Plans are run-time data: a wrong one must not lead out of bounds.
    Value live =
        b.min(b.loadIndex(op.getExpertOffsets(), experts), b.dim(rows, 0));
    b.forEachParallel(live, [&](ValueRange row) {
      Value token = b.min(b.loadIndex(op.getRowToken(), row), last);
      Value source =
          b.lastDimView(x,
                        {b.createOrFold<arith::DivUIOp>(token, tokens),
                         b.createOrFold<arith::RemUIOp>(token, tokens)},
                        width);
      copyElements(b, source, b.lastDimView(rows, row, width), width, lanes);
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateDispatchToCPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerDispatch>(patterns.getContext());
}
