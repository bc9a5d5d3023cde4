// The kernel of one moe.idx.route, in its steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROUTEKERNEL_H
#define MOE_LIB_CONVERSION_GPU_ROUTEKERNEL_H

#include "GridBarrier.h"
#include "RouteLayout.h"
#include "RouterProduct.h"
#include "moe/Conversion/FixedEvaluation.h"
#include "moe/IR/MoE.h"

namespace mlir::moe {

/// Emits one moe.idx.route.
///
/// A *team* is the blocks of threads that share a sequence: some of the grid,
/// which tell each other what they found through the workspace, or a cluster,
/// whose blocks read each other's shared memory. Block c of team q
/// has tokens [c·B, c·B + B) of sequence q, so the order of blocks is the order
/// of tokens. A warp takes one token at a time, and lane j of it the experts j,
/// j + 32 and so on: the order in which the contract adds up a softmax.
///
/// 0. logits     with a router, those of this block's tokens are computed.
/// 1. keys       logits become scores and keys, orders as u32: 0 is no
///               candidate, 1 a NaN. What one token decides is decided here:
///               groups, cap, floor, and all of the choice in token scope.
/// 2. threshold  sequence scope: a radix search for the key from which on
///               candidates are in, by at most three digits.
/// 3. choice     one bit for each pair; ties by the order of tokens.
/// 4. columns    the bits transposed, one mask of 32 tokens for each expert;
///               how many tokens each expert has, in all blocks and in those
///               before this one. The one barrier among all blocks, or of
///               the one cluster.
/// 5. offsets    expert_offsets, and where each expert's rows of this block
///               begin; the lists of tiles.
/// 6. rows       for each chosen pair its row, its gate, and both views.
class RouteKernel {
public:
  /// `outside`: what the region of a router uses from outside, the last
  /// arguments.
  RouteKernel(KernelBuilder &b, IdxRouteOp op, const RouteLayout &layout,
              ValueRange arguments, ValueRange outside);

  void emit();

  /// Words of shared memory that the threads of a block share one by one.
  static constexpr int64_t kSharedWords = 64;

private:
  using Values = KernelBuilder::Values;

  enum Word : int64_t {
    kWarpSums = 0, // 32 words
    kDigit = 32,   // the bin that the threshold is in,
    kAbove,        // how many keys lie above it,
    kInside,       // and in it
    // One word free: the three above are read at once, as four.
    kCandidates = 36, // of this round in this block:
    kLargest,         // how many, the largest key,
    kLowest,          // and the lowest, inverted
    kTeamLargest,     // the same two in the team
    kTeamLowest,
    kTiesBefore,  // candidates in the blocks of the team before this one
    kValid,       // valid tokens of the sequence
    kPairsBefore, // pairs of all tokens before the next sequence
    kLive,        // pairs of all tokens
    kListLength,  // candidates that this block lists,
    kListPlace,   // and where they begin in the team's list
    kPhase,
    kTeamPhase, // of barriers
  };
  /// How the search for the threshold ended: in a bin [low, low + 2^width) of
  /// keys, above which all are in. Of those inside it
  ///   Whole  all are in,
  ///   Ties   the first `wanted` are, as all are equal,
  ///   List   the `wanted` best are, and they are few enough to be listed.
  enum Ending : int64_t { kSearching, kWhole, kTies, kList };
  struct Threshold {
    Value ending, low, width, wanted, inside;
  };

  // RouteKernel.cpp: the order of the steps, and where things are.
  void start();
  void enterSequence(Value index);
  void forEachSequence(function_ref<void()> body);
  void chooseInSequence();
  void forEachToken(function_ref<void(Value)> body);
  void forEachOf(Value count, function_ref<void(Value)> body);
  void clearShared(Value words, int64_t count);
  Value at(Value base, Value index, int64_t bytes = 4);
  Value shared(Word word) { return b.offset(sharedWords, word * 4); }
  Value readShared(Word word) { return b.loadWord(shared(word)); }
  void writeShared(Word word, Value value) { b.store(value, shared(word)); }
  void byFirstThread(function_ref<void()> body);
  Value rowOfKeys(Value token);
  Value bitsOf(Value token);
  Value tokenNumber(Value token);
  Value sumOverBlock(Value value);
  struct Sum {
    Value before, total;
  };
  Sum sumOfThreadsBefore(Value value);
  void waitForTeam();

  // RouteScores.cpp: from logits to scores.
  Value loadLogit(Value place);
  Values loadLogits(Value token);
  Value widen(Value logit);
  Value logitAt(Value token, Value expert);
  Values softmaxKeys(ArrayRef<Value> logits, Value token);
  Values sharesOf(ArrayRef<Value> logits, Value largest, Value token);
  void keepStats(Value token, Value largest, Value sum);
  Value expTimes64(Value x);
  Value scoreOf(Value logit);
  Value scoreAgain(Value token, Value expert);
  Value keyOf(Value score);
  Value scoreOfKey(Value key);

  // RouteKeys.cpp: what one token decides.
  void writeKeys();
  void routeToken(Value token, ArrayRef<Value> logits);
  Values keysOfToken(Value token, ArrayRef<Value> logits);
  void addBias(SmallVectorImpl<Value> &keys);
  Value biased(Value score, int64_t word);
  void dropLesserGroups(Value token, SmallVectorImpl<Value> &keys);
  Value keyOfGroup(Value firstKey);
  Values limitsOfBest(ArrayRef<Value> keys, int64_t count);
  Values best(ArrayRef<Value> keys, int64_t count);
  Value countAtLeast(ArrayRef<Value> keys, Value limit);
  Value isIn(ArrayRef<Value> masks, int64_t word) {
    return b.isSet(masks[word], lane);
  }
  void countValid();

