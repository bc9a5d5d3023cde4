// Plans from given choices, and the invariants of every plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "RoutedBatch.h"

#include <functional>
#include <gtest/gtest.h>

using namespace moe::routing;
using namespace moe::routing::test;

namespace {

template <typename Id>
Plan planOf(const std::vector<Id> &ids, const std::vector<float> &weights,
            int64_t sequences, int64_t tokens, int64_t k, int64_t experts) {
  Choice choice;
  choice.ids = ids.data();
  choice.idsAre64Bit = sizeof(Id) == 8;
  choice.weights = weights.data();
  choice.sequences = sequences;
  choice.tokens = tokens;
  choice.k = k;
  Plan plan;
  EXPECT_EQ(planFromChoice(choice, experts, plan), std::nullopt);
  EXPECT_EQ(checkPlan(plan, /*onePairPerExpert=*/false), std::nullopt);
  return plan;
}

TEST(PlanFromChoice, BothViews) {
  Plan plan =
      planOf<int32_t>({2, 0, 1, 2, 0, 1}, {1, 2, 3, 4, 5, 6}, 3, 1, 2, 3);
  EXPECT_EQ(plan.expertOffsets, ints({0, 2, 4, 6}));
  EXPECT_EQ(plan.rowToken, ints({0, 2, 1, 2, 0, 1}));
  EXPECT_EQ(plan.tokenOffsets, ints({0, 2, 2, 4, 4, 6}));
  EXPECT_EQ(plan.tokenRow, ints({0, 4, 2, 5, 1, 3}));
  EXPECT_EQ(plan.gates, floats({2, 5, 3, 6, 1, 4}));
}

TEST(PlanFromChoice, AnIdOutOfRangeIsNoExpert) {
  Plan plan =
      planOf<int64_t>({-1, 1, 3, int64_t(1) << 32}, {1, 2, 3, 4}, 1, 2, 2, 3);
  EXPECT_EQ(plan.liveRows(), 1);
  EXPECT_EQ(plan.rowToken, ints({0, -1, -1, -1}));
  EXPECT_EQ(plan.tokenRow, ints({0, -1, -1, -1}));
  EXPECT_EQ(plan.tokenOffsets, ints({0, 1, 1}));
  EXPECT_EQ(plan.gates, floats({2, 0, 0, 0}));
}

TEST(PlanFromChoice, AnExpertTwiceKeepsTheOrderOfPositions) {
  Plan plan = planOf<int32_t>({1, 0, 1, 1}, {5, 6, 7, 8}, 1, 1, 4, 2);
  EXPECT_EQ(plan.rowToken, ints({0, 0, 0, 0}));
  EXPECT_EQ(plan.tokenRow, ints({0, 1, 2, 3}));
  EXPECT_EQ(plan.gates, floats({6, 5, 7, 8}));
  EXPECT_EQ(checkPlan(plan, /*onePairPerExpert=*/true).value_or(""),
            "row_token[2] does not ascend within its expert");
}

TEST(PlanFromChoice, WeightsPassUnchanged) {
  uint16_t weights[] = {0x8000, 0x0001, 0xFF80, 0x7FC1};
  int32_t ids[] = {0, 1, 2, 3};
  Choice choice;
  choice.ids = ids;
  choice.weights = weights;
  choice.weightType = ElementType::BF16;
  choice.sequences = choice.tokens = 1;
  choice.k = 4;
  Plan plan;
  ASSERT_EQ(planFromChoice(choice, 4, plan), std::nullopt);
  uint16_t back[4];
  storeElements(plan.gates.data(), 4, ElementType::BF16, back);
  EXPECT_EQ(std::vector<uint16_t>(back, back + 4),
            (std::vector<uint16_t>{0x8000, 0x0001, 0xFF80, 0x7FC1}));
}

TEST(PlanFromChoice, EqualsTheRouteWhoseChoiceItIsGiven) {
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    Batch batch = randomBatch(random, 2, 5, 7);
    batch.options = tokenOptions(3, Score::Sigmoid);
    Plan route = batch.route();
    std::vector<int32_t> ids;
    std::vector<float> weights;
    std::vector<Experts> experts = chosen(route);
    auto gates = gatesByToken(route);
    for (size_t t = 0; t < experts.size(); ++t)
      for (int i : {2, 0, 1}) { // ids come in any order
        ids.push_back(experts[t][i]);
        weights.push_back(gates[t][i]);
      }
    Plan plan = planOf(ids, weights, 2, 5, 3, 7);
    plan.nanTokens = route.nanTokens;
    ASSERT_TRUE(sameBits(plan, route));
  }
}

