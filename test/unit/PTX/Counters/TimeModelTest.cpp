// The time model on what an H100 counted.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "counters/RecordedCases.h"

#include "ptx/Error.h"
#include "ptx/Model.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <sstream>

using namespace ptx;
using namespace ptx::test;

namespace {

TEST(TimeModel, HoldsTheMeasuredTimes) {
  std::vector<RecordedCase> cases =
      readRecordedCases(PTX_TEST_DATA "/counters/cases.txt");
  ASSERT_EQ(cases.size(), 94u);
  unsigned inside = 0, within25 = 0, within35 = 0;
  std::vector<double> width;
  for (const RecordedCase &c : cases) {
    TimeEstimate t = estimateTime(c.counters, chipNamed("h100"));
    bool holds = t.lower <= c.seconds && c.seconds <= t.upper;
    EXPECT_TRUE(holds) << c.name << ": " << c.seconds << " not in [" << t.lower
                       << ", " << t.upper << "]";
    inside += holds;
    width.push_back(t.upper / t.lower);
    double error = std::abs(t.point / c.seconds - 1);
    within25 += error <= 0.25;
    within35 += error <= 0.35;
  }
  std::sort(width.begin(), width.end());
  EXPECT_EQ(inside, 94u);
  EXPECT_LE(width[47], 3.5);
  EXPECT_LE(width[84], 6.7);
  EXPECT_GE(within25, 66u);
  EXPECT_GE(within35, 80u);
  RecordProperty("within25", int(within25));
}

TEST(TimeModel, OrdersItsNumbers) {
  for (const Chip &chip : allChips())
    for (const RecordedCase &c :
         readRecordedCases(PTX_TEST_DATA "/counters/cases.txt")) {
      TimeEstimate t = estimateTime(c.counters, chip);
      EXPECT_LE(t.lower, t.point) << c.name;
      EXPECT_LE(t.point, t.upper) << c.name;
      for (const TimeTerm &term : t.terms) {
        EXPECT_LE(term.best, t.lower * (1 + 1e-9)) << c.name;
        EXPECT_TRUE(term.usual == 0 || term.best <= term.usual) << term.name;
      }
    }
}

TEST(TimeModel, NamesWhatLimits) {
  auto limitOf = [](const char *name) {
    for (const RecordedCase &c :
         readRecordedCases(PTX_TEST_DATA "/counters/cases.txt"))
      if (c.name == name)
        return std::string(estimateTime(c.counters, chipNamed("h100")).limit);
    return std::string("no such case");
  };
  EXPECT_EQ(limitOf("copy_f32x4"), "dram");
  EXPECT_EQ(limitOf("l2_cg_16mb"), "l2");
  EXPECT_EQ(limitOf("transpose_naive"), "l2 writes");
  EXPECT_EQ(limitOf("transpose_shared"), "shared");
  EXPECT_EQ(limitOf("hist_gl_one"), "atomic");
  EXPECT_EQ(limitOf("rate_mma"), "tensor");
  EXPECT_EQ(limitOf("rate_mufu"), "special");
  EXPECT_EQ(limitOf("const_lane"), "constant");
  EXPECT_EQ(limitOf("rate_bar"), "barrier");
}

TEST(TimeModel, CopiesOfAGroupShareTheirLatency) {
  CounterValues counters;
  counters.shape.grid = {132, 1, 1};
  counters.shape.block = {32, 1, 1};
  counters.shape.blocksPerSm = 1;
  counters.values = {{"op_ldgsts_cache_bypass", 132 * 64.0}};
  const Chip &chip = chipNamed("h100");
  double each = estimateTime(counters, chip).latency;
  counters.values["async_groups"] = 132 * 8.0;
  counters.values["async_in_flight"] = 2;
  EXPECT_DOUBLE_EQ(estimateTime(counters, chip).latency, each / 16);
}

TEST(TimeModel, KnowsItsChips) {
  EXPECT_TRUE(chipNamed("h100").measured);
  EXPECT_FALSE(chipNamed("a100").measured);
  EXPECT_NE(chipNamed("a100").title.find("not measured"),
            std::string_view::npos);
  try {
    chipNamed("h200");
    FAIL() << "an unknown chip was found";
  } catch (const Error &error) {
    EXPECT_NE(error.why.find("h100, a100"), std::string::npos);
  }
  for (const Chip &chip : allChips())
    for (ChipValue value : chip.values)
      EXPECT_GT(value.best, 0);
  std::ostringstream table;
  printChipConstants(table);
  EXPECT_NE(table.str().find("| L2 slices |"), std::string::npos);
}

} // namespace
