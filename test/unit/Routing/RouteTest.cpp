// The contract's lines on batches small enough to check by hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "RoutedBatch.h"

#include <gtest/gtest.h>

using namespace moe::routing;
using namespace moe::routing::test;

namespace {

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

TEST(RouteKeys, NaNIsBelowEverythingAndStaysACandidate) {
  Batch batch{1, 1, 3, {kQuietNaN, -kInf, 5.0f}, tokenOptions(2)};
  EXPECT_EQ(chosen(batch.route()), perToken({{1, 2}}));
  batch.options.k = 3;
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1, 2}}));
}

TEST(RouteKeys, NegativeZeroEqualsZero) {
  Batch batch{1, 1, 3, {-0.0f, 0.0f, -1.0f}, tokenOptions(1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0}}));
  batch.logits = {0.0f, -0.0f, -1.0f};
  EXPECT_EQ(chosen(batch.route()), perToken({{0}}));
}

TEST(RouteKeys, TinyLogitsEqualZero) {
  Batch batch{1, 1, 3, {-0x1p-126f, 0.0f, 0x1p-126f}, tokenOptions(1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0}}));
}

TEST(RouteKeys, BiasAffectsTheChoiceButNotTheGate) {
  Batch batch{1, 1, 3, {3.0f, 2.0f, 1.0f}, tokenOptions(1)};
  batch.choiceBias = {0.0f, 0.0f, 2.5f};
  Plan plan = batch.route();
  EXPECT_EQ(chosen(plan), perToken({{2}}));
  EXPECT_EQ(plan.gates, floats({1.0f}));
}

TEST(RouteKeys, BiasCanMakeAKeyNaN) {
  Batch batch{1, 1, 2, {kInf, 0.0f}, tokenOptions(1)};
  batch.choiceBias = {-kInf, 0.0f};
  EXPECT_EQ(chosen(batch.route()), perToken({{1}}));
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

RouteOptions grouped(int64_t k, int64_t nGroup, int64_t kept,
                     GroupScore score) {
  RouteOptions options = tokenOptions(k);
  options.nGroup = nGroup;
  options.topkGroup = kept;
  options.groupScore = score;
  return options;
}

TEST(RouteGroups, MaxKeepsTheGroupOfTheBestKey) {
  Batch batch{
      1, 1, 4, {1.0f, 9.0f, 8.0f, 7.0f}, grouped(2, 2, 1, GroupScore::Max)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}}));
}

TEST(RouteGroups, Top2SumAddsTheTwoBestKeys) {
  Batch batch{1,
              1,
              6,
              {9.0f, 1.0f, 1.0f, 6.0f, -9.0f, 5.0f},
              grouped(2, 2, 1, GroupScore::Top2Sum)};
  EXPECT_EQ(chosen(batch.route()), perToken({{3, 5}}));
}

TEST(RouteGroups, RankByKeysNotScores) {
  Batch batch{
      1, 1, 4, {4.0f, 4.0f, 3.0f, 3.0f}, grouped(1, 2, 1, GroupScore::Max)};
  batch.choiceBias = {0.0f, 0.0f, 0.0f, 2.0f};
  EXPECT_EQ(chosen(batch.route()), perToken({{3}}));
}

TEST(RouteGroups, TiesGoToTheLowerGroup) {
  Batch batch{1,
              1,
              6,
              {1.0f, 2.0f, 2.0f, 0.0f, 2.0f, 1.0f},
              grouped(1, 3, 2, GroupScore::Max)};
  batch.options.k = 4;
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1, 2, 3}}));
}

TEST(RouteGroups, ANaNKeyDoesNotHideTheGroupsMaximum) {
  Batch batch{1,
              1,
              4,
              {kQuietNaN, 5.0f, 4.0f, 4.0f},
              grouped(1, 2, 1, GroupScore::Max)};
  EXPECT_EQ(chosen(batch.route()), perToken({{1}}));
}

TEST(RouteGroups, AGroupWhoseSumIsNaNIsLowest) {
  Batch batch{1,
              1,
              4,
              {kQuietNaN, 5.0f, -kInf, -kInf},
              grouped(2, 2, 1, GroupScore::Top2Sum)};
  EXPECT_EQ(chosen(batch.route()), perToken({{2, 3}}));
  batch.logits = {kInf, -kInf, -7.0f, -8.0f};
  EXPECT_EQ(chosen(batch.route()), perToken({{2, 3}}));
}

