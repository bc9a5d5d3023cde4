// The marker `experts`: dispatch, two grouped matmuls and combine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Activation.h"
#include "Marker.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

using Kind = MarkerAttributeKind;

static constexpr MarkerAttribute kExpertsAttributes[] = {
    {"activation", Kind::String, true},   {"layout", Kind::String, true},
    {"arrangement", Kind::String, false}, {"limit", Kind::Float, false},
    {"alpha", Kind::Float, false},        {"gate_on", Kind::String, false},
};
static constexpr MarkerOperand kExpertsOperands[] = {
    {"x", true},
    {"expert_offsets", true},
    {"row_token", true},
    {"token_offsets", true},
    {"token_row", true},
    {"gates", true},
    {"gate_up", false},
    {"gate", false},
    {"up", false},
    {"down", true},
    {"gate_up_bias", false},
    {"gate_bias", false},
    {"up_bias", false},
    {"down_bias", false},
};
static constexpr MarkerSpec kExpertsSpec = {"experts", kExpertsAttributes,
                                            kExpertsOperands, 1};

namespace {
/// One `experts` call: read, checked, then built.
class ExpertsImport {
public:
  explicit ExpertsImport(const Marker &marker)
      : marker(marker), shapes(marker), builder(marker.getCall()) {}

  LogicalResult read() {
    if (failed(readAttributes()))
      return failure();
    FailureOr<TypedValue<PlanType>> read = readPlan(marker);
    if (failed(read))
      return failure();
    plan = *read;
    return success(succeeded(readWeights()) && succeeded(readShapes()));
  }
  LogicalResult build();

private:
  LogicalResult readAttributes();
  LogicalResult readWeights();
  LogicalResult readBiases();
  LogicalResult readShapes();
  LogicalResult matchWeight(StringRef name, StringRef n, StringRef k);
  LogicalResult matchBias(StringRef name, StringRef n);

  std::pair<Value, Value> splitBias(Value bias);
  GroupedMatmulOp buildMatmul(Value input, ValueRange weights,
                              StringRef columns, ValueRange extras,
                              ArrayRef<Extra> kinds);
  Value buildHidden(Value rows);
  Value buildDown(Value hidden);
  void yield(Value value);

  Location getLoc() const { return marker.getLoc(); }
  Type getElementType() const {
    return cast<RankedTensorType>(x.getType()).getElementType();
  }

  const Marker &marker;
  MarkerShapes shapes;
  OpBuilder builder;

  ActivationFunction activation;
  Layout layout = Layout::NK;
  Arrangement arrangement = Arrangement::Concat;
  bool gateOnInput = false;
  TypedValue<PlanType> plan;
  Value x, gates, gateUp, gate, up, down;
};
} // namespace

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

LogicalResult ExpertsImport::readAttributes() {
  auto kind = marker.getWord("activation", getActivationWords());
  auto order = marker.getEnum<Layout>("layout", getMaxEnumValForLayout(),
                                      stringifyLayout);
  auto columns =
      marker.getEnum<Arrangement>("arrangement", getMaxEnumValForArrangement(),
                                  stringifyArrangement, "concat");
  auto gateOn = marker.getWord("gate_on", {"output", "input"}, "output");
  if (failed(kind) || failed(order) || failed(columns) || failed(gateOn))
    return failure();
  activation.kind = static_cast<Activation>(*kind);
  layout = *order;
  arrangement = *columns;
  gateOnInput = *gateOn == 1;
  if (activation.kind != Activation::ClampedSwiGLU)
    return success(); // limit and alpha say nothing to the others.
  for (auto [name, field] : {std::pair("limit", &activation.limit),
                             std::pair("alpha", &activation.alpha)}) {
    if (!marker.hasAttribute(name))
      return marker.emitError() << "attribute '" << name
                                << "' is missing, activation clamped_swiglu "
                                   "needs it (an f64)";
    FailureOr<FloatAttr> value = marker.getF32(name, 0.0);
    if (failed(value))
      return failure();
    *field = value->getValue().convertToFloat();
  }
  if (activation.limit < 0.0f)
    return marker.emitError() << "attribute 'limit' is " << activation.limit
                              << ", but it bounds values from both sides: it "
                                 "must be zero or more";
  return success();
}

