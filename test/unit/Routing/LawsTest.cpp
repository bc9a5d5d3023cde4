// What holds for every input: tried on random batches with ties, infinities
// and NaNs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "RoutedBatch.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace moe::routing;
using namespace moe::routing::test;

namespace {

constexpr int kRounds = 200;

/// A batch with random sizes and options, in sequence scope.
Batch randomSequenceBatch(std::mt19937 &random) {
  Batch batch = randomBatch(random, 1 + random() % 3, 1 + random() % 9,
                            1 + random() % 12);
  int64_t k = 1 + random() % batch.experts;
  batch.options = sequenceOptions(k, random() % (k + 1),
                                  k + random() % (batch.experts - k + 1));
  batch.options.score = Score(random() % 4);
  batch.options.rankLogits = batch.options.score == Score::Identity;
  if (batch.options.score != Score::Identity)
    batch.options.normalize = Normalize::Sum;
  if (random() % 2)
    for (int64_t e = 0; e < batch.experts; ++e)
      batch.choiceBias.push_back(float(random() % 5) / 4.0f);
  if (random() % 2)
    for (int64_t t = 0; t < batch.sequences * batch.tokens; ++t)
      batch.valid.push_back(random() % 4 != 0);
  return batch;
}

int64_t validTokens(const Batch &batch, int64_t sequence) {
  if (batch.valid.empty())
    return batch.tokens;
  auto first = batch.valid.begin() + sequence * batch.tokens;
  return std::count(first, first + batch.tokens, 1);
}

Batch sequenceOf(const Batch &batch, int64_t s) {
  Batch one = batch;
  one.sequences = 1;
  int64_t size = batch.tokens * batch.experts;
  one.logits.assign(batch.logits.begin() + s * size,
                    batch.logits.begin() + (s + 1) * size);
  if (!batch.valid.empty())
    one.valid.assign(batch.valid.begin() + s * batch.tokens,
                     batch.valid.begin() + (s + 1) * batch.tokens);
  return one;
}

template <typename Value>
std::vector<Value> slice(const std::vector<Value> &values, int64_t first,
                         int64_t count) {
  return {values.begin() + first, values.begin() + first + count};
}

std::vector<std::vector<uint32_t>> gateBits(const Plan &plan) {
  std::vector<std::vector<uint32_t>> bits;
  for (const std::vector<float> &gates : gatesByToken(plan))
    bits.push_back(bitsOf(gates));
  return bits;
}

TEST(Laws, ExactlyKTimesValidPairsWithinFloorAndCap) {
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    Plan plan = batch.route();
    std::vector<Experts> experts = chosen(plan);
    ASSERT_FALSE(experts.empty());
    for (int64_t s = 0; s < batch.sequences; ++s) {
      int64_t pairs = 0;
      for (int64_t t = s * batch.tokens; t < (s + 1) * batch.tokens; ++t) {
        int64_t count = experts[t].size();
        pairs += count;
        bool isValid = batch.valid.empty() || batch.valid[t];
        ASSERT_GE(count, isValid ? batch.options.floor : 0);
        ASSERT_LE(count, isValid ? *batch.options.cap : 0);
      }
      ASSERT_EQ(pairs, batch.options.k * validTokens(batch, s));
    }
  }
}

TEST(Laws, OneTokenOfSequenceScopeIsTokenScope) {
  std::mt19937 random(2);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    batch.tokens = 1;
    batch.logits.resize(batch.sequences * batch.experts);
    batch.valid.clear();
    Plan sequence = batch.route();
    batch.options.scope = Scope::Token;
    batch.options.floor = 0;
    batch.options.cap.reset();
    ASSERT_FALSE(sequence.expertOffsets.empty());
    ASSERT_TRUE(sameBits(sequence, batch.route()));
  }
}

TEST(Laws, FloorAndCapOfKIsTokenScope) {
  std::mt19937 random(3);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    batch.options.floor = batch.options.k;
    batch.options.cap = batch.options.k;
    Plan sequence = batch.route();
    // Floor alone leaves no budget, cap alone leaves no choice.
    batch.options.cap.reset();
    Plan floorOnly = batch.route();
    batch.options.floor = 0;
    batch.options.cap = batch.options.k;
    Plan capOnly = batch.route();
    batch.options.scope = Scope::Token;
    batch.options.cap.reset();
    Plan token = batch.route();
    ASSERT_FALSE(token.expertOffsets.empty());
    ASSERT_TRUE(sameBits(sequence, token));
    ASSERT_TRUE(sameBits(floorOnly, token));
    ASSERT_TRUE(sameBits(capOnly, token));
  }
}

TEST(Laws, ABatchEqualsItsSequencesOneByOne) {
  std::mt19937 random(4);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    Plan plan = batch.route();
    for (int64_t s = 0; s < batch.sequences; ++s) {
      Plan one = sequenceOf(batch, s).route();
      ASSERT_EQ(chosen(one),
                slice(chosen(plan), s * batch.tokens, batch.tokens));
      ASSERT_EQ(gateBits(one),
                slice(gateBits(plan), s * batch.tokens, batch.tokens));
    }
  }
}