TEST(PlanFromChoice, RefusesSizes) {
  Choice choice;
  choice.sequences = 1 << 10;
  choice.tokens = 1 << 10;
  choice.k = 1 << 11;
  Plan plan;
  EXPECT_TRUE(planFromChoice(choice, 4, plan).has_value());
  choice.k = 1;
  EXPECT_EQ(planFromChoice(choice, 0, plan).value_or(""),
            "there are 0 experts, but at least one is needed");
}

TEST(PlanFromChoice, KOfZero) {
  Plan plan = planOf<int32_t>({}, {}, 2, 1, 0, 3);
  EXPECT_EQ(plan.tokenOffsets, ints({0, 0, 0, 0}));
}

//===----------------------------------------------------------------------===//
// Invariants
//===----------------------------------------------------------------------===//

struct Fault {
  const char *name;
  std::function<void(Plan &)> change;
  const char *message;
};

void PrintTo(const Fault &fault, std::ostream *os) { *os << fault.name; }

class BrokenPlan : public ::testing::TestWithParam<Fault> {};

/// Two sequences of two tokens, three experts, the last token padding.
Plan goodPlan() {
  Batch batch{
      2,           2, 3, {9, 8, 1, 1, 7, 1, 1, 1, 5, 6, 1, 4}, rankLogits(1),
      {1, 1, 1, 0}};
  return batch.route();
}

TEST_P(BrokenPlan, IsNamed) {
  Plan plan = goodPlan();
  ASSERT_EQ(checkPlan(plan, true), std::nullopt);
  GetParam().change(plan);
  EXPECT_EQ(checkPlan(plan, true).value_or("no message"), GetParam().message);
}

// expert_offsets 0 1 2 3, row_token 0 0 2 -1,
// token_offsets 0 2 2 | 2 3 3, token_row 0 1 2 -1
const Fault kFaults[] = {
    {"NoSizes", [](Plan &p) { p.tokens = -1; },
     "the plan's sizes are no sizes"},
    {"ShortExpertOffsets", [](Plan &p) { p.expertOffsets.pop_back(); },
     "expert_offsets does not have E + 1 elements"},
    {"ShortTokenOffsets", [](Plan &p) { p.tokenOffsets.pop_back(); },
     "token_offsets does not have S*(T + 1) elements"},
    {"ShortGates", [](Plan &p) { p.gates.pop_back(); },
     "row_token, token_row and gates differ in size"},
    {"FirstExpertOffset", [](Plan &p) { p.expertOffsets[0] = 1; },
     "expert_offsets[0] is not 0"},
    {"FallingExpertOffsets", [](Plan &p) { p.expertOffsets[1] = 3; },
     "expert_offsets[2] is below its predecessor"},
    {"TooManyRows", [](Plan &p) { p.expertOffsets[3] = 5; },
     "expert_offsets ends beyond the plan's rows"},
    {"NoToken", [](Plan &p) { p.rowToken[1] = 4; }, "row_token[1] is no token"},
    {"FallingTokens",
     [](Plan &p) {
       p.expertOffsets = {0, 0, 0, 3};
       p.rowToken[0] = 1;
     },
     "row_token[1] does not ascend within its expert"},
    {"SequencesApart", [](Plan &p) { p.tokenOffsets[3] = 3; },
     "token_offsets[3] is not where the sequence before ends"},
    {"Counts", [](Plan &p) { p.tokenOffsets[5] = 4; },
     "token_offsets and expert_offsets count different rows"},
    {"RowOfAnother", [](Plan &p) { std::swap(p.tokenRow[1], p.tokenRow[2]); },
     "token_row[1] is no row of token 0"},
    {"RowsNotAscending",
     [](Plan &p) { std::swap(p.tokenRow[0], p.tokenRow[1]); },
     "token_row[1] does not ascend within its token"},
    {"RowTwice", [](Plan &p) { p.tokenRow[1] = 0; },
     "token_row[1] does not ascend within its token"},
    {"BeyondLiveRows", [](Plan &p) { p.tokenRow[3] = 0; },
     "row_token or token_row[3] is beyond the live rows and not -1"},
};

INSTANTIATE_TEST_SUITE_P(All, BrokenPlan, ::testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