TEST(RouteGroups, Top2SumOfOneExpertIsItsKey) {
  Batch batch{
      1, 1, 3, {1.0f, 3.0f, 2.0f}, grouped(2, 3, 2, GroupScore::Top2Sum)};
  EXPECT_EQ(chosen(batch.route()), perToken({{1, 2}}));
}

TEST(RouteGroups, OthersAreNoCandidatesRatherThanScoreZero) {
  // With "score 0" for the lost group its experts would beat -1 and -2.
  Batch batch{
      1, 1, 4, {-1.0f, -2.0f, -3.0f, -4.0f}, grouped(2, 2, 1, GroupScore::Max)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}}));
}

TEST(RouteGroups, LimitTheCandidatesOfASequence) {
  RouteOptions options = rankLogits(1);
  options.nGroup = 2;
  options.topkGroup = 1;
  Batch batch{1, 2, 4, {9, 1, 8, 8, 1, 2, 3, 4}, options};
  // Token 0 keeps {9, 1}, token 1 keeps {3, 4}: the two 8 are out.
  EXPECT_EQ(chosen(batch.route()), perToken({{0}, {3}}));
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

TEST(RouteToken, EachTokenTakesItsBest) {
  Batch batch{1, 2, 3, {1, 3, 2, 30, 20, 10}, tokenOptions(2)};
  EXPECT_EQ(chosen(batch.route()), perToken({{1, 2}, {0, 1}}));
}

TEST(RouteToken, TiesGoToTheLowerExpert) {
  Batch batch{1, 1, 4, {1, 2, 2, 2}, tokenOptions(2)};
  EXPECT_EQ(chosen(batch.route()), perToken({{1, 2}}));
}

TEST(RouteSequence, TheBudgetIsSpentJointly) {
  Batch batch{1, 3, 3, {9, 8, 7, 6, 1, 1, 0, 0, 0}, rankLogits(1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1, 2}, {}, {}}));
}

TEST(RouteSequence, TiesGoToTheEarlierTokenThenTheLowerExpert) {
  Batch batch{1, 3, 2, {1, 5, 1, 1, 1, 1}, rankLogits(1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}, {0}, {}}));
}

TEST(RouteSequence, FloorIsAlwaysIn) {
  Batch batch{1, 3, 3, {9, 8, 7, 6, 1, 1, 0, 0, 0}, rankLogits(1, 1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0}, {0}, {0}}));
  batch.options = rankLogits(2, 1);
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1, 2}, {0, 1}, {0}}));
}

TEST(RouteSequence, FloorTakesATokensOwnBestEvenIfNaN) {
  Batch batch{1, 2, 2, {9, 8, kQuietNaN, kQuietNaN}, rankLogits(1, 1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0}, {0}}));
}

TEST(RouteSequence, CapIsNeverExceeded) {
  Batch batch{1, 3, 3, {9, 8, 7, 6, 1, 1, 0, 0, 0}, rankLogits(1, 0, 2)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}, {0}, {}}));
  batch.options = rankLogits(1, 0, 1);
  EXPECT_EQ(chosen(batch.route()), perToken({{0}, {0}, {0}}));
}

TEST(RouteSequence, CapCutsTiesAtTheLowerExpert) {
  Batch batch{1, 2, 3, {5, 5, 5, 1, 2, 3}, rankLogits(1, 0, 2)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}, {}}));
  batch.options = rankLogits(2, 0, 2);
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}, {1, 2}}));
}

TEST(RouteSequence, SequencesHaveTheirOwnBudgets) {
  Batch batch{2, 2, 2, {9, 8, 7, 6, 1, 2, 4, 3}, rankLogits(1)};
  EXPECT_EQ(chosen(batch.route()), perToken({{0, 1}, {}, {}, {0, 1}}));
}

//===----------------------------------------------------------------------===//
// Padding and NaN tokens
//===----------------------------------------------------------------------===//

