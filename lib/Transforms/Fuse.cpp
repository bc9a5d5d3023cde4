// moe-fuse, on the plan form: dispatch into the load of grouped_matmul, and
// elementwise linalg into its epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseMap.h"
#include "FusePatterns.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Transforms/ResolveDims.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Grouped matmuls that an elementwise map consumes
//===----------------------------------------------------------------------===//

/// The grouped matmul that makes `value`, if `consumer` alone reads it, in the
/// same block: else it would be computed more than once.
static GroupedMatmulOp getFusable(Value value, Operation *consumer) {
  auto matmul = value.getDefiningOp<GroupedMatmulOp>();
  if (!matmul || matmul->getBlock() != consumer->getBlock() ||
      !llvm::all_of(matmul->getUsers(),
                    [&](Operation *user) { return user == consumer; }))
    return nullptr;
  return matmul;
}

/// Whether two matmuls can be one with two outputs: the gate and the up
/// projection of a GLU.
static bool canPair(GroupedMatmulOp gate, GroupedMatmulOp up) {
  return gate.getInput() == up.getInput() && gate.getPlan() == up.getPlan() &&
         gate.getWeights().size() == 1 && up.getWeights().size() == 1 &&
         gate.getWeights().front().getType() ==
             up.getWeights().front().getType() &&
         gate.getLayout() == up.getLayout() && !gate.getArrangement() &&
         !up.getArrangement() && gate.getSchedule() == up.getSchedule();
}

/// One matmul that `op` consumes, or two that can be one.
static SmallVector<GroupedMatmulOp> findProducers(linalg::LinalgOp op) {
  SmallVector<GroupedMatmulOp> producers;
  for (OpOperand *input : op.getDpsInputOperands()) {
    GroupedMatmulOp matmul = getFusable(input->get(), op);
    if (!matmul || llvm::is_contained(producers, matmul) ||
        accessOf(op.getMatchingIndexingMap(input)) != Access::Element)
      continue;
    if (producers.empty() ||
        (producers.size() == 1 && canPair(producers.front(), matmul)))
      producers.push_back(matmul);
  }
  // A matmul that is also read by row or column needs its result as a whole.
  llvm::erase_if(producers, [&](GroupedMatmulOp matmul) {
    return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *input) {
      return input->get() == matmul.getResult() &&
             accessOf(op.getMatchingIndexingMap(input)) != Access::Element;
    });
  });
  return producers;
}

/// Whether a row of which `producers` have no value has none in the result of
/// `op`. No kernel computes the rows behind the plan's last one, so that a map
/// which puts something there, as where(live, y, 0) does, stays by itself.
static bool leavesRowsWithoutValue(linalg::LinalgOp op,
                                   ArrayRef<GroupedMatmulOp> producers) {
  llvm::SmallPtrSet<Value, 16> without;
  for (OpOperand *input : op.getDpsInputOperands())
    if (llvm::is_contained(producers,
                           input->get().getDefiningOp<GroupedMatmulOp>()))
      without.insert(op.getMatchingBlockArgument(input));
  auto hasNone = [&](Value value) { return without.contains(value); };
  for (Operation &inner : op.getBlock()->without_terminator()) {
    auto select = dyn_cast<arith::SelectOp>(inner);
    if (select && !hasNone(select.getCondition())
            ? hasNone(select.getTrueValue()) && hasNone(select.getFalseValue())
            : llvm::any_of(inner.getOperands(), hasNone))
      without.insert_range(inner.getResults());
  }
  return hasNone(op.getBlock()->getTerminator()->getOperand(0));
}

//===----------------------------------------------------------------------===//
// The fused epilogue
//===----------------------------------------------------------------------===//

namespace {
/// Builds the operands and the region of a fused matmul.
struct EpilogueBuilder {
  PatternRewriter &rewriter;
  Location loc;
  SmallVector<Value> weights, extras;
  SmallVector<Attribute> kinds;
  Region region;
  Block *body;
  /// Outputs of the region so far.
  unsigned numOutputs = 0;

  EpilogueBuilder(PatternRewriter &rewriter, Location loc)
      : rewriter(rewriter), loc(loc), body(&region.emplaceBlock()) {}

  /// The argument of a new logical output; before any extra.
  Value addOutput() {
    return body->insertArgument(numOutputs++, rewriter.getF32Type(), loc);
  }

  Value addExtra(Value extra, Extra kind) {
    extras.push_back(extra);
    kinds.push_back(ExtraAttr::get(rewriter.getContext(), kind));
    return body->addArgument(getElementTypeOrSelf(extra), extra.getLoc());
  }

  /// Appends the ops of `from`, and returns what its terminator hands on.
  Value append(Block *from, IRMapping &map) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToEnd(body);
    for (Operation &op : from->without_terminator())
      rewriter.clone(op, map);
    return map.lookupOrDefault(from->getTerminator()->getOperand(0));
  }

  /// Appends the epilogue of a matmul that becomes part of the fused one.
  Value append(GroupedMatmulOp matmul) {
    IRMapping map;
    Block *from = &matmul.getEpilogue().front();
    unsigned outputs = matmul.getNumOutputs();
    for (unsigned i = 0; i < outputs; ++i)
      map.map(from->getArgument(i), addOutput());
    for (auto [i, extra, kind] :
         llvm::enumerate(matmul.getExtras(),
                         matmul.getExtraKinds().getAsRange<ExtraAttr>()))
      map.map(from->getArgument(outputs + i), addExtra(extra, kind.getValue()));
    llvm::append_range(weights, matmul.getWeights());
    return append(from, map);
  }

