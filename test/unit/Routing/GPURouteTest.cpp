// The cost model of routings on a GPU, against times of an H100.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPURoute.h"

#include "gtest/gtest.h"

using namespace moe::routing;

namespace {
struct Measured {
  int64_t tokens, experts;
  bool bySequence;
  double microseconds;
};
// Graph replays of a prototype of the grid's form on an H100: K = 8, f32, the
// best number of blocks.
constexpr Measured kMeasured[] = {
    {128, 64, true, 10.6},   {128, 64, false, 6.5},   {1024, 64, true, 11.8},
    {1024, 64, false, 7.1},  {1024, 128, true, 12.7}, {1024, 128, false, 7.7},
    {4096, 64, true, 14.5},  {4096, 64, false, 9.7},  {4096, 128, true, 15.0},
    {4096, 256, true, 17.0}, {4096, 256, false, 12.9}};

/// The kernel needs fewer instructions than the prototype, so it is not thought
/// slower, and barriers are what most of the time goes into.
TEST(GPURouteCost, IsNearWhatAPrototypeTook) {
  GPUChip chip = *findGPUChip("sm_90");
  for (const Measured &one : kMeasured) {
    GPURouteSize size{1, one.tokens, one.experts, one.bySequence};
    double estimated = estimateGPURoute(chip, size, 1);
    EXPECT_GT(estimated, 0.55 * one.microseconds) << one.tokens;
    EXPECT_LT(estimated, 1.05 * one.microseconds) << one.tokens;
  }
}

TEST(GPURouteCost, ClustersAreForFewTokensOfOneSequence) {
  GPUChip chip = *findGPUChip("sm_90");
  for (bool bySequence : {false, true}) {
    auto clusterOf = [&](std::optional<int64_t> seqs,
                         std::optional<int64_t> tokens, int64_t experts) {
      return chooseGPURoute(chip, {seqs, tokens, experts, bySequence}).cluster;
    };
    EXPECT_EQ(clusterOf(1, 1, 64), 1);
    EXPECT_EQ(clusterOf(1, 8, 64), 1);
    EXPECT_EQ(clusterOf(1, 9, 64), 2);
    EXPECT_EQ(clusterOf(1, 33, 64), 8);
    EXPECT_EQ(clusterOf(1, 128, 256), 16);
    EXPECT_EQ(clusterOf(1, 1024, 64), 1);
    EXPECT_EQ(clusterOf(1, 4096, 256), 1);
    EXPECT_EQ(clusterOf(2, 64, 64), 1);
    EXPECT_EQ(clusterOf(1, {}, 64), 1);
    EXPECT_EQ(clusterOf({}, 64, 64), 1);
  }
  GPURouteSize size{1, 64, 64, false};
  EXPECT_EQ(chooseGPURoute(*findGPUChip("sm_89"), size).cluster, 1);
  EXPECT_EQ(chooseGPURoute(*findGPUChip("sm_120"), size).cluster, 8);
}

/// What the emulator's time model says, too: 64 experts for up to 1024 tokens,
/// and not 256; weights that lie by depth take four times as many loads.
TEST(GPURouterCost, JoinsFewExpertsAndTokens) {
  GPUChip chip = *findGPUChip("sm_90");
  auto joins = [&](int64_t seqs, int64_t tokens, int64_t experts, int64_t depth,
                   bool byDepth = false) {
    return joinsGPURouter(chip, {seqs, tokens, experts, depth, byDepth});
  };
  for (int64_t tokens : {1, 16, 128, 1024}) {
    EXPECT_TRUE(joins(1, tokens, 8, 4096));
    EXPECT_TRUE(joins(1, tokens, 64, 2048));
    EXPECT_FALSE(joins(1, tokens, 64, 2048, /*byDepth=*/true));
    EXPECT_FALSE(joins(1, tokens, 128, 2048));
    EXPECT_FALSE(joins(1, tokens, 256, 1024));
  }
  EXPECT_TRUE(joins(1, 0, 64, 2048));
  EXPECT_FALSE(joins(1, 4096, 64, 2048));
  EXPECT_FALSE(joins(4, 1024, 64, 2048));
}
} // namespace
