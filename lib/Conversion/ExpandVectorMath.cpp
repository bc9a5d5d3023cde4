// Math functions without a library.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ExpandVectorMath.h"
#include "LoopBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "moe/Conversion/FixedEvaluation.h"

using namespace mlir;
using namespace mlir::moe;

/// Functions that upstream has as expressions of other functions, and as
/// polynomials. Only those that keep a relative error below 5 · 2^-24: the
/// others (sin, sinh, atan, powf, ...) are refused.
static constexpr StringLiteral kExpanded[] = {"rsqrt", "ceil"};
static constexpr StringLiteral kApproximated[] = {"log2", "log1p", "expm1",
                                                  "tanh", "erf",   "erfc"};
/// Functions for which every target has instructions, and those that come
/// with fused multiply-add.
static constexpr StringLiteral kNative[] = {"absf", "copysign", "sqrt"};
static constexpr StringLiteral kNativeWithFma[] = {"fma", "floor", "ceil",
                                                   "roundeven", "trunc"};

static StringRef mnemonic(Operation *op) {
  return op->getName().stripDialect();
}

bool mlir::moe::isExpandableMath(Operation *op) {
  StringRef name = mnemonic(op);
  return isa<math::ExpOp, math::LogOp, math::FmaOp, math::FloorOp>(op) ||
         llvm::is_contained(kExpanded, name) ||
         llvm::is_contained(kApproximated, name) ||
         llvm::is_contained(kNative, name);
}

namespace {
/// Multiplication and addition apart, where there is no instruction for both.
struct SplitFma : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::FmaOp op,
                                PatternRewriter &rewriter) const override {
    Value product =
        arith::MulFOp::create(rewriter, op.getLoc(), op.getA(), op.getB());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, op.getC());
    return success();
  }
};

/// Exponential and logarithm are those of the fixed evaluation, so that an
/// activation has the same bits on every target.
template <typename OpT, Value (FixedEvaluation::*evaluate)(Value)>
struct EvaluateFixed : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    FixedEvaluation fixed(b);
    rewriter.replaceOp(op, (fixed.*evaluate)(op.getOperand()));
    return success();
  }
};

/// floor(x) = -ceil(-x); upstream expands ceil alone.
struct FloorByCeil : OpRewritePattern<math::FloorOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::FloorOp op,
                                PatternRewriter &rewriter) const override {
    Value negative =
        arith::NegFOp::create(rewriter, op.getLoc(), op.getOperand());
    Value ceil = math::CeilOp::create(rewriter, op.getLoc(), negative);
    rewriter.replaceOpWithNewOp<arith::NegFOp>(op, ceil);
    return success();
  }
};
} // namespace

void mlir::moe::expandVectorMath(Operation *root, bool hasFma) {
  SmallVector<Operation *> ops;
  root->walk([&](Operation *op) {
    if (isa_and_nonnull<math::MathDialect>(op->getDialect()) &&
        getElementTypeOrSelf(op->getResult(0)).isF32())
      ops.push_back(op);
  });
  if (ops.empty())
    return;
  RewritePatternSet patterns(root->getContext());
  SmallVector<StringRef> expanded;
  for (StringRef name : kExpanded)
    if (!hasFma || !llvm::is_contained(kNativeWithFma, name))
      expanded.push_back(name);
  math::populateExpansionPatterns(patterns, expanded);
  populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
    return llvm::is_contained(kApproximated, name.split('.').second);
  });
  patterns.add<EvaluateFixed<math::ExpOp, &FixedEvaluation::exp>,
               EvaluateFixed<math::LogOp, &FixedEvaluation::log>>(
      root->getContext());
  if (!hasFma)
    patterns.add<SplitFma, FloorByCeil>(root->getContext());
  // What an expansion makes is expanded in turn; nothing else is touched.
  auto config = GreedyRewriteConfig()
                    .setStrictness(GreedyRewriteStrictness::ExistingAndNewOps)
                    .enableFolding(false)
                    .enableConstantCSE(false);
  (void)applyOpPatternsGreedily(ops, std::move(patterns), config);
}
