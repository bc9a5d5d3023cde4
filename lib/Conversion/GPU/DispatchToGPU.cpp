// moe.idx.dispatch: one block of threads for each row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "RowAccess.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToGPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// The copy of one row, if it is live.
static void emitCopy(KernelBuilder &b, ValueRange arguments,
                     const RowAccess &access) {
  Value x = arguments[0], expertOffsets = arguments[1];
  Value rowToken = arguments[2], outs = arguments[3];
  Value experts = arguments[4], lastToken = arguments[5];
  Value row = b.blockId();
  Value liveRows =
      b.loadConstant(b.getI32Type(), b.element(expertOffsets, experts, 4));
  b.when(b.less(row, liveRows), [&] {
    Value token = b.loadConstant(b.getI32Type(), b.element(rowToken, row, 4));
    // Plans are run-time data: a wrong one must not lead out of bounds.
    token = b.min(token, lastToken);
    access.forEachColumn(b, [&](Value column) {
      Value values = b.loadConstant(access.vectorOf(access.element),
                                    access.place(b, x, token, column));
      b.store(values, access.place(b, outs, row, column));
    });
  });
}

namespace {
struct LowerDispatch : OpRewritePattern<IdxDispatchOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxDispatchOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    RowAccess access(cast<MemRefType>(op.getX().getType()));
    Kernel kernel(rewriter, op, "dispatch");
    for (Value memref :
         {op.getX(), op.getExpertOffsets(), op.getRowToken(), op.getOuts()})
      kernel.pointer(memref);
    kernel.size(op.getExpertOffsets(), 0, /*minus=*/1);
    Value tokens = rewriter.createOrFold<arith::MulIOp>(
        loc, kernel.dim(op.getX(), 0), kernel.dim(op.getX(), 1));
    Value one = arith::ConstantIndexOp::create(rewriter, loc, 1);
    kernel.size(rewriter.createOrFold<arith::SubIOp>(loc, tokens, one));

    Kernel::Shape shape;
    shape.gridX = kernel.dim(op.getOuts(), 0);
    shape.threads = access.threads;
    kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
      emitCopy(b, arguments, access);
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateDispatchToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerDispatch>(patterns.getContext());
}
