// Verifiers of both grouped_matmul forms and of pack: templates, because ODS
// gives the twins the same accessors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/IR/TypeUtilities.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

static bool differ(int64_t a, int64_t b) {
  return ShapedType::isStatic(a) && ShapedType::isStatic(b) && a != b;
}

static ShapedType shapedType(Value v) { return cast<ShapedType>(v.getType()); }

/// The dimension of a weight that holds its columns N.
static int64_t columnDim(Layout layout) { return layout == Layout::NK ? 1 : 2; }
static int64_t reductionDim(Layout layout) {
  return layout == Layout::NK ? 2 : 1;
}

/// GMM-1: one or two weights [E, *, *] of one type.
template <typename OpT>
static LogicalResult verifyWeightCount(OpT op, StringRef label) {
  OperandRange weights = op.getWeights();
  if (weights.empty() || weights.size() > 2)
    return op.emitOpError(label)
           << ": expected one or two weights, got " << weights.size();
  for (Value weight : weights)
    if (weight.getType() != weights.front().getType())
      return op.emitOpError(label) << ": the two weights differ in type";
  if (weights.size() == 2 && op.getArrangement())
    return op.emitOpError(label)
           << ": arrangement says how one weight holds two outputs; here are "
              "two weights";
  return success();
}

/// GMM-2 and GMM-4.
template <typename OpT>
static LogicalResult verifyExtras(OpT op, int64_t experts, int64_t rows,
                                  int64_t columns) {
  if (op.getExtras().size() != op.getExtraKinds().size())
    return op.emitOpError("GMM-2: expected one kind for each extra operand");
  for (auto [extra, kind] :
       llvm::zip(op.getExtras(),
                 op.getExtraKinds().template getAsRange<ExtraAttr>())) {
    SmallVector<int64_t> shape;
    switch (kind.getValue()) {
    case Extra::Row:
      shape = {rows};
      break;
    case Extra::Column:
      shape = {experts, columns};
      break;
    case Extra::Element:
      shape = {rows, columns};
      break;
    }
    if (failed(verifyCompatibleShape(shapedType(extra).getShape(), shape)))
      return op.emitOpError("GMM-4: an extra of kind ")
             << stringifyExtra(kind.getValue()) << " must be "
             << (kind.getValue() == Extra::Row      ? "[R]"
                 : kind.getValue() == Extra::Column ? "[E, N]"
                                                    : "[R, N]")
             << ", got " << extra.getType();
  }
  return success();
}

/// GMM-3, GMM-10 and GMM-11, for weights that are not packed. `experts` and
/// `rows` may be dynamic.
template <typename OpT>
static LogicalResult verifyWeights(OpT op, Value result, int64_t experts) {
  ShapedType input = shapedType(op.getInput());
  ShapedType weight = shapedType(op.getWeights().front());
  if (weight.getRank() != 3)
    return op.emitOpError("GMM-3: a weight must be of rank 3, got ") << weight;
  if (weight.getElementType() != input.getElementType())
    return op.emitOpError("GMM-11: input and weights differ in element type: ")
           << input.getElementType() << " and " << weight.getElementType();
  int64_t k = weight.getDimSize(reductionDim(op.getLayout()));
  int64_t n = weight.getDimSize(columnDim(op.getLayout()));
  if (differ(weight.getDimSize(0), experts) ||
      differ(k, input.getShape().back()))
    return op.emitOpError("GMM-3: weight ")
           << weight << " with layout = " << stringifyLayout(op.getLayout())
           << " does not fit E = " << experts << " and input " << input;
  int64_t columns = shapedType(result).getShape().back();
  int64_t expected = columns;
  if (op.getArrangement() && ShapedType::isStatic(columns))
    expected = 2 * columns;
  if (differ(n, expected))
    return op.emitOpError("GMM-10: the result has ")
           << columns << " columns, the weight " << n
           << (op.getArrangement() ? ", which must be twice as many" : "");
  return success();
}

