// moe.idx.route to loops and vectors: the choice among keys.
//
// A choice of n keys is a threshold and a number of ties. The threshold is
// found bit by bit, from the highest down, by counting how many keys reach it:
// vector compares over contiguous memory, the same code for one token and for a
// sequence, in a time that does not depend on the data's order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteToCPU.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::moe;

/// Bits of the threshold that one pass over the keys decides.
static constexpr int64_t kBitsPerPass = 2, kTried = (1 << kBitsPerPass) - 1;
static constexpr int32_t kSign = std::numeric_limits<int32_t>::min();

//===----------------------------------------------------------------------===//
// Threshold
//===----------------------------------------------------------------------===//

/// How many of the `size` keys from word `first` on are at least keys[i], as
/// i32. `size` is a multiple of the lanes.
SmallVector<Value> RouteLowering::countAtLeast(Value first, Value size,
                                               ArrayRef<Value> keys) {
  SmallVector<Value> limits;
  for (Value key : keys)
    limits.push_back(splat(key));
  Values zeros(keys.size(), splat(0));
  Value end = b.add(first, size);
  Values lanewise =
      b.fold(first, end, lanes, zeros, [&](Value i, ValueRange counts) {
        Value words = wordsAt(i);
        Values next;
        for (auto [limit, count] : llvm::zip(limits, counts)) {
          Value reached = b.isAtLeast(words, limit);
          next.push_back(
              b.add(count, b.make<arith::ExtUIOp>(wordVector, reached)));
        }
        return next;
      });
  SmallVector<Value> counts;
  for (Value count : lanewise)
    counts.push_back(
        b.make<vector::ReductionOp>(vector::CombiningKind::ADD, count));
  return counts;
}

