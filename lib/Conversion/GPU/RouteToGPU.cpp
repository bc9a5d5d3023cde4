// moe.idx.route: one kernel, its form by the shape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "RouteKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToGPU.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kThreads = 512;
/// Blocks that are resident at once on every GPU of the smallest chip.
static constexpr int64_t kBlocks = 108;
/// Shared memory of a block.
static constexpr int64_t kSharedBytes = 99 * 1024;

/// The words of a routing's workspace that must be zero, and all of them.
static int64_t workspaceWords(const RouteLayout &layout, int64_t seqs,
                              int64_t tokens) {
  int64_t words = layout.tokenMemory();
  return layout.isLooped() ? words + seqs * layout.tokenWords(tokens) : words;
}

namespace {
struct LowerRoute : OpRewritePattern<IdxRouteOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxRouteOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumExperts() > RouteLayout::kMaxExperts)
      return op.emitOpError("routes among ")
             << op.getNumExperts() << " experts, and the kernel of a GPU among "
             << RouteLayout::kMaxExperts << " at most";
    Location loc = op.getLoc();
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(rewriter, loc, value);
    };
    Value tokenOffsets = op.getField(Field::TokenOffsets);
    auto dim = [&](Value memref, int64_t dimension) -> Value {
      return rewriter.createOrFold<memref::DimOp>(loc, memref, dimension);
    };
    Value seqs = dim(tokenOffsets, 0);
    Value tokens = rewriter.createOrFold<arith::SubIOp>(
        loc, dim(tokenOffsets, 1), index(1));
    auto type = cast<MemRefType>(tokenOffsets.getType());

    RouteLayout layout(op, kBlocks, kThreads, TokenMemory::Shared);
    bool isStatic = type.hasStaticShape();
    int64_t words = isStatic ? layout.blockWords() +
                                   layout.tokenWords(type.getDimSize(1) - 1)
                             : 0;
    if (!isStatic || type.getDimSize(0) > kBlocks || 4 * words > kSharedBytes)
      layout = RouteLayout(op, kBlocks, kThreads, TokenMemory::Workspace);

    Kernel kernel(rewriter, op, "route");
    kernel.pointer(op.getLogits());
    for (Value memref : op.getOuts())
      kernel.pointer(memref);
    Value perBlock =
        rewriter.createOrFold<arith::CeilDivSIOp>(loc, seqs, index(kBlocks));
    kernel.size(seqs);
    kernel.size(tokens);
    kernel.size(index(1));
    kernel.size(tokens);
    kernel.size(perBlock);
    kernel.size(dim(op.getField(Field::RowToken), 0));
    if (op.getChoiceBias())
      kernel.pointer(op.getChoiceBias());
    if (op.getValid())
      kernel.pointer(op.getValid());

    Kernel::Shape shape;
    Value atLeastOne =
        rewriter.createOrFold<arith::MaxSIOp>(loc, seqs, index(1));
    shape.gridX =
        rewriter.createOrFold<arith::MinSIOp>(loc, atLeastOne, index(kBlocks));
    shape.threads = layout.threads;
    shape.residentBlocks = 1;
    shape.sharedBytes = 4 * (layout.isLooped() ? layout.blockWords() : words);
    shape.cooperative = !isStatic || type.getDimSize(0) > 1;
    auto launch =
        kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
          RouteKernel(b, op, layout, arguments).emit();
        });
    if (isStatic)
      launch->setAttr("moe.workspace",
                      rewriter.getI64IntegerAttr(workspaceWords(
                          layout, type.getDimSize(0), type.getDimSize(1) - 1)));
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateRouteToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRoute>(patterns.getContext());
}
