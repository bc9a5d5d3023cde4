// Verifiers: what inference has not said. Grouped matmul: Matmul.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// The routing rule, for both forms of route
//===----------------------------------------------------------------------===//

/// ROUTE-2 and ROUTE-5 to ROUTE-11, which both forms share.
template <typename OpT> static LogicalResult verifyRoutingRule(OpT op) {
  int64_t experts = op.getNumExperts(), k = op.getK();
  int64_t groups = op.getNGroup(), kept = op.getTopkGroup();
  if (ShapedType::isDynamic(experts) || k < 1 || k > experts)
    return op.emitOpError("ROUTE-2: k must be in [1, E] and E static; k = ")
           << k;
  if (groups < 1 || experts % groups || kept < 1 || kept > groups)
    return op.emitOpError("ROUTE-5: n_group = ")
           << groups << " must divide E = " << experts
           << ", and topk_group = " << kept << " be in [1, n_group]";
  int64_t candidates = op.getCandidatesPerToken();
  if (candidates < k)
    return op.emitOpError("ROUTE-5: the ")
           << kept << " kept groups hold " << candidates
           << " experts, fewer than k = " << k;
  int64_t floor = op.getFloor(), cap = op.getEffectiveCap();
  if (floor < 0 || floor > k || cap < k || cap > candidates)
    return op.emitOpError("ROUTE-6: 0 <= floor <= k <= cap <= candidates of a "
                          "token must hold; floor = ")
           << floor << ", k = " << k << ", cap = " << cap
           << ", candidates = " << candidates;
  Score score = op.getScore();
  Normalize normalize = op.getNormalize();
  if (normalize == Normalize::Sum && score == Score::Identity)
    return op.emitOpError("ROUTE-7: normalize = sum is not defined for score "
                          "= identity, whose sum may be zero or negative; use "
                          "normalize = softmax");
  if (normalize == Normalize::Softmax && score != Score::Softmax &&
      score != Score::Identity)
    return op.emitOpError("ROUTE-8: normalize = softmax needs score = softmax "
                          "or identity, got ")
           << stringifyScore(score);
  if (op.getScope() == Scope::Sequence && score == Score::Identity &&
      !op.getRankLogits())
    return op.emitOpError("ROUTE-9: scope = sequence ranks scores of different "
                          "tokens, and raw logits are not comparable across "
                          "tokens; use score = softmax, or set rank_logits");
  if (op.getScope() == Scope::Token && (floor != 0 || op.getCap()))
    return op.emitOpError("ROUTE-10: floor and cap belong to scope = sequence; "
                          "in scope = token every token gets k experts");
  auto invalid = [](const APFloat &v) { return !v.isFinite(); };
  auto negative = [](const APFloat &v) {
    return v.isNegative() && !v.isZero();
  };
  if (invalid(op.getScale()) || invalid(op.getEps()) ||
      invalid(op.getNormMin()) || negative(op.getEps()) ||
      negative(op.getNormMin()))
    return op.emitOpError("ROUTE-11: scale, eps and norm_min must be finite, "
                          "eps and norm_min not negative");
  return success();
}

LogicalResult RouteOp::verify() {
  ArrayRef<int64_t> logits = getLogits().getType().getShape();
  if (getValid() && failed(verifyCompatibleShape(
                        getValid().getType().getShape(), logits.drop_back())))
    return emitOpError("ROUTE-3: valid must have the shape of logits without "
                       "E, got ")
           << getValid().getType() << " for logits " << getLogits().getType();
  if (getChoiceBias() &&
      failed(verifyCompatibleShape(getChoiceBias().getType().getShape(),
                                   logits.take_back())))
    return emitOpError("ROUTE-4: choice_bias must be [E] = [")
           << logits.back() << "], got " << getChoiceBias().getType();
  return verifyRoutingRule(*this);
}

//===----------------------------------------------------------------------===//
// Plan form
//===----------------------------------------------------------------------===//

LogicalResult PlanFromChoiceOp::verify() {
  if (failed(verifyCompatibleShape(getIds().getType(), getWeights().getType())))
    return emitOpError("CHOICE-2: ids and weights differ in shape: ")
           << getIds().getType() << " and " << getWeights().getType();
  return success();
}

LogicalResult DispatchOp::verify() {
  PlanType plan = getPlan().getType();
  if (failed(verifyCompatibleShape(getX().getType().getShape().take_front(2),
                                   {plan.getSeqs(), plan.getTokens()})))
    return emitOpError("DISPATCH-3: x and plan disagree on S or T: ")
           << getX().getType() << " and " << plan;
  return success();
}

