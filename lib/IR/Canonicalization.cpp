// Folds and canonicalisations of the plan form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Sequence scope spends the budget of one token where a sequence is one token,
/// and gives every token exactly k experts where floor = k = cap: both are
/// token scope.
struct SequenceScopeToTokenScope : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RouteOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getScope() != Scope::Sequence)
      return rewriter.notifyMatchFailure(op, "already scope = token");
    int64_t k = op.getK();
    bool oneToken = op.getLogits().getType().getDimSize(1) == 1;
    bool fixedCount =
        static_cast<int64_t>(op.getFloor()) == k && op.getEffectiveCap() == k;
    if (!oneToken && !fixedCount)
      return rewriter.notifyMatchFailure(op, "tokens compete for the budget");
    rewriter.modifyOpInPlace(op, [&] {
      op.setScope(Scope::Token);
      op.setFloor(0);
      op.removeCapAttr();
    });
    return success();
  }
};

/// A cap of all candidates, and a single group, say nothing.
struct DropVacuousOptions : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RouteOp op,
                                PatternRewriter &rewriter) const override {
    bool vacuousCap = op.getCap() && static_cast<int64_t>(*op.getCap()) ==
                                         op.getCandidatesPerToken();
    bool vacuousGroups =
        op.getNGroup() > 1 && op.getTopkGroup() == op.getNGroup();
    if (!vacuousCap && !vacuousGroups)
      return rewriter.notifyMatchFailure(op, "every option has an effect");
    rewriter.modifyOpInPlace(op, [&] {
      if (vacuousCap)
        op.removeCapAttr();
      if (vacuousGroups) {
        op.setNGroup(1);
        op.setTopkGroup(1);
        op.setGroupScore(GroupScore::Max);
      }
    });
    return success();
  }
};
} // namespace

void RouteOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<DropVacuousOptions, SequenceScopeToTokenScope>(context);
}

/// Every row of a splat is the splat; rows beyond N are not defined.
OpFoldResult DispatchOp::fold(FoldAdaptor adaptor) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getX());
  if (!splat || !getType().hasStaticShape())
    return {};
  return splat.resizeSplat(getType());
}
