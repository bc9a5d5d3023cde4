// What a routing is asked to do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/Options.h"

#include <cmath>
#include <initializer_list>
#include <limits>

using namespace moe::routing;

using Failure = std::optional<std::string>;
using Found = std::optional<Violation>;

static std::string number(int64_t value) { return std::to_string(value); }

int64_t moe::routing::candidatesPerToken(const RouteOptions &options,
                                         int64_t experts) {
  return options.topkGroup * (experts / options.nGroup);
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

static Found checkBudget(const RouteOptions &options, int64_t experts) {
  if (experts < 1)
    return Violation{Rule::Budget, "there are " + number(experts) +
                                       " experts, but at least one is needed"};
  if (options.k < 1)
    return Violation{
        Rule::Budget,
        "k = " + number(options.k) +
            ", but a token needs at least one expert on average: set k >= 1"};
  if (options.k > experts)
    return Violation{
        Rule::Budget,
        "k = " + number(options.k) + " exceeds the " + number(experts) +
            " experts, and a token chooses an expert at most once: lower k"};
  return std::nullopt;
}

static Found checkGroups(const RouteOptions &options, int64_t experts) {
  if (options.nGroup < 1)
    return Violation{
        Rule::Groups,
        "n_group = " + number(options.nGroup) +
            ", but there is at least one group: use 1 for no group limit"};
  if (experts % options.nGroup != 0)
    return Violation{Rule::Groups, "n_group = " + number(options.nGroup) +
                                       " does not divide the " +
                                       number(experts) +
                                       " experts, and groups have equal sizes"};
  if (options.topkGroup < 1 || options.topkGroup > options.nGroup)
    return Violation{Rule::Groups, "topk_group = " + number(options.topkGroup) +
                                       " is not between 1 and n_group = " +
                                       number(options.nGroup)};
  int64_t candidates = candidatesPerToken(options, experts);
  if (candidates < options.k)
    return Violation{Rule::Groups,
                     "the " + number(options.topkGroup) + " of " +
                         number(options.nGroup) + " groups kept hold " +
                         number(candidates) + " experts, fewer than k = " +
                         number(options.k) + ": raise topk_group or lower k"};
  return std::nullopt;
}

static Found checkBounds(const RouteOptions &options, int64_t experts) {
  if (options.scope == Scope::Token && (options.floor != 0 || options.cap))
    return Violation{
        Rule::BoundsScope,
        "floor and cap belong to scope = sequence; in scope = token every "
        "token gets k experts: drop them, or set scope = sequence"};
  if (options.floor < 0)
    return Violation{Rule::Bounds, "floor = " + number(options.floor) +
                                       " is negative: use 0 for no floor"};
  if (options.floor > options.k)
    return Violation{Rule::Bounds,
                     "floor = " + number(options.floor) +
                         " exceeds k = " + number(options.k) +
                         ", so that the floors alone overspend the " +
                         "budget: lower floor"};
  if (!options.cap)
    return std::nullopt;
  if (*options.cap < options.k)
    return Violation{Rule::Bounds,
                     "cap = " + number(*options.cap) +
                         " is below k = " + number(options.k) +
                         ", so that the budget cannot be spent: raise cap"};
  int64_t candidates = candidatesPerToken(options, experts);
  if (*options.cap > candidates)
    return Violation{Rule::Bounds, "cap = " + number(*options.cap) +
                                       " exceeds the " + number(candidates) +
                                       " experts a token can choose from: "
                                       "lower cap, or leave it out for " +
                                       "no cap"};
  return std::nullopt;
}

static Found checkEvaluation(const RouteOptions &options) {
  bool isIdentity = options.score == Score::Identity;
  if (options.normalize == Normalize::Sum && isIdentity)
    return Violation{
        Rule::SumScore,
        "normalize = sum divides by a sum of raw logits under score = "
        "identity, which may be zero or negative: use normalize = softmax, "
        "or another score"};
  if (options.normalize == Normalize::Softmax && !isIdentity &&
      options.score != Score::Softmax)
    return Violation{
        Rule::SoftmaxScore,
        "normalize = softmax works on the chosen logits and needs score = "
        "softmax or identity, but score = " +
            std::string(stringify(options.score)) + ": use normalize = sum"};
  if (options.scope == Scope::Sequence && isIdentity && !options.rankLogits)
    return Violation{
        Rule::SequenceScore,
        "scope = sequence with score = identity ranks raw logits across "
        "tokens, which a constant added to one token's logits changes: use "
        "score = softmax (with normalize = softmax it chooses the same "
        "experts per token), or set rank_logits to rank them all the same"};
  if (options.rankLogits && !isIdentity)
    return Violation{
        Rule::RankLogitsScore,
        "rank_logits needs score = identity, but score = " +
            std::string(stringify(options.score)) +
            " ranks scores: drop rank_logits, or use score = identity"};
  return std::nullopt;
}

static Found checkConstants(const RouteOptions &options) {
  if (!std::isfinite(static_cast<float>(options.scale)))
    return Violation{Rule::Constants, "scale must be a finite f32 number"};
  float eps = static_cast<float>(options.eps);
  if (!std::isfinite(eps) || eps < 0.0f)
    return Violation{Rule::Constants,
                     "eps must be a finite f32 number, zero or more"};
  float normMin = static_cast<float>(options.normMin);
  if (!std::isfinite(normMin) || normMin < 0.0f)
    return Violation{Rule::Constants,
                     "norm_min must be a finite f32 number, zero or more"};
  return std::nullopt;
}

std::optional<Violation>
moe::routing::findViolation(const RouteOptions &options, int64_t experts) {
  if (Found found = checkBudget(options, experts))
    return found;
  if (Found found = checkGroups(options, experts))
    return found;
  if (Found found = checkBounds(options, experts))
    return found;
  if (Found found = checkEvaluation(options))
    return found;
  return checkConstants(options);
}

Failure moe::routing::checkOptions(const RouteOptions &options,
                                   int64_t experts) {
  if (Found found = findViolation(options, experts))
    return found->text;
  return std::nullopt;
}

/// Whether the product of `factors` (none negative) is below 2^31.
static bool fitsI32(std::initializer_list<int64_t> factors) {
  for (int64_t factor : factors)
    if (factor == 0)
      return true;
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (factor > std::numeric_limits<int32_t>::max() / product)
      return false;
    product *= factor;
  }
  return true;
}

