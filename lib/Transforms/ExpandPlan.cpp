// moe-expand-plan: !moe.plan becomes its four index tensors, everywhere, and
// plan-form ops become their moe.idx twins.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Transforms/ExpandPlan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/ControlFlow/Transforms/StructuralTypeConversions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDPLAN
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// What may carry a plan
//===----------------------------------------------------------------------===//

static bool containsPlan(Type type) {
  return type.walk([](PlanType) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

/// Whether a plan is among the operands, results or block arguments of `op`, or
/// in a type that `op` names in an attribute.
static bool carriesPlan(Operation *op) {
  if (llvm::any_of(op->getOperandTypes(), containsPlan) ||
      llvm::any_of(op->getResultTypes(), containsPlan))
    return true;
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (llvm::any_of(block.getArgumentTypes(), containsPlan))
        return true;
  auto function = dyn_cast<func::FuncOp>(op);
  return function && containsPlan(function.getFunctionType());
}

/// Plans are seen through these ops, and as a type of its own only: not inside
/// a tuple or a function type.
static bool isExpandable(Operation *op) {
  auto nested = [](Type type) {
    return !isa<PlanType>(type) && containsPlan(type);
  };
  if (llvm::any_of(op->getOperandTypes(), nested) ||
      llvm::any_of(op->getResultTypes(), nested))
    return false;
  if (auto function = dyn_cast<func::FuncOp>(op))
    return !llvm::any_of(function.getArgumentTypes(), nested) &&
           !llvm::any_of(function.getResultTypes(), nested);
  return isa_and_nonnull<MoEDialect>(op->getDialect()) ||
         isa<func::CallOp, func::ReturnOp, scf::ForOp, scf::IfOp, scf::WhileOp,
             scf::IndexSwitchOp, scf::YieldOp, scf::ConditionOp, cf::BranchOp,
             cf::CondBranchOp, arith::SelectOp>(op);
}

static LogicalResult verifyExpandable(Operation *root) {
  WalkResult result = root->walk<WalkOrder::PreOrder>([](Operation *op) {
    // A terminator is judged with the op whose region it ends.
    if (!carriesPlan(op) || isExpandable(op))
      return WalkResult::advance();
    op->emitOpError("cannot carry a !moe.plan through moe-expand-plan; plans "
                    "pass through func.func, func.call, scf.for, scf.if, "
                    "scf.while, scf.index_switch, cf.br, cf.cond_br and "
                    "arith.select. Rewrite the op as one of these, or hand on "
                    "the fields that moe.plan_field gives");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

static Value field(ValueRange plan, Field f) {
  return plan[static_cast<unsigned>(f)];
}

/// The value of a 1:1 converted operand. An absent optional one is an empty
/// range.
static Value one(ValueRange values) {
  return values.empty() ? Value() : values.front();
}

static Value dim(OpBuilder &b, Location loc, Value v, int64_t i) {
  return b.createOrFold<tensor::DimOp>(loc, v, i);
}

static Value constant(OpBuilder &b, Location loc, int64_t v) {
  return arith::ConstantIndexOp::create(b, loc, v);
}

/// An uninitialised tensor of exactly this type; the sizes of static dimensions
/// are not read.
static Value makeOut(OpBuilder &b, Location loc, Type type,
                     ArrayRef<Value> sizes) {
  auto tensorType = cast<RankedTensorType>(type);
  SmallVector<Value> dynamic;
  for (int64_t i = 0; i < tensorType.getRank(); ++i)
    if (tensorType.isDynamicDim(i))
      dynamic.push_back(sizes[i]);
  return tensor::EmptyOp::create(b, loc, tensorType, dynamic);
}

/// The fields and gates of a plan of S sequences of T tokens, `k` pairs a
/// token, as uninitialised tensors.
static SmallVector<Value> makePlanOuts(OpBuilder &b, Location loc,
                                       PlanType plan, Type gates, Value seqs,
                                       Value tokens, int64_t k) {
  Value ends = b.createOrFold<arith::AddIOp>(loc, tokens, constant(b, loc, 1));
  Value pairs = b.createOrFold<arith::MulIOp>(loc, seqs, tokens);
  Value rows = b.createOrFold<arith::MulIOp>(loc, pairs, constant(b, loc, k));
  SmallVector<Value> outs;
  for (Field f : kFields) {
    SmallVector<Value> sizes{rows};
    if (f == Field::TokenOffsets)
      sizes = {seqs, ends};
    outs.push_back(makeOut(b, loc, plan.getFieldType(f), sizes));
  }
  outs.push_back(makeOut(b, loc, gates, {rows}));
  return outs;
}

/// Room for the scratch of a route, of static size where S and T are static.
static Value makeWorkspace(OpBuilder &b, Location loc, Value seqs, Value tokens,
                           int64_t experts) {
  std::optional<int64_t> s = getConstantIntValue(seqs),
                         t = getConstantIntValue(tokens);
  Type i32 = b.getI32Type();
  if (s && t) {
    int64_t words = IdxRouteOp::getWorkspaceWords(*s, *t, experts);
    return tensor::EmptyOp::create(b, loc, {words}, i32);
  }
  Value words = IdxRouteOp::getWorkspaceSize(b, loc, seqs, tokens, experts);
  return tensor::EmptyOp::create(b, loc, {ShapedType::kDynamic}, i32, {words});
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {
// Every pattern overrides the OneToNOpAdaptor overload: each getter gives a
// ValueRange, and one of a variadic operand a list of them.
template <typename OpT> struct Expand : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;
  using Adaptor = typename OpConversionPattern<OpT>::OneToNOpAdaptor;
};

/// Replaces an op that makes a plan and gates by its twin, whose first results
/// are the fields and the gates.
void replacePlanMaker(Operation *op, Operation *twin,
                      ConversionPatternRewriter &rewriter) {
  twin->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  ResultRange results = twin->getResults();
  rewriter.replaceOpWithMultiple(
      op, SmallVector<ValueRange>{results.take_front(PlanType::kNumFields),
                                  results.slice(PlanType::kNumFields, 1)});
}

struct ExpandRoute : Expand<RouteOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(RouteOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value logits = one(adaptor.getLogits());
    bool batched = op.getLogits().getType().getRank() == 3;
    Value seqs =
        batched ? dim(rewriter, loc, logits, 0) : constant(rewriter, loc, 1);
    Value tokens = dim(rewriter, loc, logits, batched ? 1 : 0);
    SmallVector<Value> outs =
        makePlanOuts(rewriter, loc, op.getPlan().getType(),
                     op.getGates().getType(), seqs, tokens, op.getK());
    outs.push_back(
        makeWorkspace(rewriter, loc, seqs, tokens, op.getNumExperts()));
    auto twin = IdxRouteOp::create(
        rewriter, loc, ValueRange(outs).getTypes(), logits,
        one(adaptor.getChoiceBias()), one(adaptor.getValid()),
        /*router=*/ValueRange(), outs, op.getKAttr(), op.getScopeAttr(),
        op.getScoreAttr(), op.getNormalizeAttr(), op.getScaleAttr(),
        op.getEpsAttr(), op.getNormMinAttr(), op.getNGroupAttr(),
        op.getTopkGroupAttr(), op.getGroupScoreAttr(), op.getFloorAttr(),
        op.getCapAttr(), op.getRankLogitsAttr(), op.getLayerAttr(),
        /*tile_rows=*/DenseI64ArrayAttr(), op.getScheduleAttr(),
        /*layout=*/LayoutAttr());
    replacePlanMaker(op, twin, rewriter);
    return success();
  }
};

struct ExpandPlanFromChoice : Expand<PlanFromChoiceOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(PlanFromChoiceOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value ids = one(adaptor.getIds());
    SmallVector<Value> outs = makePlanOuts(
        rewriter, loc, op.getPlan().getType(), op.getGates().getType(),
        dim(rewriter, loc, ids, 0), dim(rewriter, loc, ids, 1),
        op.getIds().getType().getDimSize(2));
    auto twin = IdxPlanFromChoiceOp::create(
        rewriter, loc, ValueRange(outs).getTypes(), ids,
        one(adaptor.getWeights()), outs, op.getExperts());
    replacePlanMaker(op, twin, rewriter);
    return success();
  }
};

struct ExpandPlanField : Expand<PlanFieldOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(PlanFieldOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, field(adaptor.getPlan(), op.getField()));
    return success();
  }
};

struct ExpandDispatch : Expand<DispatchOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(DispatchOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value x = one(adaptor.getX());
    Value rowToken = field(adaptor.getPlan(), Field::RowToken);
    Value out =
        makeOut(rewriter, loc, op.getType(),
                {dim(rewriter, loc, rowToken, 0), dim(rewriter, loc, x, 2)});
    rewriter.replaceOpWithNewOp<IdxDispatchOp>(
        op, TypeRange(op.getType()), x,
        field(adaptor.getPlan(), Field::ExpertOffsets), rowToken, out,
        op.getScheduleAttr());
    return success();
  }
};

struct ExpandCombine : Expand<CombineOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(CombineOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value offsets = field(adaptor.getPlan(), Field::TokenOffsets);
    Value rows = one(adaptor.getRows());
    Value tokens = rewriter.createOrFold<arith::AddIOp>(
        loc, dim(rewriter, loc, offsets, 1), constant(rewriter, loc, -1));
    Value out = makeOut(
        rewriter, loc, op.getType(),
        {dim(rewriter, loc, offsets, 0), tokens, dim(rewriter, loc, rows, 1)});
    rewriter.replaceOpWithNewOp<IdxCombineOp>(
        op, TypeRange(op.getType()), rows, offsets,
        field(adaptor.getPlan(), Field::TokenRow), one(adaptor.getGates()),
        llvm::map_to_vector(adaptor.getAddends(), one), out,
        op.getScheduleAttr());
    return success();
  }
};

