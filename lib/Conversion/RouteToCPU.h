// The lowering of moe.idx.route to loops and vectors, in its steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_ROUTETOCPU_H
#define MOE_LIB_CONVERSION_ROUTETOCPU_H

#include "RoutingBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/FixedEvaluation.h"
#include "moe/IR/MoE.h"
#include <limits>

namespace mlir::moe {

/// Whole vectors of the workspace are read and written, so its words must lie
/// next to each other.
LogicalResult verifyRouteOnCPU(IdxRouteOp op);

/// Emits one moe.idx.route on memrefs, whose workspace is verified.
///
/// The workspace holds rows of `stride` words (E rounded up, so that whole
/// vectors are read and written):
///
///     scores [S·T]   bit patterns of the f32 scores
///     keys   [S·T]   the order of the scores as signed i32; when the choice is
///                    made, the first words of a row list its token's experts
///     bias   [1]     choice_bias, canonical
///     groups [B]     the group keys of one token, for each block of tokens
///
/// Keys leave the ends of the i32 range free, so that what is no candidate and
/// what is certainly chosen need no arrays of their own.
class RouteLowering {
public:
  RouteLowering(IdxRouteOp op, RewriterBase &rewriter);

  /// Emits everything at the builder's insertion point; the caller erases the
  /// op.
  void run();

private:
  static constexpr int32_t kAbsent = std::numeric_limits<int32_t>::min();
  static constexpr int32_t kWorst = kAbsent + 1; // a candidate with NaN
  static constexpr int32_t kCertain = std::numeric_limits<int32_t>::max();

  using Values = RoutingBuilder::Values;

  /// The token that a body of code is about.
  struct Token {
    Value seq, token;
    Value scores, keys, groups; // word offsets of its rows in the workspace
  };
  /// A choice among keys: those above `key`, and the first `ties` equal to it.
  struct Threshold {
    Value key, ties;
  };

  // RouteToCPU.cpp: the order of the steps, tokens and the workspace.
  void startTokens();
  void routeToken(const Token &at);
  void chooseForToken(const Token &at);
  void writePlan();
  void forEachToken(StringRef step, function_ref<void(const Token &)> body);
  void distribute(StringRef step, Value count, Value inParallel,
                  function_ref<void(Value)> body);
  void forEachPair(function_ref<void(Value, Value, Value)> body);
  Value isValid(Value seq, Value token);
  Value wordAt(Value at) { return b.load(op.getWorkspace(), at); }
  Value floatAt(Value at) { return fixed.fromBits(wordAt(at)); }
  void storeWord(Value word, Value at) { b.store(word, op.getWorkspace(), at); }
  Value wordsAt(Value at);
  Value floatsAt(Value at) { return fixed.fromBits(wordsAt(at)); }
  void storeWords(Value words, Value at);
  Value splat(Value word);
  Value splat(int32_t word) { return splat(b.word(word)); }

  // RouteToCPUScores.cpp: from logits to scores and keys.
  void prepareBias();
  void scoreToken(const Token &at);
  void scoreBySoftmax(const Token &at);
  Value largestLogit(const Token &at);
  Value sumOfRow(Value row);
  Value scoreOf(Value logit);
  void finishScores(const Token &at, Value column, Value scores);
  bool readsLogitsInPlace();
  void copyLogits(const Token &at);
  Value logitsAt(const Token &at, Value column);
  Value logitAt(const Token &at, Value expert);
  void clearKeys(const Token &at);

  // RouteToCPUGroups.cpp: which experts are candidates.
  void keepBestGroups(const Token &at);
  void writeGroupKeys(const Token &at);
  Value groupKey(Value first);
  void dropGroups(const Token &at, Threshold threshold);

  // RouteToCPUSelection.cpp: the choice.
  Threshold findThreshold(Value first, Value size, Value wanted);
  SmallVector<Value> countAtLeast(Value first, Value size,
                                  ArrayRef<Value> keys);
  Values forEachLane(Value mask, ValueRange init,
                     function_ref<Values(Value, ValueRange)> body);
  void boundToken(const Token &at, int64_t count, bool isFloor);
  Values listChosen(Value keys, Threshold threshold);
  void chooseInSequence(Value seq);

  // RouteToCPUGates.cpp: the gates of the chosen pairs.
  using Gate = std::function<Value(Value)>;
  void writeGates(const Token &at);
  Value foldPairs(const Token &at, Value count, Value init,
                  function_ref<Value(Value, Value)> body);
  Gate gateOf(const Token &at, Value count);
  Gate gateBySum(const Token &at, Value count);
  Gate gateBySoftmax(const Token &at, Value count);

  IdxRouteOp op;
  RewriterBase &rewriter;
  RoutingBuilder b;
  FixedEvaluation fixed;
  int64_t experts, lanes, stride;
  VectorType wordVector, floatVector;
  Value seqs, tokens, allTokens, isLarge;
  Value keysBase, biasBase, groupsBase;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_ROUTETOCPU_H
