// What a routing is asked to do.
//
// The options of a routing and the rules they must keep. The dialect's verifier
// and the Python package ask `checkOptions`, so that a user reads the same text
// wherever a rule is broken.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_OPTIONS_H
#define MOE_ROUTING_OPTIONS_H

#include "moe/Routing/Score.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moe::routing {

/// Over what the budget of pairs is spent.
enum class Scope : uint8_t { Token, Sequence };

/// What ranks the groups of group-limited routing.
enum class GroupScore : uint8_t { Max, Top2Sum };

struct RouteOptions {
  /// Experts per token on average: the budget is k * (valid tokens).
  int64_t k = 1;
  Scope scope = Scope::Token;
  Score score = Score::Softmax;

  Normalize normalize = Normalize::None;
  /// Every gate is multiplied by `scale`; with Normalize::Sum the divisor is
  /// max(sum + eps, normMin). They are rounded to f32 before use.
  double scale = 1.0;
  double eps = 0.0;
  double normMin = 0.0;

  /// Experts form `nGroup` groups of neighbours, of which a token keeps
  /// `topkGroup`. One group means no limit.
  int64_t nGroup = 1;
  int64_t topkGroup = 1;
  GroupScore groupScore = GroupScore::Max;

  /// Sequence scope only: each token's `floor` best are always in, and none
  /// gets more than its `cap` best (default: all its candidates).
  int64_t floor = 0;
  std::optional<int64_t> cap;

  /// Allows scope = sequence with score = identity, that is, a ranking of raw
  /// logits across tokens, which a constant added to a token's logits changes.
  bool rankLogits = false;
};

/// Experts that a token can choose from, once groups are limited.
int64_t candidatesPerToken(const RouteOptions &options, int64_t experts);

/// The rules that options obey, so that a caller can label a violation.
enum class Rule : uint8_t {
  Budget,          // 1 <= k <= E
  Groups,          // groups divide E, and the kept ones hold k experts
  Bounds,          // 0 <= floor <= k <= cap <= candidates of a token
  BoundsScope,     // floor and cap belong to sequence scope
  SumScore,        // normalize = sum needs scores
  SoftmaxScore,    // normalize = softmax needs logits
  SequenceScore,   // sequence scope needs comparable scores
  RankLogitsScore, // rank_logits needs score = identity
  Constants,       // scale, eps and norm_min are finite
};

struct Violation {
  Rule rule;
  std::string text;
};

/// The first rule that `options` break for this many experts, or nothing.
/// Options are named as the dialect and Python name them (`k`, `n_group`,
/// `norm_min` ...). The text starts in lower case and has no full stop, so that
/// it can follow "error: " or "ValueError: ".
std::optional<Violation> findViolation(const RouteOptions &options,
                                       int64_t experts);

/// The text of that violation.
std::optional<std::string> checkOptions(const RouteOptions &options,
                                        int64_t experts);

/// The same for sizes: none is negative and S*T*E, the S*T*K rows of a plan and
/// the S*(T+1) token offsets are below 2^31, because plans hold i32.
std::optional<std::string> checkSizes(int64_t sequences, int64_t tokens,
                                      int64_t experts, int64_t k);

/// The constants of `options` as the evaluation uses them.
GateConstants gateConstants(const RouteOptions &options);

// The spelling of each choice in attributes and in Python, and back.
std::string_view stringify(Scope scope);
std::string_view stringify(Score score);
std::string_view stringify(Normalize normalize);
std::string_view stringify(GroupScore groupScore);
std::optional<Scope> parseScope(std::string_view text);
std::optional<Score> parseScore(std::string_view text);
std::optional<Normalize> parseNormalize(std::string_view text);
std::optional<GroupScore> parseGroupScore(std::string_view text);

} // namespace moe::routing

#endif // MOE_ROUTING_OPTIONS_H
