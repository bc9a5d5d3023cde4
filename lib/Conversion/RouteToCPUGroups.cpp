// moe.idx.route to loops and vectors: which groups of experts are candidates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteToCPU.h"

using namespace mlir;
using namespace mlir::moe;

/// The key of the group whose first expert's key is word `first`.
Value RouteLowering::groupKey(Value first) {
  int64_t size = experts / op.getNGroup();
  bool isMax = op.getGroupScore() == GroupScore::Max || size == 1;
  Value absent = b.word(kAbsent);
  Values best = b.fold(first, b.add(first, size), 1, {absent, absent},
                       [&](Value at, ValueRange two) {
                         Value key = wordAt(at);
                         Value lower = b.make<arith::MinSIOp>(two[0], key);
                         return Values{b.make<arith::MaxSIOp>(two[0], key),
                                       b.make<arith::MaxSIOp>(two[1], lower)};
                       });
  if (isMax)
    return best[0];
  Value sum = b.make<arith::AddFOp>(fixed.unkey(best[0]), fixed.unkey(best[1]));
  return b.make<arith::MaxSIOp>(fixed.key(fixed.canon(sum)), b.word(kWorst));
}

void RouteLowering::writeGroupKeys(const Token &at) {
  int64_t groups = op.getNGroup(), size = experts / groups;
  Value absent = splat(kAbsent);
  b.forEach(b.index(0), b.index(groups), lanes,
            [&](Value g) { storeWords(absent, b.add(at.groups, g)); });
  b.forEach(b.index(groups), [&](Value g) {
    Value key = groupKey(b.add(at.keys, b.mul(g, size)));
    storeWord(key, b.add(at.groups, g));
  });
}

/// The experts of groups that are not chosen are no candidates. Ties go to the
/// lower group.
void RouteLowering::dropGroups(const Token &at, Threshold threshold) {
  int64_t size = experts / op.getNGroup();
  b.fold(b.index(0), b.index(op.getNGroup()), threshold.ties,
         [&](Value g, Value ties) {
           Value key = wordAt(b.add(at.groups, g));
           Value above = b.isBelow(threshold.key, key);
           Value tie =
               b.both(b.equal(key, threshold.key), b.isBelow(b.word(0), ties));
           Value kept = b.either(above, tie);
           Value first = b.add(at.keys, b.mul(g, size));
           Value dropped = b.select(kept, b.index(0), b.index(size));
           b.forEach(first, b.add(first, dropped), 1,
                     [&](Value word) { storeWord(b.word(kAbsent), word); });
           return b.sub(ties, b.asWord(tie));
         });
}

void RouteLowering::keepBestGroups(const Token &at) {
  writeGroupKeys(at);
  int64_t words = llvm::divideCeil(op.getNGroup(), lanes) * lanes;
  dropGroups(
      at, findThreshold(at.groups, b.index(words), b.index(op.getTopkGroup())));
}
