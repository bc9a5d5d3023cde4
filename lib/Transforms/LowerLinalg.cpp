// moe-lower-linalg: loops of what is left of a model around its layers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERLINALG
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// Iterations for which waking threads costs less than it saves: some ten
/// microseconds of scalar work, against a few for a fork and a join.
static constexpr int64_t kLeastParallelWork = 1 << 15;

/// The leading dimensions whose loops become parallel. The last dimension is
/// kept for vectors, except where it is the only one.
static unsigned countParallelDims(linalg::LinalgOp op) {
  unsigned leading = 0;
  for (utils::IteratorType type : op.getIteratorTypesArray()) {
    if (type != utils::IteratorType::parallel)
      break;
    ++leading;
  }
  return std::min(leading, std::max(op.getNumLoops(), 2u) - 1);
}

/// Makes one scf.parallel of the outermost `count` loops of a perfect nest.
static void makeParallel(ArrayRef<Operation *> nest, unsigned count,
                         RewriterBase &rewriter) {
  SmallVector<scf::ForOp> loops;
  SmallVector<Value> lower, upper, step;
  for (Operation *op : nest.take_front(count)) {
    loops.push_back(cast<scf::ForOp>(op));
    lower.push_back(loops.back().getLowerBound());
    upper.push_back(loops.back().getUpperBound());
    step.push_back(loops.back().getStep());
  }
  rewriter.setInsertionPoint(loops.front());
  auto parallel = scf::ParallelOp::create(rewriter, loops.front().getLoc(),
                                          lower, upper, step);
  for (auto [loop, iv] : llvm::zip(loops, parallel.getInductionVars()))
    rewriter.replaceAllUsesWith(loop.getInductionVar(), iv);
  Block *body = loops.back().getBody();
  rewriter.eraseOp(body->getTerminator());
  rewriter.inlineBlockBefore(body, parallel.getBody()->getTerminator(),
                             {parallel.getInductionVars().back()});
  rewriter.eraseOp(loops.front());
}

/// Replaces `op` by loops, the outermost `parallelDims` of them parallel.
static LogicalResult lowerToLoops(linalg::LinalgOp op, unsigned parallelDims,
                                  RewriterBase &rewriter) {
  rewriter.setInsertionPoint(op);
  FailureOr<linalg::LinalgLoops> loops = linalg::linalgOpToLoops(rewriter, op);
  if (failed(loops))
    return op.emitOpError("cannot be lowered to loops");
  if (parallelDims)
    makeParallel(*loops, parallelDims, rewriter);
  rewriter.eraseOp(op);
  return success();
}

/// An i1 that says whether the iterations of `op` are worth a parallel loop.
static Value createIsLarge(linalg::LinalgOp op, RewriterBase &rewriter) {
  Location loc = op.getLoc();
  Value work = arith::ConstantIndexOp::create(rewriter, loc, 1);
  for (Range range : op.createLoopRanges(rewriter, loc)) {
    Value size = getValueOrCreateConstantIndexOp(rewriter, loc, range.size);
    work = arith::MulIOp::create(rewriter, loc, work, size);
  }
  Value least =
      arith::ConstantIndexOp::create(rewriter, loc, kLeastParallelWork);
  return arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::uge, work,
                               least);
}

static LogicalResult lowerParallel(linalg::LinalgOp op,
                                   RewriterBase &rewriter) {
  unsigned dims = countParallelDims(op);
  // Threads that are woken in each iteration of a loop do little else.
  if (!dims || op->getParentOfType<LoopLikeOpInterface>())
    return lowerToLoops(op, 0, rewriter);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (llvm::none_of(sizes, ShapedType::isDynamic)) {
    int64_t work = 1;
    for (int64_t size : sizes)
      if (llvm::MulOverflow(work, size, work))
        work = kLeastParallelWork;
    return lowerToLoops(op, work >= kLeastParallelWork ? dims : 0, rewriter);
  }
  rewriter.setInsertionPoint(op);
  Value isLarge = createIsLarge(op, rewriter);
  auto branch = scf::IfOp::create(rewriter, op.getLoc(), isLarge,
                                  /*withElseRegion=*/true);
  rewriter.setInsertionPointToStart(branch.thenBlock());
  auto large = cast<linalg::LinalgOp>(rewriter.clone(*op));
  rewriter.moveOpBefore(op, branch.elseBlock(), branch.elseBlock()->begin());
  return success(succeeded(lowerToLoops(large, dims, rewriter)) &&
                 succeeded(lowerToLoops(op, 0, rewriter)));
}

namespace {
struct LowerLinalg : moe::impl::LowerLinalgBase<LowerLinalg> {
  using LowerLinalgBase::LowerLinalgBase;

  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      if (!op.hasPureBufferSemantics()) {
        op.emitOpError("must be bufferized before moe-lower-linalg; run "
                       "one-shot-bufferize first");
        return signalPassFailure();
      }
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops) {
      LogicalResult result = parallel ? lowerParallel(op, rewriter)
                                      : lowerToLoops(op, 0, rewriter);
      if (failed(result))
        return signalPassFailure();
      ++numLowered;
    }
  }
};
} // namespace
