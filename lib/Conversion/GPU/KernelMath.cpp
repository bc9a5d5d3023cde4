// Math functions and division in epilogues, by instructions of GPUs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelMath.h"
#include "../ExpandVectorMath.h"
#include "KernelBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;
using namespace mlir::moe;

static bool isKernelScalar(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return integer.getWidth() <= 64;
  return type.isBF16() || type.isF16() || type.isF32();
}

LogicalResult mlir::moe::verifyKernelEpilogue(Region &epilogue) {
  for (Operation &inner : epilogue.front().without_terminator()) {
    auto typesOf = [&](auto range) {
      return llvm::all_of(range, isKernelScalar);
    };
    bool known = matchPattern(&inner, m_Constant()) ||
                 (OpTrait::hasElementwiseMappableTraits(&inner) &&
                  inner.getNumResults() == 1);
    if (isa_and_nonnull<math::MathDialect>(inner.getDialect()) &&
        isa<FloatType>(inner.getResultTypes().front()))
      known &= isExpandableMath(&inner) ||
               isa<math::Exp2Op, math::TruncOp, math::RoundEvenOp>(inner);
    // A remainder of floats would be a call.
    known &= !isa<arith::RemFOp>(inner);
    if (!known || !typesOf(inner.getOperandTypes()) ||
        !typesOf(inner.getResultTypes()))
      return inner.emitOpError("cannot stand in the epilogue of a matmul on "
                               "a GPU; use elementwise arith and "
                               "math ops on f32, bf16, f16 and integers");
  }
  return success();
}

/// `intrinsic` on each element of vectors, or on scalars.
static Value callIntrinsic(KernelBuilder &b, StringRef intrinsic,
                           ValueRange operands) {
  Type f32 = b.getF32Type();
  auto call = [&](ValueRange scalars) -> Value {
    return b
        .make<LLVM::CallIntrinsicOp>(f32, b.getStringAttr(intrinsic), scalars)
        ->getResult(0);
  };
  auto type = dyn_cast<VectorType>(operands.front().getType());
  if (!type)
    return call(operands);
  SmallVector<Value> results;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    SmallVector<Value> scalars;
    for (Value operand : operands)
      scalars.push_back(b.make<vector::ExtractOp>(operand, i));
    results.push_back(call(scalars));
  }
  return b.make<vector::FromElementsOp>(type, results);
}

static Value splat(KernelBuilder &b, Type type, float value) {
  TypedAttr attr = b.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, value);
  return b.make<arith::ConstantOp>(attr);
}

/// Whether `value` is 1 + exp(x): at least 1, and too large for rcp.approx only
/// where a quotient by it is next to nothing.
static bool isOnePlusExp(Value value) {
  auto add = value.getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  auto isOne = [](Value v) {
    Attribute constant;
    if (!matchPattern(v, m_Constant(&constant)))
      return false;
    if (auto splat = dyn_cast<SplatElementsAttr>(constant))
      constant = splat.getSplatValue<Attribute>();
    auto number = dyn_cast<FloatAttr>(constant);
    return number && number.getValue().isExactlyValue(1.0);
  };
  for (auto [one, exp] : {std::pair(add.getLhs(), add.getRhs()),
                          std::pair(add.getRhs(), add.getLhs())})
    if (isOne(one) && exp.getDefiningOp<math::ExpOp>())
      return true;
  return false;
}

namespace {
struct DivideApproximately : OpRewritePattern<arith::DivFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::DivFOp op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not of f32");
    KernelBuilder b(op.getLoc(), rewriter);
    Value lhs = op.getLhs(), rhs = op.getRhs();
    if (!isOnePlusExp(rhs)) {
      rewriter.replaceOp(op,
                         callIntrinsic(b, "llvm.nvvm.div.full", {lhs, rhs}));
      return success();
    }
    Value inverse = callIntrinsic(b, "llvm.nvvm.rcp.approx.ftz.f", rhs);
    rewriter.replaceOpWithNewOp<arith::MulFOp>(op, lhs, inverse);
    return success();
  }
};

struct ExpByPowerOfTwo : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::ExpOp op,
                                PatternRewriter &rewriter) const override {
    KernelBuilder b(op.getLoc(), rewriter);
    Value factor = splat(b, op.getType(), llvm::numbers::log2ef);
    Value power = b.make<arith::MulFOp>(op.getOperand(), factor);
    rewriter.replaceOp(op,
                       callIntrinsic(b, "llvm.nvvm.ex2.approx.ftz.f", power));
    return success();
  }
};

/// A math op by an intrinsic of the same operands.
template <typename OpT> struct ByIntrinsic : OpRewritePattern<OpT> {
  ByIntrinsic(MLIRContext *context, StringRef intrinsic)
      : OpRewritePattern<OpT>(context), intrinsic(intrinsic) {}

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    KernelBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, callIntrinsic(b, intrinsic, op->getOperands()));
    return success();
  }
  StringRef intrinsic;
};

/// A math op by LLVM's intrinsic of the same meaning, also on vectors. The
/// stock conversion for GPUs would call a library, and takes LLVM's op for one.
template <typename OpT> struct ByInstruction : OpRewritePattern<OpT> {
  ByInstruction(MLIRContext *context, StringRef intrinsic)
      : OpRewritePattern<OpT>(context), intrinsic(intrinsic) {}

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(
        op, op.getType(), rewriter.getStringAttr(intrinsic), op->getOperands());
    return success();
  }
  StringRef intrinsic;
};
} // namespace

void mlir::moe::expandKernelMath(Operation *kernel) {
  MLIRContext *context = kernel->getContext();
  // Quotients first: they look at what they divide by.
  RewritePatternSet quotients(context), fast(context), rest(context);
  quotients.add<DivideApproximately>(context);
  walkAndApplyPatterns(kernel, std::move(quotients));
  fast.add<ExpByPowerOfTwo>(context);
  fast.add<ByIntrinsic<math::Exp2Op>>(context, "llvm.nvvm.ex2.approx.ftz.f");
  fast.add<ByIntrinsic<math::RsqrtOp>>(context, "llvm.nvvm.rsqrt.approx.ftz.f");
  fast.add<ByIntrinsic<math::SqrtOp>>(context, "llvm.nvvm.sqrt.rn.f");
  walkAndApplyPatterns(kernel, std::move(fast));
  expandVectorMath(kernel, /*hasFma=*/true);
  rest.add<DivideApproximately>(context);
  rest.add<ByInstruction<math::AbsFOp>>(context, "llvm.fabs");
  rest.add<ByInstruction<math::CopySignOp>>(context, "llvm.copysign");
  rest.add<ByInstruction<math::FmaOp>>(context, "llvm.fma");
  rest.add<ByInstruction<math::FloorOp>>(context, "llvm.floor");
  rest.add<ByInstruction<math::CeilOp>>(context, "llvm.ceil");
  rest.add<ByInstruction<math::TruncOp>>(context, "llvm.trunc");
  rest.add<ByInstruction<math::RoundEvenOp>>(context, "llvm.roundeven");
  walkAndApplyPatterns(kernel, std::move(rest));
}
