// The cost model of grouped matmuls on a GPU, against times of an H100.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPUMatmulCost.h"

#include "gtest/gtest.h"

using namespace moe::routing;

namespace {
struct Measured {
  GPUMatmulSize size;
  double rows; // of an expert on average
  GPUMatmulForm form;
  double microseconds;
};
constexpr GPUMatmulForm kFew{32, 128, 64, 16, 4, 8, 0},
    kTall{128, 128, 64, 64, 3, 8, 0}, kWide{128, 256, 64, 64, 4, 8, 0};
// Gate and up, then down, of OLMoE's and Qwen3's layers at T = 16, 128, 1024
// and 4096, uniform routing, bf16: medians of graph replays with weights beyond
// the L2 cache, each form the best at that size.
constexpr Measured kMeasured[] = {
    {{64, 2048, 2048, 1024}, 2, kFew, 149},
    {{64, 1024, 2048, 2048}, 2, kFew, 76},
    {{64, 2048, 2048, 1024}, 16, kTall, 189},
    {{64, 1024, 2048, 2048}, 16, kTall, 96},
    {{64, 2048, 2048, 1024}, 128, kWide, 232},
    {{64, 1024, 2048, 2048}, 128, kWide, 124},
    {{64, 2048, 2048, 1024}, 512, kWide, 598},
    {{64, 1024, 2048, 2048}, 512, kWide, 320},
    {{128, 2048, 1536, 768}, 1, kFew, 185},
    {{128, 768, 2048, 2048}, 1, kFew, 95},
    {{128, 2048, 1536, 768}, 8, kTall, 274},
    {{128, 768, 2048, 2048}, 8, kTall, 141},
    {{128, 2048, 1536, 768}, 64, kWide, 301},
    {{128, 768, 2048, 2048}, 64, kWide, 160},
    {{128, 2048, 1536, 768}, 256, kWide, 509},
    {{128, 768, 2048, 2048}, 256, kWide, 276},
};

TEST(GPUMatmulCost, IsNearWhatAnH100Took) {
  GPUChip chip = *findGPUChip("sm_90");
  for (const Measured &row : kMeasured) {
    double modelled =
        modelGPUMatmul(chip, row.form, row.size, row.rows, true).total;
    EXPECT_NEAR(modelled / row.microseconds, 1, 0.10)
        << "E " << row.size.experts << " K " << row.size.depth << " rows "
        << row.rows;
  }
}

TEST(GPUMatmulCost, FollowsWhatLimits) {
  GPUChip chip = *findGPUChip("sm_90");
  GPUMatmulSize size{64, 2048, 2048, 1024};
  GPUMatmulCost few = modelGPUMatmul(chip, kFew, size, 2, true);
  EXPECT_GT(few.memory, few.cache);
  EXPECT_GT(few.memory, few.compute);
  GPUMatmulCost many = modelGPUMatmul(chip, kWide, size, 512, true);
  EXPECT_GT(many.compute, many.memory);
  EXPECT_GT(many.total, many.compute);
  // Four tall blocks leave most multiprocessors idle, sixteen low ones fewer.
  GPUMatmulSize router{1, 2048, 64, 64};
  EXPECT_GT(modelGPUMatmul(chip, kWide, router, 512, true).total,
            1.5 * modelGPUMatmul(chip, kFew, router, 512, true).total);
  // Skewed routing leaves experts without rows, whose weights nobody reads.
  GPUMatmulCost skewed = modelGPUMatmul(chip, kFew, size, 2, false);
  EXPECT_LT(skewed.memory, few.memory);
}

TEST(GPUMatmulCost, HasNoLimitsOfItsOwn) {
  for (const GPUChip &chip : gpuChips())
    for (int64_t experts : {1, 3, 65535})
      for (double rows : {0.0, 1e-4, 1.0, 1e6}) {
        double total =
            modelGPUMatmul(chip, kFew, {experts, 1, 1, 1}, rows, false).total;
        EXPECT_GT(total, 0) << chip.name << " " << experts << " " << rows;
        EXPECT_LT(total, 1e12);
      }
}

TEST(GPUMatmulForms, FitTheChipAndGrow) {
  for (const GPUChip &chip : gpuChips())
    for (GPUMatmulSize size :
         {GPUMatmulSize{64, 2048, 2048, 1024}, GPUMatmulSize{1, 2048, 64, 64},
          GPUMatmulSize{60, 100, 200, 100},
          GPUMatmulSize{8, 4096, 28672, 14336}}) {
      std::vector<GPUMatmulForm> forms =
          chooseGPUMatmulForms(chip, size, std::nullopt);
      ASSERT_FALSE(forms.empty());
      EXPECT_LE(int(forms.size()), kMostForms);
      EXPECT_EQ(forms.front().least, 0);
      for (size_t i = 0; i < forms.size(); ++i) {
        EXPECT_LE(forms[i].stages * (forms[i].rows + forms[i].columns) *
                      forms[i].depth * 2,
                  chip.sharedBytes);
        EXPECT_GE(forms[i].stages, 3);
        if (i > 0) {
          EXPECT_GT(forms[i].least, forms[i - 1].least);
        }
      }
    }
}

TEST(GPUMatmulForms, AreTheBestOnesMeasured) {
  GPUChip chip = *findGPUChip("sm_90");
  GPUMatmulSize size{64, 2048, 2048, 1024};
  // Wide tiles where experts have many rows; long steps where they have few.
  GPUMatmulForm many = chooseGPUMatmulForms(chip, size, 512).front();
  EXPECT_EQ(many.rows, 128);
  EXPECT_EQ(many.columns, 256);
  GPUMatmulSize large{8, 4096, 28672, 14336};
  GPUMatmulForm few = chooseGPUMatmulForms(chip, large, 4).front();
  EXPECT_EQ(few.rows, 32);
  EXPECT_EQ(few.depth, 128);
  // A matmul with few blocks needs small ones, to use all multiprocessors.
  GPUMatmulForm router =
      chooseGPUMatmulForms(chip, {1, 2048, 64, 64}, 512).front();
  EXPECT_LE(router.rows, 64);
}
} // namespace
