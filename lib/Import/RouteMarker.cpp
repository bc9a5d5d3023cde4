// The markers that make a plan: `route` and `plan_from_choice`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Marker.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace mlir::moe;

using Kind = MarkerAttributeKind;

// The four fields of the plan, then the gates.
static constexpr unsigned kPlanResults = PlanType::kNumFields + 1;

static constexpr MarkerAttribute kRouteAttributes[] = {
    {"k", Kind::Integer, true},           {"scope", Kind::String, true},
    {"score", Kind::String, true},        {"normalize", Kind::String, true},
    {"scale", Kind::Float, false},        {"eps", Kind::Float, false},
    {"norm_min", Kind::Float, false},     {"n_group", Kind::Integer, false},
    {"topk_group", Kind::Integer, false}, {"group_score", Kind::String, false},
    {"floor", Kind::Integer, false},      {"cap", Kind::Integer, false},
    {"rank_logits", Kind::Bool, false},   {"layer", Kind::String, false},
};
static constexpr MarkerOperand kRouteOperands[] = {
    {"logits", true}, {"choice_bias", false}, {"valid", false}};
static constexpr MarkerSpec kRouteSpec = {"route", kRouteAttributes,
                                          kRouteOperands, kPlanResults};

static constexpr MarkerAttribute kChoiceAttributes[] = {
    {"experts", Kind::Integer, true}};
static constexpr MarkerOperand kChoiceOperands[] = {{"ids", true},
                                                    {"weights", true}};
static constexpr MarkerSpec kChoiceSpec = {
    "plan_from_choice", kChoiceAttributes, kChoiceOperands, kPlanResults};

/// Creates an op whose types are inferred, or emits the op's own error.
/// OpTy::create aborts the process where inference fails.
template <typename OpTy>
static FailureOr<OpTy> createChecked(OpBuilder &builder, Location loc,
                                     ValueRange operands,
                                     typename OpTy::Properties &properties) {
  SmallVector<Type> types;
  if (failed(OpTy::inferReturnTypes(
          builder.getContext(), loc, operands, /*attributes=*/{},
          OpaqueProperties(&properties), /*regions=*/{}, types)))
    return failure();
  auto op = OpTy::create(builder, loc, types, operands, properties);
  if (succeeded(verify(op)))
    return op;
  op.erase();
  return failure();
}