LogicalResult CombineOp::verify() {
  int64_t planRows = getPlan().getType().getRows();
  if (failed(verifyCompatibleShape(getRows().getType().getShape().take_front(),
                                   {planRows})))
    return emitOpError("COMBINE-3: rows and plan disagree on R: ")
           << getRows().getType() << " and " << getPlan().getType();
  if (getGates() && failed(verifyCompatibleShape(
                        getGates().getType().getShape(), {planRows})))
    return emitOpError("COMBINE-4: gates must be [R] like the plan, got ")
           << getGates().getType() << " for " << getPlan().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Index form
//===----------------------------------------------------------------------===//

static bool isField(Value v) {
  return getElementTypeOrSelf(v.getType()).isInteger(32);
}
static bool isFloat(Value v) {
  Type type = getElementTypeOrSelf(v.getType());
  return type.isF32() || type.isBF16() || type.isF16();
}
static int64_t rankOf(Value v) {
  return cast<ShapedType>(v.getType()).getRank();
}
/// [*, ..., H] of the same element type and compatible last dimension.
static bool sameRows(Value a, Value b) {
  auto x = cast<ShapedType>(a.getType()), y = cast<ShapedType>(b.getType());
  return isFloat(a) && x.getElementType() == y.getElementType() &&
         succeeded(verifyCompatibleShape(x.getShape().take_back(),
                                         y.getShape().take_back()));
}

LogicalResult IdxRouteOp::verify() {
  OperandRange outs = getOuts();
  if (outs.size() != 6 || !llvm::all_of(outs.take_front(4), isField) ||
      !isFloat(outs[4]) || !isField(outs[5]) || rankOf(outs[0]) != 1 ||
      rankOf(outs[1]) != 1 || rankOf(outs[2]) != 2 || rankOf(outs[3]) != 1 ||
      rankOf(outs[4]) != 1 || rankOf(outs[5]) != 1)
    return emitOpError("IDX-ROUTE-1: outs must be four i32 fields [E+1], [R], "
                       "[S, T+1], [R], the gates [R] and an i32 workspace");
  if (!isFloat(getLogits()) ||
      (rankOf(getLogits()) != 3 &&
       !(rankOf(getLogits()) == 2 && getScope() == Scope::Token)))
    return emitOpError("IDX-ROUTE-2: logits must be [S, T, E], or [T, E] with "
                       "scope = token, of f32, bf16 or f16");
  if (getValid() && (!getElementTypeOrSelf(getValid().getType()).isInteger(1) ||
                     rankOf(getValid()) != rankOf(getLogits()) - 1))
    return emitOpError("IDX-ROUTE-4: valid must be i1 of the shape of logits "
                       "without E");
  if (getChoiceBias() &&
      (!getElementTypeOrSelf(getChoiceBias().getType()).isF32() ||
       rankOf(getChoiceBias()) != 1))
    return emitOpError("IDX-ROUTE-4: choice_bias must be f32 [E]");
  return verifyRoutingRule(*this); // IDX-ROUTE-3
}

LogicalResult IdxPlanFromChoiceOp::verify() {
  OperandRange outs = getOuts();
  if (outs.size() != 5 || !llvm::all_of(outs.take_front(4), isField) ||
      !isFloat(outs[4]))
    return emitOpError("IDX-CHOICE-1: outs must be four i32 fields and the "
                       "gates");
  if (rankOf(getIds()) != 3 || rankOf(getWeights()) != 3 ||
      !isFloat(getWeights()))
    return emitOpError("IDX-CHOICE-2: ids and weights must be [S, T, K]");
  return success();
}

LogicalResult IdxDispatchOp::verify() {
  if (rankOf(getX()) != 3 || rankOf(getOuts()) != 2 ||
      !sameRows(getX(), getOuts()))
    return emitOpError("IDX-DISPATCH-1: x must be [S, T, H] and outs [R, H] of "
                       "one float type, got ")
           << getX().getType() << " and " << getOuts().getType();
  return success();
}

LogicalResult IdxCombineOp::verify() {
  if (rankOf(getRows()) != 2 || rankOf(getOuts()) != 3 ||
      !sameRows(getRows(), getOuts()))
    return emitOpError("IDX-COMBINE-1: rows must be [R, H] and outs [S, T, H] "
                       "of one float type, got ")
           << getRows().getType() << " and " << getOuts().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Workspace of route
//===----------------------------------------------------------------------===//

// Two words per score (score and key), three per token, and two counters per
// expert and sequence plus one histogram of 2048 entries a sequence.
static constexpr int64_t kWordsPerScore = 2, kWordsPerToken = 3,
                         kCountersPerExpert = 2, kHistogramWords = 2048;

int64_t IdxRouteOp::getWorkspaceWords(int64_t seqs, int64_t tokens,
                                      int64_t experts) {
  return seqs * (tokens * (kWordsPerScore * experts + kWordsPerToken) +
                 kCountersPerExpert * experts + kHistogramWords);
}

Value IdxRouteOp::getWorkspaceSize(OpBuilder &builder, Location loc, Value seqs,
                                   Value tokens, int64_t experts) {
  auto constant = [&](int64_t v) {
    return arith::ConstantIndexOp::create(builder, loc, v);
  };
  Value perToken = constant(kWordsPerScore * experts + kWordsPerToken);
  Value perSeq = constant(kCountersPerExpert * experts + kHistogramWords);
  Value words = arith::MulIOp::create(builder, loc, tokens, perToken);
  words = arith::AddIOp::create(builder, loc, words, perSeq);
  return arith::MulIOp::create(builder, loc, seqs, words);
}
