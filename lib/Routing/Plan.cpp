// Which rows go to which expert.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/Plan.h"
#include "moe/Routing/Options.h"

#include <algorithm>
#include <utility>

using namespace moe::routing;

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

static std::vector<int32_t> countByExpert(int64_t experts,
                                          const PairList &pairs) {
  std::vector<int32_t> offsets(experts + 1, 0);
  for (int32_t expert : pairs.experts)
    ++offsets[expert + 1];
  for (int64_t e = 0; e < experts; ++e)
    offsets[e + 1] += offsets[e];
  return offsets;
}

/// Sequence s begins with the offset of its first token and ends with that of
/// the next sequence's first token.
static std::vector<int32_t> splitBySequence(int64_t sequences, int64_t tokens,
                                            const PairList &pairs) {
  std::vector<int32_t> offsets;
  offsets.reserve(sequences * (tokens + 1));
  for (int64_t s = 0; s < sequences; ++s)
    offsets.insert(offsets.end(), pairs.pairOffsets.begin() + s * tokens,
                   pairs.pairOffsets.begin() + (s + 1) * tokens + 1);
  return offsets;
}

Plan moe::routing::buildPlan(int64_t sequences, int64_t tokens, int64_t experts,
                             int64_t rows, const PairList &pairs) {
  Plan plan;
  plan.sequences = sequences;
  plan.tokens = tokens;
  plan.experts = experts;
  plan.expertOffsets = countByExpert(experts, pairs);
  plan.tokenOffsets = splitBySequence(sequences, tokens, pairs);
  plan.rowToken.assign(rows, -1);
  plan.tokenRow.assign(rows, -1);
  plan.gates.assign(rows, 0.0f);

  // Tokens are visited in ascending order, so each expert's rows come out in
  // that order too.
  std::vector<int32_t> nextRow(plan.expertOffsets.begin(),
                               plan.expertOffsets.end() - 1);
  for (int64_t token = 0; token < sequences * tokens; ++token)
    for (int32_t pair = pairs.pairOffsets[token];
         pair < pairs.pairOffsets[token + 1]; ++pair) {
      int32_t row = nextRow[pairs.experts[pair]]++;
      plan.rowToken[row] = static_cast<int32_t>(token);
      plan.tokenRow[pair] = row;
      plan.gates[row] = pairs.gates[pair];
    }
  return plan;
}

//===----------------------------------------------------------------------===//
// From ids and weights
//===----------------------------------------------------------------------===//

static int64_t loadId(const Choice &choice, int64_t index) {
  return choice.idsAre64Bit ? static_cast<const int64_t *>(choice.ids)[index]
                            : static_cast<const int32_t *>(choice.ids)[index];
}

