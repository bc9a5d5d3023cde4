// The kernel of one moe.idx.route: from logits to scores.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr uint32_t kNaN = 0x7FC00000, kInf = 0x7F800000,
                          kMinusInf = 0xFF800000, kOne = 0x3F800000,
                          kSign = 0x80000000, kMagnitude = 0x7FFFFFFF;
/// The key of a score of zero.
static constexpr uint32_t kZeroKey = 0x80000000;

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

Value RouteKernel::widen(Value logit) {
  if (logit.getType().isF32())
    return logit;
  return b.make<arith::ExtFOp>(b.getF32Type(), logit);
}

/// A logit, which this kernel may have computed.
Value RouteKernel::loadLogit(Value place) {
  Type type = getElementTypeOrSelf(op.getLogits().getType());
  return widen(op.hasRouter() ? b.load(type, place)
                              : b.loadConstant(type, place));
}

/// The logits of a token of this block, as many as words; -inf after the last.
RouteKernel::Values RouteKernel::loadLogits(Value token) {
  Type type = getElementTypeOrSelf(op.getLogits().getType());
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  Value row = b.element(logits, b.add(firstRow, token), layout.experts * bytes);
  Value mine = b.element(row, lane, bytes);
  Values values;
  for (int64_t word = 0; word < layout.words; ++word) {
    int64_t left = layout.experts - word * 32;
    if (left >= 32) {
      values.push_back(loadLogit(b.offset(mine, word * 32 * bytes)));
      continue;
    }
    Value column = b.add(b.min(lane, b.word(left - 1)), word * 32);
    Value value = loadLogit(b.element(row, column, bytes));
    values.push_back(b.select(b.less(lane, left), value,
                              fixed.constant(b.getF32Type(), kMinusInf)));
  }
  return values;
}

