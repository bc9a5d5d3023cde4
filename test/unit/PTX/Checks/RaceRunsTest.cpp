// Random accesses of whole warps against the plain definition of a race: the
// history of every byte.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Checks/BlockOrder.h"
#include "Checks/RaceDetector.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

using namespace ptx::checks;

namespace {
constexpr LaneMask kAll = ~0u;
constexpr unsigned kWarps = 4;
constexpr uint64_t kBytes = 6000; ///< more than a page

/// One access of one lane to one byte.
struct Touched {
  uint32_t warp;
  unsigned lane;
  Tick tick;
  uint64_t access;
  bool operator<(const Touched &other) const {
    return std::tie(warp, lane, tick, access) <
           std::tie(other.warp, other.lane, other.tick, other.access);
  }
};
struct ByteHistory {
  bool written = false;
  Touched writer{};
  std::set<Touched> readers;
};

class Fuzz {
public:
  Fuzz(unsigned seed, unsigned slots, bool horizon)
      : random(seed), horizon(horizon), slots(slots),
        detector({kWarps, 1},
                 [this](const Race &race) { reports.push_back(race); }),
        cells(1 << 13, slots), bytes(kBytes) {
    for (unsigned warp = 0; warp < kWarps; ++warp)
      block.warps.emplace_back(
          detector.numbering.number(0, warp, Actor::Lanes));
  }

  void run() {
    for (unsigned step = 0; step < 400 && !testing::Test::HasFatalFailure();
         ++step) {
      const unsigned kind = number(20);
      WarpState &warp = block.warps[number(kWarps)];
      if (kind == 0)
        barrier();
      else if (kind == 1)
        warp.order.synchronise(number(2) ? kAll : random() | 1, kAll);
      else if (kind == 2)
        handOver(warp, block.warps[number(kWarps)]);
      else if (kind == 3 && number(10) == 0)
        renumber();
      else
        access(warp);
    }
  }
  unsigned races = 0;

private:
  unsigned number(unsigned below) { return random() % below; }

  void barrier() {
    SyncObject object;
    for (WarpState &warp : block.warps)
      object.arrive(0, warp.order.release(kAll, kAll));
    for (WarpState &warp : block.warps)
      warp.order.acquire(kAll, kAll, object.completed(1));
  }
  /// Some lanes release, some of another warp acquire.
  void handOver(WarpState &from, WarpState &to) {
    const LaneMask some = number(2) ? kAll : random() | 1;
    const Past past = from.order.release(some, kAll);
    to.order.acquire(number(2) ? kAll : 1u << number(32), kAll, past);
  }
  void renumber() {
    detector.collect([&](auto body) { cells.visit(body); });
    block.forgetEvents(static_cast<uint32_t>(detector.table.size()));
  }

  /// Rows, broadcasts, halves of both, strides, anything.
  void access(WarpState &warp) {
    const uint32_t size = 1u << (number(8) ? 2 + number(3) : number(5));
    const bool writes = number(3) == 0;
    const uint64_t begin = number(kBytes / 2) / size * size;
    const unsigned pattern = number(6);
    uint64_t offset[32];
    for (unsigned lane = 0; lane < 32; ++lane) {
      const uint64_t at = pattern == 0   ? lane
                          : pattern == 1 ? 0
                          : pattern == 2 ? lane % 16
                          : pattern == 3 ? lane / 16 * 3
                          : pattern == 4 ? lane * 5 % 32 * 2
                                         : number(40);
      offset[lane] = begin + at * size;
    }
    const LaneMask lanes = number(3) ? kAll : random() | 2;
    Touch touch;
    touch.event.instruction =
        reinterpret_cast<const ptx::Instruction *>(uintptr_t{++accesses});
    touch.order = &warp.order;
    touch.writes = writes;
    touch.reads = !writes;
    detector.begin(touch, 0);
    reports.clear();
    Horizon known;
    if (horizon)
      known =
          block.horizonOf(warp, static_cast<uint32_t>(detector.table.size()));
    if (accesses % 16 == 0)
      checkHorizon(warp.order, known);
    detector.touchLanes(cells, lanes, offset, size, touch, known);
    compare(warp.order, lanes, offset, size, writes);
  }

  void checkHorizon(const WarpOrder &order, const Horizon &known) {
    for (uint32_t number = 1; number < detector.table.size(); ++number) {
      const AccessEvent &event = detector.table[number];
      if (number < known.before)
        ASSERT_TRUE(order.allKnow(event.warp, event.tick)) << number;
      for (unsigned lane = 0; lane < 32 && number >= known.apart; ++lane)
        for (unsigned other = 0; other < 32; ++other)
          ASSERT_TRUE(!order.knows(lane, event.warp, other, event.tick) ||
                      (event.warp == order.warp() && lane == other))
              << number;
    }
  }

  void compare(const WarpOrder &order, LaneMask lanes, const uint64_t *offset,
               uint32_t size, bool writes) {
    std::set<std::pair<unsigned, uint64_t>> reported;
    for (const Race &race : reports)
      reported.insert({race.lane, race.offset});
    races += !reports.empty();
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (!(lanes >> lane & 1))
        continue;
      bool must = false, may = false;
      for (uint64_t at = offset[lane]; at < offset[lane] + size; ++at)
        judge(order, lane, bytes[at], writes, must, may);
      bool found = false;
      for (auto &[other, at] : reported)
        found |=
            other == lane && at + 4 > offset[lane] && at < offset[lane] + size;
      EXPECT_TRUE(found || !must) << "lane " << lane << " access " << accesses;
      EXPECT_TRUE(may || !found) << "lane " << lane << " access " << accesses;
    }
  }

  /// \p may: a race of this byte exists. \p must: one that has to be found:
  /// with the last writer, or with a reader where few enough read.
  void judge(const WarpOrder &order, unsigned lane, ByteHistory &byte,
             bool writes, bool &must, bool &may) {
    auto open = [&](const Touched &other) {
      return !order.knows(lane, other.warp, other.lane, other.tick);
    };
    const Touched mine{order.warp(), lane, order.tick(), accesses};
    if (byte.written && open(byte.writer))
      must = may = true;
    std::map<uint64_t, unsigned> lanesOf;
    for (const Touched &reader : byte.readers)
      ++lanesOf[reader.access];
    bool single = lanesOf.size() <= slots;
    for (auto &[access, count] : lanesOf)
      single &= count == 1;
    for (const Touched &reader : byte.readers)
      if (writes && open(reader)) {
        may = true;
        must |= single;
      }
    if (writes) {
      byte.written = true;
      byte.writer = mine;
      byte.readers.clear();
    } else {
      byte.readers.insert(mine);
    }
  }

  std::mt19937 random;
  bool horizon;
  unsigned slots;
  BlockOrder block;
  RaceDetector detector;
  ShadowCells cells;
  std::vector<ByteHistory> bytes;
  std::vector<Race> reports;
  uint64_t accesses = 0;
};
} // namespace

TEST(RaceRuns, AgreeWithTheHistoryOfEveryByte) {
  unsigned races = 0;
  for (unsigned seed = 0; seed < 16; ++seed)
    for (unsigned slots : {1u, 2u})
      for (bool horizon : {false, true}) {
        Fuzz fuzz(seed, slots, horizon);
        fuzz.run();
        races += fuzz.races;
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
      }
  EXPECT_GT(races, 500u);
}
