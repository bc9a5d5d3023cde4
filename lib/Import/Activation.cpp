// The activation functions of experts, as scalar f32 arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Activation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

ArrayRef<StringRef> moe::getActivationWords() {
  static constexpr StringRef words[] = {"silu", "gelu",  "gelu_tanh",
                                        "relu", "relu2", "clamped_swiglu"};
  return words;
}

bool moe::needsGate(Activation activation) {
  return activation == Activation::ClampedSwiGLU;
}

static Value constant(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

static Value mul(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}

static Value add(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}

/// x · sigmoid(alpha · x)
static Value buildSwish(ImplicitLocOpBuilder &b, Value x, float alpha) {
  Value scaled = alpha == 1.0f ? x : mul(b, constant(b, alpha), x);
  Value exp = math::ExpOp::create(b, arith::NegFOp::create(b, scaled));
  return arith::DivFOp::create(b, x, add(b, constant(b, 1.0f), exp));
}

/// x / 2 · (1 + erf(x / sqrt 2))
static Value buildGELU(ImplicitLocOpBuilder &b, Value x) {
  Value scaled = mul(b, x, constant(b, llvm::numbers::sqrt2f / 2.0f));
  Value erf = math::ErfOp::create(b, scaled);
  return mul(b, mul(b, constant(b, 0.5f), x), add(b, constant(b, 1.0f), erf));
}

/// x / 2 · (1 + tanh(sqrt(2 / pi) · (x + 0.044715 x^3)))
static Value buildGELUTanh(ImplicitLocOpBuilder &b, Value x) {
  Value cube = mul(b, mul(b, x, x), x);
  Value inner = add(b, x, mul(b, constant(b, 0.044715f), cube));
  float factor = llvm::numbers::sqrt2f * llvm::numbers::inv_sqrtpif;
  Value tanh = math::TanhOp::create(b, mul(b, constant(b, factor), inner));
  return mul(b, mul(b, constant(b, 0.5f), x), add(b, constant(b, 1.0f), tanh));
}

/// NaN stays NaN, as in the frameworks: maximumf, not maxnumf.
static Value buildReLU(ImplicitLocOpBuilder &b, Value x) {
  return arith::MaximumFOp::create(b, x, constant(b, 0.0f));
}

/// (u + 1) · g · sigmoid(alpha · g), g at most limit, u within +-limit.
static Value buildClampedSwiGLU(ImplicitLocOpBuilder &b, Value gate, Value up,
                                float limit, float alpha) {
  Value bound = constant(b, limit);
  gate = arith::MinimumFOp::create(b, gate, bound);
  up = arith::MinimumFOp::create(b, up, bound);
  up = arith::MaximumFOp::create(b, up, constant(b, -limit));
  return mul(b, add(b, up, constant(b, 1.0f)), buildSwish(b, gate, alpha));
}

Value ActivationFunction::build(OpBuilder &builder, Location loc, Value gate,
                                Value up) const {
  ImplicitLocOpBuilder b(loc, builder);
  Value active;
  switch (kind) {
  case Activation::SiLU:
    active = buildSwish(b, gate, 1.0f);
    break;
  case Activation::GELU:
    active = buildGELU(b, gate);
    break;
  case Activation::GELUTanh:
    active = buildGELUTanh(b, gate);
    break;
  case Activation::ReLU:
    active = buildReLU(b, gate);
    break;
  case Activation::ReLU2: {
    Value positive = buildReLU(b, gate);
    active = mul(b, positive, positive);
    break;
  }
  case Activation::ClampedSwiGLU:
    return buildClampedSwiGLU(b, gate, up, limit, alpha);
  }
  return up ? mul(b, active, up) : active;
}
