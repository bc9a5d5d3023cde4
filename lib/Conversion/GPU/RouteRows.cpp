// The kernel of one moe.idx.route: one row and one gate for each chosen pair.
//
// A warp takes several tokens at once, some lanes for the bits of each, lists
// their pairs, and then gives each pair a lane. What a gate is made of replaces
// the token's keys: the i-th pair of a token has an expert of at least i, so no
// key is overwritten before it was read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../StorageConversion.h"
#include "RouteKernel.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// A listed pair: the number of its token in the batch, and the expert.
static constexpr int64_t kExpertBits = 10;
static_assert(RouteLayout::kMaxExperts <= 1 << kExpertBits);

/// Tokens that a warp handles at once. Token j of it has lanes
/// [j·lanes, (j + 1)·lanes).
struct RouteKernel::Batch {
  int64_t lanes;
  Value first;      // its first token; the next ones are `warps` further on
  Value token;      // the token that this lane's group has
  Value isToken;    // whether there is one
  Value isLeader;   // the first lane of its group
  Value list;       // the warp's list of pairs
  Value size;       // pairs of the batch
  Value begin, end; // this group's pairs in the list
  Value place;      // where this group's token begins in token_row
};

void RouteKernel::writeRows() {
  Batch batch;
  batch.lanes = llvm::PowerOf2Ceil(layout.words);
  int64_t tokensAtOnce = 32 / batch.lanes;
  batch.list = at(histogram, b.mul(warp, 2 * layout.pairsOfWarp()), 1);
  Value member = b.div(lane, batch.lanes), word = b.rem(lane, batch.lanes);
  batch.isLeader = b.equal(word, 0);
  b.forEach(warp, numTokens, b.word(layout.warps * tokensAtOnce), [&](Value t) {
    batch.first = t;
    batch.token = b.add(t, b.mul(member, layout.warps));
    batch.isToken = b.less(batch.token, numTokens);
    Type type = b.getI32Type();
    Values found = b.choose(
        batch.isToken, {type, type}, [&] { return startToken(batch, word); },
        [&] { return Values{b.word(0), b.word(0)}; });
    Value chosen = found[0];
    batch.place = found[1];
    writeBatches(batch, chosen, member, tokensAtOnce);
  });
}

/// The bits of this lane, and where its token begins.
RouteKernel::Values RouteKernel::startToken(const Batch &batch, Value word) {
  Value token = batch.token, pad = b.word(layout.words - 1);
  Value bitsOfToken = bitsOf(token);
  Value chosen = b.loadWord(at(bitsOfToken, b.min(word, pad)));
  chosen = b.select(b.less(word, layout.words), chosen, b.word(0));
  Value place = b.add(b.loadWord(at(groupPairs, b.shr(token, 5))),
                      b.loadWord(at(pairsBefore, token)));
  b.when(batch.isLeader, [&] {
    Value entry = b.add(b.mul(seq, b.add(tokens, 1)), b.add(firstToken, token));
    b.store(place, b.element(tokenOffsets, entry, 4));
  });
  return {chosen, place};
}

/// All tokens at once, or one after another where the list would overflow.
void RouteKernel::writeBatches(Batch batch, Value chosen, Value member,
                               int64_t tokensAtOnce) {
  if (tokensAtOnce == 1)
    return writeBatch(batch, chosen);
  Value count = b.reduce(b.population(chosen), NVVM::ReduxKind::ADD);
  Value isJoint = b.atLeast(b.word(layout.pairsOfWarp()), count);
  Value turns = b.select(isJoint, b.word(1), b.word(tokensAtOnce));
  b.forEach(b.word(0), turns, b.word(1), [&](Value turn) {
    Value isNow = b.bitOr(isJoint, b.equal(member, turn));
    writeBatch(batch, b.select(isNow, chosen, b.word(0)));
  });
}

