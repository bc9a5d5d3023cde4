// The cache model on streams with known answers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/ChipReplay.h"
#include "Counters/L2Cache.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <memory>

using namespace ptx;

namespace {

constexpr uint64_t kMega = 1u << 20;

const Chip &h100() { return chipNamed("h100"); }

/// DRAM bytes read when 528 CTAs of 256 threads pass four times over a buffer,
/// 16 bytes a thread and step, past L1, each pass begun by another SM.
double passes(uint64_t bytes) {
  constexpr uint64_t kBlocks = 528, kWarps = 8, kStep = kBlocks * kWarps * 32;
  LaunchShape shape;
  shape.grid = {kBlocks, 1, 1};
  shape.block = {kWarps * 32, 1, 1};
  shape.blocksPerSm = 8;
  ChipReplay replay(h100(), shape, 1);
  const uint64_t count = bytes / 16;
  for (uint64_t b = 0; b < kBlocks; ++b) {
    auto trace = std::make_unique<BlockTrace>();
    trace->block = b;
    trace->warps = kWarps;
    for (unsigned w = 0; w < kWarps; ++w) {
      uint32_t time = 0;
      for (uint64_t pass = 0; pass < 4; ++pass)
        for (uint64_t i = (b * kWarps + w) * 32; i < count; i += kStep) {
          uint64_t at = (i + pass * (kStep / 3 + 32)) % count;
          LineAccess lines[4];
          for (unsigned l = 0; l < 4; ++l) {
            lines[l].line = at / 8 + l;
            lines[l].sectors = 15;
          }
          trace->add(time += 12, w, Request::Bypass, false, 0, lines);
        }
      trace->duration = std::max(trace->duration, time);
    }
    replay.feed(std::move(trace));
  }
  replay.finish();
  return double(replay.l2().dramRead);
}

// What an H100 read with this access pattern.
TEST(ChipReplay, FadesBeyondTheCapacityOfL2) {
  EXPECT_NEAR(passes(24 * kMega) / 25.4e6, 1, 0.1);
  EXPECT_NEAR(passes(32 * kMega) / 44.2e6, 1, 0.1);
  EXPECT_NEAR(passes(40 * kMega) / 101.3e6, 1, 0.1);
  EXPECT_NEAR(passes(48 * kMega) / 183.9e6, 1, 0.1);
  EXPECT_NEAR(passes(64 * kMega) / 267.9e6, 1, 0.1);
}

TEST(L2Cache, FetchesHalfLinesForLoads) {
  L2Cache cache(h100());
  for (Line line = 0; line < 1000; ++line)
    cache.read(0, line, 1);
  EXPECT_EQ(cache.counts().dramRead, 64000u);
  for (Line line = 0; line < 1000; ++line)
    cache.read(0, line, 3);
  EXPECT_EQ(cache.counts().dramRead, 64000u);
}

TEST(L2Cache, TellsHalfLinesFarApart) {
  L2Cache halves(chipNamed("h100")), whole(chipNamed("h100"));
  constexpr Line kFar = 1000, kCount = 10;
  for (Line line = 0; line < kCount; ++line) {
    halves.read(0, line * kFar, 3);
    whole.read(0, line * kFar, 15);
  }
  EXPECT_EQ(halves.counts().scatteredRead, kCount * 64);
  EXPECT_EQ(whole.counts().scatteredRead, 0u);
  EXPECT_EQ(whole.counts().dramRead, kCount * 128);
}

TEST(L2Cache, ReadsNothingForWholeSectors) {
  L2Cache cache(h100());
  for (Line line = 0; line < 64 * kMega / 128; ++line)
    cache.write(line, 15);
  EXPECT_EQ(cache.counts().dramRead, 0u);
  // The rest waits in L2 when the kernel ends: 22.6 MB on an H100.
  double left = 64.0 * kMega - double(cache.counts().dramWritten);
  EXPECT_GT(left, 15e6);
  EXPECT_LT(left, 24e6);
}

TEST(L2Cache, ReadsSectorsThatStayPartial) {
  L2Cache cache(h100());
  for (Line line = 0; line < 16 * kMega / 128; ++line)
    for (unsigned s = 0; s < 4; ++s)
      cache.writePart(line, s, 0xf);
  // An H100 read 15.3 of 16.8 MB.
  EXPECT_NEAR(double(cache.counts().dramRead) / 15.3e6, 1, 0.1);
  EXPECT_NEAR(double(cache.counts().dramWritten) / 15.0e6, 1, 0.1);
}

TEST(L2Cache, JoinsPartsThatFollowSoon) {
  L2Cache cache(h100());
  for (Line line = 0; line < 16 * kMega / 128; ++line)
    for (unsigned s = 0; s < 4; ++s) {
      cache.writePart(line, s, 0x0000ffff);
      cache.writePart(line, s, 0xffff0000);
    }
  EXPECT_EQ(cache.counts().dramRead, 0u);
}

TEST(L2Cache, FetchesSectorsForAtomics) {
  L2Cache cache(h100());
  for (Line line = 0; line < 1000; ++line)
    cache.atomic(line, 1);
  EXPECT_EQ(cache.counts().dramRead, 32000u);
}

TEST(PartialSectors, FindsWhatWasNotErased) {
  PartialSectors sectors;
  for (uint64_t s = 0; s < 20000; ++s)
    sectors[s * 977] = uint32_t(s);
  for (uint64_t s = 0; s < 20000; s += 3)
    EXPECT_TRUE(sectors.erase(s * 977));
  EXPECT_FALSE(sectors.erase(1));
  for (uint64_t s = 0; s < 20000; ++s) {
    ASSERT_EQ(sectors.contains(s * 977), s % 3 != 0) << s;
    if (s % 3)
      ASSERT_EQ(sectors[s * 977], uint32_t(s));
  }
}

LineAccess whole(uint64_t line) {
  LineAccess access;
  access.line = line;
  access.sectors = 15;
  return access;
}

TEST(BlockTrace, KeepsWhatItWasTold) {
  BlockTrace trace;
  LineAccess partial = whole(77);
  partial.partial = 0b1010;
  partial.bytes[1] = 0x12345678;
  partial.bytes[3] = 0x9abcdef0;
  LineAccess lines[] = {whole(uint64_t(1) << 40), partial};
  trace.add(9, 0, Request::Store, true, 1234, lines);
  trace.add(3, 0, Request::Load, false, 7, {lines, 1});
  trace.finish();
  ASSERT_EQ(trace.events().size(), 2u);
  EXPECT_EQ(trace.events()[0].time, 3u); // by time
  BlockTrace::Header header = trace.header(trace.events()[1]);
  EXPECT_EQ(header.site, 1234u);
  EXPECT_EQ(header.kind, Request::Store);
  EXPECT_TRUE(header.local);
  uint32_t cursor = trace.events()[1].at + 1;
  EXPECT_EQ(trace.line(cursor).line, uint64_t(1) << 40);
  LineAccess read = trace.line(cursor);
  EXPECT_EQ(read.line, 77u);
  EXPECT_EQ(read.partial, 0b1010);
  EXPECT_EQ(read.bytes[1], 0x12345678u);
  EXPECT_EQ(read.bytes[3], 0x9abcdef0u);
}

/// CTAs that each read \p lines lines of their own, \p passes times.
L1Counts rereads(unsigned blocks, unsigned lines, unsigned passes,
                 bool backwards = false) {
  LaunchShape shape;
  shape.grid = {blocks, 1, 1};
  shape.block = {32, 1, 1};
  shape.blocksPerSm = 4;
  ChipReplay replay(h100(), shape, 1);
  for (unsigned b = 0; b < blocks; ++b) {
    auto trace = std::make_unique<BlockTrace>();
    trace->block = backwards ? blocks - 1 - b : b;
    trace->warps = 1;
    uint32_t time = 0;
    for (unsigned p = 0; p < passes; ++p)
      for (unsigned l = 0; l < lines; ++l) {
        LineAccess access = whole(trace->block * lines + l);
        trace->add(++time, 0, Request::Load, false, 0, {&access, 1});
      }
    trace->duration = time;
    replay.feed(std::move(trace));
  }
  replay.finish();
  return replay.l1();
}

TEST(ChipReplay, HitsWhatFitsL1) {
  L1Counts fits = rereads(528, 100, 4); // 51 KB of 224 KB an SM
  double cold = 528.0 * 100 * 4;        // sectors; few sets overflow
  EXPECT_GE(double(fits.fetched), cold);
  EXPECT_LE(double(fits.fetched), 1.01 * cold);
  EXPECT_EQ(double(fits.fetched + fits.globalHits), 4 * cold);
}

TEST(ChipReplay, SharesAnL1AmongItsCtas) {
  // Each CTA alone would fit; the four of an SM do not.
  L1Counts crowded = rereads(528, 1500, 4);
  EXPECT_GT(double(crowded.fetched), 0.95 * 528 * 1500 * 4 * 4);
}

TEST(ChipReplay, TakesCtasInAnyOrder) {
  L1Counts forwards = rereads(3000, 20, 2), back = rereads(3000, 20, 2, true);
  EXPECT_EQ(forwards.fetched, back.fetched);
  EXPECT_EQ(forwards.globalHits, back.globalHits);
}

} // namespace
