// The fixed evaluation of scores, as IR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Conversion/FixedEvaluation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr uint32_t kNaN = 0x7FC00000, kInf = 0x7F800000,
                          kMinusInf = 0xFF800000, kOne = 0x3F800000,
                          kTwo = 0x40000000, kHalf = 0x3F000000,
                          kSign = 0x80000000, kMagnitude = 0x7FFFFFFF;

//===----------------------------------------------------------------------===//
// Words: one op each
//===----------------------------------------------------------------------===//

/// `type` with its element type replaced.
static Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

static Value splat(ImplicitLocOpBuilder &b, Type type, TypedAttr element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(vector, Attribute(element)));
  return arith::ConstantOp::create(b, element);
}

Value FixedEvaluation::constant(Type like, uint32_t pattern) {
  Type type = withElement(like, b.getF32Type());
  return splat(b, type, b.getF32FloatAttr(llvm::bit_cast<float>(pattern)));
}

Value FixedEvaluation::integer(Type like, uint32_t value) {
  Type type = withElement(like, b.getI32Type());
  return splat(b, type, b.getI32IntegerAttr(static_cast<int32_t>(value)));
}

Value FixedEvaluation::bits(Value x) {
  Type type = withElement(x.getType(), b.getI32Type());
  return arith::BitcastOp::create(b, type, x);
}

Value FixedEvaluation::fromBits(Value pattern) {
  Type type = withElement(pattern.getType(), b.getF32Type());
  return arith::BitcastOp::create(b, type, pattern);
}