void RouteKernel::writeBatch(Batch batch, Value chosen) {
  Value count = b.population(chosen), upTo = b.sumOfLanesUpTo(count);
  Value begin = b.sub(upTo, count);
  batch.size = b.shuffle(upTo, b.word(31));
  Value leader = b.bitAnd(lane, -batch.lanes);
  batch.begin = b.shuffle(begin, leader);
  batch.end = b.shuffle(upTo, b.bitOr(leader, batch.lanes - 1));
  listPairs(batch, chosen, begin);
  b.warpBarrier();
  writeTerms(batch);
  Value divisor = divisorOf(batch);
  forEachPair(batch, [&](Value pair) { writePair(batch, pair, divisor); });
  b.warpBarrier();
}

/// Appends the pairs of this lane's bits to the list, from `place` on.
void RouteKernel::listPairs(const Batch &batch, Value chosen, Value place) {
  Value member = b.div(lane, batch.lanes), word = b.rem(lane, batch.lanes);
  Value stem = b.bitOr(b.shl(member, kExpertBits), b.shl(word, 5));
  b.repeatWhile(
      {chosen, place}, [&](ValueRange s) { return b.unequal(s[0], 0); },
      [&](ValueRange s) {
        Value pair = b.add(stem, b.lowestBit(s[0]));
        Type half = b.getI16Type();
        b.store(b.make<arith::TruncIOp>(half, pair), at(batch.list, s[1], 2));
        return Values{b.bitAnd(s[0], b.sub(s[0], 1)), b.add(s[1], 1)};
      });
}

/// body(pair number of this lane), for 32 pairs of the list at a time; the
/// number may be past the end.
void RouteKernel::forEachPair(const Batch &batch,
                              function_ref<void(Value)> body) {
  b.forEach(b.word(0), batch.size, b.word(32),
            [&](Value first) { body(b.add(first, lane)); });
}

/// What is listed as a pair; past the end, the last one once more.
RouteKernel::Pair RouteKernel::readPair(const Batch &batch, Value number) {
  Value last = b.min(number, b.sub(batch.size, 1));
  Value word = b.asWord(b.load(b.getI16Type(), at(batch.list, last, 2)));
  Value member = b.shr(word, kExpertBits);
  Pair pair;
  pair.leader = b.mul(member, batch.lanes);
  pair.expert = b.bitAnd(word, (1 << kExpertBits) - 1);
  pair.token = b.add(batch.first, b.mul(member, layout.warps));
  pair.rank = b.sub(last, b.shuffle(batch.begin, pair.leader));
  pair.isReal = b.less(number, batch.size);
  pair.row = at(keys, pair.token, 4 * layout.padded);
  return pair;
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

/// In place of a token's keys: the scores of its pairs, or their logits.
void RouteKernel::writeTerms(const Batch &batch) {
  forEachPair(batch, [&](Value number) {
    Pair pair = readPair(batch, number);
    Value term;
    if (op.getNormalize() == Normalize::Softmax)
      term = logitAt(pair.token, pair.expert);
    else if (layout.scoresAgain)
      term = scoreAgain(pair.token, pair.expert);
    else
      term = scoreOfKey(b.loadWord(at(pair.row, pair.expert)));
    b.warpBarrier();
    b.when(pair.isReal, [&] { b.store(term, at(pair.row, pair.rank)); });
    b.warpBarrier();
  });
}

/// Folds over the terms of this group's token, in expert order, in its leader.
Value RouteKernel::foldTerms(const Batch &batch, Value init,
                             function_ref<Value(Value, Value)> body) {
  Value count = b.sub(batch.end, batch.begin);
  count = b.select(batch.isLeader, count, b.word(0));
  Value row = at(keys, batch.token, 4 * layout.padded);
  Value result = b.fold(b.word(0), count, b.word(1), {init},
                        [&](Value i, ValueRange state) {
                          Value term = b.load(b.getF32Type(), at(row, i));
                          return Values{body(state[0], term)};
                        })[0];
  b.warpBarrier();
  return result;
}

/// An f32 attribute under the zero rule.
static float tinyToZero(const APFloat &value) {
  float number = value.convertToFloat();
  uint32_t exponent = llvm::bit_cast<uint32_t>(number) & 0x7F000000u;
  return exponent == 0 ? 0.0f : number;
}

Value RouteKernel::number(float value) {
  return b.make<arith::ConstantOp>(b.getF32FloatAttr(value));
}

/// What the terms of this group's token are divided by, in its leader; null if
/// they are not.
Value RouteKernel::divisorOf(const Batch &batch) {
  auto plus = [&](Value sum, Value term) -> Value {
    return b.make<arith::AddFOp>(sum, term);
  };
  if (op.getNormalize() == Normalize::None)
    return {};
  if (op.getNormalize() == Normalize::Sum)
    return divisorOfSum(foldTerms(batch, number(0), plus));
  Value none = fixed.constant(b.getF32Type(), 0xFF800000);
  Value largest = foldTerms(
      batch, none, [&](Value m, Value x) { return fixed.larger(m, x); });
  largest = finiteOrZero(largest);
  forEachPair(batch, [&](Value at) {
    Pair pair = readPair(batch, at);
    Value m = b.shuffle(largest, pair.leader);
    Value place = this->at(pair.row, pair.rank);
    Value x = b.load(b.getF32Type(), place);
    Value term = fixed.exp(b.make<arith::SubFOp>(x, m));
    b.warpBarrier();
    b.when(pair.isReal, [&] { b.store(term, place); });
  });
  b.warpBarrier();
  return divisorOfExponentials(foldTerms(batch, number(0), plus));
}

/// With eps, and at least norm_min.
Value RouteKernel::divisorOfSum(Value sum) {
  sum = b.make<arith::AddFOp>(sum, number(tinyToZero(op.getEps())));
  Value least = number(tinyToZero(op.getNormMin()));
  Value isLess = b.make<arith::CmpFOp>(arith::CmpFPredicate::OLT, sum, least);
  return b.select(isLess, least, sum);
}

Value RouteKernel::divisorOfExponentials(Value sum) {
  Value isNone =
      b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, sum, number(0));
  return b.select(isNone, number(1), sum);
}