LogicalResult ExpertsImport::readWeights() {
  x = marker.getOperand("x");
  gates = marker.getOperand("gates");
  gateUp = marker.getOperand("gate_up");
  gate = marker.getOperand("gate");
  up = marker.getOperand("up");
  down = marker.getOperand("down");
  bool oneWeight = gateUp && !gate && !up;
  bool twoWeights = !gateUp && gate && up;
  bool noGate = !gateUp && !gate && up;
  if (!oneWeight && !twoWeights && !noGate)
    return marker.emitError()
           << "operands must be 'gate_up', or 'gate' and 'up', or 'up' alone "
              "(experts without gating)";
  if (noGate && needsGate(activation.kind))
    return marker.emitError()
           << "activation clamped_swiglu needs a gate: give operand 'gate_up', "
              "or 'gate' and 'up'";
  struct {
    StringLiteral bias, weight;
    Value given;
  } pairs[] = {{"gate_up_bias", "gate_up", gateUp},
               {"gate_bias", "gate", gate},
               {"up_bias", "up", up}};
  for (const auto &pair : pairs)
    if (marker.getOperand(pair.bias) && !pair.given)
      return marker.emitError() << "operand '" << pair.bias
                                << "' is given without '" << pair.weight << "'";
  return success();
}

LogicalResult ExpertsImport::matchWeight(StringRef name, StringRef n,
                                         StringRef k) {
  Value weight = marker.getOperand(name);
  if (!weight)
    return success();
  if (layout == Layout::KN)
    std::swap(n, k);
  std::string element;
  llvm::raw_string_ostream(element) << getElementType() << " (the type of x)";
  if (failed(shapes.match("operand '" + name + "' (layout " +
                              stringifyLayout(layout) + ")",
                          weight.getType(), {"E", n, k}, element,
                          [&](Type type) { return type == getElementType(); })))
    return failure();
  if (!cast<RankedTensorType>(weight.getType()).hasStaticShape())
    return marker.emitError()
           << "operand '" << name << "' must have a static shape, got "
           << weight.getType();
  return success();
}

LogicalResult ExpertsImport::matchBias(StringRef name, StringRef n) {
  Value bias = marker.getOperand(name);
  if (!bias)
    return success();
  return shapes.match("operand '" + name + "'", bias.getType(), {"E", n},
                      "f32, bf16 or f16", isMarkerFloat);
}

LogicalResult ExpertsImport::readBiases() {
  return success(succeeded(matchBias("gate_up_bias", "2I")) &&
                 succeeded(matchBias("gate_bias", "I")) &&
                 succeeded(matchBias("up_bias", "I")) &&
                 succeeded(matchBias("down_bias", "H")));
}

