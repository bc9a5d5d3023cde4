// The rules that options and sizes must keep, and the texts that say so.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "moe/Routing/Options.h"

#include <functional>
#include <gtest/gtest.h>
#include <ostream>

using namespace moe::routing;

namespace {

struct Broken {
  const char *name;
  int64_t experts;
  std::function<void(RouteOptions &)> change;
  std::string message;
};

void PrintTo(const Broken &broken, std::ostream *os) { *os << broken.name; }

class BrokenOptions : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenOptions, SaysWhatAndWhyAndWhatToDo) {
  RouteOptions options;
  options.k = 2;
  ASSERT_EQ(checkOptions(options, 8), std::nullopt);
  GetParam().change(options);
  EXPECT_EQ(checkOptions(options, GetParam().experts).value_or("no message"),
            GetParam().message);
}

const Broken kBroken[] = {
    {"NoExperts", 0, [](RouteOptions &) {},
     "there are 0 experts, but at least one is needed"},
    {"KZero", 8, [](RouteOptions &o) { o.k = 0; },
     "k = 0, but a token needs at least one expert on average: set k >= 1"},
    {"KAboveE", 8, [](RouteOptions &o) { o.k = 9; },
     "k = 9 exceeds the 8 experts, and a token chooses an expert at most once: "
     "lower k"},
    {"NoGroups", 8, [](RouteOptions &o) { o.nGroup = 0; },
     "n_group = 0, but there is at least one group: use 1 for no group limit"},
    {"GroupsDoNotDivide", 8, [](RouteOptions &o) { o.nGroup = 3; },
     "n_group = 3 does not divide the 8 experts, and groups have equal sizes"},
    {"KeptNone", 8,
     [](RouteOptions &o) {
       o.nGroup = 4;
       o.topkGroup = 0;
     },
     "topk_group = 0 is not between 1 and n_group = 4"},
    {"KeptTooMany", 8,
     [](RouteOptions &o) {
       o.nGroup = 4;
       o.topkGroup = 5;
     },
     "topk_group = 5 is not between 1 and n_group = 4"},
    {"KeptTooSmall", 8,
     [](RouteOptions &o) {
       o.nGroup = 8;
       o.topkGroup = 1;
     },
     "the 1 of 8 groups kept hold 1 experts, fewer than k = 2: raise "
     "topk_group or lower k"},
    {"FloorInTokenScope", 8, [](RouteOptions &o) { o.floor = 1; },
     "floor and cap belong to scope = sequence; in scope = token every token "
     "gets k experts: drop them, or set scope = sequence"},
    {"CapInTokenScope", 8, [](RouteOptions &o) { o.cap = 8; },
     "floor and cap belong to scope = sequence; in scope = token every token "
     "gets k experts: drop them, or set scope = sequence"},
    {"FloorNegative", 8,
     [](RouteOptions &o) {
       o.scope = Scope::Sequence;
       o.floor = -1;
     },
     "floor = -1 is negative: use 0 for no floor"},
    {"FloorAboveK", 8,
     [](RouteOptions &o) {
       o.scope = Scope::Sequence;
       o.floor = 3;
     },
     "floor = 3 exceeds k = 2, so that the floors alone overspend the budget: "
     "lower floor"},
    {"CapBelowK", 8,
     [](RouteOptions &o) {
       o.scope = Scope::Sequence;
       o.cap = 1;
     },
     "cap = 1 is below k = 2, so that the budget cannot be spent: raise cap"},
    {"CapAboveE", 8,
     [](RouteOptions &o) {
       o.scope = Scope::Sequence;
       o.cap = 9;
     },
     "cap = 9 exceeds the 8 experts a token can choose from: lower cap, or "
     "leave it out for no cap"},
    {"CapAboveKeptExperts", 8,
     [](RouteOptions &o) {
       o.scope = Scope::Sequence;
       o.nGroup = 4;
       o.topkGroup = 2;
       o.cap = 5;
     },
     "cap = 5 exceeds the 4 experts a token can choose from: lower cap, or "
     "leave it out for no cap"},
    {"SumOfLogits", 8,
     [](RouteOptions &o) {
       o.score = Score::Identity;
       o.normalize = Normalize::Sum;
     },
     "normalize = sum divides by a sum of raw logits under score = identity, "
     "which may be zero or negative: use normalize = softmax, or another "
     "score"},
    {"SoftmaxOfSigmoid", 8,
     [](RouteOptions &o) {
       o.score = Score::Sigmoid;
       o.normalize = Normalize::Softmax;
     },
     "normalize = softmax works on the chosen logits and needs score = softmax "
     "or identity, but score = sigmoid: use normalize = sum"},
    {"SequenceOfLogits", 8,
     [](RouteOptions &o) {
       o.score = Score::Identity;
       o.scope = Scope::Sequence;
     },
     "scope = sequence with score = identity ranks raw logits across tokens, "
     "which a constant added to one token's logits changes: use score = "
     "softmax (with normalize = softmax it chooses the same experts per "
     "token), or set rank_logits to rank them all the same"},
    {"RankLogitsOfScores", 8, [](RouteOptions &o) { o.rankLogits = true; },
     "rank_logits needs score = identity, but score = softmax ranks scores: "
     "drop rank_logits, or use score = identity"},
    {"ScaleTooLarge", 8, [](RouteOptions &o) { o.scale = 1e39; },
     "scale must be a finite f32 number"},
    {"EpsNegative", 8, [](RouteOptions &o) { o.eps = -1e-6; },
     "eps must be a finite f32 number, zero or more"},
    {"NormMinNaN", 8, [](RouteOptions &o) { o.normMin = __builtin_nan(""); },
     "norm_min must be a finite f32 number, zero or more"},
};

