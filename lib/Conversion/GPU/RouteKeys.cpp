// The kernel of one moe.idx.route: what one token decides.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// Words of logits that are loaded ahead: more would cost the registers that
/// the token at hand needs.
static constexpr int64_t kWordsAhead = 8;
/// Best keys of a token, at most, for which those of lanes are worth a look.
static constexpr int64_t kMostRounds = 16;
/// Keys that are dropped one by one: for more, a bisection is cheaper.
static constexpr int64_t kMostDropped = 4;

/// Keys and the bits of what is certain, of all tokens of this block.
void RouteKernel::writeKeys() {
  if (layout.words > kWordsAhead) {
    forEachToken([&](Value token) { routeToken(token, loadLogits(token)); });
    return;
  }
  // The next token's logits are on their way while this one is computed.
  Value last = b.sub(numTokens, 1);
  b.when(b.less(warp, numTokens), [&] {
    b.fold(warp, numTokens, b.word(layout.warps), loadLogits(warp),
           [&](Value token, ValueRange here) {
             Value next = b.min(b.add(token, layout.warps), last);
             Values ahead = loadLogits(next);
             Values logits(here);
             routeToken(token, logits);
             return Values(ahead);
           });
  });
}

void RouteKernel::routeToken(Value token, ArrayRef<Value> logits) {
  Values keys = keysOfToken(token, logits);
  if (op.getTopkGroup() != op.getNGroup())
    dropLesserGroups(token, keys);
  Values certain;
  if (layout.choosesByToken) {
    certain = best(keys, layout.k);
  } else {
    if (layout.cap != op.getCandidatesPerToken()) {
      Values in = best(keys, layout.cap);
      for (auto [word, key] : llvm::enumerate(keys))
        key = b.select(isIn(in, word), key, b.word(0));
    }
    if (layout.floor != 0)
      certain = best(keys, layout.floor);
  }

  if (layout.keepsPairs)
    storePairs(token, keys, certain);
  Value row = layout.keepsPairs ? Value() : rowOfKeys(token);
  Value mask = b.word(0);
  for (auto [word, key] : llvm::enumerate(keys)) {
    if (!layout.keepsPairs)
      b.store(key, b.offset(row, 128 * word));
    if (!certain.empty())
      mask = b.select(b.equal(lane, word), certain[word], mask);
    if (layout.choosesByToken)
      continue;
    auto count = [&] { b.atomicAdd(at(histogram, digitOf(key)), b.word(1)); };
    Value open = b.unequal(key, 0);
    if (!certain.empty())
      open = b.bitAnd(open, b.bitXor(isIn(certain, word), 1));
    if (layout.isFull)
      count();
    else
      b.when(open, count);
  }
  Value place = at(bitsOf(token), lane);
  if (layout.words == 32)
    b.store(mask, place);
  else
    b.when(b.less(lane, layout.words), [&] { b.store(mask, place); });
}

/// Keys of all experts; 0 where there is none, or the token is padding.
RouteKernel::Values RouteKernel::keysOfToken(Value token,
                                             ArrayRef<Value> logits) {
  auto compute = [&] {
    Values keys;
    if (op.getScore() == Score::Softmax) {
      keys = softmaxKeys(logits, token);
      if (choiceBias)
        addBias(keys);
    } else {
      for (auto [word, logit] : llvm::enumerate(logits))
        keys.push_back(keyOf(biased(scoreOf(logit), word)));
    }
    int64_t left = layout.experts - (layout.words - 1) * 32;
    if (left < 32)
      keys.back() = b.select(b.less(lane, left), keys.back(), b.word(0));
    return Values(keys);
  };
  if (!valid)
    return compute();
  Value isValid =
      b.load(b.getI8Type(), b.element(valid, b.add(firstRow, token), 1));
  SmallVector<Type> types(layout.words, b.getI32Type());
  return b.choose(b.unequal(isValid, 0), types, compute,
                  [&] { return Values(layout.words, b.word(0)); });
}

