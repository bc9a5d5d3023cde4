// moe.idx.pack: weights become the panels that register tiles read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PanelSource.h"
#include "StorageConversion.h"
#include "VectorLoop.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToCPU.h"

using namespace mlir;
using namespace mlir::moe;

Value WeightLayout::columns(LoopBuilder &b) const {
  Value stored = b.dim(weights.front(), layout == Layout::NK ? 1 : 2);
  return arrangement ? b.div(stored, 2) : stored;
}

Value WeightLayout::depth(LoopBuilder &b) const {
  return b.dim(weights.front(), layout == Layout::NK ? 2 : 1);
}

std::pair<Value, SmallVector<Value>>
WeightLayout::locate(LoopBuilder &b, int64_t output, Value expert, Value column,
                     Value k) const {
  if (arrangement == Arrangement::Interleaved)
    column = b.add(b.mul(column, 2), output);
  else if (arrangement && output == 1)
    column = b.add(column, columns(b));
  SmallVector<Value> indices{expert, column, k};
  if (layout == Layout::KN)
    std::swap(indices[1], indices[2]);
  return {weights[weights.size() == 2 ? output : 0], indices};
}

static void fillWithZeros(LoopBuilder &b, const TileShape &tile, Value target) {
  Value zero =
      splatConstant(b, VectorType::get({tile.lanes}, tile.panelElement), 0.0);
  b.forEach(b.index(0), b.dim(target, 0), 1, [&](Value step) {
    b.forEach(
        b.index(0), b.index(tile.panelWidth()), tile.lanes,
        [&](Value at) { storeLanes(b, zero, target, {step, at}, tile.lanes); });
  });
}

/// Depth of the blocks in which a panel is filled: reading [N, K] goes along
/// k, writing goes across it, and a block of both stays in the first cache.
static constexpr int64_t kBlockDepth = 16;

void mlir::moe::packPanel(LoopBuilder &b, const WeightLayout &layout,
                          const TileShape &tile, Value expert, Value panel,
                          Value target) {
  int64_t panelColumns = tile.vectors * tile.lanes / layout.outputs();
  Value first = b.mul(panel, panelColumns);
  Value valid = b.min(b.sub(layout.columns(b), first), b.index(panelColumns));
  Value depth = layout.depth(b), steps = b.dim(target, 0);
  Value padded =
      b.createOrFold<arith::OrIOp>(b.less(valid, b.index(panelColumns)),
                                   b.less(depth, b.mul(steps, tile.kStep())));
  b.when(padded, [&] { fillWithZeros(b, tile, target); });

  auto element = [&](int64_t output, Value column, Value k) {
    auto [weight, indices] =
        layout.locate(b, output, expert, b.add(first, column), k);
    Value value = memref::LoadOp::create(b, weight, indices);
    Value lane = b.mul(b.add(column, output * panelColumns), tile.kStep());
    if (tile.kStep() == 2)
      lane = b.add(lane, b.createOrFold<arith::RemUIOp>(k, b.index(2)));
    memref::StoreOp::create(b, value, target,
                            ValueRange{b.div(k, tile.kStep()), lane});
  };
  for (int64_t output = 0; output < layout.outputs(); ++output)
    b.forEach(b.index(0), depth, kBlockDepth, [&](Value block) {
      Value end = b.min(b.add(block, kBlockDepth), depth);
      if (layout.layout == Layout::NK)
        b.forEach(b.index(0), valid, 1, [&](Value column) {
          b.forEach(block, end, 1,
                    [&](Value k) { element(output, column, k); });
        });
      else
        b.forEach(block, end, 1, [&](Value k) {
          b.forEach(b.index(0), valid, 1,
                    [&](Value column) { element(output, column, k); });
        });
    });
}

namespace {
struct LowerPack : OpRewritePattern<IdxPackOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxPackOp op,
                                PatternRewriter &rewriter) const override {
    LoopBuilder b(op.getLoc(), rewriter);
    WeightLayout layout{llvm::to_vector(op.getWeights()), op.getLayout(),
                        op.getArrangement()};
    Value packed = op.getOuts();
    TileShape tile(op.getSchedule(),
                   cast<MemRefType>(packed.getType()).getElementType());
    b.forEachParallel({b.dim(packed, 0), b.dim(packed, 1)}, [&](ValueRange at) {
      Value target = b.panelView(packed, at[0], at[1], tile.panelType());
      packPanel(b, layout, tile, at[0], at[1], target);
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populatePackToCPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerPack>(patterns.getContext());
}
