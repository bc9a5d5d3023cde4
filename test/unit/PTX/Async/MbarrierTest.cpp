// The state of an mbarrier.
//
// The steps that were logged on an H100.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Mbarrier.h"

#include <gtest/gtest.h>

using ptx::async::Mbarrier;

namespace {

Mbarrier barrier(uint32_t count) {
  Mbarrier b;
  b.init(count);
  return b;
}

/// Arrives and gives the state before, as the instruction does.
uint64_t arrive(Mbarrier &b, uint32_t count = 1) {
  uint64_t token = b.token();
  b.arrive(count);
  return token;
}

TEST(Mbarrier, NewBarrierPassesParityOne) {
  Mbarrier b = barrier(3);
  EXPECT_FALSE(b.completedParity(0));
  EXPECT_TRUE(b.completedParity(1));
}

TEST(Mbarrier, TokensCountWhatWasPendingBefore) {
  Mbarrier b = barrier(3);
  uint64_t first = arrive(b), second = arrive(b);
  EXPECT_EQ(Mbarrier::pendingOf(first), 3u);
  EXPECT_EQ(Mbarrier::pendingOf(second), 2u);
  EXPECT_FALSE(b.completed(first));
  uint64_t third = arrive(b);
  EXPECT_EQ(Mbarrier::pendingOf(third), 1u);
  EXPECT_EQ(first, 0x7fffe80000000000u); // as recorded
  for (uint64_t token : {first, second, third})
    EXPECT_TRUE(b.completed(token));
  EXPECT_TRUE(b.completedParity(0));
  EXPECT_FALSE(b.completedParity(1));
}

TEST(Mbarrier, TokensOfTwoPhasesAgoReadAsPending) {
  Mbarrier b = barrier(1);
  uint64_t phase0 = arrive(b);
  uint64_t phase1 = arrive(b);
  EXPECT_EQ(phase1 >> 63, 1u);
  EXPECT_FALSE(b.completed(phase0));
  EXPECT_TRUE(b.completed(phase1));
}

TEST(Mbarrier, CountsAndDrops) {
  Mbarrier b = barrier(10);
  EXPECT_EQ(Mbarrier::pendingOf(arrive(b, 4)), 10u);
  EXPECT_EQ(Mbarrier::pendingOf(arrive(b, 2)), 6u);
  b.expected -= 1; // arrive_drop
  EXPECT_EQ(Mbarrier::pendingOf(arrive(b)), 4u);
  EXPECT_EQ(Mbarrier::pendingOf(arrive(b, 3)), 3u);
  EXPECT_EQ(b.phase, 1u);
  EXPECT_EQ(b.pending, 9u);
}

TEST(Mbarrier, TransactionsMayComeBeforeTheyAreExpected) {
  Mbarrier b = barrier(1);
  b.transactions += 64;
  EXPECT_FALSE(b.arrive(1));
  EXPECT_FALSE(b.complete(32));
  EXPECT_TRUE(b.complete(32));
  EXPECT_FALSE(b.complete(48));
  EXPECT_FALSE(b.expect(48));
  EXPECT_TRUE(b.arrive(1));
  EXPECT_EQ(b.phase, 2u);
}

TEST(Mbarrier, TooManyBytesKeepThePhaseOpen) {
  Mbarrier b = barrier(1);
  b.expect(16);
  b.arrive(1);
  EXPECT_FALSE(b.complete(32));
  EXPECT_EQ(b.phase, 0u);
  EXPECT_TRUE(b.expect(16));
  EXPECT_EQ(b.phase, 1u);
}

TEST(Mbarrier, HoldsTheLargestCount) {
  Mbarrier b = barrier(Mbarrier::kMostArrivals);
  EXPECT_EQ(Mbarrier::pendingOf(b.token()), Mbarrier::kMostArrivals);
  b.expect(Mbarrier::kMostArrivals);
  EXPECT_FALSE(b.complete(Mbarrier::kMostArrivals));
}

} // namespace
