// VectorClock against a map.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/VectorClock.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

using namespace ptx::checks;

namespace {
using Reference = std::map<uint32_t, std::array<Tick, 32>>;

/// Raises both by the same random entries.
void raiseBoth(VectorClock &clock, Reference &reference, std::mt19937 &random,
               uint32_t warps, unsigned times) {
  for (unsigned i = 0; i < times; ++i) {
    uint32_t warp = random() % warps;
    std::array<Tick, 32> ticks;
    Known known;
    switch (random() % 3) {
    case 0:
      ticks.fill(random() % 8);
      known = Known(ticks[0]);
      break;
    case 1:
      ticks.fill(random() % 8);
      ticks[5] = ticks[0] + random() % 3;
      known = Known(ticks[0], 5, ticks[5]);
      break;
    default:
      for (Tick &tick : ticks)
        tick = random() % 8;
      known = Known(ticks);
    }
    clock.raise(warp, known);
    auto &entry = reference.try_emplace(warp).first->second;
    for (unsigned lane = 0; lane < 32; ++lane)
      entry[lane] = std::max(entry[lane], ticks[lane]);
  }
}

void expectEqual(const VectorClock &clock, const Reference &reference,
                 uint32_t warps) {
  for (uint32_t warp = 0; warp < warps; ++warp)
    for (unsigned lane = 0; lane < 32; ++lane) {
      auto entry = reference.find(warp);
      Tick expected = entry == reference.end() ? 0 : entry->second[lane];
      ASSERT_EQ(clock.of(warp, lane), expected) << warp << " " << lane;
    }
}
} // namespace

TEST(VectorClock, AgreesWithAMapOfArrays) {
  std::mt19937 random(1);
  for (uint32_t warps : {1u, 16u, 17u, 300u, 70000u}) {
    for (unsigned round = 0; round < 20; ++round) {
      VectorClock a, b;
      Reference inA, inB;
      raiseBoth(a, inA, random, warps, 10);
      raiseBoth(b, inB, random, round % 2 ? warps : 1 + warps / 8, 10);
      VectorClock before = a;
      a.join(b);
      Reference joined = inA;
      for (auto &[warp, ticks] : inB) {
        auto &entry = joined.try_emplace(warp).first->second;
        for (unsigned lane = 0; lane < 32; ++lane)
          entry[lane] = std::max(entry[lane], ticks[lane]);
      }
      expectEqual(a, joined, std::min(warps, 400u));
      for (auto &[warp, ticks] : joined)
        for (unsigned lane = 0; lane < 32; ++lane)
          ASSERT_EQ(a.of(warp, lane), ticks[lane]);
      // A copy does not change with the original.
      for (auto &[warp, ticks] : inA)
        for (unsigned lane = 0; lane < 32; ++lane)
          ASSERT_EQ(before.of(warp, lane), ticks[lane]);
    }
  }
}

TEST(VectorClock, JoinOfLessSharesTheTree) {
  VectorClock small, large;
  small.raise(3, Known(2));
  large.raise(3, Known(5));
  large.raise(40, Known(1));
  small.join(large);
  EXPECT_TRUE(small.same(large));
  VectorClock again = large;
  again.join(small);
  EXPECT_TRUE(again.same(large));
}

TEST(VectorClock, LeastAndMostOfAnEntry) {
  EXPECT_EQ(Known(3).least(), 3u);
  EXPECT_EQ(Known(3, 7, 9).least(), 3u);
  EXPECT_EQ(Known(3, 7, 9).most(), 9u);
  EXPECT_EQ(Known(3, 7, 2).most(), 3u); // nothing is ahead
  Known known(3, 7, 9);
  EXPECT_TRUE(known.join(Known(4, 8, 9)));
  EXPECT_EQ(known.of(7), 9u);
  EXPECT_EQ(known.of(8), 9u);
  EXPECT_EQ(known.of(0), 4u);
  EXPECT_FALSE(known.join(Known(4)));
}