TEST(RouteValid, PaddingIsNeitherCandidateNorInTheBudget) {
  Batch batch{1, 3, 2, {9, 9, 1, 2, 4, 3}, rankLogits(1), {0, 1, 1}};
  Plan plan = batch.route();
  EXPECT_EQ(chosen(plan), perToken({{}, {}, {0, 1}}));
  EXPECT_EQ(plan.liveRows(), 2);
  EXPECT_EQ(plan.rowToken, ints({2, 2, -1}));
  EXPECT_EQ(plan.tokenRow, ints({0, 1, -1}));
  EXPECT_EQ(bitsOf(plan.gates[2]), 0u);
}

TEST(RouteValid, ASequenceMayBeAllPadding) {
  Batch batch{2, 1, 2, {9, 8, 1, 2}, rankLogits(1), {0, 2}};
  Plan plan = batch.route();
  EXPECT_EQ(chosen(plan), perToken({{}, {1}}));
  EXPECT_EQ(plan.tokenOffsets, ints({0, 0, 0, 1}));
}

TEST(RouteValid, NaNTokensAreCountedPaddingIsNot) {
  Batch batch{1, 4, 2, {}, sequenceOptions(1), {0, 1, 1, 1}};
  batch.logits = {kQuietNaN, 1, 2, kQuietNaN, 3, 4, kQuietNaN, kQuietNaN};
  EXPECT_EQ(batch.route().nanTokens, 2);
}

