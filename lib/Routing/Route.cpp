// The routing rule.
//
// Each sequence goes through the same steps:
//
//   1. scores and keys, token by token;
//   2. groups: experts of groups that a token does not keep become absent;
//   3. floor and cap: a token's `floor` best become certain, those beyond its
//      `cap` best become absent;
//   4. choice: the k * (valid tokens) best keys of the sequence;
//   5. gates of the chosen pairs.
//
// Token scope is the case floor = cap = k, in which step 4 has no choice left.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/Route.h"

#include <algorithm>
#include <functional>
#include <span>

using namespace moe::routing;

namespace {

// Keys of this file: `orderedKey` leaves the values next to zero and the
// topmost ones free, so that a pair which is no candidate and one which is
// certain need no arrays of their own.
constexpr uint32_t kAbsent = 0;
constexpr uint32_t kNaN = 1;
constexpr uint32_t kCertain = 0xFFFFFFFFu;

/// Where a key stands among others: larger is better, and of equal keys the
/// lower position is better.
uint64_t standing(uint32_t key, int64_t position) {
  return static_cast<uint64_t>(key) << 32 |
         (0xFFFFFFFFu - static_cast<uint32_t>(position));
}

uint32_t candidateKey(float value) { return std::max(orderedKey(value), kNaN); }

/// Routes one sequence after the other and collects the chosen pairs.
class Router {
public:
  Router(const RouteOptions &options, const RouteInputs &inputs);

  void routeSequence(int64_t sequence);

  PairList pairs;
  int64_t nanTokens = 0;

private:
  bool isValid(int64_t token) const {
    return !inputs.valid || inputs.valid[token] != 0;
  }
  void scoreLogits(int64_t token, std::span<float> scores,
                   std::span<uint32_t> keys);
  void limitGroups(std::span<uint32_t> keys);
  uint32_t groupKey(std::span<const uint32_t> keys) const;
  void limitToken(std::span<uint32_t> keys);
  uint64_t standingOfBest(std::span<const uint32_t> keys, int64_t count);
  void collectPairs(int64_t token, std::span<const float> scores,
                    std::span<const uint32_t> keys, int64_t firstPosition,
                    uint64_t lowest);

  const RouteOptions &options;
  const RouteInputs &inputs;
  GateConstants constants;
  int64_t floor, cap, candidates;

  // One sequence's.
  std::vector<float> scores;
  std::vector<uint32_t> keys;
  // One token's.
  std::vector<float> logits, chosenLogits;
  std::vector<uint32_t> groupKeys;
  // Of whatever is being selected from.
  std::vector<uint64_t> standings;
};

} // namespace

Router::Router(const RouteOptions &options, const RouteInputs &inputs)
    : options(options), inputs(inputs), constants(gateConstants(options)) {
  candidates = candidatesPerToken(options, inputs.experts);
  bool perToken = options.scope == Scope::Token;
  floor = perToken ? options.k : options.floor;
  cap = perToken ? options.k : options.cap.value_or(candidates);
  scores.resize(inputs.tokens * inputs.experts);
  keys.resize(inputs.tokens * inputs.experts);
  logits.resize(inputs.experts);
  groupKeys.resize(options.nGroup);
  pairs.pairOffsets.push_back(0);
}

/// The lowest standing among the `count` best candidates of `keys`, found
/// without sorting them. `count` is neither zero nor more than they are.
uint64_t Router::standingOfBest(std::span<const uint32_t> keys, int64_t count) {
  standings.clear();
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i] != kAbsent)
      standings.push_back(standing(keys[i], i));
  auto last = standings.begin() + (count - 1);
  std::nth_element(standings.begin(), last, standings.end(),
                   std::greater<uint64_t>());
  return *last;
}

void Router::scoreLogits(int64_t token, std::span<float> scores,
                         std::span<uint32_t> keys) {
  loadElements(inputs.logits, inputs.logitsType, token * inputs.experts,
               inputs.experts, logits.data());
  nanTokens += std::any_of(logits.begin(), logits.end(),
                           [](float logit) { return logit != logit; });
  scoreToken(options.score, logits.data(), inputs.experts, scores.data());
  for (size_t e = 0; e < keys.size(); ++e)
    keys[e] = candidateKey(inputs.choiceBias
                               ? biasedScore(scores[e], inputs.choiceBias[e])
                               : scores[e]);
}

//===----------------------------------------------------------------------===//
// Limits of a token
//===----------------------------------------------------------------------===//

