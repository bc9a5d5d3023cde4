// The kernel of one moe.idx.route: the radix search of sequence scope.
//
// A digit has 4096 bins. The first is no bit field but a monotone map: where
// scores lie, in 28 octaves, a bin has 2^16 keys, and elsewhere it is a whole
// octave. The later ones are 12 bits of what is left: 16 -> 4 -> 0 or 23 -> 11
// -> 0. So three digits reach single keys, whatever the keys are, and a fourth
// round can only find that all candidates are equal.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"

using namespace mlir;
using namespace mlir::moe;

/// Octaves, that is keys by their upper 9 bits, with fine bins: [2^-27, 2).
static constexpr int64_t kFineOctaves = 28, kFirstFine = 384 - kFineOctaves;
/// Bins of a fine octave, less the one that it would have anyhow.
static constexpr int64_t kMoreBins = 127;

static_assert(512 + kFineOctaves * kMoreBins <= RouteLayout::kBins);

/// The bin of a key in the first digit.
Value RouteKernel::digitOf(Value key) {
  Value coarse = b.shr(key, 23), fine = b.shr(key, 16);
  if (layout.isUnit) {
    // Below the fine octaves the coarse one is larger, inside them the other.
    Value inside = b.sub(fine, kFirstFine * kMoreBins);
    return b.make<arith::MaxSIOp>(inside, coarse);
  }
  Value inside = b.sub(fine, kFirstFine << 7);
  Value above = b.add(coarse, kFineOctaves * kMoreBins);
  Value outside = b.select(b.less(coarse, kFirstFine), coarse, above);
  return b.select(b.less(inside, kFineOctaves << 7), b.add(inside, kFirstFine),
                  outside);
}

/// The lowest key of a bin of the first digit, and log2 of its number of keys.
RouteKernel::Values RouteKernel::rangeOfDigit(Value digit) {
  Value inside = b.sub(digit, kFirstFine);
  Value isFine = b.less(inside, kFineOctaves * (kMoreBins + 1));
  Value fine = b.shl(b.add(inside, kFirstFine << 7), 16);
  Value coarse = b.select(b.less(digit, kFirstFine), digit,
                          b.sub(digit, kFineOctaves * kMoreBins));
  return {b.select(isFine, fine, b.shl(coarse, 23)),
          b.select(isFine, b.word(16), b.word(23))};
}

/// Bits of a later digit that lie below it.
static Value bitsBelow(KernelBuilder &b, Value width) {
  return b.sub(b.max(width, b.word(RouteLayout::kDigitBits)),
               RouteLayout::kDigitBits);
}

/// The `left` best candidates of a sequence.
RouteKernel::Threshold RouteKernel::findThreshold() {
  Value wanted = b.mul(readShared(kValid), layout.k - layout.floor);
  Value all = b.word(kWhole), open = b.word(kSearching);
  // Nothing to choose: a key that none has.
  Value ending = b.select(b.equal(wanted, 0), all, open);
  Values end = b.repeatWhile(
      {ending, b.word(-1), b.word(0), wanted, b.word(0), b.word(0)},
      [&](ValueRange s) {
        return b.bitAnd(b.equal(s[0], kSearching),
                        b.less(s[5], RouteLayout::kRounds));
      },
      [&](ValueRange s) {
        Value low = s[1], width = s[2], wanted = s[3], round = s[5];
        Value isLater = b.unequal(round, 0);
        b.when(isLater, [&] {
          // Nobody reads the histogram of the round before any more.
          if (layout.isClustered())
            waitForTeam();
          countDigits(low, width);
        });
        if (layout.hasTeam()) {
          publishDigits(round);
          if (!layout.isClustered())
            b.when(isLater, [&] { publishEnds(round); });
          waitForTeam();
          b.when(isLater, [&] { gatherEnds(round); });
        }
        SmallVector<Type> types(5, b.getI32Type());
        Values next = b.choose(
            b.bitAnd(isLater, isOneValueLeft()), types,
            [&] {
              return Values{b.word(kTies), readShared(kTeamLargest), b.word(0),
                            wanted, b.word(0)};
            },
            [&] { return narrow(round, low, width, wanted); });
        next.push_back(b.add(round, 1));
        return next;
      });
  return {end[0], end[1], end[2], end[3], end[4]};
}

/// Whether all candidates of this round are equal: it is known in later rounds.
Value RouteKernel::isOneValueLeft() {
  Value largest = readShared(kTeamLargest);
  return b.equal(largest, b.invert(readShared(kTeamLowest)));
}