/// The choice of the `wanted` (an index) best of `size` keys from word `first`
/// on. There are at least that many candidates.
///
/// The state is a prefix of the threshold (unsigned: signed with the sign bit
/// flipped) that `reach` keys reach, the place of the next bits, and how many
/// keys lie above all thresholds of this prefix. It ends early if the prefix is
/// reached by exactly the wanted number.
RouteLowering::Threshold RouteLowering::findThreshold(Value first, Value size,
                                                      Value wanted) {
  Value want = b.toWord(wanted);
  Value none = b.word(-1), zero = b.word(0);
  Values found = b.repeatWhile(
      {zero, b.word(32 - kBitsPerPass), none, zero},
      [&](ValueRange state) {
        Value more = b.isAtLeast(state[1], zero);
        Value inexact = b.isNot(state[2], want);
        return b.both(more, inexact);
      },
      [&](ValueRange state) {
        Value prefix = state[0], reach = state[2], above = state[3];
        SmallVector<Value> tried, keys;
        for (int64_t i = 1; i <= kTried; ++i) {
          Value bits = b.make<arith::ShLIOp>(b.word(i), state[1]);
          tried.push_back(b.either(prefix, bits));
          keys.push_back(b.flip(tried.back(), b.word(kSign)));
        }
        SmallVector<Value> counts = countAtLeast(first, size, keys);
        Value next = prefix;
        for (auto [threshold, count] : llvm::zip(tried, counts)) {
          Value enough = b.isAtLeast(count, want);
          next = b.select(enough, threshold, next);
          reach = b.select(enough, count, reach);
        }
        for (Value count : llvm::reverse(counts)) {
          Value tooFew = b.isBelow(count, want);
          above = b.select(tooFew, count, above);
        }
        Value place = b.sub(state[1], b.word(kBitsPerPass));
        return Values{next, place, reach, above};
      });
  Value key = b.flip(found[0], b.word(kSign));
  Value exact = b.equal(found[2], want);
  return {b.select(exact, b.sub(key, b.word(1)), key),
          b.select(exact, zero, b.sub(want, found[3]))};
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

/// body(lane, state) for each set lane of a vector of i1, ascending.
RouteLowering::Values
RouteLowering::forEachLane(Value mask, ValueRange init,
                           function_ref<Values(Value, ValueRange)> body) {
  Type bitsType = b.getIntegerType(lanes);
  Value bits = b.make<vector::BitCastOp>(VectorType::get(1, bitsType), mask);
  bits = b.make<vector::ExtractOp>(bits, 0);
  bits = b.asWord(bits);
  Values state{bits};
  llvm::append_range(state, init);
  Values end = b.repeatWhile(
      state, [&](ValueRange s) { return b.isNot(s[0], b.word(0)); },
      [&](ValueRange s) {
        Value lane = b.toIndex(b.make<math::CountTrailingZerosOp>(s[0]));
        Values next{b.both(s[0], b.sub(s[0], b.word(1)))};
        llvm::append_range(next, body(lane, s.drop_front()));
        return next;
      });
  return Values(ArrayRef<Value>(end).drop_front());
}

//===----------------------------------------------------------------------===//
// Floor and cap of one token
//===----------------------------------------------------------------------===//

/// Of a token's keys, marks the `count` best: those become certain (a floor),
/// or all others no candidates (a cap).
void RouteLowering::boundToken(const Token &at, int64_t count, bool isFloor) {
  Threshold best = findThreshold(at.keys, b.index(stride), b.index(count));
  Value limit = splat(best.key), zero = b.word(0);
  Value in = isFloor ? b.word(kCertain) : best.key;
  Value out = isFloor ? best.key : b.word(kAbsent);
  b.fold(b.index(0), b.index(stride), lanes, best.ties,
         [&](Value c, ValueRange ties) {
           Value first = b.add(at.keys, c), keys = wordsAt(first);
           Value marked =
               isFloor ? b.isBelow(limit, keys) : b.isBelow(keys, limit);
           Value mark = splat(isFloor ? kCertain : kAbsent);
           storeWords(b.select(marked, mark, keys), first);
           // Keys equal to the threshold, the lower expert first.
           auto takeTie = [&](Value lane, ValueRange left) {
             Value isIn = b.isBelow(zero, left[0]);
             storeWord(b.select(isIn, in, out), b.add(first, lane));
             return Values{b.sub(left[0], b.asWord(isIn))};
           };
           return forEachLane(b.equal(keys, limit), ties, takeTie);
         });
}

//===----------------------------------------------------------------------===//
// Lists of chosen experts
//===----------------------------------------------------------------------===//

/// Overwrites a token's row of keys by the list of its chosen experts,
/// ascending: the i-th is not below i, so no key is lost before it is read.
/// Returns how many there are (index), and the ties left (i32).
RouteLowering::Values RouteLowering::listChosen(Value keys,
                                                Threshold threshold) {
  return b.fold(
      b.index(0), b.index(stride), lanes, {b.index(0), threshold.ties},
      [&](Value c, ValueRange state) {
        Value first = b.add(keys, c);
        // While there are ties left, keys equal to the threshold count too.
        Value open = b.asWord(b.isBelow(b.word(0), state[1]));
        Value limit = splat(b.sub(threshold.key, open));
        Value mask = b.isBelow(limit, wordsAt(first));
        return forEachLane(mask, state, [&](Value lane, ValueRange s) {
          Value tie = b.equal(wordAt(b.add(first, lane)), threshold.key);
          Value late = b.isAtLeast(b.word(0), s[1]);
          Value out = b.both(tie, late);
          storeWord(b.toWord(b.add(c, lane)), b.add(keys, s[0]));
          Value taken = b.flip(out, b.truth());
          Value tieTaken = b.asWord(b.both(tie, taken));
          return Values{b.add(s[0], b.asCount(taken)), b.sub(s[1], tieTaken)};
        });
      });
}

/// Ties between tokens go to the lower one: one pass in the order of tokens.
void RouteLowering::chooseInSequence(Value seq) {
  Value offsets = op.getField(Field::TokenOffsets), zero = b.index(0);
  Value begin = b.loadIndex(offsets, {seq, zero});
  Value end = b.loadIndex(offsets, {seq, tokens});
  Value size = b.mul(tokens, stride);
  Value keys = b.add(keysBase, b.mul(seq, size));
  Threshold best = findThreshold(keys, size, b.sub(end, begin));
  b.fold(zero, tokens, 1, {begin, best.ties}, [&](Value t, ValueRange state) {
    b.storeIndex(state[0], offsets, {seq, t});
    Values chosen =
        listChosen(b.add(keys, b.mul(t, stride)), {best.key, state[1]});
    return Values{b.add(state[0], chosen[0]), chosen[1]};
  });
}
