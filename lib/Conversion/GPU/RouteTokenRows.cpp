// The kernel of one moe.idx.route: rows and gates where each token chose for
// itself.
//
// As many lanes as a token has pairs take it, and a warp several tokens that
// follow each other. What a lane needs of its pair was stored side by side when
// the token chose, sums go through registers, and so do the columns of its
// expert: no two lanes ask one bank of shared memory for different words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// The pair that a lane has.
struct RouteKernel::OwnPair {
  Value token, rank; // its token, and which of the token's pairs it is
  Value leader;      // the first lane of its token
  Value isReal;      // whether the token has so many pairs
  Value key, expert;
};

/// The chosen keys of a token and their experts, in the order of experts.
void RouteKernel::storePairs(Value token, ArrayRef<Value> keys,
                             ArrayRef<Value> chosen) {
  auto type = VectorType::get(2, b.getI32Type());
  Value place = at(this->keys, token, 8 * layout.lanesOfToken());
  Value me = b.shl(b.word(1), lane), below = b.lanesBelow();
  Value before = b.word(0);
  for (auto [word, key] : llvm::enumerate(keys)) {
    Value mask = chosen[word];
    b.when(b.unequal(b.bitAnd(mask, me), 0), [&, word = word, key = key] {
      Value expert = b.add(lane, 32 * word);
      Value pair =
          b.make<vector::FromElementsOp>(type, ValueRange{key, expert});
      Value rank = b.add(before, b.population(b.bitAnd(mask, below)));
      b.store(pair, at(place, rank, 8));
    });
    before = b.add(before, b.population(mask));
  }
}

void RouteKernel::writeTokenRows() {
  int64_t lanes = layout.lanesOfToken(), atOnce = 32 / lanes;
  Value member = b.div(lane, lanes), rank = b.rem(lane, lanes);
  Value begin = b.mul(warp, atOnce), step = b.word(layout.warps * atOnce);
  b.forEach(begin, numTokens, step, [&](Value first) {
    Value token = b.add(first, member), isToken = b.less(token, numTokens);
    Value place = b.choose(
        isToken, b.getI32Type(),
        [&] {
          Value place = b.add(b.loadWord(at(groupPairs, b.shr(token, 5))),
                              b.loadWord(at(pairsBefore, token)));
          b.when(b.equal(rank, 0), [&] {
            Value entry =
                b.add(b.mul(seq, b.add(tokens, 1)), b.add(firstToken, token));
            b.store(place, b.element(tokenOffsets, entry, 4));
          });
          return Values{place};
        },
        [&] { return Values{b.word(0)}; })[0];
    OwnPair pair = readOwnPair(token, rank);
    Value term = termOf(pair);
    Value divisor = ownDivisor(term, pair);
    // Tokens of a batch have the same 32 neighbours.
    Values column = findColumn(b.shr(first, 5), pair.expert);
    b.when(pair.isReal, [&] {
      Value below = b.sub(b.shl(b.word(1), b.bitAnd(token, 31)), 1);
      Value before = b.population(b.bitAnd(column[0], below));
      Value row = b.add(column[1], before);
      Value gate = gateOf(term, divisor);
      b.store(b.add(firstRow, token), b.element(rowToken, row, 4));
      int64_t bytes = gate.getType().getIntOrFloatBitWidth() / 8;
      b.store(gate, b.element(gates, row, bytes));
      b.store(row, b.element(tokenRow, b.add(place, rank), 4));
    });
  });
}

/// A token that is padding has no pairs, and others have all.
RouteKernel::OwnPair RouteKernel::readOwnPair(Value token, Value rank) {
  OwnPair pair;
  pair.token = token;
  pair.rank = rank;
  pair.leader = b.bitAnd(lane, -layout.lanesOfToken());
  pair.isReal = b.bitAnd(b.less(token, numTokens), b.less(rank, layout.k));
  if (valid)
    pair.isReal = b.choose(
        pair.isReal, b.getI1Type(),
        [&] {
          Value place = b.element(valid, b.add(firstRow, token), 1);
          return Values{b.unequal(b.load(b.getI8Type(), place), 0)};
        },
        [&] { return Values{b.flag(false)}; })[0];
  auto type = VectorType::get(2, b.getI32Type());
  Type word = b.getI32Type();
  Values found = b.choose(
      pair.isReal, {word, word},
      [&] {
        Value place = at(keys, token, 8 * layout.lanesOfToken());
        Value both = b.load(type, at(place, rank, 8));
        return Values{b.make<vector::ExtractOp>(both, 0),
                      b.make<vector::ExtractOp>(both, 1)};
      },
      [&] { return Values{b.word(0), b.word(0)}; });
  pair.key = found[0];
  pair.expert = found[1];
  return pair;
}

/// What the gate of a pair is made of; of lanes without a pair, zero.
Value RouteKernel::termOf(const OwnPair &pair) {
  auto compute = [&] {
    if (op.getNormalize() == Normalize::Softmax)
      return Values{logitAt(pair.token, pair.expert)};
    if (layout.scoresAgain)
      return Values{scoreAgain(pair.token, pair.expert)};
    return Values{scoreOfKey(pair.key)};
  };
  return b.choose(pair.isReal, b.getF32Type(), compute,
                  [&] { return Values{number(0)}; })[0];
}

/// Folds over the terms of this lane's token, in expert order. Tokens without
/// pairs have terms of nothing.
Value RouteKernel::foldOwn(Value term, const OwnPair &pair, Value init,
                           function_ref<Value(Value, Value)> body) {
  Value result = init;
  for (int64_t i = 0; i < layout.k; ++i)
    result = body(result, b.shuffle(term, b.bitOr(pair.leader, i)));
  return result;
}

/// What the terms of this lane's token are divided by; null if they are not.
/// May replace the terms.
Value RouteKernel::ownDivisor(Value &term, const OwnPair &pair) {
  auto plus = [&](Value sum, Value term) -> Value {
    return b.make<arith::AddFOp>(sum, term);
  };
  if (op.getNormalize() == Normalize::None)
    return {};
  if (op.getNormalize() == Normalize::Sum)
    return divisorOfSum(foldOwn(term, pair, number(0), plus));
  Value none = fixed.constant(b.getF32Type(), 0xFF800000);
  Value largest = foldOwn(term, pair, none,
                          [&](Value m, Value x) { return fixed.larger(m, x); });
  Value distance = b.make<arith::SubFOp>(term, finiteOrZero(largest));
  term = fixed.exp(distance);
  return divisorOfExponentials(foldOwn(term, pair, number(0), plus));
}

/// The mask of an expert's column for 32 tokens, and its first row. Lane j
/// reads those of the experts j, j + 32 and so on.
RouteKernel::Values RouteKernel::findColumn(Value group, Value expert) {
  Value mask, base, holder = b.bitAnd(expert, 31), word = b.shr(expert, 5);
  Value myMasks = at(at(masks, group, 4 * layout.padded), lane);
  Value myBases = at(at(bases, group, 4 * layout.padded), lane);
  for (int64_t i = 0; i < layout.words; ++i) {
    Value ofMask = b.shuffle(b.loadWord(b.offset(myMasks, 128 * i)), holder);
    Value ofBase = b.shuffle(b.loadWord(b.offset(myBases, 128 * i)), holder);
    Value isIt = b.equal(word, i);
    mask = i == 0 ? ofMask : b.select(isIt, ofMask, mask);
    base = i == 0 ? ofBase : b.select(isIt, ofBase, base);
  }
  return {mask, base};
}
