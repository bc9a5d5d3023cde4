// moe-expand-math: what is left of a model around its layers calls no library.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ExpandTrigonometry.h"
#include "ExpandVectorMath.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDMATH
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// Whether conversion between `type` and f32 would be a call on the target.
static bool isEmulated(Type type, bool hasF16) {
  Type element = getElementTypeOrSelf(type);
  return element.isBF16() || (element.isF16() && !hasF16);
}

namespace {
/// trunc(x) = copysign(floor(|x|), x), where there is no instruction for it.
struct TruncByFloor : OpRewritePattern<math::TruncOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::TruncOp op,
                                PatternRewriter &rewriter) const override {
    Value x = op.getOperand();
    Value magnitude = math::AbsFOp::create(rewriter, op.getLoc(), x);
    Value floor = math::FloorOp::create(rewriter, op.getLoc(), magnitude);
    rewriter.replaceOpWithNewOp<math::CopySignOp>(op, floor, x);
    return success();
  }
};

/// bf16 and f16 to f32 and beyond.
struct ExpandExtF : OpRewritePattern<arith::ExtFOp> {
  ExpandExtF(MLIRContext *context, bool hasF16)
      : OpRewritePattern(context), hasF16(hasF16) {}

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isEmulated(op.getIn().getType(), hasF16))
      return rewriter.notifyMatchFailure(op, "the target has an instruction");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value wide = widenToF32(b, op.getIn(), hasF16);
    if (wide.getType() != op.getType())
      wide = arith::ExtFOp::create(b, op.getType(), wide);
    rewriter.replaceOp(op, wide);
    return success();
  }
  bool hasF16;
};

/// f32 to bf16 and f16; f64 by f32.
struct ExpandTruncF : OpRewritePattern<arith::TruncFOp> {
  ExpandTruncF(MLIRContext *context, bool hasF16)
      : OpRewritePattern(context), hasF16(hasF16) {}

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isEmulated(op.getType(), hasF16))
      return rewriter.notifyMatchFailure(op, "the target has an instruction");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value value = op.getIn();
    Type f32 = withElement(value.getType(), b.getF32Type());
    if (value.getType() != f32)
      value = arith::TruncFOp::create(b, f32, value);
    rewriter.replaceOp(
        op, roundFromF32(b, value, getElementTypeOrSelf(op.getType()), hasF16));
    return success();
  }
  bool hasF16;
};

/// An integer to bf16 or f16, by f32.
template <typename OpT> struct IntToFloatByF32 : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    Type f32 = withElement(op.getType(), rewriter.getF32Type());
    if (getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth() >= 32)
      return rewriter.notifyMatchFailure(op, "the target has an instruction");
    Value wide = OpT::create(rewriter, op.getLoc(), f32, op.getIn());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), wide);
    return success();
  }
};

/// bf16 or f16 to an integer, by f32.
template <typename OpT> struct FloatToIntByF32 : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    Type from = op.getIn().getType();
    if (getElementTypeOrSelf(from).getIntOrFloatBitWidth() >= 32)
      return rewriter.notifyMatchFailure(op, "the target has an instruction");
    Value wide = arith::ExtFOp::create(rewriter, op.getLoc(),
                                       withElement(from, rewriter.getF32Type()),
                                       op.getIn());
    rewriter.replaceOpWithNewOp<OpT>(op, op.getType(), wide);
    return success();
  }
};

struct ExpandMath : moe::impl::ExpandMathBase<ExpandMath> {
  using ExpandMathBase::ExpandMathBase;

  void runOnOperation() override {
    simplify();
    expandVectorMath(getOperation(), fma);
    convert(f16c);
  }

  /// Functions that are a few operations or other functions: powers with small
  /// constant exponents, roundings, clamps.
  void simplify() {
    RewritePatternSet patterns(&getContext());
    populateMathAlgebraicSimplificationPatterns(patterns);
    populateTrigonometryPatterns(patterns);
    SmallVector<StringRef> expanded = {"fpowi", "round", "clampf"};
    if (!fma) {
      expanded.push_back("roundeven");
      patterns.add<TruncByFloor>(&getContext());
    }
    math::populateExpansionPatterns(patterns, expanded);
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
        ops.push_back(op);
    });
    (void)applyOpPatternsGreedily(
        ops, std::move(patterns),
        GreedyRewriteConfig().setStrictness(
            GreedyRewriteStrictness::ExistingAndNewOps));
  }

  void convert(bool hasF16) {
    MLIRContext *context = &getContext();
    RewritePatternSet integers(context), floats(context);
    integers
        .add<IntToFloatByF32<arith::SIToFPOp>, IntToFloatByF32<arith::UIToFPOp>,
             FloatToIntByF32<arith::FPToSIOp>,
             FloatToIntByF32<arith::FPToUIOp>>(context);
    walkAndApplyPatterns(getOperation(), std::move(integers));
    floats.add<ExpandExtF, ExpandTruncF>(context, hasF16);
    walkAndApplyPatterns(getOperation(), std::move(floats));
  }
};
} // namespace
