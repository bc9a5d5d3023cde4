// The kernel of one moe.idx.route: one bit for each pair that is chosen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

/// Adds the bits of what the threshold lets in to those of what was certain.
void RouteKernel::markChosen(const Threshold &threshold) {
  Value isTies = b.equal(threshold.ending, kTies);
  Value isList = b.equal(threshold.ending, kList);
  b.when(isTies, [&] { countTies(threshold.low); });
  // Keys above `sure` are in, whatever their order; 0 is no candidate.
  Value low = b.max(threshold.low, b.word(1));
  Value inside = b.sub(b.shl(b.word(1), threshold.width), 1);
  Value sure = b.select(b.equal(threshold.ending, kWhole), b.sub(low, 1),
                        b.add(threshold.low, inside));
  // Of those up to `sure`, the ones from `low` on are doubtful.
  Value span = b.sub(b.add(sure, 1), low);
  forEachToken([&](Value token) {
    Value row = rowOfKeys(token), mine = b.word(0), any = b.flag(false);
    Values doubtful;
    for (int64_t word = 0; word < layout.words; ++word) {
      Value key = openKey(token, row, word);
      Value chosen = b.ballot(b.greater(key, sure));
      mine = b.select(b.equal(lane, word), chosen, mine);
      doubtful.push_back(b.less(b.sub(key, low), span));
      any = b.bitOr(any, doubtful.back());
    }
    any = b.anyLane(any);
    if (layout.hasTeam())
      b.when(b.bitAnd(any, isList),
             [&] { listCandidates(row, token, doubtful); });
    Value earlier = b.choose(
        b.bitAnd(any, isTies), b.getI32Type(),
        [&] { return Values{firstTies(token, threshold, doubtful)}; },
        [&] { return Values{b.word(0)}; })[0];
    Value place = at(bitsOf(token), lane);
    // Every lane has read what is certain.
    b.warpBarrier();
    b.when(b.less(lane, layout.words), [&] {
      Value before = layout.floor != 0 ? b.loadWord(place) : b.word(0);
      b.store(b.bitOr(before, b.bitOr(mine, earlier)), place);
    });
    b.warpBarrier();
  });
}

/// Those ties of a token that the sequence takes, as the word of this lane.
Value RouteKernel::firstTies(Value token, const Threshold &threshold,
                             ArrayRef<Value> ties) {
  Value before =
      b.add(b.loadWord(at(pairsBefore, token)), readShared(kTiesBefore));
  Value left = b.sub(b.max(threshold.wanted, before), before);
  Value mine = b.word(0);
  for (auto [word, isTie] : llvm::enumerate(ties)) {
    Value all = b.ballot(isTie);
    Value rank = b.population(b.bitAnd(all, b.lanesBelow()));
    Value taken = b.ballot(b.bitAnd(isTie, b.less(rank, left)));
    mine = b.select(b.equal(lane, word), taken, mine);
    left = b.sub(left, b.min(left, b.population(all)));
  }
  return mine;
}

/// Ties before each token of this block, in `pairsBefore`.
void RouteKernel::countTies(Value key) {
  forEachToken([&](Value token) {
    Value row = rowOfKeys(token), count = b.word(0);
    for (int64_t word = 0; word < layout.words; ++word) {
      Value isTie = b.equal(openKey(token, row, word), key);
      count = b.add(count, b.asWord(isTie));
    }
    count = b.reduce(count, NVVM::ReduxKind::ADD);
    b.when(b.equal(lane, 0), [&] { b.store(count, at(pairsBefore, token)); });
  });
  b.barrier();
  b.when(b.equal(warp, 0),
         [&] { scanByWarp(pairsBefore, numTokens, b.word(0)); });
  b.barrier();
}

/// Replaces `count` words by the sum of `first` and those before them, by one
/// warp; returns the sum of all.
Value RouteKernel::scanByWarp(Value words, Value count, Value first) {
  auto scan = [&](Value begin, ValueRange before) {
    Value i = b.add(begin, lane), isIn = b.less(i, count);
    Value place = at(words, i);
    Value value = b.choose(
        isIn, b.getI32Type(), [&] { return Values{b.loadWord(place)}; },
        [&] { return Values{b.word(0)}; })[0];
    Value upTo = b.sumOfLanesUpTo(value);
    b.when(isIn, [&] { b.store(b.sub(b.add(before[0], upTo), value), place); });
    return Values{b.add(before[0], b.shuffle(upTo, b.word(31)))};
  };
  return b.fold(b.word(0), count, b.word(32), {first}, scan)[0];
}
