// Streams of accesses and synchronisations without a machine: what must be
// reported, and what must not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Checks/RaceDetector.h"
#include "Checks/BlockOrder.h"
#include "Checks/ReleaseSites.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

using namespace ptx::checks;

namespace {
constexpr LaneMask kAll = ~0u;

/// Warps of a launch, one piece of memory and one of each kind of object.
class Launch {
public:
  explicit Launch(unsigned warps, WarpNumbering numbering = {8, 1},
                  unsigned readers = 2)
      : detector(numbering,
                 [this](const Race &race) { found.push_back(race); }),
        cells(1 << 16, readers), sites(numbering) {
    for (unsigned warp = 0; warp < warps; ++warp)
      order.emplace_back(numbering.number(warp / 8, warp % 8, Actor::Lanes));
  }

  void access(unsigned warp, LaneMask lanes, uint64_t offset, bool writes,
              uint32_t bytes = 4, int64_t stride = -1, uint8_t strong = kWeak,
              bool async = false) {
    Touch touch;
    // The address of the call stands for the instruction.
    touch.event.instruction =
        reinterpret_cast<const ptx::Instruction *>(uintptr_t{++instruction});
    touch.event.strongScope = strong;
    touch.event.asyncProxy = async;
    touch.order = &order[warp];
    touch.writes = writes;
    touch.reads = !writes;
    detector.begin(touch, 0);
    if (stride < 0)
      stride = bytes;
    for (unsigned lane = 0; lane < 32; ++lane)
      if (lanes >> lane & 1)
        detector.touch(cells, offset + lane * stride, bytes, lane, touch);
  }
  void store(unsigned warp, uint64_t offset, LaneMask lanes = kAll) {
    access(warp, lanes, offset, true);
  }
  void load(unsigned warp, uint64_t offset, LaneMask lanes = kAll) {
    access(warp, lanes, offset, false);
  }
  void barrier(std::vector<unsigned> warps) {
    SyncObject object;
    for (unsigned warp : warps)
      object.arrive(0, order[warp].release(kAll, kAll));
    for (unsigned warp : warps)
      order[warp].acquire(kAll, kAll, object.completed(1));
  }
  void strong(unsigned warp, unsigned lane, uint64_t key, bool reads,
              bool writes, bool acquires, bool releases,
              ScopeLevel scope = kGpu) {
    uint64_t keys[32];
    for (uint64_t &k : keys)
      k = key;
    sites.access({&order[warp], 1u << lane, kAll, keys, reads, writes, acquires,
                  releases, scope});
  }
  size_t races() const { return found.size(); }

  std::deque<WarpOrder> order;
  std::vector<Race> found;
  RaceDetector detector;
  ShadowCells cells;
  ReleaseSites sites;
  unsigned instruction = 0;
};
} // namespace

TEST(Races, BarrierOrdersWarps) {
  Launch launch(2);
  launch.store(0, 0);
  launch.barrier({0, 1});
  launch.load(1, 0);
  launch.barrier({0, 1});
  launch.store(0, 0);
  EXPECT_EQ(launch.races(), 0u);
}

TEST(Races, MissingBarrierBeforeTheRead) {
  Launch launch(2);
  launch.store(0, 0);
  launch.load(1, 0);
  ASSERT_EQ(launch.races(), 32u);
  EXPECT_EQ(launch.found[0].kind, RaceKind::ReadAfterWrite);
  EXPECT_EQ(launch.found[5].otherLane, 5u);
}

TEST(Races, MissingBarrierBeforeTheWrite) {
  Launch launch(3);
  launch.store(0, 0);
  launch.barrier({0, 1, 2});
  launch.load(1, 0);
  launch.load(2, 0);
  launch.store(0, 0);
  ASSERT_GE(launch.races(), 32u);
  EXPECT_EQ(launch.found[0].kind, RaceKind::WriteAfterRead);
}

TEST(Races, BarrierOfOthersDoesNotHelp) {
  Launch launch(3);
  launch.store(0, 0);
  launch.barrier({1, 2});
  launch.load(1, 0);
  EXPECT_EQ(launch.races(), 32u);
}

TEST(Races, LanesOfAWarpAreThreads) {
  Launch launch(1);
  launch.store(0, 0);
  launch.access(0, kAll, 4, false); // lane l reads what lane l + 1 wrote
  EXPECT_EQ(launch.races(), 31u);
  Launch good(1);
  good.store(0, 0);
  good.order[0].synchronise(kAll, kAll);
  good.access(0, kAll, 4, false);
  good.order[0].synchronise(kAll, kAll);
  good.store(0, 0);
  EXPECT_EQ(good.races(), 0u);
}

