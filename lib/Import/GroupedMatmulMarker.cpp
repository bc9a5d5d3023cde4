// The marker `grouped_matmul`: rows in the order of their groups, and combine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Marker.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::moe;

using Kind = MarkerAttributeKind;

static constexpr MarkerAttribute kMatmulAttributes[] = {
    {"layout", Kind::String, true},
};
static constexpr MarkerOperand kMatmulOperands[] = {
    {"rows", true},          {"expert_offsets", true}, {"row_token", true},
    {"token_offsets", true}, {"token_row", true},      {"weight", true},
};
static constexpr MarkerSpec kMatmulSpec = {"grouped_matmul", kMatmulAttributes,
                                           kMatmulOperands, 1};

/// Checks rows [R, K], weight and the declared result [S, T, N].
static LogicalResult checkShapes(const Marker &marker, MarkerShapes &shapes,
                                 PlanType plan, Layout layout) {
  Value rows = marker.getOperand("rows"), weight = marker.getOperand("weight");
  shapes.bind("S", plan.getSeqs());
  shapes.bind("T", plan.getTokens());
  shapes.bind("E", plan.getExperts());
  shapes.bind("R", plan.getRows());
  if (failed(shapes.match("operand 'rows'", rows.getType(), {"R", "K"},
                          "f32, bf16 or f16", isMarkerFloat)))
    return failure();
  Type element = cast<RankedTensorType>(rows.getType()).getElementType();
  std::string elements;
  llvm::raw_string_ostream(elements) << element << " (the type of rows)";
  StringRef n = "N", k = "K";
  if (layout == Layout::KN)
    std::swap(n, k);
  if (failed(shapes.match("operand 'weight' (layout " +
                              stringifyLayout(layout) + ")",
                          weight.getType(), {"E", n, k}, elements,
                          [&](Type type) { return type == element; })))
    return failure();
  if (!cast<RankedTensorType>(weight.getType()).hasStaticShape())
    return marker.emitError()
           << "operand 'weight' must have a static shape, got "
           << weight.getType();
  return shapes.match("result", marker.getCall().getResultTypes()[0],
                      {"S", "T", "N"}, "f32, bf16 or f16", isMarkerFloat);
}

/// The epilogue: one rounding to the element type of the result.
static void buildEpilogue(OpBuilder &builder, GroupedMatmulOp matmul) {
  Location loc = matmul.getLoc();
  builder.createBlock(&matmul.getEpilogue(), {}, builder.getF32Type(), loc);
  Value value = matmul.getEpilogue().getArgument(0);
  Type element = matmul.getType().getElementType();
  if (!element.isF32())
    value = arith::TruncFOp::create(builder, loc, element, value);
  YieldOp::create(builder, loc, value);
}

LogicalResult moe::importGroupedMatmul(func::CallOp call,
                                       func::FuncOp declaration) {
  FailureOr<Marker> marker = Marker::read(call, declaration, kMatmulSpec);
  if (failed(marker))
    return failure();
  auto layout = marker->getEnum<Layout>("layout", getMaxEnumValForLayout(),
                                        stringifyLayout);
  if (failed(layout))
    return failure();
  FailureOr<TypedValue<PlanType>> plan = readPlan(*marker);
  MarkerShapes shapes(*marker);
  if (failed(plan) ||
      failed(checkShapes(*marker, shapes, (*plan).getType(), *layout)))
    return failure();
  auto declared = cast<RankedTensorType>(call.getResultTypes()[0]);
  OpBuilder builder(call);
  auto matmul = GroupedMatmulOp::create(
      builder, call.getLoc(),
      RankedTensorType::get({(*plan).getType().getRows(), shapes.get("N")},
                            declared.getElementType()),
      marker->getOperand("rows"), *plan, marker->getOperand("weight"),
      /*extras=*/ValueRange(), LayoutAttr::get(call.getContext(), *layout),
      ArrangementAttr(), builder.getArrayAttr({}), ScheduleAttr());
  buildEpilogue(builder, matmul);
  builder.setInsertionPointAfter(matmul);
  // A row of no expert is not defined; a token of no expert is zero.
  Value combined = CombineOp::create(builder, call.getLoc(), matmul, *plan,
                                     /*gates=*/Value(),
                                     /*addends=*/ValueRange(), ScheduleAttr());
  FailureOr<Value> result =
      castToDeclared(builder, *marker, "y", combined, declared);
  if (failed(result))
    return failure();
  call.getResult(0).replaceAllUsesWith(*result);
  call.erase();
  return success();
}
