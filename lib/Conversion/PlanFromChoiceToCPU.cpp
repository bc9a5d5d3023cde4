// moe.idx.plan_from_choice to loops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PlanViews.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/Conversion/MoEToCPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Emits one moe.idx.plan_from_choice on memrefs.
class ChoiceLowering {
public:
  ChoiceLowering(IdxPlanFromChoiceOp op, OpBuilder &builder)
      : op(op), b(op.getLoc(), builder),
        views(b, op.getOuts(), op.getExperts()), seqs(b.dim(op.getIds(), 0)),
        tokens(b.dim(op.getIds(), 1)), perToken(b.dim(op.getIds(), 2)) {}

  void run() {
    views.clearCounts();
    countPairs();
    views.startRows();
    forEachToken([&](Value seq, Value t) { placePairs(seq, t); });
    views.clearTail();
  }

private:
  void forEachToken(function_ref<void(Value, Value)> body) {
    b.forEach(seqs, [&](Value seq) {
      b.forEach(tokens, [&](Value t) { body(seq, t); });
    });
  }
  Value idAt(Value seq, Value t, Value j) {
    return b.load(op.getIds(), {seq, t, j});
  }
  /// Whether `id` is an expert: in [0, E), in its own width.
  Value isExpert(Value id) {
    Value experts = b.make<arith::ConstantOp>(
        b.getIntegerAttr(id.getType(), op.getExperts()));
    return b.less(id, experts);
  }
  void countPairs();
  void placePairs(Value seq, Value t);
  Value placeOf(Value seq, Value t, Value j, Value id);

  IdxPlanFromChoiceOp op;
  RoutingBuilder b;
  PlanViews views;
  Value seqs, tokens, perToken;
};
} // namespace

/// Counts the pairs of each expert, and writes where each token's begin.
void ChoiceLowering::countPairs() {
  Value offsets = op.getField(Field::TokenOffsets), zero = b.index(0);
  b.fold(zero, seqs, zero, [&](Value seq, Value first) {
    Value end = b.fold(zero, tokens, first, [&](Value t, Value begin) {
      b.storeIndex(begin, offsets, {seq, t});
      return b.fold(zero, perToken, begin, [&](Value j, Value pair) {
        Value id = idAt(seq, t, j), real = isExpert(id);
        b.when(real, [&] { views.countPair(b.toIndex(id)); });
        return b.add(pair, b.asCount(real));
      });
    });
    b.storeIndex(end, offsets, {seq, tokens});
    return end;
  });
}

/// How many pairs of the token come before pair j, whose expert is `id`: those
/// of lower experts, and earlier ones of the same.
Value ChoiceLowering::placeOf(Value seq, Value t, Value j, Value id) {
  return b.fold(b.index(0), perToken, b.index(0), [&](Value i, Value place) {
    Value other = idAt(seq, t, i);
    Value before = b.either(b.isBelow(other, id),
                            b.both(b.equal(other, id), b.isBelow(i, j)));
    return b.add(place, b.asCount(b.both(isExpert(other), before)));
  });
}

void ChoiceLowering::placePairs(Value seq, Value t) {
  Value number = b.add(b.mul(seq, tokens), t);
  Value begin = b.loadIndex(op.getField(Field::TokenOffsets), {seq, t});
  b.forEach(perToken, [&](Value j) {
    Value id = idAt(seq, t, j);
    b.when(isExpert(id), [&] {
      Value row = views.takeRow(b.toIndex(id), number);
      Value pair = b.add(begin, placeOf(seq, t, j, id));
      b.storeIndex(row, op.getField(Field::TokenRow), pair);
      b.store(b.load(op.getWeights(), {seq, t, j}), op.getGates(), row);
    });
  });
}

namespace {
struct PlanFromChoiceToCPU : OpRewritePattern<IdxPlanFromChoiceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxPlanFromChoiceOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureBufferSemantics())
      return rewriter.notifyMatchFailure(op, "is not on memrefs");
    ChoiceLowering(op, rewriter).run();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populatePlanFromChoiceToCPUPatterns(
    RewritePatternSet &patterns) {
  patterns.add<PlanFromChoiceToCPU>(patterns.getContext());
}