/// The number by which a score is ranked: canonical.
Value RouteKernel::biased(Value score, int64_t word) {
  if (!choiceBias)
    return score;
  int64_t last = layout.experts - 1 - word * 32;
  Value column = b.add(b.min(lane, b.word(last)), word * 32);
  Value bias = b.loadConstant(b.getF32Type(), b.element(choiceBias, column, 4));
  return fixed.canon(b.make<arith::AddFOp>(score, fixed.canon(bias)));
}

void RouteKernel::addBias(SmallVectorImpl<Value> &keys) {
  for (auto [word, key] : llvm::enumerate(keys))
    key = keyOf(biased(scoreOfKey(key), word));
}

/// How many of a token's keys are at least `limit`.
Value RouteKernel::countAtLeast(ArrayRef<Value> keys, Value limit) {
  Value count = b.word(0);
  for (Value key : keys)
    count = b.add(count, b.asWord(b.atLeast(key, limit)));
  return b.reduce(count, NVVM::ReduxKind::ADD);
}

/// Limits of the `count` best keys of a token: at least `count` reach the
/// lower one, as many as is told third, and fewer the upper one.
///
/// The largest keys of the lanes are a bound from below that costs three steps
/// for each of `count`, and often few keys lie between it and the exact limit:
/// those are dropped one by one.
RouteKernel::Values RouteKernel::limitsOfBest(ArrayRef<Value> keys,
                                              int64_t count) {
  Value largest = keys[0], zero = b.word(0), wanted = b.word(count);
  for (Value key : keys.drop_front())
    largest = b.max(largest, key);
  Value ofLane = largest, low = b.word(1);
  largest = b.reduce(ofLane, NVVM::ReduxKind::UMAX);
  if (count > kMostRounds)
    return {low, b.add(largest, 1), countAtLeast(keys, low)};
  Value top = largest;
  for (int64_t i = 1; i < count; ++i) {
    ofLane = b.select(b.equal(ofLane, top), zero, ofLane);
    top = b.reduce(ofLane, NVVM::ReduxKind::UMAX);
  }
  low = b.max(top, low);
  Value reach = countAtLeast(keys, low), more = b.sub(reach, wanted);
  Type word = b.getI32Type();
  return b.choose(
      b.less(b.sub(more, 1), kMostDropped), {word, word, word},
      [&] {
        Value limit =
            b.fold(zero, more, b.word(1), {low}, [&](Value, ValueRange s) {
              // Smaller keys wrap around.
              Value least = b.sub(keys[0], s[0]);
              for (Value key : keys.drop_front())
                least = b.min(least, b.sub(key, s[0]));
              least = b.reduce(least, NVVM::ReduxKind::UMIN);
              return Values{b.add(b.add(s[0], least), 1)};
            })[0];
        // Keys that are equal were dropped at once, maybe too many.
        Value left = countAtLeast(keys, limit);
        Value isEnough = b.atLeast(left, wanted);
        return Values{b.select(isEnough, limit, low),
                      b.select(isEnough, b.add(largest, 1), limit),
                      b.select(isEnough, left, reach)};
      },
      [&] { return Values{low, b.add(largest, 1), reach}; });
}

