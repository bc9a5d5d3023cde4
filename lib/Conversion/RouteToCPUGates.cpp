// moe.idx.route to loops: the gates of the chosen pairs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteToCPU.h"
#include "StorageConversion.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

/// An f32 attribute under the zero rule.
static float tinyToZero(const APFloat &value) {
  float number = value.convertToFloat();
  uint32_t exponent = llvm::bit_cast<uint32_t>(number) & 0x7F000000u;
  return exponent == 0 ? 0.0f : number;
}

/// Folds over the `count` chosen experts of a token, ascending.
Value RouteLowering::foldPairs(const Token &at, Value count, Value init,
                               function_ref<Value(Value, Value)> body) {
  return b.fold(b.index(0), count, init, [&](Value place, Value state) {
    return body(b.toIndex(wordAt(b.add(at.keys, place))), state);
  });
}

/// gate(expert) = score / max(sum of the token's scores + eps, norm_min)
RouteLowering::Gate RouteLowering::gateBySum(const Token &at, Value count) {
  auto number = [&](float v) {
    return b.make<arith::ConstantOp>(b.getF32FloatAttr(v));
  };
  auto scoreAt = [this, at](Value expert) {
    return floatAt(b.add(at.scores, expert));
  };
  Value zero = number(0.0f), least = number(tinyToZero(op.getNormMin()));
  Value sum = foldPairs(at, count, zero, [&](Value expert, Value s) {
    return b.make<arith::AddFOp>(s, scoreAt(expert));
  });
  sum = b.make<arith::AddFOp>(sum, number(tinyToZero(op.getEps())));
  auto compare = arith::CmpFPredicate::OLT;
  sum = b.select(b.make<arith::CmpFOp>(compare, sum, least), least, sum);
  Value isZero = b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, sum, zero);
  return [=, this](Value expert) {
    Value share = b.make<arith::DivFOp>(scoreAt(expert), sum);
    return b.select(isZero, zero, fixed.canon(share));
  };
}

/// gate(expert) = softmax over the logits of the token's experts
RouteLowering::Gate RouteLowering::gateBySoftmax(const Token &at, Value count) {
  Type f32 = b.getF32Type();
  Value none = fixed.constant(f32, 0xFF800000), zero = fixed.constant(f32, 0);
  Value largest = foldPairs(at, count, none, [&](Value expert, Value m) {
    return fixed.larger(m, logitAt(at, expert));
  });
  auto equal = arith::CmpFPredicate::OEQ;
  largest =
      b.select(b.make<arith::CmpFOp>(equal, largest, none), zero, largest);
  // The scores are not needed any more: their place holds the terms.
  Value sum = foldPairs(at, count, zero, [&](Value expert, Value s) {
    Value x = b.make<arith::SubFOp>(logitAt(at, expert), largest);
    Value term = fixed.exp(x);
    storeWord(fixed.bits(term), b.add(at.scores, expert));
    return b.make<arith::AddFOp>(s, term);
  });
  sum = b.select(b.make<arith::CmpFOp>(equal, sum, zero),
                 fixed.constant(f32, 0x3F800000), sum);
  return [=, this](Value expert) {
    Value term = floatAt(b.add(at.scores, expert));
    return fixed.canon(b.make<arith::DivFOp>(term, sum));
  };
}

RouteLowering::Gate RouteLowering::gateOf(const Token &at, Value count) {
  switch (op.getNormalize()) {
  case Normalize::Sum:
    return gateBySum(at, count);
  case Normalize::Softmax:
    return gateBySoftmax(at, count);
  case Normalize::None:
    break;
  }
  return [=, this](Value expert) { return floatAt(b.add(at.scores, expert)); };
}

void RouteLowering::writeGates(const Token &at) {
  Value offsets = op.getField(Field::TokenOffsets), gates = op.getGates();
  Value begin = b.loadIndex(offsets, {at.seq, at.token});
  Value end = b.loadIndex(offsets, {at.seq, b.add(at.token, 1)});
  Value count = b.sub(end, begin);
  Gate gate = gateOf(at, count);
  Value scale =
      b.make<arith::ConstantOp>(b.getF32FloatAttr(tinyToZero(op.getScale())));
  Type element = getElementTypeOrSelf(gates.getType());
  b.forEach(count, [&](Value place) {
    Value expert = b.toIndex(wordAt(b.add(at.keys, place)));
    Value row = b.loadIndex(op.getField(Field::TokenRow), b.add(begin, place));
    Value scaled = b.make<arith::MulFOp>(gate(expert), scale);
    b.store(roundFromF32(b, fixed.canon(scaled), element, /*hasF16=*/false),
            gates, row);
  });
}
