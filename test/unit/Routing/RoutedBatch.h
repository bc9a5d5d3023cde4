// A batch to route, as tests write it down, and what came out of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef MOE_TEST_UNIT_ROUTING_ROUTEDBATCH_H
#define MOE_TEST_UNIT_ROUTING_ROUTEDBATCH_H

#include "moe/Routing/Route.h"

#include <bit>
#include <initializer_list>
#include <limits>
#include <random>
#include <vector>

namespace moe::routing::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kQuietNaN = std::numeric_limits<float>::quiet_NaN();

inline uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }
inline std::vector<uint32_t> bitsOf(const std::vector<float> &values) {
  std::vector<uint32_t> bits;
  for (float value : values)
    bits.push_back(bitsOf(value));
  return bits;
}

using Experts = std::vector<int32_t>;

// Expected values: parentheses around braces, as macro arguments need them.
inline std::vector<Experts> perToken(std::initializer_list<Experts> experts) {
  return experts;
}
inline std::vector<int32_t> ints(std::initializer_list<int32_t> values) {
  return values;
}
inline std::vector<float> floats(std::initializer_list<float> values) {
  return values;
}

/// Logits [sequences, tokens, experts] with the options to route them by.
struct Batch {
  int64_t sequences = 1, tokens = 1, experts = 1;
  std::vector<float> logits;
  RouteOptions options;
  std::vector<uint8_t> valid = {};    // empty: all
  std::vector<float> choiceBias = {}; // empty: none

  std::optional<std::string> tryRoute(Plan &plan) const {
    RouteInputs inputs;
    inputs.logits = logits.data();
    inputs.sequences = sequences;
    inputs.tokens = tokens;
    inputs.experts = experts;
    inputs.valid = valid.empty() ? nullptr : valid.data();
    inputs.choiceBias = choiceBias.empty() ? nullptr : choiceBias.data();
    return moe::routing::route(options, inputs, plan);
  }

  /// Routes; a refusal or a broken invariant gives a plan without any array.
  Plan route() const {
    Plan plan;
    if (tryRoute(plan) || checkPlan(plan, /*onePairPerExpert=*/true))
      return Plan();
    return plan;
  }
};

inline int32_t expertOfRow(const Plan &plan, int32_t row) {
  int32_t expert = 0;
  while (plan.expertOffsets[expert + 1] <= row)
    ++expert;
  return expert;
}

/// The experts of each token, read from the token view.
inline std::vector<Experts> chosen(const Plan &plan) {
  std::vector<Experts> result;
  if (plan.expertOffsets.empty())
    return result;
  for (int64_t s = 0; s < plan.sequences; ++s)
    for (int64_t t = 0; t < plan.tokens; ++t) {
      const int32_t *offset =
          plan.tokenOffsets.data() + s * (plan.tokens + 1) + t;
      Experts experts;
      for (int32_t p = offset[0]; p < offset[1]; ++p)
        experts.push_back(expertOfRow(plan, plan.tokenRow[p]));
      result.push_back(experts);
    }
  return result;
}

/// The gates of each token, in the order of its experts.
inline std::vector<std::vector<float>> gatesByToken(const Plan &plan) {
  std::vector<std::vector<float>> result;
  for (int64_t i = 0; i < plan.sequences * plan.tokens; ++i) {
    int64_t at = i / plan.tokens * (plan.tokens + 1) + i % plan.tokens;
    std::vector<float> gates;
    for (int32_t p = plan.tokenOffsets[at]; p < plan.tokenOffsets[at + 1]; ++p)
      gates.push_back(plan.gates[plan.tokenRow[p]]);
    result.push_back(gates);
  }
  return result;
}

inline bool sameBits(const Plan &a, const Plan &b) {
  return a.expertOffsets == b.expertOffsets && a.rowToken == b.rowToken &&
         a.tokenOffsets == b.tokenOffsets && a.tokenRow == b.tokenRow &&
         bitsOf(a.gates) == bitsOf(b.gates) && a.nanTokens == b.nanTokens;
}

/// A batch of logits with many ties and some infinities and NaNs.
inline Batch randomBatch(std::mt19937 &random, int64_t sequences,
                         int64_t tokens, int64_t experts) {
  Batch batch;
  batch.sequences = sequences;
  batch.tokens = tokens;
  batch.experts = experts;
  for (int64_t i = 0; i < sequences * tokens * experts; ++i) {
    unsigned draw = random() % 64;
    batch.logits.push_back(draw == 0   ? kQuietNaN
                           : draw == 1 ? kInf
                           : draw < 6  ? -kInf
                                       : float(int(draw) - 32) / 8.0f);
  }
  return batch;
}

/// Sequence scope under `k`, `floor` and `cap`, by a score that keeps ties.
inline RouteOptions sequenceOptions(int64_t k, int64_t floor = 0,
                                    std::optional<int64_t> cap = {}) {
  RouteOptions options;
  options.k = k;
  options.scope = Scope::Sequence;
  options.score = Score::Sigmoid;
  options.floor = floor;
  options.cap = cap;
  return options;
}

/// As `sequenceOptions`, ranking the logits themselves.
inline RouteOptions rankLogits(int64_t k, int64_t floor = 0,
                               std::optional<int64_t> cap = {}) {
  RouteOptions options = sequenceOptions(k, floor, cap);
  options.score = Score::Identity;
  options.rankLogits = true;
  return options;
}

inline RouteOptions tokenOptions(int64_t k, Score score = Score::Identity) {
  RouteOptions options;
  options.k = k;
  options.score = score;
  return options;
}

} // namespace moe::routing::test

#endif // MOE_TEST_UNIT_ROUTING_ROUTEDBATCH_H
