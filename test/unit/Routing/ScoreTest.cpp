// The fixed evaluation: accuracy, order, special values, and the same bits in
// every CPU mode.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "moe/Routing/Score.h"
#include "RoutedBatch.h"

#include <array>
#include <cfenv>
#include <cmath>
#include <gtest/gtest.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

using namespace moe::routing;
using namespace moe::routing::test;

namespace {

// That the rest follows the definition too, test_score_definition.py shows for
// every f32.
constexpr uint32_t kStep = 997;

float floatOf(uint32_t bits) { return std::bit_cast<float>(bits); }

/// Every 997th f32 but NaN, in ascending order.
template <class Visit> void forSampledFloats(Visit visit) {
  for (int64_t bits = 0xFF800000; bits >= 0x80000000; bits -= kStep)
    visit(floatOf(uint32_t(bits)));
  for (int64_t bits = 0; bits <= 0x7F800000; bits += kStep)
    visit(floatOf(uint32_t(bits)));
}

/// Distance from the exact value in units of its last place.
long double ulpError(float got, long double exact) {
  int exponent = std::max(std::ilogb(exact), -125);
  return std::fabs(got - exact) / std::ldexp(1.0L, exponent - 23);
}

struct Function {
  const char *name;
  float (*fixed)(float);
  long double (*exact)(long double);
  float low, high; // where the result is a normal number
  long double bound;
  uint64_t digest; // of the NumPy definition's bits
};

long double exactSigmoid(long double x) { return 1.0L / (1.0L + expl(-x)); }
long double exactSqrtSoftplus(long double x) {
  return sqrtl(x > 60.0L ? x : log1pl(expl(x)));
}

class FixedFunction : public ::testing::TestWithParam<Function> {};

TEST_P(FixedFunction, IsAccurate) {
  const Function &f = GetParam();
  long double worst = 0.0L;
  int64_t count = 0;
  forSampledFloats([&](float x) {
    if (x < f.low || x > f.high)
      return;
    ++count;
    worst = std::max(worst, ulpError(f.fixed(x), f.exact(x)));
  });
  EXPECT_GT(count, 1000000);
  EXPECT_LT(worst, f.bound);
}

TEST_P(FixedFunction, NeverInvertsNeighbours) {
  const Function &f = GetParam();
  float before = f.fixed(f.fixed == fixedLog ? 0.0f : -kInf);
  forSampledFloats([&](float x) {
    if (f.fixed == fixedLog && x < 0.0f)
      return;
    float y = f.fixed(x);
    ASSERT_GE(y, before) << x;
    // Its true neighbour too, not only the next sample.
    float next = std::nextafter(x, kInf);
    ASSERT_GE(f.fixed(next), y) << x;
    before = y;
  });
}

TEST_P(FixedFunction, GivesOneNaN) {
  for (uint32_t bits : {0x7FC00000u, 0xFFC00000u, 0x7F800001u, 0xFFFFFFFFu})
    EXPECT_EQ(bitsOf(GetParam().fixed(floatOf(bits))), 0x7FC00000u);
}

// Equal to the definition in every bit of every sample: a last bit that is off
// stays within the accuracy and in order.
TEST_P(FixedFunction, HasTheDefinitionsBits) {
  uint64_t digest = 0, weight = 1;
  for (int64_t bits = 0; bits <= 0xFFFFFFFF; bits += kStep, weight += 2)
    digest += weight * bitsOf(GetParam().fixed(floatOf(uint32_t(bits))));
  EXPECT_EQ(digest, GetParam().digest);
}

const Function kFunctions[] = {
    {"exp", fixedExp, expl, -86.6f, 88.7f, 0.9L, 0xf06dd021a5c38c2u},
    {"log", fixedLog, logl, 0x1p-125f, 3.4e38f, 0.9L, 0x4a96de7da0fa49bu},
    {"sigmoid", fixedSigmoid, exactSigmoid, -86.6f, 3.4e38f, 2.5L,
     0xc7392daafe377736u},
    {"sqrtsoftplus", fixedSqrtSoftplus, exactSqrtSoftplus, -86.6f, 3.4e38f,
     1.7L, 0x64362b473c478f6u},
};

INSTANTIATE_TEST_SUITE_P(All, FixedFunction, ::testing::ValuesIn(kFunctions),
                         [](const auto &info) { return info.param.name; });

TEST(Score, SpecialValues) {
  EXPECT_EQ(bitsOf(fixedExp(-kInf)), 0u);
  EXPECT_EQ(bitsOf(fixedExp(-87.0f)), 0u);
  EXPECT_EQ(fixedExp(0.0f), 1.0f);
  EXPECT_EQ(fixedExp(-0.0f), 1.0f);
  EXPECT_EQ(fixedExp(89.0f), kInf);
  EXPECT_EQ(fixedLog(1.0f), 0.0f);
  EXPECT_EQ(fixedLog(0.0f), -kInf);
  EXPECT_EQ(fixedLog(-0x1p-126f), -kInf);
  EXPECT_EQ(bitsOf(fixedLog(-1.0f)), 0x7FC00000u);
  EXPECT_EQ(fixedLog(kInf), kInf);
  EXPECT_EQ(fixedSigmoid(0.0f), 0.5f);
  EXPECT_EQ(bitsOf(fixedSigmoid(-kInf)), 0u);
  EXPECT_EQ(fixedSigmoid(kInf), 1.0f);
  EXPECT_EQ(bitsOf(fixedSqrtSoftplus(-kInf)), 0u);
  EXPECT_EQ(fixedSqrtSoftplus(kInf), kInf);
  EXPECT_EQ(fixedSqrtSoftplus(256.0f), 16.0f);
}

// Bits that a fused multiply-add, or another order of the same operations,
// does not give; from the NumPy definition.
TEST(Score, KnownBits) {
  EXPECT_EQ(bitsOf(fixedExp(floatOf(0x3EC8ED7Eu))), 0x3FBD83CBu);
  EXPECT_EQ(bitsOf(fixedExp(floatOf(0xBFDAAB71u))), 0x3E3982D9u);
  EXPECT_EQ(bitsOf(fixedExp(floatOf(0xBEB47756u))), 0x3F33F460u);
  EXPECT_EQ(bitsOf(fixedExp(floatOf(0xC0123691u))), 0x3DD08550u);
  EXPECT_EQ(bitsOf(fixedLog(floatOf(0x3F3C4232u))), 0xBE9D5E6Cu);
  EXPECT_EQ(bitsOf(fixedLog(floatOf(0x3FAA7EB9u))), 0x3E92C72Au);
  EXPECT_EQ(bitsOf(fixedLog(floatOf(0x3F38697Bu))), 0xBEA7F042u);
  EXPECT_EQ(bitsOf(fixedLog(floatOf(0x401E6DE5u))), 0x3F680B7Bu);
  EXPECT_EQ(bitsOf(fixedSigmoid(floatOf(0x3F80BF6Cu))), 0x3F3B71D3u);
  EXPECT_EQ(bitsOf(fixedSigmoid(floatOf(0xBF87467Fu))), 0x3E840D4Eu);
  EXPECT_EQ(bitsOf(fixedSigmoid(floatOf(0x40A3F2BDu))), 0x3F7E7BFEu);
  EXPECT_EQ(bitsOf(fixedSqrtSoftplus(floatOf(0x3F80BF6Cu))), 0x3F92EC68u);
  EXPECT_EQ(bitsOf(fixedSqrtSoftplus(floatOf(0xBF87467Fu))), 0x3F0BD11Bu);
  EXPECT_EQ(bitsOf(fixedSqrtSoftplus(floatOf(0x40A3F2BDu))), 0x4010F27Cu);
}

TEST(Score, ZeroRule) {
  EXPECT_EQ(bitsOf(flushTiny(0x1p-125f)), bitsOf(0x1p-125f));
  EXPECT_EQ(bitsOf(flushTiny(-0x1p-125f)), bitsOf(-0x1p-125f));
  EXPECT_EQ(bitsOf(flushTiny(std::nextafter(0x1p-125f, 0.0f))), 0u);
  EXPECT_EQ(bitsOf(flushTiny(-0x1p-126f)), 0u);
  EXPECT_EQ(bitsOf(flushTiny(-0.0f)), 0u);
  EXPECT_EQ(bitsOf(canonical(floatOf(0xFFC12345u))), 0x7FC00000u);
  EXPECT_EQ(bitsOf(biasedScore(1.0f, 0x1p-126f)), bitsOf(1.0f));
  EXPECT_EQ(bitsOf(biasedScore(0x1p-125f, -0x1.8p-125f)), 0u);
  EXPECT_EQ(bitsOf(biasedScore(kInf, -kInf)), 0x7FC00000u);
  EXPECT_EQ(bitsOf(canonicalSum(0x1.8p-125f, -0x1p-125f)), 0u);
}

TEST(Score, KeysOrderAsNumbersAndInvert) {
  EXPECT_EQ(orderedKey(kQuietNaN), 0u);
  EXPECT_EQ(orderedKey(-kQuietNaN), 0u);
  EXPECT_EQ(orderedKey(0.0f), 0x80000000u);
  EXPECT_EQ(orderedKey(-0.0f), 0x80000000u);
  uint32_t before = 0;
  forSampledFloats([&](float x) {
    uint32_t key = orderedKey(x);
    if (flushTiny(x) == 0.0f)
      ASSERT_EQ(key, 0x80000000u);
    else
      ASSERT_GT(key, before) << x;
    ASSERT_EQ(bitsOf(scoreOfKey(key)), bitsOf(canonical(x)));
    before = key;
  });
  EXPECT_EQ(bitsOf(scoreOfKey(0)), 0x7FC00000u);
}

std::vector<float> softmaxOf(std::vector<float> logits) {
  scoreToken(Score::Softmax, logits.data(), logits.size(), logits.data());
  return logits;
}

TEST(Softmax, SpecialTokens) {
  std::vector<uint32_t> zeros(3, 0u), nans(3, 0x7FC00000u);
  EXPECT_EQ(bitsOf(softmaxOf({-kInf, -kInf, -kInf})), zeros);
  EXPECT_EQ(bitsOf(softmaxOf({kQuietNaN, -kInf, 1.0f})), nans);
  EXPECT_EQ(bitsOf(softmaxOf({0.0f, kInf, 1.0f})), nans);
  EXPECT_EQ(softmaxOf({-kInf, 0.0f, 0.0f}),
            (std::vector<float>{0.0f, 0.5f, 0.5f}));
  EXPECT_EQ(softmaxOf({-3.0f}), std::vector<float>{1.0f});
  // e^-87 underflows; e^-86.5 / 3 falls below 2^-125.
  EXPECT_EQ(bitsOf(softmaxOf({0.0f, -87.0f, 0.0f})[1]), 0u);
  EXPECT_EQ(bitsOf(softmaxOf({0.0f, -86.5f, 0.0f, 0.0f})[1]), 0u);
}

TEST(Softmax, SumsIn32StridedPartialSumsAndATree) {
  std::mt19937 random(1);
  for (int64_t count : {1, 3, 31, 32, 33, 60, 64, 96, 97, 288, 384}) {
    std::vector<float> logits(count), terms(count);
    for (float &logit : logits)
      logit = float(random()) * 0x1p-30f - 2.0f;
    float maximum = *std::max_element(logits.begin(), logits.end());
    std::array<float, 32> sums{};
    for (int64_t i = 0; i < count; ++i) {
      terms[i] = fixedExp(logits[i] - maximum);
      sums[i % 32] += terms[i];
    }
    for (unsigned distance : {16, 8, 4, 2, 1}) {
      std::array<float, 32> old = sums;
      for (unsigned j = 0; j < 32; ++j)
        sums[j] = old[j] + old[j ^ distance];
    }
    for (float &term : terms)
      term = term / sums[17]; // every lane has the sum
    EXPECT_EQ(bitsOf(softmaxOf(logits)), bitsOf(terms)) << count;
  }
}

TEST(Softmax, NeverInvertsTwoLogits) {
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    std::vector<float> logits(60);
    for (float &logit : logits)
      logit = 1.0f + float(random() % 64) * 0x1p-23f;
    std::vector<float> scores = softmaxOf(logits);
    for (int a = 0; a < 60; ++a)
      for (int b = 0; b < 60; ++b)
        if (logits[a] < logits[b]) {
          ASSERT_LE(scores[a], scores[b]);
        }
  }
}