  // RouteThreshold.cpp: the radix search of sequence scope.
  Value digitOf(Value key);
  Values rangeOfDigit(Value digit);
  Value isOneValueLeft();
  Value openKey(Value token, Value row, int64_t word);
  Threshold findThreshold();
  void countDigits(Value low, Value width);
  void selectDigit(Value wanted);

  // RouteTeam.cpp: what the blocks of a team tell each other.
  Value copiesOfFirst();
  Value firstHistogram(Value round);
  void publishDigits(Value round);
  Value placeOfBin(Value bin);
  Value endsOf(Value round, Value block);
  void publishEnds(Value round);
  void gatherEnds(Value round);
  Value sumOfBlocks(Type type, bool areCounts, Value index);
  Value sumOfCopies(Type type, bool areCounts, Value index, Value round);
  void selectInTeam(Value wanted, Value round);
  void clearHistograms();

  // RouteList.cpp: the choice among a few candidates of a team.
  void listCandidates(Value row, Value token, ArrayRef<Value> isListed);
  void chooseFromList();
  void publishList();
  void gatherList();
  void takeFromList(bool areCounted);
  void forEachListed(ArrayRef<Value> entries, function_ref<void(Value)> body);
  Value isOneTeam();
  Value findInList(ArrayRef<Value> entries);
  Values narrow(Value round, Value low, Value width, Value wanted);

  // RouteChoice.cpp: one bit for each pair.
  void markChosen(const Threshold &threshold);
  void countTies(Value key);
  Value firstTies(Value token, const Threshold &threshold,
                  ArrayRef<Value> ties);
  Value scanByWarp(Value words, Value count, Value first);

  // RouteColumns.cpp: how many tokens each expert has.
  Value transpose(Value word);
  void writeColumns();
  void countColumns();
  void exchangeColumns();
  void exchangeInCluster();
  void startSums();
  void finishColumns();
  void publishColumns();
  void gatherColumns();

  // RouteOffsets.cpp: where rows begin.
  void writeOffsets();
  void startRows();
  void startTokens();
  void endSequence(Value end);
  void clearTail();

  // RouteTiles.cpp: the tiles of grouped matmuls.
  void writeTiles();
  Values sumsBefore(Value end);
  Values writeTilesOf(Value expert, ValueRange before);

  // RouteRows.cpp: one row and one gate for each chosen pair.
  struct Batch;
  /// A pair that a lane has.
  struct Pair {
    Value token, expert;
    Value leader; // the lane that leads its token
    Value rank;   // among the token's pairs
    Value row;    // the token's keys
    Value isReal; // false for lanes past the end
  };
  void writeRows();
  Values startToken(const Batch &batch, Value word);
  void writeBatches(Batch batch, Value chosen, Value member,
                    int64_t tokensAtOnce);
  void writeBatch(Batch batch, Value chosen);
  void listPairs(const Batch &batch, Value chosen, Value place);
  void forEachPair(const Batch &batch, function_ref<void(Value)> body);
  Pair readPair(const Batch &batch, Value number);
  void writeTerms(const Batch &batch);
  Value foldTerms(const Batch &batch, Value init,
                  function_ref<Value(Value, Value)> body);
  Value number(float value);
  Value divisorOf(const Batch &batch);
  Value divisorOfSum(Value sum);
  Value divisorOfExponentials(Value sum);
  Value finiteOrZero(Value largest);
  Value gateOf(Value term, Value divisor);
  void writePair(const Batch &batch, Value number, Value divisor);

  // RouteTokenRows.cpp: the same where each token chose for itself.
  struct OwnPair;
  void storePairs(Value token, ArrayRef<Value> keys, ArrayRef<Value> chosen);
  void writeTokenRows();
  OwnPair readOwnPair(Value token, Value rank);
  Value termOf(const OwnPair &pair);
  Value foldOwn(Value term, const OwnPair &pair, Value init,
                function_ref<Value(Value, Value)> body);
  Value ownDivisor(Value &term, const OwnPair &pair);
  Values findColumn(Value group, Value expert);

  KernelBuilder &b;
  IdxRouteOp op;
  const RouteLayout &layout;
  FixedEvaluation fixed;
  GridBarrier allBlocks, ofTeam;

  // The kernel's arguments.
  Value logits, choiceBias, valid, expertOffsets, rowToken, tokenOffsets,
      tokenRow, gates, workspace;
  RouterOperands router;
  Values tiles;
  Value seqs, tokens, team, blockTokens, blockSeqs, rows;
  // Where this thread stands.
  Value thread, lane, warp, block, blocks;
  // Where this block stands.
  Value seq, member, firstToken, numTokens, firstRow;
  // How the choice of its sequence ended.
  Threshold threshold;
  // Memory. That of tokens is shared or in the workspace.
  Value groupSums, listLengths, sharedWords, histogram, totals, starts;
  // Of clusters. The list is where the histogram was, without them.
  Value columns, counts, list;
  Value keys, bits, stats, masks, bases, pairsBefore, groupPairs;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROUTEKERNEL_H
