// The kernel of one moe.idx.route: where the rows of experts and tokens begin.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// expert_offsets; in `starts`, where the rows of this block's tokens begin.
void RouteKernel::writeOffsets() {
  Value rowsBefore = b.word(0), pairsBefore = b.word(0);
  for (int64_t first = 0; first < layout.experts; first += layout.threads) {
    Value expert = b.add(thread, first);
    Value isExpert = b.less(expert, layout.experts);
    auto read = [&](Value words) {
      Value index = b.min(expert, b.word(layout.experts - 1));
      return b.select(isExpert, b.loadWord(at(words, index)), b.word(0));
    };
    Value count = read(totals), before = read(starts);
    Sum rows = sumOfThreadsBefore(count), pairs = sumOfThreadsBefore(before);
    Value row = b.add(rowsBefore, rows.before);
    b.when(isExpert, [&] {
      b.store(b.add(row, before), at(starts, expert));
      b.when(b.equal(block, 0),
             [&] { b.store(row, b.element(expertOffsets, expert, 4)); });
    });
    rowsBefore = b.add(rowsBefore, rows.total);
    pairsBefore = b.add(pairsBefore, pairs.total);
  }
  byFirstThread([&] {
    writeShared(kPairsBefore, pairsBefore);
    writeShared(kLive, rowsBefore);
    b.when(b.equal(block, 0), [&] {
      b.store(rowsBefore, b.offset(expertOffsets, 4 * layout.experts));
    });
  });
  b.barrier();
}

/// The first row of each mask; `starts` moves on to the next sequence.
void RouteKernel::startRows() {
  Value groups = b.shr(b.add(numTokens, 31), 5);
  forEachOf(b.word(layout.experts), [&](Value expert) {
    Value place = at(starts, expert);
    Value mask = at(masks, expert), base = at(bases, expert);
    Value end = b.fold(b.word(0), groups, b.word(1), {b.loadWord(place)},
                       [&](Value group, ValueRange row) {
                         b.store(row[0], at(base, group, 4 * layout.padded));
                         Value word =
                             b.loadWord(at(mask, group, 4 * layout.padded));
                         return Values{b.add(row[0], b.population(word))};
                       })[0];
    b.store(end, place);
  });
}

/// Where each token's pairs begin: in `pairsBefore` within 32 tokens, and in
/// `groupPairs` where those begin.
void RouteKernel::startTokens() {
  Value groups = b.shr(b.add(numTokens, 31), 5);
  b.forEach(warp, groups, b.word(layout.warps), [&](Value group) {
    Value token = b.add(b.shl(group, 5), lane);
    Value isToken = b.less(token, numTokens);
    Value count = b.choose(
        isToken, b.getI32Type(),
        [&] {
          Value word = bitsOf(token), sum = b.word(0);
          for (int64_t i = 0; i < layout.words; ++i)
            sum = b.add(sum, b.population(b.loadWord(b.offset(word, 4 * i))));
          return Values{sum};
        },
        [&] { return Values{b.word(0)}; })[0];
    Value upTo = b.sumOfLanesUpTo(count);
    b.when(isToken,
           [&] { b.store(b.sub(upTo, count), at(pairsBefore, token)); });
    b.when(b.equal(lane, 31), [&] { b.store(upTo, at(groupPairs, group)); });
  });
  b.barrier();
  b.when(b.equal(warp, 0), [&] {
    Value first = readShared(kPairsBefore);
    Value end = scanByWarp(groupPairs, groups, first);
    b.warpBarrier();
    b.when(b.equal(lane, 0), [&] { endSequence(end); });
  });
  b.barrier();
}

/// By one thread: this block's pairs end before `end`.
void RouteKernel::endSequence(Value end) {
  writeShared(kPairsBefore, end);
  // A sequence ends where the next one begins: its last block says it.
  Value isLast = b.equal(b.add(member, 1), team);
  b.when(b.bitAnd(isLast, b.less(seq, seqs)), [&] {
    Value entry = b.add(b.mul(seq, b.add(tokens, 1)), tokens);
    b.store(end, b.element(tokenOffsets, entry, 4));
  });
}

/// Rows without a pair: -1, and gates of +0.
void RouteKernel::clearTail() {
  if (!valid)
    return;
  Type gate = getElementTypeOrSelf(op.getGates().getType());
  int64_t bytes = gate.getIntOrFloatBitWidth() / 8;
  Value zero = b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(gate)));
  Value mine = b.add(b.mul(block, layout.threads), thread);
  Value first = b.add(readShared(kLive), mine);
  b.forEach(first, rows, b.mul(blocks, layout.threads), [&](Value row) {
    b.store(b.word(-1), b.element(rowToken, row, 4));
    b.store(b.word(-1), b.element(tokenRow, row, 4));
    b.store(zero, b.element(gates, row, bytes));
  });
}