TEST(Laws, PermutingSequencesPermutesResults) {
  std::mt19937 random(5);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    int64_t tokens = batch.tokens, size = tokens * batch.experts;
    Batch turned = batch;
    // The last sequence first.
    std::rotate(turned.logits.begin(), turned.logits.end() - size,
                turned.logits.end());
    if (!turned.valid.empty())
      std::rotate(turned.valid.begin(), turned.valid.end() - tokens,
                  turned.valid.end());
    std::vector<Experts> experts = chosen(batch.route());
    auto gates = gateBits(batch.route());
    std::rotate(experts.begin(), experts.end() - tokens, experts.end());
    std::rotate(gates.begin(), gates.end() - tokens, gates.end());
    ASSERT_EQ(experts, chosen(turned.route()));
    ASSERT_EQ(gates, gateBits(turned.route()));
  }
}

TEST(Laws, PaddingLeftOrRightChangesNothing) {
  std::mt19937 random(6);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = sequenceOf(randomSequenceBatch(random), 0);
    batch.valid.assign(batch.tokens, 1);
    std::vector<Experts> experts = chosen(batch.route());
    auto gates = gateBits(batch.route());
    int64_t padding = 1 + random() % 4;
    for (bool isLeft : {false, true}) {
      Batch padded = batch;
      padded.tokens += padding;
      int64_t where = isLeft ? 0 : batch.tokens;
      // Padding that would win every comparison.
      padded.logits.insert(padded.logits.begin() + where * batch.experts,
                           padding * batch.experts, 100.0f);
      padded.valid.insert(padded.valid.begin() + where, padding, 0);
      Plan plan = padded.route();
      int64_t first = isLeft ? padding : 0;
      ASSERT_EQ(slice(chosen(plan), first, batch.tokens), experts);
      ASSERT_EQ(slice(gateBits(plan), first, batch.tokens), gates);
    }
  }
}

TEST(Laws, TwoRunsAreBitwiseEqual) {
  std::mt19937 random(7);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomSequenceBatch(random);
    Plan plan = batch.route();
    ASSERT_FALSE(plan.expertOffsets.empty());
    ASSERT_TRUE(sameBits(plan, batch.route()));
  }
}

TEST(Laws, SoftmaxAfterTheChoiceChoosesTheSameExpertsPerToken) {
  std::mt19937 random(8);
  for (int round = 0; round < kRounds; ++round) {
    Batch batch = randomBatch(random, 1, 8, 12);
    for (float &logit : batch.logits) // as trained routers give them
      logit = float(int(random() % 2001) - 1000) / 128.0f;
    batch.options = tokenOptions(3, Score::Identity);
    batch.options.normalize = Normalize::Softmax;
    Plan logits = batch.route();
    batch.options.score = Score::Softmax;
    ASSERT_TRUE(sameBits(logits, batch.route()));
  }
}

/// The choice by a full sort of one sequence's pairs, written from the text of
/// the contract.
std::vector<Experts> chooseBySorting(const Batch &batch) {
  struct Pair {
    uint32_t key;
    int64_t token, expert;
  };
  auto better = [](const Pair &a, const Pair &b) {
    if (a.key != b.key)
      return a.key > b.key;
    return std::pair(a.token, a.expert) < std::pair(b.token, b.expert);
  };
  std::vector<Experts> result(batch.tokens);
  std::vector<Pair> between;
  int64_t budget = 0;
  for (int64_t t = 0; t < batch.tokens; ++t) {
    if (!batch.valid.empty() && !batch.valid[t])
      continue;
    std::vector<float> scores(batch.experts);
    scoreToken(batch.options.score, &batch.logits[t * batch.experts],
               batch.experts, scores.data());
    std::vector<Pair> pairs;
    for (int64_t e = 0; e < batch.experts; ++e) {
      float bias = batch.choiceBias.empty() ? 0.0f : batch.choiceBias[e];
      pairs.push_back({orderedKey(biasedScore(scores[e], bias)), t, e});
    }
    std::sort(pairs.begin(), pairs.end(), better);
    for (int64_t i = 0; i < *batch.options.cap; ++i)
      if (i < batch.options.floor)
        result[t].push_back(pairs[i].expert);
      else
        between.push_back(pairs[i]);
    budget += batch.options.k - batch.options.floor;
  }
  std::sort(between.begin(), between.end(), better);
  for (int64_t i = 0; i < budget; ++i)
    result[between[i].token].push_back(between[i].expert);
  for (Experts &experts : result)
    std::sort(experts.begin(), experts.end());
  return result;
}

TEST(Laws, TheChoiceEqualsThatOfAFullSort) {
  std::mt19937 random(9);
  for (int round = 0; round < 10 * kRounds; ++round) {
    Batch batch = sequenceOf(randomSequenceBatch(random), 0);
    ASSERT_EQ(chosen(batch.route()), chooseBySorting(batch));
  }
}

} // namespace