TEST(Races, PartsOfAWarpSynchroniseApart) {
  Launch launch(1);
  launch.store(0, 0);
  launch.order[0].synchronise(0x0000ffff, kAll);
  launch.access(0, 0x7fff, 4, false); // lanes 0-14 read of lanes 1-15
  EXPECT_EQ(launch.races(), 0u);
  launch.access(0, 0x8000, 4, false); // lane 15 reads of lane 16
  EXPECT_EQ(launch.races(), 1u);
  launch.order[0].synchronise(0xffff0000, kAll);
  launch.access(0, 0x7fff0000, 4, false);
  EXPECT_EQ(launch.races(), 1u);
  launch.order[0].synchronise(kAll, kAll);
  launch.access(0, 0x7fffffff, 4, false);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, LanesOfOneStoreToOneWord) {
  Launch launch(1);
  launch.access(0, 0x3, 0, true, 4, /*stride=*/0);
  ASSERT_EQ(launch.races(), 1u);
  EXPECT_EQ(launch.found[0].kind, RaceKind::WriteAfterWrite);
}

TEST(Races, BroadcastReadThenWriteByOneOfTheReaders) {
  Launch launch(1);
  launch.access(0, kAll, 0, false, 4, 0);
  launch.store(0, 0, 1);
  EXPECT_EQ(launch.races(), 1u);
  Launch good(1);
  good.access(0, kAll, 0, false, 4, 0);
  good.order[0].synchronise(kAll, kAll);
  good.store(0, 0, 1);
  EXPECT_EQ(good.races(), 0u);
}

TEST(Races, NeighbouringSmallElementsDoNotConflict) {
  for (uint32_t bytes : {1u, 2u}) {
    Launch launch(2);
    launch.access(0, kAll, 0, true, bytes, 2 * bytes);
    launch.access(1, kAll, bytes, true, bytes, 2 * bytes);
    EXPECT_EQ(launch.races(), 0u) << bytes;
    launch.access(1, 1, 0, false, bytes);
    EXPECT_EQ(launch.races(), 1u) << bytes;
  }
}

TEST(Races, RefiningAPageKeepsWhatItKnows) {
  Launch launch(2);
  launch.store(0, 0, 1); // bytes 0-3
  launch.access(1, 1, 2, false, 2);
  EXPECT_EQ(launch.races(), 1u);
  launch.access(1, 1, 4, false, 2);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, WideAccessesTouchEveryWord) {
  Launch launch(2);
  launch.access(0, 1, 12, true, 4);
  launch.access(1, 1, 0, false, 16);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, StrongOperationsDoNotRaceInTheirScope) {
  Launch launch(9); // warp 8 is of another block
  launch.access(0, 1, 0, true, 4, 4, kGpu);
  launch.access(8, 1, 0, true, 4, 4, kGpu);
  launch.access(8, 1, 0, false, 4, 4, kSys);
  EXPECT_EQ(launch.races(), 0u);
  launch.access(0, 1, 64, true, 4, 4, kCta);
  launch.access(1, 1, 64, true, 4, 4, kCta);
  EXPECT_EQ(launch.races(), 0u);
  launch.access(8, 1, 64, true, 4, 4, kGpu);
  EXPECT_EQ(launch.races(), 1u);
  launch.load(0, 0, 1); // weak
  EXPECT_EQ(launch.races(), 2u);
}

TEST(Races, ReleaseAndAcquire) {
  Launch launch(9);
  launch.store(0, 0, 1);
  launch.strong(0, 0, 512, false, true, false, true);
  launch.strong(8, 3, 512, true, false, true, false);
  launch.load(8, 0 - 3 * 4, 1u << 3);
  EXPECT_EQ(launch.races(), 0u);
  launch.load(8, 0 - 4 * 4, 1u << 4); // a lane that did not acquire
  EXPECT_EQ(launch.races(), 1u);
  launch.order[8].synchronise(kAll, kAll);
  launch.load(8, 0 - 5 * 4, 1u << 5);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, ReleaseCoversOnlyWhatTheLaneKnows) {
  Launch launch(9);
  launch.store(0, 0); // all lanes
  launch.strong(0, 0, 512, false, true, false, true);
  launch.strong(8, 0, 512, true, false, true, false);
  launch.access(8, 1, 0, false); // of lane 0
  EXPECT_EQ(launch.races(), 0u);
  launch.access(8, 1, 4, false); // of lane 1, which nothing orders
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, StoresAfterTheReleaseAreNotReleased) {
  Launch launch(9);
  launch.strong(0, 0, 512, false, true, false, true);
  launch.store(0, 0, 1);
  launch.strong(8, 0, 512, true, false, true, false);
  launch.load(8, 0, 1);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, FencesAroundRelaxedOperations) {
  for (bool releaseFence : {true, false})
    for (bool acquireFence : {true, false}) {
      Launch launch(9);
      launch.store(0, 0, 1);
      if (releaseFence)
        launch.order[0].fence(kAll, kAll, true);
      launch.strong(0, 0, 512, true, true, false, false); // atomic
      launch.strong(8, 0, 512, true, false, false, false);
      if (acquireFence)
        launch.order[8].fence(kAll, kAll, true);
      launch.load(8, 0, 1);
      EXPECT_EQ(launch.races(), releaseFence && acquireFence ? 0u : 1u);
    }
}