TEST(RouteSequence, ATokenOfNaNsUsuallyGetsNothing) {
  Batch batch{1, 2, 2, {kQuietNaN, 1, 2, 3}, sequenceOptions(1)};
  batch.options.score = Score::Softmax; // makes the token NaN throughout
  Plan plan = batch.route();
  EXPECT_EQ(chosen(plan), perToken({{}, {0, 1}}));
  EXPECT_EQ(plan.nanTokens, 1);
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

std::vector<uint32_t> gatesOf(const Batch &batch) {
  return bitsOf(gatesByToken(batch.route()).at(0));
}

TEST(RouteGates, NoneGivesTheScoreTimesTheScale) {
  Batch batch{1, 1, 2, {2.0f, 3.0f}, tokenOptions(2)};
  batch.options.scale = 2.5;
  EXPECT_EQ(gatesOf(batch), bitsOf({5.0f, 7.5f}));
  batch.options.scale = 0x1p-127; // counts as zero
  EXPECT_EQ(gatesOf(batch), bitsOf({0.0f, 0.0f}));
  batch.options.scale = 0x1p-126 * 3; // 2 * 3 * 2^-126 stays, 2^-126 does not
  batch.logits = {2.0f, 0.25f};
  EXPECT_EQ(gatesOf(batch), bitsOf({0x3p-125f, 0.0f}));
}

TEST(RouteGates, SumDividesByTheSumInExpertOrder) {
  Batch batch{1, 1, 4, {0.3f, -2.0f, 0.1f, 5.0f}, tokenOptions(3)};
  batch.options.score = Score::Sigmoid;
  batch.options.normalize = Normalize::Sum;
  float a = fixedSigmoid(0.3f), b = fixedSigmoid(0.1f), c = fixedSigmoid(5.0f);
  float sum = (a + b) + c;
  EXPECT_EQ(gatesOf(batch), bitsOf({a / sum, b / sum, c / sum}));
}

TEST(RouteGates, SumAddsEpsThenTakesAtLeastNormMin) {
  Batch batch{1, 1, 2, {0.0f, 0.0f}, tokenOptions(2, Score::Sigmoid)};
  batch.options.normalize = Normalize::Sum;
  batch.options.eps = 1.0;
  EXPECT_EQ(gatesOf(batch), bitsOf({0.25f, 0.25f}));
  batch.options.normMin = 2.0;
  EXPECT_EQ(gatesOf(batch), bitsOf({0.25f, 0.25f}));
  batch.options.normMin = 4.0;
  EXPECT_EQ(gatesOf(batch), bitsOf({0.125f, 0.125f}));
}

TEST(RouteGates, AZeroDivisorGivesZero) {
  Batch batch{1, 1, 2, {-kInf, -kInf}, tokenOptions(2, Score::Sigmoid)};
  batch.options.normalize = Normalize::Sum;
  EXPECT_EQ(gatesOf(batch), bitsOf({0.0f, 0.0f}));
  batch.options.eps = 1e-40; // counts as zero
  EXPECT_EQ(gatesOf(batch), bitsOf({0.0f, 0.0f}));
}

TEST(RouteGates, ANaNSumStaysNaNUnderNormMin) {
  Batch batch{1, 1, 2, {kQuietNaN, 1.0f}, tokenOptions(2, Score::Sigmoid)};
  batch.options.normalize = Normalize::Sum;
  batch.options.normMin = 1.0;
  EXPECT_EQ(gatesOf(batch), (std::vector<uint32_t>(2, 0x7FC00000u)));
}

TEST(RouteGates, SoftmaxIsOverTheChosenLogits) {
  for (Score score : {Score::Identity, Score::Softmax}) {
    Batch batch{1, 1, 4, {1.0f, -5.0f, 0.5f, 0.25f}, tokenOptions(3, score)};
    batch.options.normalize = Normalize::Softmax;
    float b = fixedExp(-0.5f), c = fixedExp(-0.75f), sum = (1.0f + b) + c;
    EXPECT_EQ(gatesOf(batch), bitsOf({1.0f / sum, b / sum, c / sum}));
  }
}

TEST(RouteGates, SoftmaxOfChosenWithoutAFiniteLogitIsZero) {
  Batch batch{1, 1, 2, {-kInf, -kInf}, tokenOptions(2)};
  batch.options.normalize = Normalize::Softmax;
  EXPECT_EQ(gatesOf(batch), bitsOf({0.0f, 0.0f}));
  batch.logits = {kInf, 0.0f};
  EXPECT_EQ(gatesOf(batch), (std::vector<uint32_t>(2, 0x7FC00000u)));
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

TEST(RoutePlan, BothViewsOfABatchOfTwo) {
  Batch batch{2, 2, 3, {9, 8, 1, 1, 7, 1, 1, 1, 5, 6, 1, 4}, rankLogits(1)};
  Plan plan = batch.route();
  // Pairs: token 0 -> 0, 1; token 2 -> 2; token 3 -> 0.
  EXPECT_EQ(plan.expertOffsets, ints({0, 2, 3, 4}));
  EXPECT_EQ(plan.rowToken, ints({0, 3, 0, 2}));
  EXPECT_EQ(plan.tokenOffsets, ints({0, 2, 2, 2, 3, 4}));
  EXPECT_EQ(plan.tokenRow, ints({0, 2, 3, 1}));
  EXPECT_EQ(plan.gates, floats({9.0f, 6.0f, 8.0f, 5.0f}));
}

TEST(RoutePlan, EmptyBatches) {
  Batch batch{3, 0, 4, {}, sequenceOptions(2)};
  Plan plan = batch.route();
  EXPECT_EQ(plan.tokenOffsets, ints({0, 0, 0}));
  EXPECT_EQ(plan.expertOffsets, ints({0, 0, 0, 0, 0}));
  EXPECT_TRUE(plan.rowToken.empty());
  batch.sequences = 0;
  batch.tokens = 5;
  plan = batch.route();
  EXPECT_TRUE(plan.tokenOffsets.empty());
  EXPECT_EQ(plan.expertOffsets, ints({0, 0, 0, 0, 0}));
}

TEST(RoutePlan, LogitsOf16Bits) {
  uint16_t logits[] = {roundToF16(1.0f), roundToF16(0x1p-24f), 0x0000};
  RouteInputs inputs;
  inputs.logits = logits;
  inputs.logitsType = ElementType::F16;
  inputs.sequences = inputs.tokens = 1;
  inputs.experts = 3;
  Plan plan;
  ASSERT_EQ(route(tokenOptions(2), inputs, plan), std::nullopt);
  EXPECT_EQ(chosen(plan), perToken({{0, 1}}));
  EXPECT_EQ(plan.gates, floats({1.0f, 0x1p-24f}));
}

TEST(RoutePlan, ARefusalLeavesThePlanAlone) {
  Batch batch{1, 1, 2, {1, 2}, tokenOptions(3)};
  Plan plan;
  plan.rowToken = {42};
  EXPECT_TRUE(batch.tryRoute(plan).has_value());
  batch.options.k = 1;
  batch.tokens = int64_t(1) << 31; // refused before a logit is read
  EXPECT_TRUE(batch.tryRoute(plan).has_value());
  EXPECT_EQ(plan.rowToken, ints({42}));
}

} // namespace