  void yield(Value value) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToEnd(body);
    YieldOp::create(rewriter, loc, value);
  }
};
} // namespace

/// [N] as the column extra [E, N]: the same for every
/// expert. E·N elements, against the R·N that a result of its own would take.
static Value broadcastToExperts(PatternRewriter &rewriter, Location loc,
                                Value columns, int64_t experts) {
  auto type = cast<RankedTensorType>(columns.getType());
  SmallVector<Value> dynamic;
  if (type.isDynamicDim(0))
    dynamic.push_back(
        rewriter.createOrFold<tensor::DimOp>(loc, columns, int64_t(0)));
  Value out = tensor::EmptyOp::create(
      rewriter, loc,
      RankedTensorType::get({experts, type.getDimSize(0)},
                            type.getElementType()),
      dynamic);
  return linalg::BroadcastOp::create(rewriter, loc, columns, out,
                                     ArrayRef<int64_t>{0})
      ->getResult(0);
}

/// The value of an input of an elementwise map inside the fused epilogue.
static Value addInput(EpilogueBuilder &builder, Value input, Access access,
                      int64_t experts) {
  switch (access) {
  case Access::Element:
    return builder.addExtra(input, Extra::Element);
  case Access::Row:
    return builder.addExtra(input, Extra::Row);
  case Access::Columns:
    return builder.addExtra(
        broadcastToExperts(builder.rewriter, builder.loc, input, experts),
        Extra::Column);
  case Access::Scalar:
    if (!isa<TensorType>(input.getType()))
      return input;
    return tensor::ExtractOp::create(builder.rewriter, builder.loc, input,
                                     ValueRange());
  }
  llvm_unreachable("unknown access");
}

namespace {
/// An elementwise map of the result of a grouped matmul, or of two that share
/// input and plan, becomes its epilogue.
struct FuseElementwise : OpInterfaceRewritePattern<linalg::LinalgOp> {
  FuseElementwise(MLIRContext *context, Pass::Statistic &numFused,
                  Pass::Statistic &numPaired)
      : OpInterfaceRewritePattern(context), numFused(numFused),
        numPaired(numPaired) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!isElementwiseMap(op))
      return rewriter.notifyMatchFailure(op, "no elementwise map of a matrix");
    SmallVector<GroupedMatmulOp> producers = findProducers(op);
    if (producers.empty())
      return rewriter.notifyMatchFailure(op, "no grouped_matmul for it alone");
    if (!leavesRowsWithoutValue(op, producers))
      return rewriter.notifyMatchFailure(op, "a value where there is no row");

    // The fused op stands where the map stood: all operands dominate that.
    GroupedMatmulOp first = producers.front();
    int64_t experts = first.getPlan().getType().getExperts();
    EpilogueBuilder builder(rewriter, op.getLoc());
    DenseMap<Value, Value> made;
    for (GroupedMatmulOp matmul : producers)
      made[matmul.getResult()] = builder.append(matmul);
    IRMapping map;
    for (OpOperand *input : op.getDpsInputOperands()) {
      Value value = made.lookup(input->get());
      if (!value)
        value = addInput(builder, input->get(),
                         *accessOf(op.getMatchingIndexingMap(input)), experts);
      map.map(op.getMatchingBlockArgument(input), value);
    }
    builder.yield(builder.append(op.getBlock(), map));

    auto fused = GroupedMatmulOp::create(
        rewriter, op.getLoc(), op->getResult(0).getType(), first.getInput(),
        first.getPlan(), builder.weights, builder.extras, first.getLayoutAttr(),
        first.getArrangementAttr(), rewriter.getArrayAttr(builder.kinds),
        first.getScheduleAttr());
    fused.getEpilogue().takeBody(builder.region);
    rewriter.replaceOp(op, fused.getResult());
    for (GroupedMatmulOp matmul : producers)
      rewriter.eraseOp(matmul);
    ++numFused;
    numPaired += producers.size() - 1;
    return success();
  }

  Pass::Statistic &numFused, &numPaired;
};

/// Rows that are dispatched for a grouped matmul are gathered in its load.
struct FuseDispatch : OpRewritePattern<GroupedMatmulOp> {
  FuseDispatch(MLIRContext *context, Pass::Statistic &numDispatches)
      : OpRewritePattern(context), numDispatches(numDispatches) {}

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    auto dispatch = op.getInput().getDefiningOp<DispatchOp>();
    if (!dispatch || dispatch.getPlan() != op.getPlan())
      return rewriter.notifyMatchFailure(op, "no dispatch by the same plan");
    rewriter.modifyOpInPlace(
        op, [&] { op.getInputMutable().assign(dispatch.getX()); });
    ++numDispatches;
    return success();
  }

  Pass::Statistic &numDispatches;
};

struct Fuse : moe::impl::FuseBase<Fuse> {
  void runOnOperation() override {
    // First whoever asks for a size, because that looks like a reader, and
    // dispatches, because matmuls pair if they have the same input.
    RewritePatternSet loads(&getContext()), epilogues(&getContext());
    loads.add<FuseDispatch>(&getContext(), numDispatches);
    populateResolveDimsPatterns(loads);
    epilogues.add<FuseElementwise>(&getContext(), numElementwise, numPaired);
    populateFuseGatePatterns(epilogues, numGates, numGateCasts);
    populateFuseAddendPatterns(epilogues, numAddends);
    populateFuseDensePatterns(epilogues, numDense);
    if (failed(applyPatternsGreedily(getOperation(), std::move(loads))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(epilogues))))
      signalPassFailure();
  }
};
} // namespace