LogicalResult ExpertsImport::readShapes() {
  PlanType type = plan.getType();
  shapes.bind("S", type.getSeqs());
  shapes.bind("T", type.getTokens());
  shapes.bind("E", type.getExperts());
  shapes.bind("R", type.getRows());
  if (failed(shapes.match("operand 'x'", x.getType(), {"S", "T", "H"},
                          "f32, bf16 or f16", isMarkerFloat)) ||
      failed(shapes.match("operand 'gates'", gates.getType(), {"R"},
                          "f32, bf16 or f16", isMarkerFloat)) ||
      failed(matchWeight("gate_up", "2I", "H")) ||
      failed(matchWeight("gate", "I", "H")) ||
      failed(matchWeight("up", "I", "H")) ||
      failed(matchWeight("down", "H", "I")))
    return failure();
  return readBiases();
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// The halves of a bias [E, 2I] that belong to gate and to up.
std::pair<Value, Value> ExpertsImport::splitBias(Value bias) {
  int64_t experts = shapes.get("E"), columns = shapes.get("I");
  bool concat = arrangement == Arrangement::Concat;
  auto half = [&](int64_t index) -> Value {
    auto attrs = [&](ArrayRef<int64_t> values) {
      return getAsIndexOpFoldResult(builder.getContext(), values);
    };
    return tensor::ExtractSliceOp::create(
        builder, getLoc(), bias, attrs({0, concat ? index * columns : index}),
        attrs({experts, columns}), attrs({1, concat ? 1 : 2}));
  };
  return {half(0), half(1)};
}

/// A grouped matmul to [R, columns] with an empty epilogue; the builder is left
/// inside the epilogue.
GroupedMatmulOp ExpertsImport::buildMatmul(Value input, ValueRange weights,
                                           StringRef columns, ValueRange extras,
                                           ArrayRef<Extra> kinds) {
  MLIRContext *context = builder.getContext();
  auto kindAttrs = llvm::map_to_vector(kinds, [&](Extra kind) -> Attribute {
    return ExtraAttr::get(context, kind);
  });
  bool twoInOne = weights.front() == gateUp;
  auto matmul = GroupedMatmulOp::create(
      builder, getLoc(),
      RankedTensorType::get({plan.getType().getRows(), shapes.get(columns)},
                            getElementType()),
      input, plan, weights, extras, LayoutAttr::get(context, layout),
      twoInOne ? ArrangementAttr::get(context, arrangement) : ArrangementAttr(),
      builder.getArrayAttr(kindAttrs), /*schedule=*/ScheduleAttr());
  SmallVector<Type> types(matmul.getNumOutputs(), builder.getF32Type());
  for (Value extra : extras)
    types.push_back(cast<ShapedType>(extra.getType()).getElementType());
  SmallVector<Location> locs(types.size(), getLoc());
  builder.createBlock(&matmul.getEpilogue(), {}, types, locs);
  return matmul;
}

/// `value` in f32, the type in which an epilogue computes.
static Value toF32(OpBuilder &builder, Location loc, Value value) {
  if (value.getType().isF32())
    return value;
  return arith::ExtFOp::create(builder, loc, builder.getF32Type(), value);
}

/// Ends the epilogue that the builder stands in: one rounding to x's type.
void ExpertsImport::yield(Value value) {
  if (!getElementType().isF32())
    value = arith::TruncFOp::create(builder, getLoc(), getElementType(), value);
  YieldOp::create(builder, getLoc(), value);
}

/// h = activation(rows · gate + bias, rows · up + bias), rounded to x's type as
/// the frameworks round it between the two matmuls.
Value ExpertsImport::buildHidden(Value rows) {
  SmallVector<Value> weights, extras;
  SmallVector<Extra> kinds;
  // One bias for each output; null where there is none.
  SmallVector<Value> biases;
  if (gateUp) {
    weights = {gateUp};
    biases = {Value(), Value()};
    if (Value bias = marker.getOperand("gate_up_bias"))
      std::tie(biases[0], biases[1]) = splitBias(bias);
  } else {
    if (gate) {
      weights.push_back(gate);
      biases.push_back(marker.getOperand("gate_bias"));
    }
    weights.push_back(up);
    biases.push_back(marker.getOperand("up_bias"));
  }
  if (gateOnInput) {
    extras.push_back(gates);
    kinds.push_back(Extra::Row);
  }
  for (Value bias : biases)
    if (bias) {
      extras.push_back(bias);
      kinds.push_back(Extra::Column);
    }
  GroupedMatmulOp matmul = buildMatmul(rows, weights, "I", extras, kinds);
  Block &body = matmul.getEpilogue().front();
  SmallVector<Value> outputs(body.args_begin(),
                             body.args_begin() + biases.size());
  unsigned extra = outputs.size();
  // (g · row) · w is g · (row · w), before the bias is added.
  if (gateOnInput) {
    Value factor = toF32(builder, getLoc(), body.getArgument(extra++));
    for (Value &output : outputs)
      output = arith::MulFOp::create(builder, getLoc(), output, factor);
  }
  for (auto [output, bias] : llvm::zip(outputs, biases))
    if (bias)
      output = arith::AddFOp::create(
          builder, getLoc(), output,
          toF32(builder, getLoc(), body.getArgument(extra++)));
  yield(activation.build(builder, getLoc(), outputs.front(),
                         outputs.size() == 2 ? outputs.back() : Value()));
  builder.setInsertionPointAfter(matmul);
  return matmul.getResult();
}

Value ExpertsImport::buildDown(Value hidden) {
  SmallVector<Value> extras;
  SmallVector<Extra> kinds;
  if (Value bias = marker.getOperand("down_bias")) {
    extras.push_back(bias);
    kinds.push_back(Extra::Column);
  }
  GroupedMatmulOp matmul = buildMatmul(hidden, {down}, "H", extras, kinds);
  Block &body = matmul.getEpilogue().front();
  Value result = body.getArgument(0);
  if (!extras.empty())
    result =
        arith::AddFOp::create(builder, getLoc(), result,
                              toF32(builder, getLoc(), body.getArgument(1)));
  yield(result);
  builder.setInsertionPointAfter(matmul);
  return matmul.getResult();
}

LogicalResult ExpertsImport::build() {
  Value rows = DispatchOp::create(builder, getLoc(), x, plan,
                                  /*schedule=*/ScheduleAttr());
  Value result = buildDown(buildHidden(rows));
  Value y = CombineOp::create(builder, getLoc(), result, plan,
                              gateOnInput ? Value() : gates,
                              /*addends=*/ValueRange(), ScheduleAttr());
  // x may know sizes that the plan does not.
  auto type = RankedTensorType::get(
      {shapes.get("S"), shapes.get("T"), shapes.get("H")}, getElementType());
  if (y.getType() != type)
    y = tensor::CastOp::create(builder, getLoc(), type, y);
  func::CallOp call = marker.getCall();
  FailureOr<Value> cast =
      castToDeclared(builder, marker, "y", y, call.getResult(0).getType());
  if (failed(cast))
    return failure();
  call.getResult(0).replaceAllUsesWith(*cast);
  call.erase();
  return success();
}

LogicalResult moe::importExperts(func::CallOp call, func::FuncOp declaration) {
  FailureOr<Marker> marker = Marker::read(call, declaration, kExpertsSpec);
  if (failed(marker))
    return failure();
  ExpertsImport experts(*marker);
  return success(succeeded(experts.read()) && succeeded(experts.build()));
}
