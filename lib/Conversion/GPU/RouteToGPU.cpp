// moe.idx.route: one launch of the kernel that its sizes ask for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostArithmetic.h"
#include "Kernel.h"
#include "RouteDivision.h"
#include "RouteKernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"
#include "moe/Conversion/MoEToGPU.h"

using namespace mlir;
using namespace mlir::moe;

/// On a launch: the words of workspace that its kernel uses.
static constexpr StringLiteral kWorkspaceWords = "moe.workspace";

/// The number of multiprocessors of the device, asked of the runtime.
static Value getMultiprocessors(OpBuilder &b, Operation *op) {
  auto module = op->getParentOfType<ModuleOp>();
  Type index = b.getIndexType();
  if (!module.lookupSymbol(kMultiprocessors)) {
    OpBuilder atStart(module.getBodyRegion());
    func::FuncOp::create(atStart, module.getLoc(), kMultiprocessors,
                         b.getFunctionType({}, index))
        .setPrivate();
  }
  return func::CallOp::create(b, op->getLoc(), kMultiprocessors, index)
      .getResult(0);
}

namespace {
/// The launches of one routing, of which the sizes let one happen.
class RouteLaunch {
public:
  RouteLaunch(IdxRouteOp op, OpBuilder &builder)
      : op(op), builder(builder), host{builder, op.getLoc()},
        choices(op, getStaticSizes(op)) {
    getUsedValuesDefinedAbove(op.getEpilogue(), outside);
  }

  void emit() {
    auto [seqs, tokens] = sizes();
    Value blocks = host.number(op.getGPUSchedule().getBlocks());
    Value resident = blocks;
    if (choices.dependsOnDevice)
      resident = host.min(blocks, getMultiprocessors(builder, op));
    auto division = divide(host, choices.rule, seqs, tokens, resident);
    Value isFree;
    for (RoutePlace place : choices.places) {
      // Of several launches, all but one have a grid without blocks.
      Value isIt = isFree;
      if (place != choices.places.back()) {
        Value suits = suitsPlace(place, division, seqs, resident);
        isIt = isFree ? host.both(isFree, suits) : suits;
        Value other = host.no(suits);
        isFree = isFree ? host.both(isFree, other) : other;
      }
      emit(place, division, resident, isIt);
    }
  }

  /// The words of workspace that every kernel needs, as an index value.
  Value workspaceSize() {
    RouteLayout layout = choices.layoutOf(choices.places.front());
    Value words = host.number(layout.tokenMemory());
    if (choices.places.back() == RoutePlace::Shared)
      return words;
    // A team's blocks have up to one token and one group more than their share.
    auto [seqs, tokens] = sizes();
    Value all = host.mul(seqs, tokens), some = host.number(layout.blocks);
    Value groups = host.add(host.ceilDiv(all, host.number(32)),
                            host.add(seqs, host.mul(some, host.number(2))));
    Value ofTokens =
        host.mul(host.add(all, some), host.number(layout.perToken()));
    Value ofGroups = host.mul(groups, host.number(layout.perGroup()));
    return host.add(words, host.add(ofTokens, ofGroups));
  }

private:
  static RouteSizes getStaticSizes(IdxRouteOp op) {
    auto type = cast<MemRefType>(op.getField(Field::TokenOffsets).getType());
    RouteSizes sizes;
    if (!type.isDynamicDim(0))
      sizes.seqs = type.getDimSize(0);
    if (!type.isDynamicDim(1))
      sizes.tokens = type.getDimSize(1) - 1;
    return sizes;
  }

  Value dim(Value memref, int64_t dimension) {
    return builder.createOrFold<memref::DimOp>(op.getLoc(), memref, dimension);
  }
  /// S and T.
  std::pair<Value, Value> sizes() {
    Value offsets = op.getField(Field::TokenOffsets);
    return {dim(offsets, 0), host.sub(dim(offsets, 1), host.number(1))};
  }