INSTANTIATE_TEST_SUITE_P(All, BrokenOptions, ::testing::ValuesIn(kBroken),
                         [](const auto &info) { return info.param.name; });

TEST(Options, LimitsAreIncluded) {
  RouteOptions options;
  options.k = 8;
  EXPECT_EQ(checkOptions(options, 8), std::nullopt);
  options.scope = Scope::Sequence;
  options.floor = 8;
  options.cap = 8;
  EXPECT_EQ(checkOptions(options, 8), std::nullopt);
  options.k = options.floor = 2;
  options.nGroup = 8;
  options.topkGroup = 2;
  options.cap = 2;
  EXPECT_EQ(checkOptions(options, 8), std::nullopt);
  options.score = Score::Identity;
  options.normalize = Normalize::Softmax;
  options.rankLogits = true;
  options.scale = -3.0;
  EXPECT_EQ(checkOptions(options, 8), std::nullopt);
  EXPECT_EQ(candidatesPerToken(options, 8), 2);
}

TEST(Options, Sizes) {
  EXPECT_EQ(checkSizes(0, 0, 1, 1), std::nullopt);
  EXPECT_EQ(checkSizes(0, int64_t(1) << 62, 1, 1), std::nullopt);
  EXPECT_EQ(checkSizes(1, (1 << 23) - 1, 256, 8), std::nullopt);
  const std::string split = " is 2^31 or more, and plans hold i32: split the "
                            "batch";
  EXPECT_EQ(checkSizes(1, 1 << 23, 256, 8).value_or(""),
            "S*T*E of S = 1, T = 8388608, E = 256" + split);
  EXPECT_EQ(checkSizes(int64_t(1) << 40, int64_t(1) << 40, 256, 8).value_or(""),
            "S*T*E of S = 1099511627776, T = 1099511627776, E = 256" + split);
  EXPECT_EQ(checkSizes(1 << 10, 1 << 10, 4, 1 << 11).value_or(""),
            "the number of rows S*T*K of S = 1024, T = 1024, E = 4, K = 2048" +
                split);
  EXPECT_EQ(checkSizes(int64_t(1) << 31, 0, 4, 1).value_or(""),
            "the number of token offsets S*(T+1) of S = 2147483648, T = 0, "
            "E = 4" +
                split);
  EXPECT_EQ(checkSizes(1, -1, 4, 1).value_or(""),
            "sizes must not be negative, but S = 1, T = -1, E = 4, K = 1");
}

template <typename Choice, typename Parse>
void expectSpelling(std::initializer_list<Choice> choices, Parse parse) {
  for (Choice choice : choices)
    EXPECT_EQ(parse(stringify(choice)), choice);
  EXPECT_EQ(parse("Softmax"), std::nullopt);
  EXPECT_EQ(parse(""), std::nullopt);
}

TEST(Options, SpellingGoesBothWays) {
  expectSpelling({Scope::Token, Scope::Sequence}, parseScope);
  expectSpelling(
      {Score::Softmax, Score::Sigmoid, Score::SqrtSoftplus, Score::Identity},
      parseScore);
  expectSpelling({Normalize::None, Normalize::Sum, Normalize::Softmax},
                 parseNormalize);
  expectSpelling({GroupScore::Max, GroupScore::Top2Sum}, parseGroupScore);
  EXPECT_EQ(stringify(GroupScore::Top2Sum), "top2_sum");
}

} // namespace