std::optional<std::string> moe::routing::planFromChoice(const Choice &choice,
                                                        int64_t experts,
                                                        Plan &plan) {
  if (std::optional<std::string> failure =
          checkSizes(choice.sequences, choice.tokens, experts, choice.k))
    return failure;
  if (experts < 1)
    return "there are 0 experts, but at least one is needed";

  std::vector<std::pair<int32_t, int64_t>> chosen; // expert, element
  PairList pairs;
  pairs.pairOffsets.push_back(0);
  int64_t allTokens = choice.sequences * choice.tokens;
  for (int64_t token = 0; token < allTokens; ++token) {
    chosen.clear();
    for (int64_t i = token * choice.k; i < (token + 1) * choice.k; ++i)
      if (int64_t id = loadId(choice, i); id >= 0 && id < experts)
        chosen.emplace_back(static_cast<int32_t>(id), i);
    // No two elements are equal, so this keeps the order of equal experts.
    std::sort(chosen.begin(), chosen.end());
    for (auto [expert, element] : chosen) {
      pairs.experts.push_back(expert);
      pairs.gates.push_back(
          loadElement(choice.weights, choice.weightType, element));
    }
    pairs.pairOffsets.push_back(static_cast<int32_t>(pairs.experts.size()));
  }
  plan = buildPlan(choice.sequences, choice.tokens, experts,
                   allTokens * choice.k, pairs);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Invariants
//===----------------------------------------------------------------------===//

using Failure = std::optional<std::string>;

static std::string at(const char *field, int64_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

static Failure checkOffsets(const char *field,
                            const std::vector<int32_t> &offsets, int64_t rows) {
  if (offsets.empty())
    return std::nullopt;
  if (offsets.front() != 0)
    return at(field, 0) + " is not 0";
  for (size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] < offsets[i - 1])
      return at(field, i) + " is below its predecessor";
  if (offsets.back() > rows)
    return std::string(field) + " ends beyond the plan's rows";
  return std::nullopt;
}

static Failure checkExpertView(const Plan &plan, bool onePairPerExpert) {
  if (Failure failure = checkOffsets("expert_offsets", plan.expertOffsets,
                                     plan.rowToken.size()))
    return failure;
  for (int64_t e = 0; e < plan.experts; ++e)
    for (int32_t row = plan.expertOffsets[e]; row < plan.expertOffsets[e + 1];
         ++row) {
      int32_t token = plan.rowToken[row];
      if (token < 0 || token >= plan.sequences * plan.tokens)
        return at("row_token", row) + " is no token";
      if (row == plan.expertOffsets[e])
        continue;
      if (token < plan.rowToken[row - 1] + (onePairPerExpert ? 1 : 0))
        return at("row_token", row) + " does not ascend within its expert";
    }
  return std::nullopt;
}

static Failure checkTokenView(const Plan &plan) {
  if (Failure failure = checkOffsets("token_offsets", plan.tokenOffsets,
                                     plan.tokenRow.size()))
    return failure;
  int64_t width = plan.tokens + 1;
  for (int64_t s = 1; s < plan.sequences; ++s)
    if (plan.tokenOffsets[s * width] != plan.tokenOffsets[s * width - 1])
      return at("token_offsets", s * width) +
             " is not where the sequence before ends";
  if ((plan.tokenOffsets.empty() ? 0 : plan.tokenOffsets.back()) !=
      plan.liveRows())
    return "token_offsets and expert_offsets count different rows";
  for (int64_t i = 0; i < plan.sequences * width; ++i) {
    if (i % width == plan.tokens)
      continue;
    int64_t token = i / width * plan.tokens + i % width;
    for (int32_t p = plan.tokenOffsets[i]; p < plan.tokenOffsets[i + 1]; ++p) {
      int32_t row = plan.tokenRow[p];
      if (row < 0 || row >= plan.liveRows() || plan.rowToken[row] != token)
        return at("token_row", p) + " is no row of token " +
               std::to_string(token);
      // Rows ascend with experts, so this also means experts ascending.
      if (p > plan.tokenOffsets[i] && row <= plan.tokenRow[p - 1])
        return at("token_row", p) + " does not ascend within its token";
    }
  }
  return std::nullopt;
}

Failure moe::routing::checkPlan(const Plan &plan, bool onePairPerExpert) {
  if (plan.sequences < 0 || plan.tokens < 0 || plan.experts < 1)
    return "the plan's sizes are no sizes";
  if (static_cast<int64_t>(plan.expertOffsets.size()) != plan.experts + 1)
    return "expert_offsets does not have E + 1 elements";
  if (static_cast<int64_t>(plan.tokenOffsets.size()) !=
      plan.sequences * (plan.tokens + 1))
    return "token_offsets does not have S*(T + 1) elements";
  if (plan.tokenRow.size() != plan.rowToken.size() ||
      plan.gates.size() != plan.rowToken.size())
    return "row_token, token_row and gates differ in size";
  if (Failure failure = checkExpertView(plan, onePairPerExpert))
    return failure;
  if (Failure failure = checkTokenView(plan))
    return failure;
  for (size_t i = plan.liveRows(); i < plan.rowToken.size(); ++i)
    if (plan.rowToken[i] != -1 || plan.tokenRow[i] != -1)
      return at("row_token or token_row", i) +
             " is beyond the live rows and not -1";
  return std::nullopt;
}