/// Replaces the five results of a marker by reads of `plan`, and `gates`.
static LogicalResult replaceByPlan(OpBuilder &builder, const Marker &marker,
                                   Value plan, Value gates) {
  func::CallOp call = marker.getCall();
  for (Field field : kFields) {
    Value old = call.getResult(static_cast<unsigned>(field));
    Value read = PlanFieldOp::create(builder, call.getLoc(), plan, field);
    FailureOr<Value> cast = castToDeclared(
        builder, marker, stringifyField(field), read, old.getType());
    if (failed(cast))
      return failure();
    old.replaceAllUsesWith(*cast);
  }
  Value old = call.getResult(PlanType::kNumFields);
  FailureOr<Value> cast =
      castToDeclared(builder, marker, "gates", gates, old.getType());
  if (failed(cast))
    return failure();
  old.replaceAllUsesWith(*cast);
  call.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

static LogicalResult checkRouteOperands(const Marker &marker) {
  MarkerShapes shapes(marker);
  Type logits = marker.getOperand("logits").getType();
  auto tensor = dyn_cast<RankedTensorType>(logits);
  bool sequences = !tensor || tensor.getRank() != 2;
  SmallVector<StringRef> dims = {"S", "T", "E"};
  ArrayRef<StringRef> logitDims = ArrayRef(dims).drop_front(sequences ? 0 : 1);
  if (failed(shapes.match("operand 'logits'", logits, logitDims,
                          "f32, bf16 or f16", isMarkerFloat)))
    return failure();
  if (ShapedType::isDynamic(shapes.get("E")))
    return marker.emitError()
           << "operand 'logits' must have a static number of experts E, got "
           << logits;
  if (Value bias = marker.getOperand("choice_bias"))
    if (failed(shapes.match("operand 'choice_bias'", bias.getType(), {"E"},
                            "f32", [](Type type) { return type.isF32(); })))
      return failure();
  if (Value valid = marker.getOperand("valid"))
    return shapes.match("operand 'valid'", valid.getType(),
                        logitDims.drop_back(), "i1",
                        [](Type type) { return type.isInteger(1); });
  return success();
}

/// The three words of the rule.
static LogicalResult readWords(const Marker &marker,
                               RouteOp::Properties &properties) {
  auto scope =
      marker.getEnum<Scope>("scope", getMaxEnumValForScope(), stringifyScope);
  auto score =
      marker.getEnum<Score>("score", getMaxEnumValForScore(), stringifyScore);
  auto normalize = marker.getEnum<Normalize>(
      "normalize", getMaxEnumValForNormalize(), stringifyNormalize);
  auto groupScore = marker.getEnum<GroupScore>(
      "group_score", getMaxEnumValForGroupScore(), stringifyGroupScore, "max");
  if (failed(scope) || failed(score) || failed(normalize) || failed(groupScore))
    return failure();
  MLIRContext *context = marker.getContext();
  properties.scope = ScopeAttr::get(context, *scope);
  properties.score = ScoreAttr::get(context, *score);
  properties.normalize = NormalizeAttr::get(context, *normalize);
  properties.group_score = GroupScoreAttr::get(context, *groupScore);
  return success();
}

static LogicalResult readNumbers(const Marker &marker,
                                 RouteOp::Properties &properties) {
  Builder builder(marker.getContext());
  FailureOr<FloatAttr> scale = marker.getF32("scale", 1.0);
  FailureOr<FloatAttr> eps = marker.getF32("eps", 0.0);
  FailureOr<FloatAttr> normMin = marker.getF32("norm_min", 0.0);
  if (failed(scale) || failed(eps) || failed(normMin))
    return failure();
  properties.scale = *scale;
  properties.eps = *eps;
  properties.norm_min = *normMin;
  properties.k = builder.getI64IntegerAttr(marker.getInteger("k"));
  properties.n_group =
      builder.getI64IntegerAttr(marker.getInteger("n_group", 1));
  properties.topk_group =
      builder.getI64IntegerAttr(marker.getInteger("topk_group", 1));
  properties.floor = builder.getI64IntegerAttr(marker.getInteger("floor", 0));
  // -1, the default, is the cap that says nothing.
  if (int64_t cap = marker.getInteger("cap", -1); cap != -1)
    properties.cap = builder.getI64IntegerAttr(cap);
  if (marker.getBool("rank_logits"))
    properties.rank_logits = builder.getUnitAttr();
  if (StringRef layer = marker.getString("layer"); !layer.empty())
    properties.layer = builder.getStringAttr(layer);
  return success();
}

/// The type of the gates; anything but a float is left to castToDeclared.
static TypeAttr readGateType(const Marker &marker) {
  auto declared = dyn_cast<RankedTensorType>(
      marker.getCall().getResultTypes()[PlanType::kNumFields]);
  if (!declared || declared.getElementType().isF32() ||
      !isMarkerFloat(declared.getElementType()))
    return {}; // f32 is the default of moe.route.
  return TypeAttr::get(declared.getElementType());
}

LogicalResult moe::importRoute(func::CallOp call, func::FuncOp declaration) {
  FailureOr<Marker> marker = Marker::read(call, declaration, kRouteSpec);
  if (failed(marker) || failed(checkRouteOperands(*marker)))
    return failure();
  OperationName name(RouteOp::getOperationName(), call.getContext());
  RouteOp::Properties properties;
  RouteOp::populateDefaultProperties(name, properties);
  if (failed(readWords(*marker, properties)) ||
      failed(readNumbers(*marker, properties)))
    return failure();
  if (TypeAttr type = readGateType(*marker))
    properties.gate_type = type;
  Value bias = marker->getOperand("choice_bias");
  Value valid = marker->getOperand("valid");
  SmallVector<Value> operands = {marker->getOperand("logits")};
  if (bias)
    operands.push_back(bias);
  if (valid)
    operands.push_back(valid);
  properties.operandSegmentSizes = {1, bias ? 1 : 0, valid ? 1 : 0};
  OpBuilder builder(call);
  FailureOr<RouteOp> route =
      createChecked<RouteOp>(builder, call.getLoc(), operands, properties);
  if (failed(route))
    return failure();
  return replaceByPlan(builder, *marker, route->getPlan(), route->getGates());
}

//===----------------------------------------------------------------------===//
// plan_from_choice
//===----------------------------------------------------------------------===//

LogicalResult moe::importPlanFromChoice(func::CallOp call,
                                        func::FuncOp declaration) {
  FailureOr<Marker> marker = Marker::read(call, declaration, kChoiceSpec);
  if (failed(marker))
    return failure();
  Value ids = marker->getOperand("ids");
  Value weights = marker->getOperand("weights");
  MarkerShapes shapes(*marker);
  auto isId = [](Type type) {
    return type.isSignlessInteger(32) || type.isSignlessInteger(64);
  };
  SmallVector<StringRef> dims = {"S", "T", "K"};
  if (failed(shapes.match("operand 'ids'", ids.getType(), dims, "i32 or i64",
                          isId)) ||
      failed(shapes.match("operand 'weights'", weights.getType(), dims,
                          "f32, bf16 or f16", isMarkerFloat)))
    return failure();
  OpBuilder builder(call);
  PlanFromChoiceOp::Properties properties;
  properties.experts = builder.getI64IntegerAttr(marker->getInteger("experts"));
  FailureOr<PlanFromChoiceOp> choice = createChecked<PlanFromChoiceOp>(
      builder, call.getLoc(), {ids, weights}, properties);
  if (failed(choice))
    return failure();
  return replaceByPlan(builder, *marker, choice->getPlan(), choice->getGates());
}