Value RouteKernel::logitAt(Value token, Value expert) {
  Type type = getElementTypeOrSelf(op.getLogits().getType());
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  Value row = b.element(logits, b.add(firstRow, token), layout.experts * bytes);
  return loadLogit(b.element(row, expert, bytes));
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

Value RouteKernel::scoreOf(Value logit) {
  switch (op.getScore()) {
  case Score::Sigmoid:
    return fixed.sigmoid(logit);
  case Score::SqrtSoftplus:
    return fixed.sqrtsoftplus(logit);
  default:
    return fixed.canon(logit);
  }
}

namespace {
/// f32 operators, each rounded once.
struct Float {
  KernelBuilder &b;
  Value add(Value x, Value y) { return b.make<arith::AddFOp>(x, y); }
  Value sub(Value x, Value y) { return b.make<arith::SubFOp>(x, y); }
  Value mul(Value x, Value y) { return b.make<arith::MulFOp>(x, y); }
  Value fma(Value x, Value y, Value z) {
    return b.make<LLVM::FMAOp>(b.getF32Type(), x, y, z);
  }
  Value negate(Value x) { return b.make<arith::NegFOp>(x); }
};
} // namespace

/// FixedEvaluation::exp of x <= 0, times 2^64, by adding to the exponent: the
/// same bits but for the exponent, as no result is subnormal. The product of n
/// and the upper part of log 2 is exact, so a fused multiply-add rounds once
/// like the subtraction.
Value RouteKernel::expTimes64(Value x) {
  Float f{b};
  auto number = [&](uint32_t bits) {
    return fixed.constant(x.getType(), bits);
  };
  // The magic number's low bits become the 64.
  Value magic = number(0x4B400040);
  Value k = f.add(f.mul(x, number(0x3FB8AA3B)), magic);
  Value n = f.sub(k, magic);
  Value hi = f.fma(n, number(0xBF317200), x);
  Value lo = f.mul(n, number(0x35BFBE8E));
  Value r = f.sub(hi, lo);
  Value q = number(0x3AB56394);
  for (uint32_t c : {0x3C091EEFu, 0x3D2AAC2Cu, 0x3E2AAA46u, 0x3EFFFFFEu})
    q = f.add(f.mul(q, r), number(c));
  Value p = f.add(number(kOne), f.sub(hi, f.sub(lo, f.mul(f.mul(r, r), q))));
  Value y = fixed.fromBits(b.add(fixed.bits(p), b.shl(fixed.bits(k), 23)));
  Value tooSmall =
      b.make<arith::CmpFOp>(arith::CmpFPredicate::OLT, x, number(0xC2AD496B));
  return b.select(tooSmall, number(0), y);
}

/// Keeps what a token's softmax needs to be evaluated again.
void RouteKernel::keepStats(Value token, Value largest, Value sum) {
  if (!layout.keepsStats)
    return;
  Value place = at(stats, token, 8);
  b.when(b.equal(lane, 0), [&] {
    b.store(largest, place);
    b.store(sum, b.offset(place, 4));
  });
}

/// The order of floats as signed integers, from their bits, and back.
static Value foldNegative(KernelBuilder &b, Value bits) {
  Value sign = b.make<arith::ShRSIOp>(bits, b.word(31));
  return b.bitXor(bits, b.bitAnd(sign, kMagnitude));
}

/// The keys of a token's softmax.
RouteKernel::Values RouteKernel::softmaxKeys(ArrayRef<Value> x, Value token) {
  // A NaN is the largest.
  Value m = x[0];
  for (Value value : x.drop_front())
    m = b.make<arith::MaximumFOp>(m, value);
  Value isNaN = b.make<arith::CmpFOp>(arith::CmpFPredicate::UNO, m, m);
  Value order = b.select(isNaN, b.word(kMagnitude), fixed.bits(m));
  order = b.reduce(foldNegative(b, order), NVVM::ReduxKind::MAX);
  Value isHigh = b.compare(arith::CmpIPredicate::sge, order, b.word(kInf));
  Value isNone = b.equal(order, kMinusInf ^ kMagnitude);

  SmallVector<Type> types(layout.words, b.getI32Type());
  auto odd = [&] {
    // A NaN or +inf somewhere, or -inf everywhere.
    Type f32 = b.getF32Type();
    Value largest =
        b.select(isHigh, fixed.constant(f32, kNaN), fixed.constant(f32, 0));
    keepStats(token, largest, fixed.constant(f32, kOne));
    return Values(layout.words, b.select(isHigh, b.word(1), b.word(kZeroKey)));
  };
  auto ordinary = [&] {
    return sharesOf(x, fixed.fromBits(foldNegative(b, order)), token);
  };
  return b.choose(b.bitOr(isHigh, isNone), types, odd, ordinary);
}

/// The keys of e^(x - largest) / sum, for a finite largest logit.
///
/// Works at 2^64 times the contract's values, so that no quotient is subnormal:
/// then the division is a reciprocal for the token and five steps for each key,
/// those that div.rn takes itself away from the ends of the range. The key
/// takes the 2^64 off again.
RouteKernel::Values RouteKernel::sharesOf(ArrayRef<Value> x, Value largest,
                                          Value token) {
  Float f{b};
  Type f32 = b.getF32Type();
  auto number = [&](uint32_t bits) { return fixed.constant(f32, bits); };
  Value sum = number(0);
  Values terms;
  for (Value value : x) {
    terms.push_back(expTimes64(f.sub(value, largest)));
    sum = f.add(sum, terms.back());
  }
  for (int64_t distance = 16; distance > 0; distance /= 2)
    sum = f.add(sum, b.shuffleXor(sum, distance));
  sum = f.mul(sum, number(0x1F800000)); // without the 2^64: in [1, E]
  keepStats(token, largest, sum);
  auto name = b.getStringAttr("llvm.nvvm.rcp.approx.ftz.f");
  Value y = b.make<LLVM::CallIntrinsicOp>(f32, name, sum).getResult(0);
  Value minus = f.negate(sum);
  y = f.fma(y, f.fma(minus, y, number(kOne)), y);
  Values keys;
  for (Value term : terms) {
    Value q = f.mul(term, y);
    for (int step = 0; step < 2; ++step)
      q = f.fma(f.fma(minus, q, term), y, q);
    // Below 2^-125 it is zero.
    Value bits = fixed.bits(q);
    keys.push_back(b.select(b.less(bits, 0x21000000), b.word(kZeroKey),
                            b.add(bits, 0x60000000)));
  }
  return keys;
}

/// The score of one pair, from its logit.
Value RouteKernel::scoreAgain(Value token, Value expert) {
  Value x = logitAt(token, expert);
  if (op.getScore() != Score::Softmax)
    return scoreOf(x);
  Value place = at(stats, token, 8);
  Value largest = b.load(b.getF32Type(), place);
  Value sum = b.load(b.getF32Type(), b.offset(place, 4));
  Value term = fixed.exp(b.make<arith::SubFOp>(x, largest));
  return fixed.canon(b.make<arith::DivFOp>(term, sum));
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// The key of a canonical score, as u32: 1 is NaN, 0 stays free.
Value RouteKernel::keyOf(Value score) {
  return b.max(b.bitXor(fixed.key(score), static_cast<int32_t>(kSign)),
               b.word(1));
}

Value RouteKernel::scoreOfKey(Value key) {
  if (layout.isUnit) {
    Value score = fixed.fromBits(b.bitXor(key, static_cast<int32_t>(kSign)));
    return b.select(b.equal(key, 1), fixed.constant(b.getF32Type(), kNaN),
                    score);
  }
  Value score = fixed.unkey(b.bitXor(key, static_cast<int32_t>(kSign)));
  return b.select(b.equal(key, 1), fixed.constant(b.getF32Type(), kNaN), score);
}