/// Region checks go into verifyRegions: verify() runs before the ops inside
/// were verified.
static LogicalResult verifyEpilogue(Operation *op, Region &region,
                                    ValueRange extras, size_t outputs,
                                    Type result) {
  Block &body = region.front();
  if (body.getNumArguments() != outputs + extras.size())
    return op->emitOpError("GMM-5: the region must take ")
           << outputs << " output(s) and " << extras.size()
           << " extra(s), but takes " << body.getNumArguments() << " arguments";
  for (BlockArgument arg : body.getArguments()) {
    Type expected = Float32Type::get(op->getContext());
    if (arg.getArgNumber() >= outputs)
      expected = getElementTypeOrSelf(extras[arg.getArgNumber() - outputs]);
    if (arg.getType() != expected)
      return op->emitOpError("GMM-6: region argument ")
             << arg.getArgNumber() << " must be " << expected << ", got "
             << arg.getType();
  }
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValue().getType() != getElementTypeOrSelf(result))
    return op->emitOpError("GMM-7: the region must yield the element type of "
                           "the result, ")
           << getElementTypeOrSelf(result);
  for (Operation &inner : body.without_terminator())
    if (!isMemoryEffectFree(&inner) || inner.getNumRegions() ||
        llvm::any_of(inner.getResultTypes(),
                     [](Type t) { return !t.isIntOrIndexOrFloat(); }))
      return inner.emitOpError("GMM-8: only scalar ops free of effects and "
                               "regions may stand in an epilogue");
  return success();
}

LogicalResult GroupedMatmulOp::verify() {
  PlanType plan = getPlan().getType();
  ArrayRef<int64_t> input = getInput().getType().getShape();
  bool tokens = input.size() == 3;
  SmallVector<int64_t> rows{plan.getRows()};
  if (tokens)
    rows = {plan.getSeqs(), plan.getTokens()};
  if (failed(verifyCompatibleShape(input.drop_back(), rows)))
    return emitOpError("GMM-9: input ")
           << getInput().getType() << " does not fit the plan " << plan;
  if (failed(verifyWeightCount(*this, "GMM-1")) ||
      failed(verifyWeights(*this, getResult(), plan.getExperts())))
    return failure();
  if (differ(getType().getDimSize(0), plan.getRows()))
    return emitOpError("GMM-10: the result must have the plan's rows, got ")
           << getType() << " for " << plan;
  return verifyExtras(*this, plan.getExperts(), plan.getRows(),
                      getType().getDimSize(1));
}

LogicalResult GroupedMatmulOp::verifyRegions() {
  return verifyEpilogue(*this, getEpilogue(), getExtras(), getNumOutputs(),
                        getType());
}

/// Whether `field` can be expert_offsets or row_token.
static bool isIndexField(Value field) {
  ShapedType type = shapedType(field);
  return type.getRank() == 1 && type.getElementType().isInteger(32);
}

/// IDX-GMM-4.
static LogicalResult verifyTiles(IdxGroupedMatmulOp op) {
  OperandRange tiles = op.getTiles();
  if (tiles.empty())
    return success();
  if (!llvm::all_of(tiles, isIndexField))
    return op.emitOpError("IDX-GMM-4: tiles must be i32 of one dimension");
  GPUMatmulAttr schedule = op.getGPUSchedule();
  if (!schedule)
    return op.emitOpError("IDX-GMM-4: tiles need a #moe.gpu_matmul schedule");
  if (size_t expected = schedule.getTileRows().size(); tiles.size() != expected)
    return op.emitOpError("IDX-GMM-4: the forms of the schedule have ")
           << expected << " different number(s) of rows, but there are "
           << tiles.size() << " list(s) of tiles";
  return success();
}

