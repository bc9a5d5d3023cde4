// The kernel of one moe.idx.route: the choice among a few candidates of a team.
//
// Where the bin of the threshold has few candidates, the team lists them, and
// every block finds the threshold in the whole list. An entry is the key and
// below it the inverted position, so that no two are equal and ties go to the
// earlier pair; the order in the list does not matter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ClusterMemory.h"
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

/// Appends those keys of a token to this block's list.
void RouteKernel::listCandidates(Value row, Value token,
                                 ArrayRef<Value> isListed) {
  Value first = b.mul(b.add(firstToken, token), layout.experts);
  for (auto [word, isIn] : llvm::enumerate(isListed)) {
    Value mask = b.ballot(isIn), count = b.population(mask);
    b.when(b.unequal(mask, 0), [&, word = word, isIn = isIn] {
      Value place = b.choose(
          b.equal(lane, 0), b.getI32Type(),
          [&] { return Values{b.atomicAdd(shared(kListLength), count)}; },
          [&] { return Values{b.word(0)}; })[0];
      Value rank = b.population(b.bitAnd(mask, b.lanesBelow()));
      place = b.add(b.shuffle(place, b.word(0)), rank);
      // The histogram counted them: there is room.
      Value hasRoom = b.less(place, RouteLayout::kListed);
      b.when(b.bitAnd(isIn, hasRoom), [&] {
        Value key = b.loadWord(b.offset(row, 128 * word));
        Value position = b.add(first, b.add(lane, 32 * word));
        Value entry =
            b.bitOr(b.shl(b.asWide(key), 32), b.asWide(b.invert(position)));
        b.store(entry, at(list, place, 8));
      });
    });
  }
}

Value RouteKernel::isOneTeam() {
  if (layout.mayBeOneTeam() && layout.mayBeManyTeams())
    return b.equal(seqs, 1);
  return b.flag(layout.mayBeOneTeam());
}

/// Lists the candidates and chooses among them. With one sequence, that waits
/// for the barrier of the columns, which is then the list's, too.
void RouteKernel::chooseFromList() {
  if (!layout.isClustered())
    publishList();
  if (!layout.mayBeManyTeams())
    return;
  b.when(b.bitXor(isOneTeam(), b.flag(true)), [&] {
    waitForTeam();
    takeFromList(/*areCounted=*/false);
    b.barrier();
  });
}

/// Copies this block's list to the team's.
void RouteKernel::publishList() {
  Value length = b.min(readShared(kListLength), b.word(RouteLayout::kListed));
  byFirstThread([&] {
    Value place = b.atomicAdd(b.element(listLengths, seq, 4), length);
    writeShared(kListPlace, place);
  });
  b.barrier();
  Value ofTeam = b.element(b.offset(workspace, 4 * layout.lists()), seq,
                           8 * RouteLayout::kListed);
  Value place = readShared(kListPlace);
  forEachOf(length, [&](Value i) {
    Value entry = b.load(b.getI64Type(), at(list, i, 8));
    b.store(entry, b.element(ofTeam, b.add(place, i), 8));
  });
}

/// Brings the lists of the cluster's blocks together where the histogram was,
/// which nobody reads any more. A warp copies that of one block.
void RouteKernel::gatherList() {
  Value other = b.min(lane, b.word(layout.cluster - 1));
  Value length = b.loadWord(remote(b, shared(kListLength), other));
  length = b.select(b.less(lane, layout.cluster), length, b.word(0));
  Value before = b.sub(b.sumOfLanesUpTo(length), length);
  b.forEach(
      warp, b.word(layout.cluster), b.word(layout.warps), [&](Value from) {
        Value theirs = remote(b, list, from), place = b.shuffle(before, from);
        b.forEach(lane, b.shuffle(length, from), b.word(32), [&](Value i) {
          Value to = b.add(place, i);
          Value entry = b.load(b.getI64Type(), at(theirs, i, 8));
          b.when(b.less(to, RouteLayout::kListed),
                 [&] { b.store(entry, at(histogram, to, 8)); });
        });
      });
  b.barrier();
}