Failure moe::routing::checkSizes(int64_t sequences, int64_t tokens,
                                 int64_t experts, int64_t k) {
  std::string shape = "S = " + number(sequences) + ", T = " + number(tokens) +
                      ", E = " + number(experts);
  std::string split = " is 2^31 or more, and plans hold i32: split the batch";
  if (sequences < 0 || tokens < 0 || experts < 0 || k < 0)
    return "sizes must not be negative, but " + shape + ", K = " + number(k);
  if (!fitsI32({sequences, tokens, experts}) || !fitsI32({experts}))
    return "S*T*E of " + shape + split;
  if (!fitsI32({sequences, tokens, k}))
    return "the number of rows S*T*K of " + shape + ", K = " + number(k) +
           split;
  if (tokens == std::numeric_limits<int64_t>::max() ||
      !fitsI32({sequences, tokens + 1}))
    return "the number of token offsets S*(T+1) of " + shape + split;
  return std::nullopt;
}

GateConstants moe::routing::gateConstants(const RouteOptions &options) {
  return {options.normalize, static_cast<float>(options.scale),
          static_cast<float>(options.eps), static_cast<float>(options.normMin)};
}

//===----------------------------------------------------------------------===//
// Spelling
//===----------------------------------------------------------------------===//

std::string_view moe::routing::stringify(Scope scope) {
  return scope == Scope::Token ? "token" : "sequence";
}

std::string_view moe::routing::stringify(Score score) {
  switch (score) {
  case Score::Softmax:
    return "softmax";
  case Score::Sigmoid:
    return "sigmoid";
  case Score::SqrtSoftplus:
    return "sqrtsoftplus";
  case Score::Identity:
    return "identity";
  }
  return "";
}

std::string_view moe::routing::stringify(Normalize normalize) {
  switch (normalize) {
  case Normalize::None:
    return "none";
  case Normalize::Sum:
    return "sum";
  case Normalize::Softmax:
    return "softmax";
  }
  return "";
}

std::string_view moe::routing::stringify(GroupScore groupScore) {
  return groupScore == GroupScore::Max ? "max" : "top2_sum";
}

template <typename Choice>
static std::optional<Choice> parse(std::string_view text,
                                   std::initializer_list<Choice> choices) {
  for (Choice choice : choices)
    if (stringify(choice) == text)
      return choice;
  return std::nullopt;
}

std::optional<Scope> moe::routing::parseScope(std::string_view text) {
  return parse(text, {Scope::Token, Scope::Sequence});
}

std::optional<Score> moe::routing::parseScore(std::string_view text) {
  return parse(text, {Score::Softmax, Score::Sigmoid, Score::SqrtSoftplus,
                      Score::Identity});
}

std::optional<Normalize> moe::routing::parseNormalize(std::string_view text) {
  return parse(text, {Normalize::None, Normalize::Sum, Normalize::Softmax});
}

std::optional<GroupScore> moe::routing::parseGroupScore(std::string_view text) {
  return parse(text, {GroupScore::Max, GroupScore::Top2Sum});
}