struct ExpandGroupedMatmul : Expand<GroupedMatmulOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(GroupedMatmulOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value rowToken = field(adaptor.getPlan(), Field::RowToken);
    SmallVector<Value> weights = llvm::map_to_vector(adaptor.getWeights(), one);
    SmallVector<Value> extras = llvm::map_to_vector(adaptor.getExtras(), one);
    Value columns = dim(rewriter, loc, weights.front(),
                        op.getLayout() == Layout::NK ? 1 : 2);
    if (op.getArrangement())
      columns = rewriter.createOrFold<arith::DivUIOp>(
          loc, columns, constant(rewriter, loc, 2));
    Value out = makeOut(rewriter, loc, op.getType(),
                        {dim(rewriter, loc, rowToken, 0), columns});
    bool tokens = op.getInput().getType().getRank() == 3;
    auto twin = IdxGroupedMatmulOp::create(
        rewriter, loc, TypeRange(op.getType()), one(adaptor.getInput()),
        field(adaptor.getPlan(), Field::ExpertOffsets),
        tokens ? rowToken : Value(), /*tiles=*/ValueRange(), weights, extras,
        out, op.getLayoutAttr(), op.getArrangementAttr(), op.getExtraKinds(),
        /*packed=*/UnitAttr(), op.getScheduleAttr());
    rewriter.inlineRegionBefore(op.getEpilogue(), twin.getEpilogue(),
                                twin.getEpilogue().end());
    rewriter.replaceOp(op, twin.getResultTensors());
    return success();
  }
};