/// Finds the threshold in the team's list and adds the bits of this block's
/// pairs above it; where columns are counted already, to those, too, and all
/// pairs to their counts.
void RouteKernel::takeFromList(bool areCounted) {
  if (layout.isClustered())
    gatherList();
  Value ofTeam = layout.isClustered()
                     ? histogram
                     : b.element(b.offset(workspace, 4 * layout.lists()), seq,
                                 8 * RouteLayout::kListed);
  // The whole list, in registers; 0 is below every entry.
  Values entries;
  for (int64_t i = 0; i < RouteLayout::kListed; i += layout.threads) {
    Value index = b.add(thread, i);
    entries.push_back(b.choose(
        b.less(index, threshold.inside), b.getI64Type(),
        [&] { return Values{b.load(b.getI64Type(), at(ofTeam, index, 8))}; },
        [&] { return Values{b.wide(0)}; })[0]);
  }
  Value lowest = findInList(entries);
  forEachListed(entries, [&](Value entry) {
    Value position = b.invert(b.make<arith::TruncIOp>(b.getI32Type(), entry));
    Value number = b.div(position, layout.experts);
    Value token = b.sub(number, firstToken);
    Value expert = b.rem(position, layout.experts);
    Value isIn = b.bitAnd(b.atLeast(entry, lowest), b.unequal(entry, 0));
    b.when(isIn, [&] {
      if (!areCounted)
        return;
      b.atomicAdd(at(totals, expert), b.word(1));
      b.when(b.less(number, firstToken),
             [&] { b.atomicAdd(at(starts, expert), b.word(1)); });
    });
    // Tokens of blocks before this one wrap around.
    b.when(b.bitAnd(isIn, b.less(token, numTokens)), [&] {
      Value word = at(bitsOf(token), b.shr(expert, 5));
      b.atomicOr(word, b.shl(b.word(1), b.bitAnd(expert, 31)));
      if (!areCounted)
        return;
      Value column = at(masks, b.shr(token, 5), 4 * layout.padded);
      b.atomicOr(at(column, expert), b.shl(b.word(1), b.bitAnd(token, 31)));
    });
  });
}

/// body(entry) for the entries of this thread, without those that no thread
/// has.
void RouteKernel::forEachListed(ArrayRef<Value> entries,
                                function_ref<void(Value)> body) {
  for (auto [number, entry] : llvm::enumerate(entries)) {
    Value first = b.word(number * layout.threads);
    b.when(b.less(first, threshold.inside),
           [&, entry = entry] { body(entry); });
  }
}

/// The lowest entry that is chosen: a radix search like that of the keys, by as
/// many bins as entries may be, and counts of 32 of them behind those. Its
/// range shrinks every time, and entries are distinct, so it ends.
Value RouteKernel::findInList(ArrayRef<Value> entries) {
  constexpr int64_t kBins = RouteLayout::kListed, kBits = 11;
  static_assert(1 << kBits == kBins);
  Value counts = b.offset(histogram, 4 * kBins);
  Value low = b.shl(b.asWide(threshold.low), 32);
  Values found = b.repeatWhile(
      {low, b.add(threshold.width, 32), threshold.wanted, threshold.inside},
      [&](ValueRange s) {
        return b.bitAnd(b.unequal(s[2], s[3]), b.unequal(s[1], 0));
      },
      [&](ValueRange s) {
        Value low = s[0], width = s[1], wanted = s[2];
        Value below = b.sub(b.max(width, b.word(kBits)), kBits);
        b.barrier();
        clearShared(histogram, kBins + RouteLayout::kCounts);
        b.barrier();
        forEachListed(entries, [&](Value entry) {
          Value place = b.sub(entry, low);
          Value isIn = b.bitAnd(b.unequal(entry, 0), b.atLeast(entry, low));
          Value rest = b.shr(place, b.asWide(width));
          b.when(b.bitAnd(isIn, b.equal(rest, 0)), [&] {
            Value digit = b.make<arith::TruncIOp>(
                b.getI32Type(), b.shr(place, b.asWide(below)));
            b.atomicAdd(at(histogram, digit), b.word(1));
            b.atomicAdd(at(counts, b.shr(digit, 5)), b.word(1));
          });
        });
        b.barrier();
        selectInTeam(wanted, /*round=*/Value());
        Value digit = b.asWide(readShared(kDigit));
        return Values{b.add(low, b.shl(digit, b.asWide(below))), below,
                      b.sub(wanted, readShared(kAbove)), readShared(kInside)};
      });
  return found[0];
}
