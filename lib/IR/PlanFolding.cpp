// Folds plan_field of a plan that is made of constants, by the routing rule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/IR/Matchers.h"
#include "moe/IR/MoE.h"
#include "moe/IR/RouteOptions.h"
#include "moe/Routing/Route.h"

using namespace mlir;
using namespace mlir::moe;
namespace routing = ::moe::routing;

/// A constant plan of more pairs than this would bloat the IR.
static constexpr int64_t kMaxFoldedPairs = 4096;

static DenseElementsAttr constantOf(Value v) {
  DenseElementsAttr constant;
  if (v && matchPattern(v, m_Constant(&constant)) &&
      constant.getNumElements() <= kMaxFoldedPairs)
    return constant;
  return {};
}

static std::vector<float> floatsOf(DenseElementsAttr constant) {
  std::vector<float> values;
  for (APFloat v : constant.getValues<APFloat>())
    values.push_back(v.convertToFloat()); // exact for f32, bf16 and f16
  return values;
}

/// The plan of a route whose operands are constants.
static std::optional<routing::Plan> planOf(RouteOp op) {
  DenseElementsAttr logits = constantOf(op.getLogits());
  DenseElementsAttr bias = constantOf(op.getChoiceBias());
  DenseElementsAttr valid = constantOf(op.getValid());
  if (!logits || (op.getChoiceBias() && !bias) || (op.getValid() && !valid))
    return std::nullopt;
  std::vector<float> x = floatsOf(logits), b;
  std::vector<uint8_t> v;
  PlanType type = op.getPlan().getType();
  routing::RouteInputs inputs;
  inputs.logits = x.data();
  inputs.sequences = type.getSeqs();
  inputs.tokens = type.getTokens();
  inputs.experts = type.getExperts();
  if (bias) {
    b = floatsOf(bias);
    inputs.choiceBias = b.data();
  }
  if (valid) {
    llvm::append_range(v, valid.getValues<bool>());
    inputs.valid = v.data();
  }
  routing::Plan plan;
  if (routing::route(getRouteOptions(op), inputs, plan))
    return std::nullopt; // not verified yet
  return plan;
}

static std::optional<routing::Plan> planOf(PlanFromChoiceOp op) {
  DenseElementsAttr ids = constantOf(op.getIds());
  if (!ids)
    return std::nullopt;
  std::vector<int64_t> values;
  for (const APInt &id : ids.getValues<APInt>())
    values.push_back(id.getSExtValue());
  std::vector<float> weights(values.size()); // no field depends on them
  ShapedType type = op.getIds().getType();
  routing::Choice choice;
  choice.ids = values.data();
  choice.idsAre64Bit = true;
  choice.weights = weights.data();
  choice.sequences = type.getDimSize(0);
  choice.tokens = type.getDimSize(1);
  choice.k = type.getDimSize(2);
  routing::Plan plan;
  if (routing::planFromChoice(choice, op.getExperts(), plan))
    return std::nullopt;
  return plan;
}

static const std::vector<int32_t> &fieldOf(const routing::Plan &plan,
                                           Field field) {
  switch (field) {
  case Field::ExpertOffsets:
    return plan.expertOffsets;
  case Field::RowToken:
    return plan.rowToken;
  case Field::TokenOffsets:
    return plan.tokenOffsets;
  case Field::TokenRow:
    return plan.tokenRow;
  }
  llvm_unreachable("unknown field");
}

/// Fields that the plan's type and scope alone decide.
static DenseElementsAttr foldByType(PlanFieldOp op, RankedTensorType type) {
  PlanType plan = op.getPlan().getType();
  if (!plan.getExact() || ShapedType::isDynamic(plan.getRows()))
    return {};
  // One expert has all the rows.
  if (op.getField() == Field::ExpertOffsets && plan.getExperts() == 1)
    return DenseElementsAttr::get(
        type, ArrayRef<int32_t>{0, static_cast<int32_t>(plan.getRows())});
  // Token scope gives every token k rows.
  auto route = op.getPlan().getDefiningOp<RouteOp>();
  if (op.getField() != Field::TokenOffsets || !route ||
      route.getScope() != Scope::Token || !type.hasStaticShape() ||
      type.getNumElements() > kMaxFoldedPairs)
    return {};
  SmallVector<int32_t> offsets;
  for (int64_t s = 0; s < plan.getSeqs(); ++s)
    for (int64_t t = 0; t <= plan.getTokens(); ++t)
      offsets.push_back((s * plan.getTokens() + t) * route.getK());
  return DenseElementsAttr::get(type, ArrayRef<int32_t>(offsets));
}

OpFoldResult PlanFieldOp::fold(FoldAdaptor) {
  auto type = cast<RankedTensorType>(getType());
  if (DenseElementsAttr constant = foldByType(*this, type))
    return constant;
  if (!type.hasStaticShape())
    return {};
  std::optional<routing::Plan> plan;
  if (auto route = getPlan().getDefiningOp<RouteOp>())
    plan = planOf(route);
  else if (auto choice = getPlan().getDefiningOp<PlanFromChoiceOp>())
    plan = planOf(choice);
  if (!plan)
    return {};
  return DenseElementsAttr::get(type,
                                ArrayRef<int32_t>(fieldOf(*plan, getField())));
}