  /// Whether tokens can lie there, if they cannot in any place before it.
  Value suitsPlace(RoutePlace place, const RouteDivision<Value> &division,
                   Value seqs, Value resident) {
    Value room = seqsAtOnce(host, choices.rule, resident);
    Value isWhole = host.no(host.less(room, seqs));
    if (place != RoutePlace::Shared)
      return isWhole;
    Value limit = host.number(choices.rule.sharedBytes);
    return host.both(isWhole, host.no(host.less(limit, division.sharedBytes)));
  }

  void addPointers(Kernel &kernel) {
    kernel.pointer(op.getLogits());
    for (Value memref : op.getOuts())
      kernel.pointer(memref);
  }

  /// S, T, blocks of a team, tokens and sequences of a block, rows.
  void addSizes(Kernel &kernel, RoutePlace place,
                const RouteDivision<Value> &division, Value resident) {
    auto [seqs, tokens] = sizes();
    bool isInTurn = place == RoutePlace::InTurn;
    kernel.size(seqs);
    kernel.size(tokens);
    kernel.size(isInTurn ? host.number(1) : division.team);
    kernel.size(isInTurn ? tokens : division.blockTokens);
    kernel.size(isInTurn ? host.ceilDiv(seqs, resident) : host.number(1));
    kernel.size(dim(op.getField(Field::RowToken), 0));
    if (op.getChoiceBias())
      kernel.pointer(op.getChoiceBias());
    if (op.getValid())
      kernel.pointer(op.getValid());
    for (Value memref : op.getRouter())
      kernel.pointer(memref);
    for (Value value : outside)
      kernel.scalar(value);
  }

  /// The launch of one kernel; only if `isIt`, where that is given.
  void emit(RoutePlace place, const RouteDivision<Value> &division,
            Value resident, Value isIt) {
    RouteLayout layout = choices.layoutOf(place);
    Kernel kernel(builder, op, getName(place));
    addPointers(kernel);
    addSizes(kernel, place, division, resident);
    Value seqs = sizes().first;
    Value grid = place == RoutePlace::InTurn ? host.min(seqs, resident)
                                             : host.mul(seqs, division.team);
    Kernel::Shape shape;
    // The launch of no sequence has a team, too.
    bool isClustered = layout.isClustered();
    grid = host.max(grid, host.number(isClustered ? layout.cluster : 1));
    if (isClustered)
      shape.cluster = layout.cluster;
    if (isIt)
      grid = host.select(isIt, grid, host.number(0));
    shape.gridX = grid;
    shape.threads = layout.threads;
    shape.residentBlocks = 1;
    shape.sharedBytes = 4 * layout.blockWords();
    if (place == RoutePlace::Shared)
      shape.sharedSize = division.sharedBytes;
    shape.cooperative = layout.hasGridBarrier() && !isConstantIntValue(grid, 1);
    auto launch =
        kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
          RouteKernel(b, op, layout, arguments, outside.getArrayRef()).emit();
        });
    std::optional<int64_t> words = getConstantIntValue(workspaceSize());
    if (words)
      launch->setAttr(kWorkspaceWords, builder.getI64IntegerAttr(*words));
  }

  static StringRef getName(RoutePlace place) {
    switch (place) {
    case RoutePlace::Shared:
      return "route";
    case RoutePlace::Workspace:
      return "route_long";
    case RoutePlace::InTurn:
      return "route_in_turn";
    }
    llvm_unreachable("all places have names");
  }

  IdxRouteOp op;
  OpBuilder &builder;
  HostArithmetic host;
  RouteChoices choices;
  /// What the region of a router uses from outside.
  llvm::SetVector<Value> outside;
};

struct LowerRoute : OpRewritePattern<IdxRouteOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxRouteOp op,
                                PatternRewriter &rewriter) const override {
    RouteLaunch(op, rewriter).emit();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

Value mlir::moe::getRouteWorkspaceSize(OpBuilder &builder, IdxRouteOp op) {
  return RouteLaunch(op, builder).workspaceSize();
}

void mlir::moe::populateRouteToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRoute>(patterns.getContext());
}
