// Result types of the plan form. Inference runs before ODS checks the types of
// operands and attributes: dyn_cast, never cast.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

using OptionalLoc = std::optional<Location>;
using ResultTypes = SmallVectorImpl<Type>;

static RankedTensorType tensorOf(OptionalLoc loc, Value v, int64_t rank,
                                 StringRef what) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (type && type.getRank() == rank)
    return type;
  (void)emitOptionalError(loc, what, " must be a tensor of rank ", rank,
                          ", got ", v.getType());
  return {};
}

static PlanType planOf(OptionalLoc loc, Value v, StringRef what) {
  auto type = dyn_cast<PlanType>(v.getType());
  if (!type)
    (void)emitOptionalError(loc, what, " must be a !moe.plan, got ",
                            v.getType());
  return type;
}

/// Appends the plan of S sequences of T tokens with k pairs a token, and its
/// gates.
static LogicalResult inferPlan(MLIRContext *context, OptionalLoc loc,
                               StringRef label, ArrayRef<int64_t> seqsTokens,
                               int64_t experts, int64_t k, bool exact,
                               Type gateType, ResultTypes &out) {
  int64_t seqs = seqsTokens[0], tokens = seqsTokens[1];
  int64_t rows = k;
  for (int64_t size : seqsTokens) {
    if (ShapedType::isDynamic(size) || ShapedType::isDynamic(rows))
      rows = ShapedType::kDynamic;
    else if (llvm::MulOverflow(rows, size, rows) || rows >= int64_t(1) << 31)
      return emitOptionalError(loc, label,
                               "S*T*E and the rows S*T*k must be below 2^31; "
                               "split the batch");
  }
  auto emit = [&] {
    return emitError(loc.value_or(UnknownLoc::get(context))) << label;
  };
  auto plan =
      PlanType::getChecked(emit, context, seqs, tokens, experts, rows, exact);
  if (!plan)
    return failure();
  out.append({plan, RankedTensorType::get({rows}, gateType)});
  return success();
}

LogicalResult RouteOp::inferReturnTypes(MLIRContext *context, OptionalLoc loc,
                                        Adaptor adaptor, ResultTypes &out) {
  auto logits = dyn_cast<RankedTensorType>(adaptor.getLogits().getType());
  if (!logits || (logits.getRank() != 3 && logits.getRank() != 2))
    return emitOptionalError(
        loc, "ROUTE-1: logits must be a tensor [S, T, E] or [T, E], got ",
        adaptor.getLogits().getType());
  if (logits.getRank() == 2 && adaptor.getScope() != Scope::Token)
    return emitOptionalError(
        loc, "ROUTE-1: scope = sequence needs logits [S, T, E]: logits [T, E] "
             "do not say which tokens form a sequence");
  int64_t k = adaptor.getK(), experts = logits.getShape().back();
  // Here and not in verify(): attribute constraints run later still, and a
  // tensor<-6xf32> must not be made.
  if (ShapedType::isDynamic(experts) || k < 1 || k > experts)
    return emitOptionalError(loc,
                             "ROUTE-2: k must be in [1, E] and E static; "
                             "k = ",
                             k, ", logits are ", logits);
  // While an op is parsed, what its attribute dictionary says is not yet among
  // its properties.
  TypeAttr gateAttr = adaptor.getGateTypeAttr();
  if (DictionaryAttr attributes = adaptor.getAttributes(); !gateAttr)
    gateAttr = attributes ? attributes.getAs<TypeAttr>("gate_type") : gateAttr;
  Type gateType =
      gateAttr ? gateAttr.getValue() : Type(Float32Type::get(context));
  if (!gateType.isF32() && !gateType.isBF16() && !gateType.isF16())
    return emitOptionalError(
        loc, "ROUTE-13: gate_type must be f32, bf16 or f16, got ", gateType);
  SmallVector<int64_t> seqsTokens(logits.getShape().drop_back());
  if (seqsTokens.size() == 1)
    seqsTokens.insert(seqsTokens.begin(), 1);
  return inferPlan(context, loc, "ROUTE-12: ", seqsTokens, experts, k,
                   /*exact=*/!adaptor.getValid(), gateType, out);
}

LogicalResult PlanFromChoiceOp::inferReturnTypes(MLIRContext *context,
                                                 OptionalLoc loc,
                                                 Adaptor adaptor,
                                                 ResultTypes &out) {
  auto ids = tensorOf(loc, adaptor.getIds(), 3, "CHOICE-1: ids");
  auto weights = tensorOf(loc, adaptor.getWeights(), 3, "CHOICE-2: weights");
  if (!ids || !weights)
    return failure();
  if (ids.isDynamicDim(2) || ids.getDimSize(2) < 1)
    return emitOptionalError(
        loc,
        "CHOICE-1: the choices per token must be static and positive, "
        "got ids of type ",
        ids);
  int64_t experts = adaptor.getExperts();
  if (experts < 1)
    return emitOptionalError(loc, "CHOICE-3: experts must be positive, got ",
                             experts);
  return inferPlan(context, loc, "CHOICE-4: ", ids.getShape().drop_back(),
                   experts, ids.getDimSize(2), /*exact=*/false,
                   weights.getElementType(), out);
}

LogicalResult PlanFieldOp::inferReturnTypes(MLIRContext *, OptionalLoc loc,
                                            Adaptor adaptor, ResultTypes &out) {
  auto plan = planOf(loc, adaptor.getPlan(), "FIELD-1: plan");
  if (plan)
    out.push_back(plan.getFieldType(adaptor.getField()));
  return success(!!plan);
}

LogicalResult DispatchOp::inferReturnTypes(MLIRContext *, OptionalLoc loc,
                                           Adaptor adaptor, ResultTypes &out) {
  auto x = tensorOf(loc, adaptor.getX(), 3, "DISPATCH-1: x");
  auto plan = planOf(loc, adaptor.getPlan(), "DISPATCH-2: plan");
  if (x && plan)
    out.push_back(RankedTensorType::get({plan.getRows(), x.getDimSize(2)},
                                        x.getElementType()));
  return success(x && plan);
}

LogicalResult CombineOp::inferReturnTypes(MLIRContext *, OptionalLoc loc,
                                          Adaptor adaptor, ResultTypes &out) {
  auto rows = tensorOf(loc, adaptor.getRows(), 2, "COMBINE-1: rows");
  auto plan = planOf(loc, adaptor.getPlan(), "COMBINE-2: plan");
  if (rows && plan)
    out.push_back(RankedTensorType::get(
        {plan.getSeqs(), plan.getTokens(), rows.getDimSize(1)},
        rows.getElementType()));
  return success(rows && plan);
}