#if defined(__SSE__)
TEST(Score, FlushToZeroModesChangeNothing) {
  std::mt19937 random(3);
  std::vector<float> logits(384), normal(384), flushed(384);
  std::vector<float> gates(384), flushedGates(384);
  unsigned mode = _mm_getcsr();
  for (Score score :
       {Score::Softmax, Score::Sigmoid, Score::SqrtSoftplus, Score::Identity})
    for (int round = 0; round < 300; ++round) {
      for (float &logit : logits)
        logit = floatOf(round % 2 ? random() & 0x83FFFFFFu
                                  : bitsOf(-float(random()) * 0x1p-25f));
      Normalize normalize =
          score == Score::Identity ? Normalize::Softmax : Normalize::Sum;
      GateConstants constants{normalize, 0x1p-3f, 1e-40f, 1e-39f};
      scoreToken(score, logits.data(), 384, normal.data());
      gateToken(constants, normal.data(), logits.data(), 8, gates.data());
      _mm_setcsr(mode | 0x8040); // FTZ and DAZ
      scoreToken(score, logits.data(), 384, flushed.data());
      gateToken(constants, flushed.data(), logits.data(), 8,
                flushedGates.data());
      _mm_setcsr(mode);
      ASSERT_EQ(bitsOf(normal), bitsOf(flushed));
      ASSERT_EQ(bitsOf(gates), bitsOf(flushedGates));
    }
}
#endif

} // namespace
