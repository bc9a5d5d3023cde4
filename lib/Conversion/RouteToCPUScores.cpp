// moe.idx.route to loops and vectors: from logits to scores and keys.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteToCPU.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr uint32_t kMinusInf = 0xFF800000, kOne = 0x3F800000;

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Whether whole vectors of logits can be read where they are.
bool RouteLowering::readsLogitsInPlace() {
  return experts == stride && hasUnitLastStride(op.getLogits());
}

/// Without an instruction of the target: those of small ones are calls.
static Value widen(RoutingBuilder &b, Value logits) {
  return widenToF32(b, logits, /*hasF16=*/false);
}

/// The indices of a logit.
static SmallVector<Value> indicesOf(Value logits, Value seq, Value token,
                                    Value expert) {
  if (cast<MemRefType>(logits.getType()).getRank() == 2)
    return {token, expert};
  return {seq, token, expert};
}

Value RouteLowering::logitAt(const Token &at, Value expert) {
  Value logits = op.getLogits();
  return widen(b, b.load(logits, indicesOf(logits, at.seq, at.token, expert)));
}

/// Copies a token's logits to its row of scores, widened, -inf behind them.
void RouteLowering::copyLogits(const Token &at) {
  Value logits = op.getLogits();
  auto type = cast<MemRefType>(logits.getType());
  int64_t whole = hasUnitLastStride(logits) ? experts / lanes * lanes : 0;
  Value padding = splat(static_cast<int32_t>(kMinusInf));
  b.forEach(b.index(experts / lanes * lanes), b.index(stride), lanes,
            [&](Value c) { storeWords(padding, b.add(at.scores, c)); });
  if (whole != 0)
    b.forEach(b.index(0), b.index(whole), lanes, [&](Value c) {
      Value x = b.make<vector::LoadOp>(
          VectorType::get(lanes, type.getElementType()), logits,
          indicesOf(logits, at.seq, at.token, c));
      storeWords(fixed.bits(widen(b, x)), b.add(at.scores, c));
    });
  b.forEach(b.index(whole), b.index(experts), 1, [&](Value e) {
    storeWord(fixed.bits(logitAt(at, e)), b.add(at.scores, e));
  });
}

/// The logits of `lanes` experts from `column` on.
Value RouteLowering::logitsAt(const Token &at, Value column) {
  if (!readsLogitsInPlace())
    return floatsAt(b.add(at.scores, column));
  Value logits = op.getLogits();
  auto type = cast<MemRefType>(logits.getType());
  return widen(b, b.make<vector::LoadOp>(
                      VectorType::get(lanes, type.getElementType()), logits,
                      indicesOf(logits, at.seq, at.token, column)));
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void RouteLowering::prepareBias() {
  if (!op.getChoiceBias())
    return;
  b.forEach(b.index(experts), [&](Value e) {
    Value bias = fixed.canon(b.load(op.getChoiceBias(), e));
    storeWord(fixed.bits(bias), b.add(biasBase, e));
  });
  b.forEach(b.index(experts), b.index(stride), 1,
            [&](Value e) { storeWord(b.word(0), b.add(biasBase, e)); });
}

void RouteLowering::scoreToken(const Token &at) {
  if (!readsLogitsInPlace())
    copyLogits(at);
  if (op.getScore() == Score::Softmax)
    return scoreBySoftmax(at);
  b.forEach(b.index(0), b.index(stride), lanes,
            [&](Value c) { finishScores(at, c, scoreOf(logitsAt(at, c))); });
}

Value RouteLowering::scoreOf(Value logit) {
  switch (op.getScore()) {
  case Score::Sigmoid:
    return fixed.sigmoid(logit);
  case Score::SqrtSoftplus:
    return fixed.sqrtsoftplus(logit);
  default:
    return fixed.canon(logit);
  }
}

/// In passes over one row, which stays in the first cache: so the exponential
/// is emitted once, and the sum takes its order from where the terms lie.
void RouteLowering::scoreBySoftmax(const Token &at) {
  Value zero = b.index(0), end = b.index(stride);
  Value largest = largestLogit(at);
  b.forEach(zero, end, lanes, [&](Value c) {
    Value x = b.make<arith::SubFOp>(logitsAt(at, c), largest);
    storeWords(fixed.bits(fixed.exp(x)), b.add(at.scores, c));
  });
  Value sum = sumOfRow(at.scores);
  b.forEach(zero, end, lanes, [&](Value c) {
    Value e = floatsAt(b.add(at.scores, c));
    finishScores(at, c, fixed.canon(b.make<arith::DivFOp>(e, sum)));
  });
}

/// The largest logit of a token in all lanes; 0 if that is -inf.
Value RouteLowering::largestLogit(const Token &at) {
  Value init = fixed.constant(floatVector, kMinusInf);
  Values largest = b.fold(b.index(0), b.index(stride), lanes, init,
                          [&](Value c, ValueRange m) {
                            return Values{fixed.larger(m[0], logitsAt(at, c))};
                          });
  Value m = fixed.largestLane(largest[0]);
  Value none = b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, m, init);
  return b.select(none, fixed.constant(floatVector, 0), m);
}

/// The sum of a row of terms by the contract's tree; 1 if that is zero.
Value RouteLowering::sumOfRow(Value row) {
  int64_t partials = FixedEvaluation::kPartials, count = partials / lanes;
  int64_t whole = stride / partials * partials;
  Values sums(count, fixed.constant(floatVector, 0));
  auto addAt = [&](Value column, ValueRange into, int64_t vectors) {
    Values next(into);
    for (int64_t i = 0; i < vectors; ++i) {
      Value at = b.add(b.add(row, column), i * lanes);
      next[i] = b.make<arith::AddFOp>(into[i], floatsAt(at));
    }
    return next;
  };
  sums =
      b.fold(b.index(0), b.index(whole), partials, sums,
             [&](Value c, ValueRange into) { return addAt(c, into, count); });
  sums = addAt(b.index(whole), sums, (stride - whole) / lanes);
  Value sum = fixed.sumOfPartials(sums);
  Value zero = fixed.constant(floatVector, 0);
  Value none = b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, sum, zero);
  return b.select(none, fixed.constant(floatVector, kOne), sum);
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

/// Stores the scores of `lanes` experts from `column` on, and their keys.
void RouteLowering::finishScores(const Token &at, Value column, Value scores) {
  storeWords(fixed.bits(scores), b.add(at.scores, column));
  Value ranked = scores;
  if (op.getChoiceBias())
    ranked = fixed.canon(
        b.make<arith::AddFOp>(scores, floatsAt(b.add(biasBase, column))));
  Value key = b.make<arith::MaxSIOp>(fixed.key(ranked), splat(kWorst));
  if (experts != stride) { // what lies behind the last expert is none
    auto steps = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
    Value step = b.make<arith::ConstantOp>(
        DenseElementsAttr::get(wordVector, ArrayRef<int32_t>(steps)));
    Value expert = b.add(splat(b.toWord(column)), step);
    Value real = b.isBelow(expert, splat(static_cast<int32_t>(experts)));
    key = b.select(real, key, splat(kAbsent));
  }
  storeWords(key, b.add(at.keys, column));
}

/// A token that is not valid has no candidate.
void RouteLowering::clearKeys(const Token &at) {
  Value absent = splat(kAbsent);
  b.forEach(b.index(0), b.index(stride), lanes,
            [&](Value c) { storeWords(absent, b.add(at.keys, c)); });
}
