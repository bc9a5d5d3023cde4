// Sine and cosine without a library: rotary embeddings take them of positions,
// thousands of radians, where upstream's approximation is far off.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ExpandTrigonometry.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

/// pi / 2 in two parts; the first has 36 bits, so that its product with a
/// number of at most 17 bits is exact.
static constexpr double kHalfPiHigh = 0x1.921fb5444p+0;
static constexpr double kHalfPiLow = 0x1.68c234c4c6629p-39;
static constexpr double kHalfPi = 0x1.921fb54442d18p+0;
static constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
/// Below it a quotient by pi / 2 has at most 17 bits.
static constexpr double kSmall = 131072.0;
/// 1.5 · 2^52: adding it rounds a small f64 to an integer, which the low bits
/// then hold.
static constexpr double kRound = 0x1.8p+52;
/// 2^-16 · 2 / pi, the first 256 bits behind the point.
static constexpr uint64_t kTwoOverPiBits[] = {
    0x0000a2f9836e4e44, 0x1529fc2757d1f534, 0xddc0db6295993c43,
    0x9041fe5163abdebb};

namespace {
/// An angle as a multiple of pi / 2, of which the lowest two bits count, and
/// the rest within pi / 4.
struct Reduced {
  Value quadrant, rest;
};

/// Emits the function of one argument; all values are of its shape.
class Trigonometry {
public:
  Trigonometry(ImplicitLocOpBuilder &b, Value x) : b(b), x(x) {}

  Value emit(bool cosine);

private:
  Value real(double value) {
    return splatConstant(b, withElement(x.getType(), b.getF64Type()), value);
  }
  Value integer(uint64_t value, unsigned width = 64) {
    Type type = withElement(x.getType(), b.getIntegerType(width));
    auto attribute = b.getIntegerAttr(b.getIntegerType(width),
                                      APInt(width, value, false, true));
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(vector, Attribute(attribute)));
    return arith::ConstantOp::create(b, attribute);
  }
  Type integers(unsigned width = 64) {
    return withElement(x.getType(), b.getIntegerType(width));
  }
  Value add(Value u, Value v) { return arith::AddFOp::create(b, u, v); }
  Value sub(Value u, Value v) { return arith::SubFOp::create(b, u, v); }
  Value mul(Value u, Value v) { return arith::MulFOp::create(b, u, v); }
  Value addi(Value u, Value v) { return arith::AddIOp::create(b, u, v); }
  Value muli(Value u, Value v) { return arith::MulIOp::create(b, u, v); }
  Value andi(Value u, Value v) { return arith::AndIOp::create(b, u, v); }
  Value ori(Value u, Value v) { return arith::OrIOp::create(b, u, v); }
  Value shl(Value u, Value v) { return arith::ShLIOp::create(b, u, v); }
  Value shr(Value u, Value v) { return arith::ShRUIOp::create(b, u, v); }
  Value select(Value when, Value u, Value v) {
    return arith::SelectOp::create(b, when, u, v);
  }
  Value isSet(Value bits, uint64_t mask) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                 andi(bits, integer(mask)), integer(0));
  }

  Reduced reduceSmall(Value magnitude);
  Reduced reduceLarge(Value bits);
  Value sine(Value r, Value square);
  Value cosine(Value square);
  Value series(Value square, ArrayRef<double> coefficients);

  ImplicitLocOpBuilder &b;
  Value x;
};

/// x - k · pi / 2 in f64, exact but for the last product.
Reduced Trigonometry::reduceSmall(Value magnitude) {
  Value shifted = add(mul(magnitude, real(kTwoOverPi)), real(kRound));
  Value k = sub(shifted, real(kRound));
  Value rest =
      sub(sub(magnitude, mul(k, real(kHalfPiHigh))), mul(k, real(kHalfPiLow)));
  return {arith::BitcastOp::create(b, integers(), shifted), rest};
}

