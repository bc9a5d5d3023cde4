// moe-lower-expand-shape: shapes with several dynamic sizes become casts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWEREXPANDSHAPE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// Whether one source dimension becomes several of unknown size.
static bool splitsIntoDynamicSizes(memref::ExpandShapeOp op) {
  MemRefType type = op.getResultType();
  return llvm::any_of(op.getReassociationIndices(),
                      [&](ArrayRef<int64_t> group) {
                        return llvm::count_if(group, [&](int64_t dim) {
                                 return type.isDynamicDim(dim);
                               }) > 1;
                      });
}

/// The strides of the result: within a group, each is the next one's times the
/// next one's size. Strides that the result type states are constants.
static SmallVector<OpFoldResult> resultStrides(OpBuilder &b,
                                               memref::ExpandShapeOp op,
                                               ValueRange sourceStrides,
                                               ArrayRef<int64_t> stated) {
  SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
  SmallVector<OpFoldResult> strides(sizes.size());
  for (auto [group, stride] :
       llvm::zip_equal(op.getReassociationIndices(), sourceStrides)) {
    Value running = stride;
    for (int64_t dim : llvm::reverse(group)) {
      if (ShapedType::isStatic(stated[dim]))
        strides[dim] = b.getIndexAttr(stated[dim]);
      else
        strides[dim] = running;
      if (dim == group.front())
        break;
      Value size = getValueOrCreateConstantIndexOp(b, op.getLoc(), sizes[dim]);
      running = arith::MulIOp::create(b, op.getLoc(), running, size);
    }
  }
  return strides;
}

static LogicalResult lower(IRRewriter &rewriter, memref::ExpandShapeOp op) {
  MemRefType type = op.getResultType();
  SmallVector<int64_t> statedStrides;
  int64_t statedOffset;
  if (failed(type.getStridesAndOffset(statedStrides, statedOffset)))
    return op.emitOpError("has a result without strides, which has no address "
                          "arithmetic; use a strided layout");
  rewriter.setInsertionPoint(op);
  auto metadata = memref::ExtractStridedMetadataOp::create(
      rewriter, op.getLoc(), op.getSrc());
  OpFoldResult offset = metadata.getOffset();
  if (ShapedType::isStatic(statedOffset))
    offset = rewriter.getIndexAttr(statedOffset);
  rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
      op, type, op.getSrc(), offset, op.getMixedOutputShape(),
      resultStrides(rewriter, op, metadata.getStrides(), statedStrides));
  return success();
}

namespace {
struct LowerExpandShape : moe::impl::LowerExpandShapeBase<LowerExpandShape> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    WalkResult result = getOperation()->walk([&](memref::ExpandShapeOp op) {
      if (!splitsIntoDynamicSizes(op))
        return WalkResult::advance();
      ++numShapes;
      return WalkResult(lower(rewriter, op));
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