// IDX-GMM-3: what both forms share is checked under the labels of the plan
// form.
LogicalResult IdxGroupedMatmulOp::verify() {
  bool tokens = shapedType(getInput()).getRank() == 3;
  Type element = shapedType(getInput()).getElementType();
  if ((!tokens && shapedType(getInput()).getRank() != 2) ||
      !(element.isF32() || element.isBF16() || element.isF16()))
    return emitOpError("IDX-GMM-1: input must be rows [R, K] or tokens "
                       "[S, T, K] of f32, bf16 or f16, got ")
           << getInput().getType();
  if (tokens != static_cast<bool>(getRowToken()))
    return emitOpError("IDX-GMM-1: row_token belongs to an input of tokens, "
                       "and only to it");
  if (!isIndexField(getExpertOffsets()) ||
      (tokens && !isIndexField(getRowToken())))
    return emitOpError("IDX-GMM-1: expert_offsets and row_token must be i32 of "
                       "one dimension");
  if (failed(verifyTiles(*this)))
    return failure();
  // IDX-GMM-3: shapes here, the region below.
  if (failed(verifyWeightCount(*this, "GMM-1")))
    return failure();
  ArrayRef<int64_t> out = shapedType(getOuts()).getShape();
  int64_t ends = shapedType(getExpertOffsets()).getDimSize(0);
  int64_t experts = ShapedType::isDynamic(ends) ? ends : ends - 1;
  if (out.size() != 2)
    return emitOpError("GMM-10: outs must be [R, N], got ")
           << getOuts().getType();
  if (!getPacked()) {
    if (failed(verifyWeights(*this, getOuts(), experts)))
      return failure();
  } else {
    ShapedType weight = shapedType(getWeights().front());
    if (!getCPUSchedule() || getWeights().size() != 1)
      return emitOpError(
          "IDX-GMM-2: packed needs a #moe.schedule and one weight");
    int64_t outputs = getNumOutputs();
    if (outputs != 1 && outputs != 2)
      return emitOpError("GMM-5: the region must take one or two outputs");
    auto shape = getCPUSchedule().getPackedShape(
        experts, out[1], shapedType(getInput()).getShape().back(), outputs);
    if (failed(verifyCompatibleShape(weight.getShape(), shape)))
      return emitOpError("IDX-GMM-2: the packed weight must have the packed "
                         "shape of the schedule, got ")
             << weight;
  }
  return verifyExtras(*this, experts, out[0], out[1]);
}

LogicalResult IdxGroupedMatmulOp::verifyRegions() {
  size_t outputs = getPacked() ? getNumOutputs()
                   : getWeights().size() == 2 || getArrangement() ? 2
                                                                  : 1;
  return verifyEpilogue(*this, getEpilogue(), getExtras(), outputs,
                        getOuts().getType());
}

// IDX-ROUTE-6: the region is that of a grouped matmul with one output.
LogicalResult IdxRouteOp::verifyRegions() {
  if (!hasRouter())
    return success();
  if (!getEpilogue().hasOneBlock())
    return emitOpError("IDX-ROUTE-6: the region of a router has one block");
  return verifyEpilogue(*this, getEpilogue(), getRouterBiases(), 1,
                        getLogits().getType());
}

LogicalResult IdxPackOp::verify() {
  if (failed(verifyWeightCount(*this, "IDX-PACK-1")))
    return failure();
  ShapedType weight = shapedType(getWeights().front());
  ShapedType out = shapedType(getOuts());
  if (weight.getRank() != 3)
    return emitOpError("IDX-PACK-1: a weight must be of rank 3, got ")
           << weight;
  int64_t n = weight.getDimSize(columnDim(getLayout()));
  if (getArrangement() && ShapedType::isStatic(n)) {
    if (n % 2)
      return emitOpError("IDX-PACK-1: a weight that holds two outputs has an "
                         "even number of columns, got ")
             << weight;
    n /= 2;
  }
  auto shape = getSchedule().getPackedShape(
      weight.getDimSize(0), n, weight.getDimSize(reductionDim(getLayout())),
      getNumOutputs());
  if (out.getElementType() != weight.getElementType() ||
      failed(verifyCompatibleShape(out.getShape(), shape)))
    return emitOpError("IDX-PACK-2: outs must have the packed shape of the "
                       "schedule and the weights' element type, got ")
           << out << " for " << weight;
  return success();
}