/// The `count` best keys of a token, which has that many or none, as masks of
/// lanes: a bisection on the key, which costs the same for every count and ends
/// as soon as it separates. Of equal keys the first are taken.
RouteKernel::Values RouteKernel::best(ArrayRef<Value> keys, int64_t count) {
  Value wanted = b.word(count);
  Values found = b.repeatWhile(
      limitsOfBest(keys, count),
      [&](ValueRange s) {
        Value open = b.greater(b.sub(s[1], s[0]), b.word(1));
        return b.bitAnd(open, b.unequal(s[2], wanted));
      },
      [&](ValueRange s) {
        Value middle = b.add(s[0], b.shr(b.sub(s[1], s[0]), 1));
        Value reach = countAtLeast(keys, middle);
        Value enough = b.atLeast(reach, wanted);
        return Values{b.select(enough, middle, s[0]),
                      b.select(enough, s[1], middle),
                      b.select(enough, reach, s[2])};
      });
  Value limit = found[0];
  SmallVector<Type> types(keys.size(), b.getI32Type());
  auto separated = [&] {
    Values masks;
    for (Value key : keys)
      masks.push_back(b.ballot(b.atLeast(key, limit)));
    return masks;
  };
  auto tied = [&] {
    Value above = b.add(limit, 1);
    Value left = b.sub(wanted, countAtLeast(keys, above));
    Values masks;
    for (Value key : keys) {
      Value isTie = b.equal(key, limit), ties = b.ballot(isTie);
      Value rank = b.population(b.bitAnd(ties, b.lanesBelow()));
      Value isIn = b.bitAnd(isTie, b.less(rank, left));
      masks.push_back(b.ballot(b.bitOr(isIn, b.atLeast(key, above))));
      left = b.sub(left, b.min(left, b.population(ties)));
    }
    return masks;
  };
  return b.choose(b.greater(found[2], wanted), types, tied, separated);
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// The key of the group whose first key is at an address.
Value RouteKernel::keyOfGroup(Value firstKey) {
  int64_t size = op.getNumExperts() / op.getNGroup();
  bool isMax = op.getGroupScore() == GroupScore::Max || size == 1;
  Values two =
      b.fold(b.word(0), b.word(size), b.word(1), {b.word(0), b.word(0)},
             [&](Value i, ValueRange best) {
               Value key = b.loadWord(at(firstKey, i));
               Value lower = b.min(best[0], key);
               return Values{b.max(best[0], key), b.max(best[1], lower)};
             });
  if (isMax)
    return two[0];
  Value sum = b.make<arith::AddFOp>(scoreOfKey(two[0]), scoreOfKey(two[1]));
  return keyOf(fixed.canon(sum));
}

/// The experts of groups that are not among a token's best are no candidates.
/// A lane takes a group, for which the keys go through the token's memory.
void RouteKernel::dropLesserGroups(Value token, SmallVectorImpl<Value> &keys) {
  int64_t groups = op.getNGroup(), size = op.getNumExperts() / groups;
  // Where only chosen keys are kept, in a place of the warp's own.
  Value row = layout.keepsPairs ? at(histogram, warp, 4 * layout.padded)
                                : at(this->keys, token, 4 * layout.padded);
  Value mine = at(row, lane);
  for (auto [word, key] : llvm::enumerate(keys))
    b.store(key, b.offset(mine, 128 * word));
  b.warpBarrier();
  Values groupKeys;
  for (int64_t first = 0; first < groups; first += 32) {
    Value last = b.word(std::min<int64_t>(groups - first, 32) - 1);
    Value group = b.add(b.min(lane, last), first);
    Value key = keyOfGroup(at(row, b.mul(group, size)));
    // Absent keys stay absent: those of padding.
    Value isAny = b.unequal(b.loadWord(at(row, b.mul(group, size))), 0);
    key = b.select(b.bitAnd(isAny, b.atLeast(last, lane)), key, b.word(0));
    groupKeys.push_back(key);
  }
  b.warpBarrier();
  Values kept = best(groupKeys, op.getTopkGroup());
  for (auto [word, key] : llvm::enumerate(keys)) {
    Value group = b.div(b.add(lane, 32 * word), size);
    // The groups of a word lie in one mask: the next one begins with an expert
    // that is a multiple of 32.
    Value mask = kept[32 * word / size / 32];
    Value isKept = b.isSet(mask, b.bitAnd(group, 31));
    key = b.select(isKept, key, b.word(0));
  }
}

//===----------------------------------------------------------------------===//
// Valid tokens
//===----------------------------------------------------------------------===//

/// How many tokens of the sequence are valid, after the next barrier.
void RouteKernel::countValid() {
  Value all = b.select(b.less(seq, seqs), tokens, b.word(0));
  if (!valid) {
    byFirstThread([&] { writeShared(kValid, all); });
    return;
  }
  Value first = b.element(valid, b.mul(seq, tokens), 1);
  Value zero = b.word(0);
  Values count = b.fold(
      thread, all, b.word(layout.threads), {zero}, [&](Value t, ValueRange n) {
        Value flag = b.load(b.getI8Type(), b.element(first, t, 1));
        return Values{b.add(n[0], b.asWord(b.unequal(flag, 0)))};
      });
  Value sum = b.reduce(count[0], NVVM::ReduxKind::ADD);
  b.when(b.equal(lane, 0), [&] { b.atomicAdd(shared(kValid), sum); });
}