/// What ranks a group. NaN keys are the lowest, so that the best key is NaN
/// only where all are; a sum of two is NaN as soon as one of them is.
uint32_t Router::groupKey(std::span<const uint32_t> keys) const {
  uint32_t best = kAbsent, second = kAbsent;
  for (uint32_t key : keys) {
    second = std::max(second, std::min(best, key));
    best = std::max(best, key);
  }
  if (options.groupScore == GroupScore::Max || second == kAbsent)
    return best;
  auto value = [](uint32_t key) { return scoreOfKey(key == kNaN ? 0 : key); };
  return candidateKey(canonicalSum(value(best), value(second)));
}

void Router::limitGroups(std::span<uint32_t> keys) {
  int64_t size = inputs.experts / options.nGroup;
  for (int64_t g = 0; g < options.nGroup; ++g)
    groupKeys[g] = groupKey(keys.subspan(g * size, size));
  uint64_t lowest = standingOfBest(groupKeys, options.topkGroup);
  for (int64_t g = 0; g < options.nGroup; ++g)
    if (standing(groupKeys[g], g) < lowest)
      std::fill_n(keys.begin() + g * size, size, kAbsent);
}

void Router::limitToken(std::span<uint32_t> keys) {
  if (cap < candidates) {
    uint64_t lowest = standingOfBest(keys, cap);
    for (size_t e = 0; e < keys.size(); ++e)
      if (standing(keys[e], e) < lowest)
        keys[e] = kAbsent;
  }
  if (floor > 0) {
    uint64_t lowest = standingOfBest(keys, floor);
    for (size_t e = 0; e < keys.size(); ++e)
      if (standing(keys[e], e) >= lowest)
        keys[e] = kCertain;
  }
}

//===----------------------------------------------------------------------===//
// Choice of a sequence
//===----------------------------------------------------------------------===//

/// Appends the pairs of `token` whose standing is `lowest` or better. Position
/// `firstPosition` of the sequence is the token's first expert.
void Router::collectPairs(int64_t token, std::span<const float> scores,
                          std::span<const uint32_t> keys, int64_t firstPosition,
                          uint64_t lowest) {
  size_t first = pairs.experts.size();
  chosenLogits.clear();
  for (int64_t e = 0; e < inputs.experts; ++e) {
    if (keys[e] == kAbsent || standing(keys[e], firstPosition + e) < lowest)
      continue;
    pairs.experts.push_back(static_cast<int32_t>(e));
    pairs.gates.push_back(scores[e]);
    chosenLogits.push_back(loadElement(inputs.logits, inputs.logitsType,
                                       token * inputs.experts + e));
  }
  float *gates = pairs.gates.data() + first;
  gateToken(constants, gates, chosenLogits.data(), chosenLogits.size(), gates);
}

void Router::routeSequence(int64_t sequence) {
  int64_t firstToken = sequence * inputs.tokens;
  int64_t validTokens = 0;
  auto scoresOf = [&](int64_t t) {
    return std::span(scores).subspan(t * inputs.experts, inputs.experts);
  };
  auto keysOf = [&](int64_t t) {
    return std::span(keys).subspan(t * inputs.experts, inputs.experts);
  };
  for (int64_t t = 0; t < inputs.tokens; ++t) {
    if (!isValid(firstToken + t)) {
      std::ranges::fill(keysOf(t), kAbsent);
      continue;
    }
    ++validTokens;
    scoreLogits(firstToken + t, scoresOf(t), keysOf(t));
    if (options.topkGroup < options.nGroup)
      limitGroups(keysOf(t));
    limitToken(keysOf(t));
  }
  uint64_t lowest = 0;
  if (validTokens != 0)
    lowest = standingOfBest(keys, options.k * validTokens);
  for (int64_t t = 0; t < inputs.tokens; ++t) {
    collectPairs(firstToken + t, scoresOf(t), keysOf(t), t * inputs.experts,
                 lowest);
    pairs.pairOffsets.push_back(static_cast<int32_t>(pairs.experts.size()));
  }
}

std::optional<std::string> moe::routing::route(const RouteOptions &options,
                                               const RouteInputs &inputs,
                                               Plan &plan) {
  if (auto failure = checkOptions(options, inputs.experts))
    return failure;
  if (auto failure = checkSizes(inputs.sequences, inputs.tokens, inputs.experts,
                                options.k))
    return failure;
  Router router(options, inputs);
  for (int64_t s = 0; s < inputs.sequences; ++s)
    router.routeSequence(s);
  plan = buildPlan(inputs.sequences, inputs.tokens, inputs.experts,
                   inputs.sequences * inputs.tokens * options.k, router.pairs);
  plan.nanTokens = router.nanTokens;
  return std::nullopt;
}
