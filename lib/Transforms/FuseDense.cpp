// moe-fuse: elementwise linalg into the epilogues of dense matmuls.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseMap.h"
#include "FusePatterns.h"
#include "mlir/IR/IRMapping.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// The dense matmul that makes `value`, if `consumer` alone reads it, in the
/// same block: else it would be computed more than once.
static IdxGroupedMatmulOp getFusable(Value value, Operation *consumer) {
  auto matmul = value.getDefiningOp<IdxGroupedMatmulOp>();
  if (!matmul || matmul.getPacked() ||
      matmul->getBlock() != consumer->getBlock() || !value.hasOneUse())
    return nullptr;
  return matmul;
}

namespace {
/// An elementwise map of a dense matmul's result becomes its epilogue.
struct FuseDense : OpInterfaceRewritePattern<linalg::LinalgOp> {
  FuseDense(MLIRContext *context, Pass::Statistic &numDense)
      : OpInterfaceRewritePattern(context), numDense(numDense) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!isElementwiseMap(op))
      return rewriter.notifyMatchFailure(op, "no elementwise map of a matrix");
    IdxGroupedMatmulOp matmul;
    OpOperand *result = nullptr;
    for (OpOperand *input : op.getDpsInputOperands()) {
      auto access = accessOf(op.getMatchingIndexingMap(input));
      bool isTensor = isa<ShapedType>(input->get().getType());
      if (access != Access::Element && (access != Access::Scalar || isTensor))
        return rewriter.notifyMatchFailure(op, "reads rows or columns");
      if (auto made = getFusable(input->get(), op); made && !matmul) {
        matmul = made;
        result = input;
      }
    }
    if (!matmul)
      return rewriter.notifyMatchFailure(op, "no dense matmul to fuse into");
    fuse(op, matmul, *result, rewriter);
    ++numDense;
    return success();
  }

private:
  static void fuse(linalg::LinalgOp op, IdxGroupedMatmulOp matmul,
                   OpOperand &result, PatternRewriter &rewriter) {
    SmallVector<Value> extras(matmul.getExtras());
    SmallVector<Attribute> kinds(matmul.getExtraKinds().getValue());
    SmallVector<OpOperand *> elements;
    auto element = ExtraAttr::get(op.getContext(), Extra::Element);
    for (OpOperand *input : op.getDpsInputOperands()) {
      if (input == &result || !isa<ShapedType>(input->get().getType()))
        continue;
      elements.push_back(input);
      extras.push_back(input->get());
      kinds.push_back(element);
    }
    auto fused = IdxGroupedMatmulOp::create(
        rewriter, op.getLoc(), op->getResultTypes(), matmul.getInput(),
        matmul.getExpertOffsets(), matmul.getRowToken(), matmul.getTiles(),
        matmul.getWeights(), extras, op.getDpsInits().front(),
        matmul.getLayoutAttr(), matmul.getArrangementAttr(),
        rewriter.getArrayAttr(kinds), /*packed=*/UnitAttr(),
        matmul.getScheduleAttr());
    rewriter.inlineRegionBefore(matmul.getEpilogue(), fused.getEpilogue(),
                                fused.getEpilogue().end());
    appendBody(op, fused.getEpilogue().front(), result, elements, rewriter);
    rewriter.replaceOp(op, fused->getResults());
    rewriter.eraseOp(matmul);
  }

  /// The body of `op` behind the epilogue of the matmul, whose value stands
  /// for `result`.
  static void appendBody(linalg::LinalgOp op, Block &epilogue,
                         OpOperand &result, ArrayRef<OpOperand *> elements,
                         PatternRewriter &rewriter) {
    auto yield = cast<YieldOp>(epilogue.getTerminator());
    IRMapping map;
    for (OpOperand *input : op.getDpsInputOperands())
      map.map(op.getMatchingBlockArgument(input), input->get());
    map.map(op.getMatchingBlockArgument(&result), yield.getValue());
    for (OpOperand *input : elements)
      map.map(op.getMatchingBlockArgument(input),
              epilogue.addArgument(getElementTypeOrSelf(input->get()),
                                   input->get().getLoc()));
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(yield);
    for (Operation &inner : op.getBlock()->without_terminator())
      rewriter.clone(inner, map);
    Value value =
        map.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
    rewriter.modifyOpInPlace(yield,
                             [&] { yield.getValueMutable().assign(value); });
  }

  Pass::Statistic &numDense;
};
} // namespace

void mlir::moe::populateFuseDensePatterns(RewritePatternSet &patterns,
                                          Pass::Statistic &numDense) {
  patterns.add<FuseDense>(patterns.getContext(), numDense);
}