/// arith.select of plans, which canonicalize makes of a small scf.if: one
/// select per field.
struct ExpandSelect : Expand<arith::SelectOp> {
  using Expand::Expand;
  LogicalResult
  matchAndRewrite(arith::SelectOp op, Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SmallVector<Value> selected;
    for (auto [yes, no] :
         llvm::zip(adaptor.getTrueValue(), adaptor.getFalseValue()))
      selected.push_back(arith::SelectOp::create(
          rewriter, op.getLoc(), one(adaptor.getCondition()), yes, no));
    rewriter.replaceOpWithMultiple(op, SmallVector<ValueRange>{selected});
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Attributes of arguments and results
//===----------------------------------------------------------------------===//

/// The upstream function pattern leaves argument and result attributes at their
/// old positions, where they silently describe other arguments. These are the
/// attributes at their new ones; a plan's are given to each of its fields.
static SmallVector<DictionaryAttr> expandAttrs(TypeRange types,
                                               ArrayAttr attrs) {
  SmallVector<DictionaryAttr> expanded;
  for (auto [i, type] : llvm::enumerate(types)) {
    auto dictionary = attrs ? cast<DictionaryAttr>(attrs[i])
                            : DictionaryAttr::get(type.getContext());
    expanded.append(isa<PlanType>(type) ? PlanType::kNumFields : 1, dictionary);
  }
  return expanded;
}

/// Functions are converted in place: what their attributes must become.
static SmallVector<std::function<void()>> collectAttrMoves(Operation *root) {
  SmallVector<std::function<void()>> moves;
  root->walk([&](func::FuncOp function) {
    if (!containsPlan(function.getFunctionType()))
      return;
    auto args =
        expandAttrs(function.getArgumentTypes(), function.getArgAttrsAttr());
    auto results =
        expandAttrs(function.getResultTypes(), function.getResAttrsAttr());
    moves.push_back([=]() mutable {
      function.setAllArgAttrs(args);
      function.setAllResultAttrs(results);
    });
  });
  return moves;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

LogicalResult mlir::moe::verifyNoPlan(Operation *root) {
  WalkResult result = root->walk([](Operation *op) {
    if (!carriesPlan(op))
      return WalkResult::advance();
    op->emitOpError("still carries a !moe.plan; moe-expand-plan must run on "
                    "the whole module before this stage");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct ExpandPlan : moe::impl::ExpandPlanBase<ExpandPlan> {
  void runOnOperation() override {
    if (failed(verifyExpandable(getOperation())))
      return signalPassFailure();
    TypeConverter types;
    types.addConversion([](Type type) { return type; });
    types.addConversion([](PlanType type, SmallVectorImpl<Type> &fields) {
      llvm::append_range(fields, type.getFieldTypes());
      return success();
    });
    ConversionTarget target(getContext());
    RewritePatternSet patterns(&getContext());
    patterns
        .add<ExpandRoute, ExpandPlanFromChoice, ExpandPlanField, ExpandDispatch,
             ExpandCombine, ExpandGroupedMatmul, ExpandSelect>(types,
                                                               &getContext());
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns,
                                                                   types);
    populateCallOpTypeConversionPattern(patterns, types);
    populateReturnOpTypeConversionPattern(patterns, types);
    cf::populateCFStructuralTypeConversionsAndLegality(types, patterns, target);
    scf::populateSCFStructuralTypeConversionsAndLegality(types, patterns,
                                                         target);
    target.addIllegalOp<RouteOp, PlanFromChoiceOp, PlanFieldOp, DispatchOp,
                        CombineOp, GroupedMatmulOp>();
    // The signature only: the blocks of the body are converted by the patterns
    // of branches, later, so `types.isLegal(&function.getBody())` would fail
    // for a body of more than one block.
    target.addDynamicallyLegalOp<func::FuncOp>([&](func::FuncOp function) {
      return types.isSignatureLegal(function.getFunctionType());
    });
    target.markUnknownOpDynamicallyLegal(
        [&](Operation *op) { return types.isLegal(op); });

    auto moves = collectAttrMoves(getOperation());
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      return signalPassFailure();
    for (auto &move : moves)
      move();
    // A conversion target sees operands and results; this sees block arguments.
    if (failed(verifyNoPlan(getOperation())))
      signalPassFailure();
  }
};
} // namespace