namespace {
/// The operators of the formulas below; each is one arith op.
struct Formula {
  ImplicitLocOpBuilder &b;
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value addi(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value subi(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value andi(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value ori(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value xori(Value x, Value y) { return arith::XOrIOp::create(b, x, y); }
  Value shl(Value x, Value y) { return arith::ShLIOp::create(b, x, y); }
  Value shr(Value x, Value y) { return arith::ShRUIOp::create(b, x, y); }
  Value less(Value x, Value y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, y);
  }
  Value equal(Value x, Value y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y);
  }
  Value equali(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
  }
  Value lessi(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
  }
  Value select(Value when, Value x, Value y) {
    return arith::SelectOp::create(b, when, x, y);
  }
};
} // namespace

Value FixedEvaluation::isNaN(Value x) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
}

Value FixedEvaluation::isTiny(Value x) {
  Formula f{b};
  Value exponent = f.andi(bits(x), integer(x, 0x7F000000));
  return f.equali(exponent, integer(x, 0));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Value FixedEvaluation::tiny(Value v) {
  return Formula{b}.select(isTiny(v), constant(v, 0), v);
}

Value FixedEvaluation::canon(Value v) {
  return Formula{b}.select(isNaN(v), constant(v, kNaN), tiny(v));
}

Value FixedEvaluation::horner(Value r, ArrayRef<uint32_t> coefficients) {
  Formula f{b};
  Value q = constant(r, coefficients.front());
  for (uint32_t c : coefficients.drop_front())
    q = f.add(f.mul(q, r), constant(r, c));
  return q;
}

Value FixedEvaluation::exp(Value x) {
  Formula f{b};
  // n = round(x / log 2), which is in the low bits of k; log 2 is split in two
  // so that hi is exact.
  Value magic = constant(x, 0x4B400000);
  Value k = f.add(f.mul(x, constant(x, 0x3FB8AA3B)), magic);
  Value n = f.sub(k, magic);
  Value hi = f.sub(x, f.mul(n, constant(x, 0x3F317200)));
  Value lo = f.mul(n, constant(x, 0x35BFBE8E));
  Value r = f.sub(hi, lo);
  Value q =
      horner(r, {0x3AB56394, 0x3C091EEF, 0x3D2AAC2C, 0x3E2AAA46, 0x3EFFFFFE});
  Value p =
      f.add(constant(x, kOne), f.sub(hi, f.sub(lo, f.mul(f.mul(r, r), q))));
  // Times 2^n, by the exponent.
  Value y = fromBits(f.addi(bits(p), f.shl(bits(k), integer(x, 23))));
  y = f.select(f.less(constant(x, 0x42B17217), x), constant(x, kInf), y);
  y = f.select(f.less(x, constant(x, 0xC2AD496B)), constant(x, 0), y);
  return f.select(isNaN(x), constant(x, kNaN), y);
}

/// log(u); `exact` is u - 1 without rounding error where u is near 1.
Value FixedEvaluation::logOf(Value u, Value exact) {
  Formula f{b};
  Value shifted = f.addi(bits(u), integer(u, kOne - 0x3F3504F3));
  Value e = f.subi(f.shr(shifted, integer(u, 23)), integer(u, 127));
  Value n =
      arith::SIToFPOp::create(b, withElement(u.getType(), b.getF32Type()), e);
  Value mantissa =
      f.addi(f.andi(shifted, integer(u, 0x7FFFFF)), integer(u, 0x3F3504F3));
  Value m = f.sub(fromBits(mantissa), constant(u, kOne));
  Value v = f.select(f.equali(e, integer(u, 0)), exact, m);
  Value s = f.div(v, f.add(constant(u, kTwo), v));
  Value z = f.mul(s, s);
  Value h = f.mul(f.mul(constant(u, kHalf), v), v);
  Value series = horner(z, {0x3E98F01E, 0x3ECCAF6C, 0x3F2AAABD});
  Value t = f.mul(s, f.add(h, f.mul(z, series)));
  Value low = f.add(t, f.mul(n, constant(u, 0x35BFBE8E)));
  return f.sub(f.mul(n, constant(u, 0x3F317200)), f.sub(f.sub(h, low), v));
}

Value FixedEvaluation::log(Value x) {
  Formula f{b};
  Value y = logOf(x, f.sub(x, constant(x, kOne)));
  y = f.select(f.equal(x, constant(x, kInf)), x, y);
  Value negative = f.lessi(bits(x), integer(x, 0));
  y = f.select(negative, constant(x, kNaN), y);
  y = f.select(isTiny(x), constant(x, kMinusInf), y);
  return f.select(isNaN(x), constant(x, kNaN), y);
}

Value FixedEvaluation::sigmoid(Value x) {
  Formula f{b};
  Value one = constant(x, kOne);
  Value minus = fromBits(f.xori(bits(x), integer(x, kSign)));
  return canon(f.div(one, f.add(one, exp(minus))));
}

Value FixedEvaluation::sqrtsoftplus(Value x) {
  Formula f{b};
  Value e = exp(x);
  Value small = arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, x,
                                      constant(x, 0x42800000));
  Value y = f.select(small, logOf(f.add(constant(x, kOne), e), e), x);
  return canon(squareRoot ? squareRoot(b, y)
                          : math::SqrtOp::create(b, y).getResult());
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

Value FixedEvaluation::key(Value score) {
  Formula f{b};
  // Negative numbers have the order of their magnitudes: turn it around.
  Value u = bits(score);
  Value sign = arith::ShRSIOp::create(b, u, integer(score, 31));
  Value k = f.xori(u, f.andi(sign, integer(score, kMagnitude)));
  return f.select(isNaN(score), integer(score, kSign), k);
}

Value FixedEvaluation::unkey(Value key) {
  Formula f{b};
  Value sign = arith::ShRSIOp::create(b, key, integer(key, 31));
  Value u = f.xori(key, f.andi(sign, integer(key, kMagnitude)));
  Value none = f.equali(key, integer(key, kSign));
  return fromBits(f.select(none, integer(key, kNaN), u));
}

Value FixedEvaluation::larger(Value x, Value y) {
  Formula f{b};
  return f.select(f.less(x, y), y, x);
}

/// The lanes of `x` with lane j from j xor `distance`.
static Value exchange(ImplicitLocOpBuilder &b, Value x, int64_t distance) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> from;
  for (int64_t lane = 0; lane < lanes; ++lane)
    from.push_back(lane ^ distance);
  return vector::ShuffleOp::create(b, x, x, from);
}

Value FixedEvaluation::largestLane(Value x) {
  x = larger(constant(x, kMinusInf), x);
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    x = larger(x, exchange(b, x, distance));
  return x;
}

Value FixedEvaluation::sumOfPartials(ArrayRef<Value> partials) {
  Formula f{b};
  // p[j] + p[j xor d] is the same number for j and j xor d, so one half of the
  // vectors is enough.
  SmallVector<Value> sums(partials);
  while (sums.size() > 1) {
    size_t half = sums.size() / 2;
    for (size_t i = 0; i < half; ++i)
      sums[i] = f.add(sums[i], sums[i + half]);
    sums.resize(half);
  }
  Value sum = sums.front();
  int64_t lanes = cast<VectorType>(sum.getType()).getNumElements();
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
    sum = f.add(sum, exchange(b, sum, distance));
  return sum;
}
