// The kernel of one moe.idx.route: how many tokens each expert has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ClusterMemory.h"
#include "GridBarrier.h"
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

/// Lane t holds row t of a square of bits; afterwards lane j holds column j.
Value RouteKernel::transpose(Value word) {
  uint32_t low = 0xFFFF;
  for (int64_t distance = 16; distance > 0; distance /= 2) {
    Value other = b.shuffleXor(word, distance);
    Value isUpper = b.unequal(b.bitAnd(lane, distance), 0);
    Value upper =
        b.bitOr(b.bitAnd(word, ~low), b.shr(b.bitAnd(other, ~low), distance));
    Value lower =
        b.bitOr(b.bitAnd(word, low), b.shl(b.bitAnd(other, low), distance));
    word = b.select(isUpper, upper, lower);
    low ^= low << (distance / 2);
  }
  return word;
}

/// The chosen bits by experts: bit t of mask [g, e] is token 32·g + t.
void RouteKernel::writeColumns() {
  Value groups = b.shr(b.add(numTokens, 31), 5);
  Value squares = b.mul(groups, layout.words);
  b.forEach(warp, squares, b.word(layout.warps), [&](Value square) {
    Value group = b.div(square, layout.words);
    Value word = b.rem(square, layout.words);
    Value token = b.add(b.shl(group, 5), lane);
    Value row = b.choose(
        b.less(token, numTokens), b.getI32Type(),
        [&] {
          Value place = bitsOf(token);
          return Values{b.loadWord(at(place, word))};
        },
        [&] { return Values{b.word(0)}; })[0];
    Value place = at(at(masks, group, 4 * layout.padded), b.shl(word, 5));
    b.store(transpose(row), at(place, lane));
  });
}

/// Adds this sequence's tokens of each expert to `starts`.
void RouteKernel::countColumns() {
  Value groups = b.shr(b.add(numTokens, 31), 5);
  forEachOf(b.word(layout.experts), [&](Value expert) {
    Value column = at(masks, expert), place = at(starts, expert);
    Value count = b.fold(b.word(0), groups, b.word(1), {b.loadWord(place)},
                         [&](Value group, ValueRange sum) {
                           Value mask =
                               b.loadWord(at(column, group, 4 * layout.padded));
                           return Values{b.add(sum[0], b.population(mask))};
                         })[0];
    b.store(count, place);
  });
}

/// From the counts of this block, in `starts`: `totals` of all blocks, and in
/// `starts` those of the blocks before it. A barrier among all blocks.
void RouteKernel::exchangeColumns() {
  // A team of one block leaves its workspace like any other.
  Value isAlone = layout.hasTeam() ? b.flag(false) : b.equal(blocks, 1);
  b.when(isAlone, [&] {
    forEachOf(b.word(layout.experts), [&](Value expert) {
      b.store(b.loadWord(at(starts, expert)), at(totals, expert));
      b.store(b.word(0), at(starts, expert));
    });
  });
  Value isCluster = layout.isClustered() ? isOneTeam() : b.flag(false);
  if (layout.isClustered() && layout.mayBeOneTeam())
    b.when(isCluster, [&] { exchangeInCluster(); });
  if (layout.hasGridBarrier())
    b.when(b.bitXor(b.bitOr(isAlone, isCluster), 1), [&] {
      publishColumns();
      allBlocks.arriveAndWait(blocks, b.equal(block, 0));
      gatherColumns();
      if (layout.hasHistograms())
        clearHistograms();
    });
  b.barrier();
}

/// The same where all blocks are one cluster.
void RouteKernel::exchangeInCluster() {
  forEachOf(b.word(layout.experts), [&](Value expert) {
    b.store(b.loadWord(at(starts, expert)), at(columns, expert));
  });
  waitForTeam();
  forEachOf(b.word(layout.experts), [&](Value expert) {
    Value total = b.word(0), before = b.word(0);
    for (int64_t i = 0; i < layout.cluster; ++i) {
      Value other = b.word(i);
      Value count = b.loadWord(remote(b, at(columns, expert), other));
      total = b.add(total, count);
      Value isBefore = b.less(other, member);
      before = b.add(before, b.select(isBefore, count, b.word(0)));
    }
    b.store(total, at(totals, expert));
    b.store(before, at(starts, expert));
  });
}

/// Adds the pairs of the list to the columns, once they are counted.
void RouteKernel::finishColumns() {
  Value isList = b.equal(threshold.ending, kList);
  b.when(b.bitAnd(isList, isOneTeam()), [&] {
    takeFromList(/*areCounted=*/true);
    b.barrier();
  });
}

/// Finds the group sums of this launch and clears those of the next one: the
/// barrier's phase changes with every launch that uses them.
void RouteKernel::startSums() {
  Value phase = allBlocks.firstPhase();
  auto half = [&](Value which) {
    Value words = b.add(b.mul(which, layout.half()), layout.halves());
    return b.element(workspace, words, 4);
  };
  groupSums = half(phase);
  listLengths = b.offset(groupSums, 4 * layout.lengths());
  Value next = half(b.bitXor(phase, 1));
  Value first = b.add(b.mul(block, layout.threads), thread);
  b.forEach(first, b.word(layout.half()), b.mul(blocks, layout.threads),
            [&](Value i) { b.store(b.word(0), b.element(next, i, 4)); });
}

void RouteKernel::publishColumns() {
  Value group = b.div(block, RouteLayout::kBlocksPerGroup);
  Value mine = b.element(b.offset(workspace, 4 * layout.columns()), block,
                         4 * layout.experts);
  Value ofGroup = b.element(groupSums, group, 4 * layout.experts);
  forEachOf(b.word(layout.experts), [&](Value expert) {
    Value count = b.loadWord(at(starts, expert));
    b.store(count, at(mine, expert));
    b.when(b.unequal(count, 0),
           [&] { b.addGlobal(at(ofGroup, expert), count); });
  });
}

/// All loads of an expert are on their way at once.
void RouteKernel::gatherColumns() {
  constexpr int64_t kPerGroup = RouteLayout::kBlocksPerGroup;
  Value columns = b.offset(workspace, 4 * layout.columns());
  Value group = b.div(block, kPerGroup), zero = b.word(0);
  Value firstOfGroup = b.mul(group, kPerGroup);
  int64_t stride = 4 * layout.experts;
  forEachOf(b.word(layout.experts), [&](Value expert) {
    Values ofBlocks, ofGroups;
    for (int64_t i = 0; i < kPerGroup - 1; ++i) {
      Value other = b.add(firstOfGroup, i), isBefore = b.less(other, block);
      Value column = b.element(columns, b.min(other, block), stride);
      Value count = b.loadWord(at(column, expert));
      ofBlocks.push_back(b.select(isBefore, count, zero));
    }
    for (int64_t i = 0; i < layout.groups(); ++i)
      ofGroups.push_back(
          b.loadWord(at(b.offset(groupSums, i * stride), expert)));
    Value total = zero, before = zero;
    for (auto [i, count] : llvm::enumerate(ofGroups)) {
      total = b.add(total, count);
      before = b.add(before, b.select(b.less(b.word(i), group), count, zero));
    }
    for (Value count : ofBlocks)
      before = b.add(before, count);
    b.store(total, at(totals, expert));
    b.store(before, at(starts, expert));
  });
}
