// Math functions without a library.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ExpandVectorMath.h"
#include "LoopBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::moe;

/// Functions that upstream has as expressions of other functions, and as
/// polynomials.
static const llvm::StringSet<> kExpanded = {
    "sinh", "cosh", "tan",   "asinh", "acosh",    "atanh",
    "powf", "exp2", "rsqrt", "ceil",  "roundeven"};
static const llvm::StringSet<> kApproximated = {
    "exp",  "log",   "log2", "log1p", "expm1", "tanh", "erf", "erfc",
    "atan", "atan2", "sin",  "cos",   "asin",  "acos", "cbrt"};
/// Functions for which every target has instructions, and those that come
/// with fused multiply-add.
static const llvm::StringSet<> kNative = {"absf", "copysign", "sqrt"};
static const llvm::StringSet<> kNativeWithFma = {"fma", "floor", "ceil",
                                                 "roundeven", "trunc"};

static StringRef mnemonic(Operation *op) {
  return op->getName().stripDialect();
}

bool mlir::moe::isExpandableMath(Operation *op) {
  StringRef name = mnemonic(op);
  return kExpanded.contains(name) || kApproximated.contains(name) ||
         kNative.contains(name) || name == "fma" || name == "floor";
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
    if (isa<math::MathDialect>(op->getDialect()))
      ops.push_back(op);
  });
  if (ops.empty())
    return;
  RewritePatternSet patterns(root->getContext());
  SmallVector<StringRef> expanded;
  for (StringRef name : kExpanded.keys())
    if (!hasFma || !kNativeWithFma.contains(name))
      expanded.push_back(name);
  math::populateExpansionPatterns(patterns, expanded);
  populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
    return kApproximated.contains(name.split('.').second);
  });
  if (!hasFma)
    patterns.add<SplitFma, FloorByCeil>(root->getContext());
  // What an expansion makes is expanded in turn; nothing else is touched.
  auto config = GreedyRewriteConfig()
                    .setStrictness(GreedyRewriteStrictness::ExistingAndNewOps)
                    .enableFolding(false)
                    .enableConstantCSE(false);
  (void)applyOpPatternsGreedily(ops, std::move(patterns), config);
}
