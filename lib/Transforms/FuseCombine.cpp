// moe-fuse: gates into combine and route, and what is added to a combine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseMap.h"
#include "FusePatterns.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether `op` is linalg on tensors with parallel loops alone, which reads
/// and writes its one result and its inputs element by element.
static bool isPointwise(linalg::LinalgOp op) {
  return op.hasPureTensorSemantics() && op->getNumResults() == 1 &&
         op.getNumParallelLoops() == op.getNumLoops() &&
         !op.hasIndexSemantics() &&
         !op.payloadUsesValueFromOperand(op.getDpsInitOperand(0)) &&
         llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isIdentity(); });
}

/// The only op of the body of `op`, if it is an OpT whose result is yielded.
template <typename OpT> static OpT getOnlyOp(linalg::LinalgOp op) {
  Block *body = op.getBlock();
  auto only = dyn_cast<OpT>(body->front());
  if (!only || body->getTerminator() != only->getNextNode() ||
      body->getTerminator()->getOperand(0) != only->getResult(0))
    return nullptr;
  return only;
}

namespace {
/// Rows times gates, added up: combine multiplies by the gates itself. Only in
/// f32: there the product is rounded as combine rounds it.
struct FuseGates : OpRewritePattern<CombineOp> {
  FuseGates(MLIRContext *context, Pass::Statistic &numGates)
      // Before the product becomes an epilogue.
      : OpRewritePattern(context, /*benefit=*/2), numGates(numGates) {}

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getRows().getDefiningOp<linalg::LinalgOp>();
    if (op.getGates() || !product || !isElementwiseMap(product) ||
        product.getNumDpsInputs() != 2)
      return rewriter.notifyMatchFailure(op, "no product of rows and gates");
    Block *body = product.getBlock();
    auto multiply = dyn_cast<arith::MulFOp>(body->front());
    if (!multiply || !multiply.getType().isF32() ||
        body->getTerminator()->getOperand(0) != multiply.getResult())
      return rewriter.notifyMatchFailure(op, "not a product in f32");
    Value rows, gates;
    for (OpOperand *input : product.getDpsInputOperands()) {
      auto access = accessOf(product.getMatchingIndexingMap(input));
      bool multiplied = llvm::is_contained(
          multiply->getOperands(), product.getMatchingBlockArgument(input));
      if (multiplied && access == Access::Element)
        rows = input->get();
      if (multiplied && access == Access::Row)
        gates = input->get();
    }
    if (!rows || !gates)
      return rewriter.notifyMatchFailure(op, "not rows times gates");
    rewriter.modifyOpInPlace(op, [&] {
      op.getRowsMutable().assign(rows);
      op.getGatesMutable().assign(gates);
    });
    ++numGates;
    return success();
  }

  Pass::Statistic &numGates;
};

/// Gates that are only read after a cast to a narrower type have that type.
struct FuseGateCast : OpRewritePattern<RouteOp> {
  FuseGateCast(MLIRContext *context, Pass::Statistic &numGateCasts)
      : OpRewritePattern(context), numGateCasts(numGateCasts) {}

  LogicalResult matchAndRewrite(RouteOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Operation *> casts;
    Type type;
    for (Operation *user : op.getGates().getUsers()) {
      auto cast = dyn_cast<linalg::LinalgOp>(user);
      if (!cast || cast.getNumDpsInputs() != 1 || !isPointwise(cast) ||
          !getOnlyOp<arith::TruncFOp>(cast))
        return rewriter.notifyMatchFailure(op, "has gates with other readers");
      Type narrow = cast->getResultTypes().front();
      if (type && narrow != type)
        return rewriter.notifyMatchFailure(op, "has gates of several types");
      type = narrow;
      casts.push_back(cast);
    }
    if (casts.empty())
      return rewriter.notifyMatchFailure(op, "has gates without a cast");
    rewriter.modifyOpInPlace(op, [&] {
      op.setGateType(getElementTypeOrSelf(type));
      op.getGates().setType(cast<RankedTensorType>(type));
    });
    for (Operation *cast : casts)
      rewriter.replaceOp(cast, op.getGates());
    numGateCasts += casts.size();
    return success();
  }

  Pass::Statistic &numGateCasts;
};

/// What is added to the result of a combine is added by it.
struct FuseAddend : OpInterfaceRewritePattern<linalg::LinalgOp> {
  FuseAddend(MLIRContext *context, Pass::Statistic &numAddends)
      : OpInterfaceRewritePattern(context), numAddends(numAddends) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumDpsInputs() != 2 || !isPointwise(op))
      return rewriter.notifyMatchFailure(op, "no sum of two tensors");
    auto sum = getOnlyOp<arith::AddFOp>(op);
    if (!sum || sum.getLhs() == sum.getRhs() ||
        !isa<BlockArgument>(sum.getLhs()) || !isa<BlockArgument>(sum.getRhs()))
      return rewriter.notifyMatchFailure(op, "no sum of two tensors");
    for (unsigned i : {0u, 1u}) {
      auto combine = op.getDpsInputs()[i].getDefiningOp<CombineOp>();
      Value addend = op.getDpsInputs()[1 - i];
      if (!combine || combine->getBlock() != op->getBlock() ||
          !combine->hasOneUse())
        continue;
      fuse(op, combine, addend, rewriter);
      ++numAddends;
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no combine that it alone reads");
  }

private:
  static void fuse(linalg::LinalgOp op, CombineOp combine, Value addend,
                   PatternRewriter &rewriter) {
    SmallVector<Value> addends(combine.getAddends());
    addends.push_back(addend);
    Value fused = CombineOp::create(rewriter, op.getLoc(), combine.getRows(),
                                    combine.getPlan(), combine.getGates(),
                                    addends, combine.getScheduleAttr());
    Type type = op->getResult(0).getType();
    // The sum may know sizes that the plan does not.
    if (fused.getType() != type)
      fused = tensor::CastOp::create(rewriter, op.getLoc(), type, fused);
    rewriter.replaceOp(op, fused);
    rewriter.eraseOp(combine);
  }

  Pass::Statistic &numAddends;
};
} // namespace

void mlir::moe::populateFuseGatePatterns(RewritePatternSet &patterns,
                                         Pass::Statistic &numGates,
                                         Pass::Statistic &numGateCasts) {
  patterns.add<FuseGates>(patterns.getContext(), numGates);
  patterns.add<FuseGateCast>(patterns.getContext(), numGateCasts);
}

void mlir::moe::populateFuseAddendPatterns(RewritePatternSet &patterns,
                                           Pass::Statistic &numAddends) {
  patterns.add<FuseAddend>(patterns.getContext(), numAddends);
}