/// The largest logit, from which others are subtracted; -inf if there is none.
Value RouteKernel::finiteOrZero(Value largest) {
  Value none = fixed.constant(b.getF32Type(), 0xFF800000);
  Value isNone =
      b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, largest, none);
  return b.select(isNone, number(0), largest);
}

Value RouteKernel::gateOf(Value term, Value divisor) {
  Value gate = term;
  if (divisor) {
    gate = fixed.canon(b.make<arith::DivFOp>(term, divisor));
    if (op.getNormalize() == Normalize::Sum)
      gate = b.select(
          b.make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, divisor, number(0)),
          number(0), gate);
  }
  Value scale = number(tinyToZero(op.getScale()));
  gate = fixed.canon(b.make<arith::MulFOp>(gate, scale));
  Type element = getElementTypeOrSelf(op.getGates().getType());
  return roundFromF32(b, gate, element, /*hasF16=*/false);
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// Both views of a pair, and its gate.
void RouteKernel::writePair(const Batch &batch, Value number, Value divisor) {
  Pair pair = readPair(batch, number);
  Value place = b.add(b.shuffle(batch.place, pair.leader), pair.rank);
  if (divisor)
    divisor = b.shuffle(divisor, pair.leader);
  b.when(pair.isReal, [&] {
    // Tokens of the same expert before this one.
    Value group = b.shr(pair.token, 5);
    Value mask =
        b.loadWord(at(at(masks, group, 4 * layout.padded), pair.expert));
    Value base =
        b.loadWord(at(at(bases, group, 4 * layout.padded), pair.expert));
    Value below = b.sub(b.shl(b.word(1), b.bitAnd(pair.token, 31)), 1);
    Value row = b.add(base, b.population(b.bitAnd(mask, below)));
    Value term = b.load(b.getF32Type(), at(pair.row, pair.rank));
    Value gate = gateOf(term, divisor);
    b.store(b.add(firstRow, pair.token), b.element(rowToken, row, 4));
    int64_t bytes = gate.getType().getIntOrFloatBitWidth() / 8;
    b.store(gate, b.element(gates, row, bytes));
    b.store(row, b.element(tokenRow, place, 4));
  });
}
