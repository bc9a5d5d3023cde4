// Verifiers: what inference has not said. Grouped matmul: Matmul.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/IR/MoE.h"
#include "moe/IR/RouteOptions.h"

using namespace mlir;
using namespace mlir::moe;
namespace routing = ::moe::routing;

//===----------------------------------------------------------------------===//
// The routing rule, for both forms of route
//===----------------------------------------------------------------------===//

/// The label under which the dialect documents a rule.
static StringRef labelOf(routing::Rule rule) {
  switch (rule) {
  case routing::Rule::Budget:
    return "ROUTE-2: ";
  case routing::Rule::Groups:
    return "ROUTE-5: ";
  case routing::Rule::Bounds:
    return "ROUTE-6: ";
  case routing::Rule::SumScore:
    return "ROUTE-7: ";
  case routing::Rule::SoftmaxScore:
    return "ROUTE-8: ";
  case routing::Rule::SequenceScore:
    return "ROUTE-9: ";
  case routing::Rule::BoundsScope:
    return "ROUTE-10: ";
  case routing::Rule::Constants:
    return "ROUTE-11: ";
  case routing::Rule::RankLogitsScore:
    return "ROUTE-14: ";
  }
  llvm_unreachable("unknown rule");
}

/// The rules of the attributes, which both forms and lib/Routing share.
template <typename OpT> static LogicalResult verifyRoutingRule(OpT op) {
  int64_t experts = op.getNumExperts();
  if (ShapedType::isDynamic(experts))
    return op.emitOpError("ROUTE-2: E must be static");
  if (auto found = routing::findViolation(getRouteOptions(op), experts))
    return op.emitOpError(labelOf(found->rule)) << found->text;
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
  for (Value addend : getAddends())
    if (getElementTypeOrSelf(addend) != getElementTypeOrSelf(getY()) ||
        failed(verifyCompatibleShape(addend.getType(), getY().getType())))
      return emitOpError("COMBINE-5: addends must be [S, T, H] of the element "
                         "type of rows, got ")
             << addend.getType() << " for " << getY().getType();
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
static bool isVectorField(Value v) { return isField(v) && rankOf(v) == 1; }
/// Whether `outs` can be expert_offsets, row_token, token_offsets, token_row.
static bool arePlanFields(OperandRange outs) {
  return isVectorField(outs[0]) && isVectorField(outs[1]) && isField(outs[2]) &&
         rankOf(outs[2]) == 2 && isVectorField(outs[3]);
}
/// [*, ..., H] of the same element type and compatible last dimension.
static bool sameRows(Value a, Value b) {
  auto x = cast<ShapedType>(a.getType()), y = cast<ShapedType>(b.getType());
  return isFloat(a) && x.getElementType() == y.getElementType() &&
         succeeded(verifyCompatibleShape(x.getShape().take_back(),
                                         y.getShape().take_back()));
}

/// IDX-ROUTE-5.
static LogicalResult verifyTileLists(IdxRouteOp op) {
  int64_t room =
      cast<ShapedType>(op.getField(Field::RowToken).getType()).getDimSize(0);
  ArrayRef<int64_t> allRows = op.getTileRows();
  for (auto [i, rows] : llvm::enumerate(allRows)) {
    if (rows < 1 || llvm::is_contained(allRows.take_front(i), rows))
      return op.emitOpError("IDX-ROUTE-5: tile_rows must be positive and "
                            "differ, got ")
             << rows;
    Value list = op.getTiles()[i];
    if (!isVectorField(list))
      return op.emitOpError("IDX-ROUTE-5: a list of tiles must be i32 of one "
                            "dimension, got ")
             << list.getType();
    int64_t words = cast<ShapedType>(list.getType()).getDimSize(0);
    int64_t needed = IdxTilesOp::getWords(room, op.getNumExperts(), rows);
    if (ShapedType::isStatic(words) && ShapedType::isStatic(needed) &&
        words != needed)
      return op.emitOpError("IDX-ROUTE-5: the list of tiles of ")
             << rows << " rows must have " << needed << " words, got "
             << list.getType();
  }
  return success();
}

/// IDX-ROUTE-6, but for the region.
static LogicalResult verifyRouter(IdxRouteOp op) {
  auto fail = [&]() -> InFlightDiagnostic {
    return op.emitOpError("IDX-ROUTE-6: ");
  };
  if (op.hasRouter() != op.getLayout().has_value() ||
      op.hasRouter() == op.getEpilogue().empty())
    return fail() << "a router comes with a layout and a region, and neither "
                     "without it";
  if (!op.hasRouter())
    return success();
  if (!llvm::all_of(op->getOperandTypes(), llvm::IsaPred<MemRefType>))
    return fail() << "a router needs memrefs, because its logits are written "
                     "in place";
  if (op.getRouter().size() < 2)
    return fail() << "a router is an input, a weight, and biases";
  auto input = cast<ShapedType>(op.getRouterInput().getType());
  auto weight = cast<ShapedType>(op.getRouterWeight().getType());
  auto logits = cast<ShapedType>(op.getLogits().getType());
  if (!isFloat(op.getRouterInput()) || input.getRank() != 2)
    return fail() << "the input of a router must be [S·T, H] of a float type, "
                     "got "
                  << input;
  int64_t tokens = 1, experts = logits.getShape().back();
  for (int64_t size : logits.getShape().drop_back())
    tokens = ShapedType::isDynamic(size) || ShapedType::isDynamic(tokens)
                 ? ShapedType::kDynamic
                 : tokens * size;
  if (failed(verifyCompatibleShape(input.getShape().take_front(), {tokens})))
    return fail() << "the input of a router must have a row for each token of "
                  << logits << ", got " << input;
  SmallVector<int64_t> wanted{1, experts, input.getDimSize(1)};
  if (*op.getLayout() == Layout::KN)
    std::swap(wanted[1], wanted[2]);
  if (weight.getElementType() != input.getElementType() ||
      failed(verifyCompatibleShape(weight.getShape(), wanted)))
    return fail() << "the weight of a router must be of the input's element "
                     "type and "
                  << (*op.getLayout() == Layout::NK ? "[1, E, H]" : "[1, H, E]")
                  << ", got " << weight;
  for (Value bias : op.getRouterBiases())
    if (failed(verifyCompatibleShape(
            cast<ShapedType>(bias.getType()).getShape(), {1, experts})))
      return fail() << "a bias of a router must be [1, E], got "
                    << bias.getType();
  return success();
}

LogicalResult IdxRouteOp::verify() {
  OperandRange outs = getOuts();
  if (outs.size() != kPlanOuts + getTileRows().size() ||
      !arePlanFields(outs.take_front(4)) || !isFloat(outs[4]) ||
      rankOf(outs[4]) != 1 || !isVectorField(outs[5]))
    return emitOpError("IDX-ROUTE-1: outs must be four i32 fields [E+1], [R], "
                       "[S, T+1], [R], the gates [R] and an i32 workspace, "
                       "then a list of tiles for each of tile_rows");
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
  if (failed(verifyTileLists(*this)) || failed(verifyRouter(*this)))
    return failure();
  return verifyRoutingRule(*this); // IDX-ROUTE-3
}

LogicalResult IdxPlanFromChoiceOp::verify() {
  OperandRange outs = getOuts();
  if (outs.size() != 5 || !arePlanFields(outs.take_front(4)) ||
      !isFloat(outs[4]) || rankOf(outs[4]) != 1)
    return emitOpError("IDX-CHOICE-1: outs must be four i32 fields [E+1], [R], "
                       "[S, T+1], [R] and the gates [R]");
  Type id = getElementTypeOrSelf(getIds().getType());
  if (rankOf(getIds()) != 3 || rankOf(getWeights()) != 3 ||
      !isFloat(getWeights()) || !(id.isInteger(32) || id.isInteger(64)))
    return emitOpError("IDX-CHOICE-2: ids and weights must be [S, T, K], ids "
                       "of i32 or i64");
  return success();
}

LogicalResult IdxDispatchOp::verify() {
  if (!isVectorField(getExpertOffsets()) || !isVectorField(getRowToken()))
    return emitOpError("IDX-DISPATCH-1: expert_offsets and row_token must be "
                       "i32 of one dimension");
  if (rankOf(getX()) != 3 || rankOf(getOuts()) != 2 ||
      !sameRows(getX(), getOuts()))
    return emitOpError("IDX-DISPATCH-1: x must be [S, T, H] and outs [R, H] of "
                       "one float type, got ")
           << getX().getType() << " and " << getOuts().getType();
  return success();
}

LogicalResult IdxCombineOp::verify() {
  if (!isField(getTokenOffsets()) || rankOf(getTokenOffsets()) != 2 ||
      !isVectorField(getTokenRow()))
    return emitOpError("IDX-COMBINE-1: token_offsets must be i32 [S, T+1] and "
                       "token_row i32 [R]");
  if (getGates() && (!isFloat(getGates()) || rankOf(getGates()) != 1))
    return emitOpError("IDX-COMBINE-1: gates must be [R] of f32, bf16 or f16");
  if (rankOf(getRows()) != 2 || rankOf(getOuts()) != 3 ||
      !sameRows(getRows(), getOuts()))
    return emitOpError("IDX-COMBINE-1: rows must be [R, H] and outs [S, T, H] "
                       "of one float type, got ")
           << getRows().getType() << " and " << getOuts().getType();
  for (Value addend : getAddends())
    if (rankOf(addend) != 3 || !sameRows(addend, getOuts()))
      return emitOpError("IDX-COMBINE-2: addends must be [S, T, H] like outs, "
                         "got ")
             << addend.getType() << " and " << getOuts().getType();
  return success();
}

LogicalResult IdxTilesOp::verify() {
  if (!isVectorField(getExpertOffsets()) || !isVectorField(getOuts()))
    return emitOpError(
        "IDX-TILES-1: expert_offsets and outs must be i32 of one "
        "dimension");
  if (getRows() < 1)
    return emitOpError("IDX-TILES-2: rows must be positive, got ") << getRows();
  int64_t words = cast<ShapedType>(getOuts().getType()).getDimSize(0);
  int64_t ends = cast<ShapedType>(getExpertOffsets().getType()).getDimSize(0);
  int64_t least = ShapedType::isDynamic(ends) ? 1 : ends;
  if (ShapedType::isStatic(words) &&
      (words % kRecordWords || words / kRecordWords < least))
    return emitOpError("IDX-TILES-3: outs must hold whole records of 4 words, "
                       "and at least ")
           << least << " of them, got " << getOuts().getType();
  return success();
}

int64_t IdxTilesOp::getWords(int64_t room, int64_t experts, int64_t rows) {
  if (ShapedType::isDynamic(room))
    return room;
  return kRecordWords * (1 + llvm::divideCeil(room, rows) + experts);
}

Value IdxTilesOp::getSize(OpBuilder &builder, Location loc, Value room,
                          int64_t experts, int64_t rows) {
  auto constant = [&](int64_t v) {
    return arith::ConstantIndexOp::create(builder, loc, v);
  };
  Value tiles = arith::CeilDivUIOp::create(builder, loc, room, constant(rows));
  Value records =
      arith::AddIOp::create(builder, loc, tiles, constant(1 + experts));
  return arith::MulIOp::create(builder, loc, records, constant(kRecordWords));
}

//===----------------------------------------------------------------------===//
// Workspace of route
//===----------------------------------------------------------------------===//

int64_t IdxRouteOp::getWorkspaceRow(int64_t experts) {
  return llvm::alignTo(experts, kMaxLanes);
}

// A row of scores and a row of keys for each token, a row of group keys for
// each block of tokens (rounded up) and a row for the bias.
int64_t IdxRouteOp::getWorkspaceWords(int64_t seqs, int64_t tokens,
                                      int64_t experts) {
  int64_t rows = 2 * seqs * tokens + seqs * tokens / kTokensPerBlock + 2;
  return rows * getWorkspaceRow(experts);
}

Value IdxRouteOp::getWorkspaceSize(OpBuilder &builder, Location loc, Value seqs,
                                   Value tokens, int64_t experts) {
  auto constant = [&](int64_t v) {
    return arith::ConstantIndexOp::create(builder, loc, v);
  };
  Value all = arith::MulIOp::create(builder, loc, seqs, tokens);
  Value rows = arith::MulIOp::create(builder, loc, all, constant(2));
  Value blocks =
      arith::DivUIOp::create(builder, loc, all, constant(kTokensPerBlock));
  rows = arith::AddIOp::create(builder, loc, rows, blocks);
  rows = arith::AddIOp::create(builder, loc, rows, constant(2));
  return arith::MulIOp::create(builder, loc, rows,
                               constant(getWorkspaceRow(experts)));
}