/// The histogram of those candidates that lie in [low, low + 2^width).
void RouteKernel::countDigits(Value low, Value width) {
  clearShared(histogram, RouteLayout::kBins);
  byFirstThread([&] {
    for (Word word : {kCandidates, kLargest, kLowest, kTeamLargest, kTeamLowest,
                      kTiesBefore})
      writeShared(word, b.word(0));
  });
  b.barrier();
  Value below = bitsBelow(b, width), zero = b.word(0);
  Values ends =
      b.fold(warp, numTokens, b.word(layout.warps), {zero, zero, zero},
             [&](Value token, ValueRange ends) {
               Value row = rowOfKeys(token);
               Value largest = ends[0], lowest = ends[1], count = ends[2];
               for (int64_t word = 0; word < layout.words; ++word) {
                 Value key = openKey(token, row, word), place = b.sub(key, low);
                 Value isIn = b.bitAnd(b.unequal(key, 0), b.atLeast(key, low));
                 isIn = b.bitAnd(isIn, b.equal(b.shr(place, width), 0));
                 largest = b.select(isIn, b.max(largest, key), largest);
                 lowest = b.select(isIn, b.max(lowest, b.invert(key)), lowest);
                 count = b.add(count, b.asWord(isIn));
                 b.when(isIn, [&] {
                   b.atomicAdd(at(histogram, b.shr(place, below)), b.word(1));
                 });
               }
               return Values{largest, lowest, count};
             });
  Value largest = b.reduce(ends[0], NVVM::ReduxKind::UMAX);
  Value lowest = b.reduce(ends[1], NVVM::ReduxKind::UMAX);
  Value count = b.reduce(ends[2], NVVM::ReduxKind::ADD);
  b.when(b.bitAnd(b.equal(lane, 0), b.unequal(count, 0)), [&] {
    // One block is its own team.
    b.atomicMax(shared(layout.hasTeam() ? kLargest : kTeamLargest), largest);
    b.atomicMax(shared(layout.hasTeam() ? kLowest : kTeamLowest), lowest);
    if (layout.hasTeam())
      b.atomicAdd(shared(kCandidates), count);
  });
  b.barrier();
}

/// The key of this lane in a word of a token; 0 if it is certain anyhow.
Value RouteKernel::openKey(Value token, Value row, int64_t word) {
  Value key = b.loadWord(b.offset(row, 128 * word));
  if (layout.floor == 0)
    return key;
  Value certain = b.loadWord(b.offset(bitsOf(token), 4 * word));
  return b.select(b.isSet(certain, lane), b.word(0), key);
}

/// Finds the bin that the `wanted`-th largest key lies in.
void RouteKernel::selectDigit(Value wanted) {
  // Thread 0 has the highest bins.
  int64_t share = RouteLayout::kBins / layout.threads;
  Value top = b.mul(b.sub(b.word(layout.threads), thread), share);
  Type four = VectorType::get(4, b.getI32Type());
  Values counts;
  for (int64_t group = 1; group <= share / 4; ++group) {
    Value place = at(histogram, b.sub(top, 4 * group));
    Value bins = b.load(four, place);
    for (int64_t i = 3; i >= 0; --i)
      counts.push_back(b.make<vector::ExtractOp>(bins, i));
  }
  Value sum = counts[0];
  for (Value count : ArrayRef(counts).drop_front())
    sum = b.add(sum, count);
  Value before = sumOfThreadsBefore(sum).before;
  auto reaches = [&](Value before, Value count) {
    return b.bitAnd(b.less(before, wanted),
                    b.atLeast(b.add(before, count), wanted));
  };
  b.when(reaches(before, sum), [&] {
    Value above = before;
    for (auto [i, count] : llvm::enumerate(counts)) {
      Value bin = b.sub(top, i + 1);
      b.when(reaches(above, count), [&, above = above, count = count] {
        writeShared(kDigit, bin);
        writeShared(kAbove, above);
        writeShared(kInside, count);
      });
      above = b.add(above, count);
    }
  });
  b.barrier();
}

/// The next state of the search: how it ended, and the range of the bin.
RouteKernel::Values RouteKernel::narrow(Value round, Value low, Value width,
                                        Value wanted) {
  Value isFirst = b.equal(round, 0);
  if (layout.hasTeam())
    selectInTeam(wanted, round);
  else
    selectDigit(wanted);
  Value digit = readShared(kDigit), inside = readShared(kInside);
  wanted = b.sub(wanted, readShared(kAbove));
  Values first = rangeOfDigit(digit);
  Value below = bitsBelow(b, width);
  low = b.select(isFirst, first[0], b.add(low, b.shl(digit, below)));
  width = b.select(isFirst, first[1], below);
  Value ending = b.word(kSearching);
  if (layout.hasTeam())
    ending = b.select(b.less(inside, RouteLayout::kListed + 1), b.word(kList),
                      ending);
  ending = b.select(b.equal(inside, wanted), b.word(kWhole), ending);
  return {ending, low, width, wanted, inside};
}
