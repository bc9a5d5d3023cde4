// moe.idx.combine: one sum for each token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StorageConversion.h"
#include "VectorLoop.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToCPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kDefaultLanes = 16;

namespace {
/// Writes the sum of one token.
class TokenSum {
public:
  TokenSum(LoopBuilder &b, IdxCombineOp op)
      : b(b), op(op), element(getElementTypeOrSelf(op.getOuts().getType())),
        lanes(op.getSchedule() ? op.getSchedule()->getVector() : kDefaultLanes),
        hasF16(op.getSchedule() &&
               op.getSchedule()->getProduct() != Product::MulAdd),
        lastRow(b.sub(b.dim(op.getRows(), 0), b.index(1))) {}

  void emit(Value sequence, Value token) {
    Value begin = b.loadIndex(op.getTokenOffsets(), {sequence, token});
    // Plans are run-time data: a wrong one must not lead out of bounds.
    Value end =
        b.min(b.loadIndex(op.getTokenOffsets(), {sequence, b.add(token, 1)}),
              b.dim(op.getTokenRow(), 0));
    bool contiguous = hasUnitLastStride(op.getRows()) &&
                      hasUnitLastStride(op.getOuts()) &&
                      llvm::all_of(op.getAddends(), hasUnitLastStride);
    forEachVector(b, b.dim(op.getOuts(), 2), lanes, contiguous,
                  [&](Value column, int64_t width) {
                    Value sum = sumPairs(begin, end, column, width);
                    SmallVector<Value> at{sequence, token, column};
                    Value rounded = roundFromF32(b, sum, element, hasF16);
                    for (Value addend : op.getAddends())
                      rounded =
                          addRounded(rounded, loadLanes(b, addend, at, width));
                    storeLanes(b, rounded, op.getOuts(), at, width);
                  });
  }

private:
  /// The sum of two values of the element type, rounded to it.
  Value addRounded(Value value, Value addend) {
    Value sum = arith::AddFOp::create(b, widenToF32(b, value, hasF16),
                                      widenToF32(b, addend, hasF16));
    return roundFromF32(b, sum, element, hasF16);
  }

  /// The pairs [begin, end) at `column`, added in order, mul and add apart.
  Value sumPairs(Value begin, Value end, Value column, int64_t width) {
    Type type = b.getF32Type();
    if (width)
      type = VectorType::get({width}, type);
    Value zero = splatConstant(b, type, 0.0);
    auto loop = scf::ForOp::create(b, begin, end, b.index(1), ValueRange{zero});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row =
        b.min(b.loadIndex(op.getTokenRow(), loop.getInductionVar()), lastRow);
    Value term =
        widenToF32(b, loadLanes(b, op.getRows(), {row, column}, width), hasF16);
    if (op.getGates()) {
      Value gate = memref::LoadOp::create(b, op.getGates(), row);
      gate = broadcastLanes(b, widenToF32(b, gate, hasF16), width);
      term = arith::MulFOp::create(b, gate, term);
    }
    Value sum = arith::AddFOp::create(b, loop.getRegionIterArg(0), term);
    scf::YieldOp::create(b, sum);
    return loop.getResult(0);
  }

  LoopBuilder &b;
  IdxCombineOp op;
  Type element;
  int64_t lanes;
  bool hasF16;
  Value lastRow;
};

struct LowerCombine : OpRewritePattern<IdxCombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxCombineOp op,
                                PatternRewriter &rewriter) const override {
    LoopBuilder b(op.getLoc(), rewriter);
    TokenSum sum(b, op);
    b.forEachParallel({b.dim(op.getOuts(), 0), b.dim(op.getOuts(), 1)},
                      [&](ValueRange at) { sum.emit(at[0], at[1]); });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateCombineToCPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerCombine>(patterns.getContext());
}
