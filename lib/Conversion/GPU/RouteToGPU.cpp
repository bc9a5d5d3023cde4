// moe.idx.route: one kernel, its form by the shape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "RouteKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToGPU.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kThreads = 512;
/// Blocks that are resident at once on every GPU of the smallest chip.
static constexpr int64_t kBlocks = 108;
/// Shared memory of a block, in bytes.
static constexpr int64_t kSharedBytes = 99 * 1024;
/// Tokens for which a block of its own pays, in a grid.
static constexpr int64_t kTokensOfBlock = 8;
/// On a launch: the words of workspace that its kernel uses.
static constexpr StringLiteral kWorkspaceWords = "moe.workspace";

namespace {
/// The launch of one routing.
class RouteLaunch {
public:
  RouteLaunch(IdxRouteOp op, OpBuilder &builder)
      : op(op), builder(builder), loc(op.getLoc()),
        layout(op, RouteForm::Block, kBlocks, kThreads,
               TokenMemory::Workspace) {
    auto type = cast<MemRefType>(op.getField(Field::TokenOffsets).getType());
    isStatic = type.hasStaticShape();
    if (!isStatic)
      return;
    seqs = type.getDimSize(0);
    tokens = type.getDimSize(1) - 1;
    chooseForm();
  }

  void emit() {
    Kernel kernel(builder, op, "route");
    kernel.pointer(op.getLogits());
    for (Value memref : op.getOuts())
      kernel.pointer(memref);
    addSizes(kernel);
    if (op.getChoiceBias())
      kernel.pointer(op.getChoiceBias());
    if (op.getValid())
      kernel.pointer(op.getValid());

    Kernel::Shape shape;
    shape.gridX = grid;
    shape.threads = layout.threads;
    shape.residentBlocks = 1;
    shape.sharedBytes = 4 * sharedWords();
    shape.cooperative = !isStatic || seqs * team > 1;
    auto launch =
        kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
          RouteKernel(b, op, layout, arguments).emit();
        });
    if (isStatic)
      launch->setAttr(kWorkspaceWords,
                      builder.getI64IntegerAttr(workspaceWords()));
  }

  /// The words of workspace that it needs, as an index value.
  Value workspaceSize() {
    if (isStatic)
      return index(workspaceWords());
    auto [seqs, tokens] = sizes();
    Value groups =
        builder.createOrFold<arith::CeilDivSIOp>(loc, tokens, index(32));
    Value words = plus(times(tokens, index(layout.perToken())),
                       times(groups, index(layout.perGroup())));
    return plus(times(words, seqs), index(layout.tokenMemory()));
  }

private:
  /// From the sizes: who shares a sequence, and where its keys lie.
  void chooseForm() {
    int64_t most = std::max<int64_t>(1, kBlocks / std::max<int64_t>(seqs, 1));
    int64_t wanted = llvm::divideCeil(tokens, kTokensOfBlock);
    team = std::max<int64_t>(1, std::min(most, wanted));
    blockTokens = std::max<int64_t>(1, llvm::divideCeil(tokens, team));
    team = std::max<int64_t>(1, llvm::divideCeil(tokens, blockTokens));
    RouteForm form = team > 1 ? RouteForm::Grid : RouteForm::Block;
    layout = RouteLayout(op, form, kBlocks, kThreads, TokenMemory::Shared);
    if (seqs > kBlocks || 4 * sharedWords() > kSharedBytes)
      layout = RouteLayout(op, form, kBlocks, kThreads, TokenMemory::Workspace);
    layout.isOneTeam = form == RouteForm::Grid && seqs == 1;
  }

  int64_t sharedWords() const {
    bool isShared = layout.memory == TokenMemory::Shared;
    return layout.blockWords() +
           (isShared ? layout.tokenWords(blockTokens) : 0);
  }

  int64_t workspaceWords() const {
    int64_t owners = layout.isLooped() ? seqs : kBlocks;
    if (layout.memory == TokenMemory::Shared)
      owners = 0;
    return layout.tokenMemory() + owners * layout.tokenWords(blockTokens);
  }

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value plus(Value a, Value b) {
    return builder.createOrFold<arith::AddIOp>(loc, a, b);
  }
  Value times(Value a, Value b) {
    return builder.createOrFold<arith::MulIOp>(loc, a, b);
  }
  Value dim(Value memref, int64_t dimension) {
    return builder.createOrFold<memref::DimOp>(loc, memref, dimension);
  }
  /// S and T.
  std::pair<Value, Value> sizes() {
    Value offsets = op.getField(Field::TokenOffsets);
    Value tokens =
        builder.createOrFold<arith::SubIOp>(loc, dim(offsets, 1), index(1));
    return {dim(offsets, 0), tokens};
  }

  /// S, T, blocks of a team, tokens and sequences of a block, rows.
  void addSizes(Kernel &kernel) {
    auto [seqs, tokens] = sizes();
    kernel.size(seqs);
    kernel.size(tokens);
    kernel.size(index(team));
    kernel.size(isStatic ? index(blockTokens) : tokens);
    kernel.size(
        builder.createOrFold<arith::CeilDivSIOp>(loc, seqs, index(kBlocks)));
    kernel.size(dim(op.getField(Field::RowToken), 0));
    Value count = times(seqs, index(team));
    count = builder.createOrFold<arith::MaxSIOp>(loc, count, index(1));
    grid = builder.createOrFold<arith::MinSIOp>(loc, count, index(kBlocks));
  }

  IdxRouteOp op;
  OpBuilder &builder;
  Location loc;
  RouteLayout layout;
  bool isStatic;
  int64_t seqs = 0, tokens = 0, team = 1, blockTokens = 1;
  Value grid;
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
