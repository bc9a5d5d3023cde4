// The kernel of one moe.idx.route: what the blocks of a team tell each other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ClusterMemory.h"
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kCounts = RouteLayout::kCounts,
                         kListed = RouteLayout::kListed;
/// Bins that a warp reads at once.
static constexpr int64_t kBinsOfTile = 128,
                         kTiles = RouteLayout::kBins / kBinsOfTile;

/// Copies of the first digit's histogram: a power of two.
Value RouteKernel::copiesOfFirst() {
  Value copies = b.word(1);
  for (int64_t count = 2; count <= RouteLayout::kCopies; count *= 2)
    copies = b.select(b.atLeast(team, 16 * count), b.word(count), copies);
  return copies;
}

/// The first histogram of a round: behind the copies, one for each later digit.
Value RouteKernel::firstHistogram(Value round) {
  Value copies = copiesOfFirst();
  Value sets = b.add(copies, RouteLayout::kLaterDigits);
  Value later = b.add(copies, b.sub(b.min(round, b.word(2)), 1));
  Value set = b.select(b.equal(round, 0), b.word(0), later);
  set = b.add(set, b.mul(seq, sets));
  return b.element(b.offset(workspace, 4 * layout.histograms()), set,
                   4 * RouteLayout::kHistogram);
}

/// Adds this block's histogram to the team's, and its counts of 32 bins; each
/// block starts elsewhere. In a cluster the histogram stays where it is, and
/// the counts are laid beside it.
void RouteKernel::publishDigits(Value round) {
  Value mine, ofCounts = counts;
  if (!layout.isClustered()) {
    Value copy = b.bitAnd(member, b.sub(copiesOfFirst(), 1));
    copy = b.select(b.equal(round, 0), copy, b.word(0));
    mine = b.element(firstHistogram(round), copy, 4 * RouteLayout::kHistogram);
    ofCounts = b.offset(mine, 4 * RouteLayout::kBins);
  }
  Value start = b.add(warp, b.mul(member, 5));
  Type four = VectorType::get(4, b.getI32Type());
  // The last round finds all candidates equal.
  b.when(b.less(round, RouteLayout::kRounds - 1), [&] {
    // A lane has four bins that follow each other, and eight lanes a count.
    for (int64_t i = 0; i < kTiles; i += layout.warps) {
      Value tile = b.bitAnd(b.add(start, i), kTiles - 1);
      Value ofTile = at(histogram, tile, 4 * kBinsOfTile), sum;
      Value bins = b.load(four, at(ofTile, lane, 16));
      for (int64_t j = 0; j < 4; ++j) {
        Value count = b.make<vector::ExtractOp>(bins, j);
        sum = j == 0 ? count : b.add(sum, count);
        if (layout.isClustered())
          continue;
        Value place = at(at(mine, tile, 4 * kBinsOfTile), lane);
        b.when(b.unequal(count, 0),
               [&] { b.addGlobal(b.offset(place, 128 * j), count); });
      }
      for (int64_t distance = 1; distance < 8; distance *= 2)
        sum = b.add(sum, b.shuffleXor(sum, distance));
      Value isFirst = b.equal(b.bitAnd(lane, 7), 0);
      Value place = at(ofCounts, b.add(b.mul(tile, 4), b.shr(lane, 3)));
      if (layout.isClustered())
        b.when(isFirst, [&] { b.store(sum, place); });
      else
        b.when(b.bitAnd(isFirst, b.unequal(sum, 0)),
               [&] { b.addGlobal(place, sum); });
    }
  });
}

/// Where a bin lies in a histogram of the workspace. Threads read four bins at
/// once in shared memory, and those of a warp add to whole lines here.
Value RouteKernel::placeOfBin(Value bin) {
  Value within =
      b.bitOr(b.shl(b.bitAnd(bin, 3), 5), b.bitAnd(b.shr(bin, 2), 31));
  return b.bitOr(b.bitAnd(bin, -kBinsOfTile), within);
}

/// Where a block tells how many candidates it has in a round, and their ends.
Value RouteKernel::endsOf(Value round, Value block) {
  Value place = b.add(b.mul(round, layout.blocks), block);
  return b.element(b.offset(workspace, 4 * layout.rounds()), place, 16);
}

void RouteKernel::publishEnds(Value round) {
  byFirstThread([&] {
    Value place = endsOf(round, block);
    b.store(readShared(kCandidates), place);
    b.store(readShared(kLargest), b.offset(place, 4));
    b.store(readShared(kLowest), b.offset(place, 8));
  });
}

void RouteKernel::gatherEnds(Value round) {
  Value first = b.mul(seq, team);
  forEachOf(team, [&](Value other) {
    // They follow each other there as here.
    static_assert(kLargest == kCandidates + 1 && kLowest == kLargest + 1);
    Value place = layout.isClustered() ? remote(b, shared(kCandidates), other)
                                       : endsOf(round, b.add(first, other));
    Value count = b.loadWord(place);
    b.atomicMax(shared(kTeamLargest), b.loadWord(b.offset(place, 4)));
    b.atomicMax(shared(kTeamLowest), b.loadWord(b.offset(place, 8)));
    b.when(b.less(other, member),
           [&] { b.atomicAdd(shared(kTiesBefore), count); });
  });
  b.barrier();
}