TEST(Races, NarrowFenceDoesNotReachAnotherBlock) {
  for (unsigned reader : {1u, 8u}) {
    Launch launch(9);
    launch.store(0, 0, 1);
    launch.order[0].fence(kAll, kAll, /*wide=*/false);
    launch.strong(0, 0, 512, false, true, false, false);
    launch.strong(reader, 0, 512, true, false, true, false);
    launch.load(reader, 0, 1);
    EXPECT_EQ(launch.races(), reader == 8 ? 1u : 0u);
  }
}

TEST(Races, AtomicsCarryAReleaseOn) {
  Launch launch(17, {8, 1});
  launch.store(0, 0, 1);
  launch.strong(0, 0, 512, true, true, false, true);
  launch.strong(8, 0, 512, true, true, false, false); // relaxed, by another
  launch.strong(16, 0, 512, true, false, true, false);
  launch.load(16, 0, 1);
  EXPECT_EQ(launch.races(), 0u);
  // A plain store ends the sequence.
  launch.strong(8, 0, 512, false, true, false, false);
  launch.strong(9, 0, 512, true, false, true, false);
  launch.load(9, 0, 1);
  EXPECT_EQ(launch.races(), 1u);
}

TEST(Races, GridBarrierFromAtomics) {
  Launch launch(32);
  for (unsigned block = 0; block < 4; ++block) {
    std::vector<unsigned> warps;
    for (unsigned i = 0; i < 8; ++i)
      warps.push_back(block * 8 + i);
    for (unsigned warp : warps)
      launch.store(warp, warp * 128);
    launch.barrier(warps);
    launch.order[block * 8].fence(1, kAll, true);
    launch.strong(block * 8, 0, 8192, true, true, false, false);
  }
  for (unsigned block = 0; block < 4; ++block) {
    launch.strong(block * 8, 0, 8192, true, false, false, false);
    launch.order[block * 8].fence(1, kAll, true);
    std::vector<unsigned> warps;
    for (unsigned i = 0; i < 8; ++i)
      warps.push_back(block * 8 + i);
    launch.barrier(warps);
    for (unsigned warp : warps)
      launch.load(warp, (warp * 5 + 3) % 32 * 128);
  }
  EXPECT_EQ(launch.races(), 0u);
}

TEST(Races, AsyncProxyNeedsAFence) {
  for (bool writerFences : {true, false})
    for (bool issuerFences : {true, false}) {
      Launch launch(2);
      launch.store(0, 0);
      if (writerFences)
        launch.order[0].proxyFence(kAll, kAll);
      launch.barrier({0, 1});
      if (issuerFences)
        launch.order[1].proxyFence(1, kAll);
      launch.access(1, 1, 0, false, 16, 16, kWeak, /*async=*/true);
      if (writerFences || issuerFences) {
        EXPECT_EQ(launch.races(), 0u);
      } else {
        ASSERT_EQ(launch.races(), 4u);
        EXPECT_EQ(launch.found[0].kind, RaceKind::MissingProxyFence);
      }
    }
}

TEST(Races, CollectingEventsKeepsTheCells) {
  Launch launch(2);
  for (unsigned i = 0; i < 100; ++i)
    launch.store(0, 128 * (i % 4));
  launch.detector.collect([&](auto body) { launch.cells.visit(body); });
  EXPECT_LE(launch.detector.table.size(), 5u);
  launch.load(1, 0);
  EXPECT_EQ(launch.races(), 32u);
}

TEST(Races, LookBackChainStaysSmall) {
  // 4,000 blocks of 8 warps that each acquire from the one before.
  WarpNumbering numbering{8, 1};
  ReleaseSites sites(numbering);
  uint64_t keys[32] = {};
  for (uint32_t block = 0; block < 4000; ++block) {
    WarpOrder order(numbering.number(block, 0, Actor::Lanes));
    keys[0] = block;
    if (block > 0) {
      keys[0] = block - 1;
      sites.access({&order, 1, kAll, keys, true, false, true, false, kGpu});
      EXPECT_TRUE(
          order.knows(0, numbering.number(block / 2, 0, Actor::Lanes), 0, 1));
    }
    keys[0] = block;
    sites.access({&order, 1, kAll, keys, false, true, false, true, kGpu});
  }
}