/// By Payne and Hanek: of an angle m · 2^e the multiples of 2 · pi drop out of
/// a product of m with those bits of 2 / pi that matter. 96 bits of them leave
/// an error of 2^-62 in the multiple of pi / 2, and no f32 is closer to such a
/// multiple than 2^-34.
Reduced Trigonometry::reduceLarge(Value bits) {
  Value exponent = andi(shr(bits, integer(23)), integer(0xFF));
  Value mantissa =
      ori(andi(bits, integer(0x7FFFFF)), integer(uint64_t(1) << 23));
  // e = exponent - 150; the window begins with the bit whose weight is 2.
  Value start = addi(exponent, integer(uint64_t(14 - 150)));
  Value second = isSet(start, 64);
  Value shift = andi(start, integer(63));
  Value back = arith::SubIOp::create(b, integer(63), shift);
  auto word = [&](unsigned i) {
    return select(second, integer(kTwoOverPiBits[i + 1]),
                  integer(kTwoOverPiBits[i]));
  };
  auto window = [&](Value high, Value low) {
    return ori(shl(high, shift), shr(shr(low, integer(1)), back));
  };
  Value first = word(0), middle = word(1), last = word(2);
  Value high = window(first, middle);
  Value low = shr(window(middle, last), integer(32));
  // The multiple of pi / 2, modulo 4, in units of 2^-62.
  Value multiple =
      addi(muli(mantissa, high), shr(muli(mantissa, low), integer(32)));
  Value quadrant = shr(addi(multiple, integer(uint64_t(1) << 61)), integer(62));
  Value rest = arith::SubIOp::create(b, multiple, shl(quadrant, integer(62)));
  Type f64 = withElement(x.getType(), b.getF64Type());
  Value number = arith::SIToFPOp::create(b, f64, rest);
  return {quadrant, mul(number, real(kHalfPi * 0x1p-62))};
}

Value Trigonometry::series(Value square, ArrayRef<double> coefficients) {
  Value sum = real(coefficients.front());
  for (double coefficient : coefficients.drop_front())
    sum = add(mul(sum, square), real(coefficient));
  return sum;
}

/// Taylor's series: what is left out is below 2^-45 within pi / 4.
Value Trigonometry::sine(Value r, Value square) {
  static constexpr double k[] = {1.0 / 6227020800, -1.0 / 39916800,
                                 1.0 / 362880,     -1.0 / 5040,
                                 1.0 / 120,        -1.0 / 6};
  return add(r, mul(mul(r, square), series(square, k)));
}

Value Trigonometry::cosine(Value square) {
  static constexpr double k[] = {
      -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
      -1.0 / 720,         1.0 / 24,        -0.5,           1.0};
  return series(square, k);
}

Value Trigonometry::emit(bool wantsCosine) {
  Type f64 = withElement(x.getType(), b.getF64Type());
  Value bits32 = arith::BitcastOp::create(b, integers(32), x);
  Value magnitude32 = andi(bits32, integer(0x7FFFFFFF, 32));
  Value sign = andi(bits32, integer(0x80000000, 32));
  Value positive = arith::BitcastOp::create(b, x.getType(), magnitude32);
  Value magnitude = arith::ExtFOp::create(b, f64, positive);
  Reduced small = reduceSmall(magnitude);
  Reduced large =
      reduceLarge(arith::ExtUIOp::create(b, integers(), magnitude32));
  Value isSmall = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, magnitude,
                                        real(kSmall));
  Value quadrant = select(isSmall, small.quadrant, large.quadrant);
  Value rest = select(isSmall, small.rest, large.rest);
  Value square = mul(rest, rest);
  // cos(x) = sin(x + pi / 2).
  if (wantsCosine)
    quadrant = addi(quadrant, integer(1));
  Value y = select(isSet(quadrant, 1), cosine(square), sine(rest, square));
  y = select(isSet(quadrant, 2), arith::NegFOp::create(b, y), y);
  Value result = arith::TruncFOp::create(b, x.getType(), y);
  if (!wantsCosine) {
    Value bits = arith::BitcastOp::create(b, integers(32), result);
    Value flipped = arith::XOrIOp::create(b, bits, sign);
    result = arith::BitcastOp::create(b, x.getType(), flipped);
  }
  Value finite = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                       magnitude32, integer(0x7F800000, 32));
  return select(finite, result, sub(x, x));
}

template <typename OpT, bool cosine>
struct ExpandTrigonometry : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "only f32 is expanded");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, Trigonometry(b, op.getOperand()).emit(cosine));
    return success();
  }
};
} // namespace

void mlir::moe::populateTrigonometryPatterns(RewritePatternSet &patterns) {
  patterns.add<ExpandTrigonometry<math::SinOp, false>,
               ExpandTrigonometry<math::CosOp, true>>(patterns.getContext());
}