/// The sum over the blocks of a cluster of what each has at an index of its
/// counts, or of its histogram.
Value RouteKernel::sumOfBlocks(Type type, bool areCounts, Value index) {
  int64_t bytes = isa<VectorType>(type) ? 16 : 4;
  Value mine = at(areCounts ? counts : histogram, index, bytes), sum;
  for (int64_t i = 0; i < layout.cluster; ++i) {
    Value bins = b.load(type, remote(b, mine, b.word(i)));
    sum = i == 0 ? bins : b.add(sum, bins);
  }
  return sum;
}

/// The same of copies of a histogram in the workspace.
Value RouteKernel::sumOfCopies(Type type, bool areCounts, Value index,
                               Value round) {
  int64_t bytes = isa<VectorType>(type) ? 16 : 4;
  Value first = firstHistogram(round);
  Value copies = b.select(b.equal(round, 0), copiesOfFirst(), b.word(1));
  Value zero = b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(type)));
  Value sum = zero, last = b.sub(copies, 1);
  for (int64_t i = 0; i < RouteLayout::kCopies; ++i) {
    Value copy =
        b.element(first, b.min(b.word(i), last), 4 * RouteLayout::kHistogram);
    Value place = b.offset(copy, areCounts ? 4 * RouteLayout::kBins : 0);
    Value bins = b.load(type, b.element(place, index, bytes));
    sum = b.add(sum, b.select(b.less(b.word(i), copies), bins, zero));
  }
  return sum;
}

/// Finds the bin that the `wanted`-th largest key lies in, by one warp and two
/// loads that wait for each other: of counts of 32 bins, and of those bins.
/// Without a round, in the digits of this block's list.
void RouteKernel::selectInTeam(Value wanted, Value round) {
  auto read = [&](Type type, bool areCounts, Value index) {
    if (!round) {
      Value place = b.offset(histogram, areCounts ? 4 * kListed : 0);
      return b.load(type, at(place, index, isa<VectorType>(type) ? 16 : 4));
    }
    if (layout.isClustered())
      return sumOfBlocks(type, areCounts, index);
    index = areCounts ? index : placeOfBin(index);
    return sumOfCopies(type, areCounts, index, round);
  };
  auto reaches = [&](Value before, Value count) {
    return b.bitAnd(b.less(before, wanted),
                    b.atLeast(b.add(before, count), wanted));
  };
  b.when(b.equal(warp, 0), [&] {
    // Lane 0 has the highest counts.
    Value quad = b.sub(b.word(kCounts / 4 - 1), lane);
    Type four = VectorType::get(4, b.getI32Type());
    Value counts = read(four, true, quad), part[4];
    for (int64_t i = 0; i < 4; ++i)
      part[i] = b.make<vector::ExtractOp>(counts, i);
    Value sum = b.add(b.add(part[0], part[1]), b.add(part[2], part[3]));
    Value before = b.sub(b.sumOfLanesUpTo(sum), sum);
    Value holder = b.lowestBit(b.ballot(reaches(before, sum)));
    Value group = b.add(b.shl(quad, 2), 3), isAbove = b.flag(true);
    for (int64_t i = 3; i > 0; --i) {
      Value next = b.add(before, part[i]);
      isAbove = b.bitAnd(isAbove, b.less(next, wanted));
      before = b.select(isAbove, next, before);
      group = b.sub(group, b.asWord(isAbove));
    }
    group = b.shuffle(group, holder);
    before = b.shuffle(before, holder);

    Value bin = b.add(b.mul(group, RouteLayout::kBinsPerCount),
                      b.sub(b.word(RouteLayout::kBinsPerCount - 1), lane));
    Value count = read(b.getI32Type(), false, bin);
    before = b.sub(b.add(before, b.sumOfLanesUpTo(count)), count);
    b.when(reaches(before, count), [&] {
      writeShared(kDigit, bin);
      writeShared(kAbove, before);
      writeShared(kInside, count);
    });
  });
  b.barrier();
}

/// Leaves the histograms for the next launch, when nobody reads them any more.
void RouteKernel::clearHistograms() {
  Type four = VectorType::get(4, b.getI32Type());
  Value zero = b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(four)));
  Value sets = b.mul(seqs, b.add(copiesOfFirst(), RouteLayout::kLaterDigits));
  Value first = b.add(b.mul(block, layout.threads), thread);
  Value memory = b.offset(workspace, 4 * layout.histograms());
  b.forEach(first, b.mul(sets, RouteLayout::kHistogram / 4),
            b.mul(blocks, layout.threads),
            [&](Value i) { b.store(zero, b.element(memory, i, 16)); });
}
