// Which rows go to which expert.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_PLAN_H
#define MOE_ROUTING_PLAN_H

#include "moe/Routing/Element.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe::routing {

/// Which rows go to which expert, in two views of the same N chosen pairs. A
/// row is the copy of a token that one pair sends to one expert; rows are
/// numbered expert by expert, and within an expert by token.
struct Plan {
  int64_t sequences = 0; // S
  int64_t tokens = 0;    // T, of one sequence
  int64_t experts = 0;   // E

  // Expert view.

  /// [E + 1]: expert e has the rows from expertOffsets[e] up to
  /// expertOffsets[e + 1]; the last is N, the number of live rows.
  std::vector<int32_t> expertOffsets;
  /// [R], R = S*T*K: the token s*T + t of each row, -1 beyond N.
  std::vector<int32_t> rowToken;

  // Token view.

  /// [S, T + 1]: token t of sequence s has the entries of tokenRow from
  /// tokenOffsets[s, t] up to tokenOffsets[s, t + 1]. Sequence s ends where
  /// s + 1 begins.
  std::vector<int32_t> tokenOffsets;
  /// [R]: each token's rows, experts ascending; -1 beyond N.
  std::vector<int32_t> tokenRow;

  /// [R]: the gate of each row in f32, before the one rounding to the type of
  /// the result (`storeElements`); +0 beyond N.
  std::vector<float> gates;

  /// Valid tokens that have a NaN among their logits. In sequence scope such a
  /// token usually gets no expert.
  int64_t nanTokens = 0;

  int64_t liveRows() const {
    return expertOffsets.empty() ? 0 : expertOffsets.back();
  }
};

/// The chosen pairs of a batch, token by token: token s*T + t has the pairs
/// from `pairOffsets[s*T + t]` up to the next, experts ascending.
struct PairList {
  std::vector<int32_t> pairOffsets; // [S*T + 1]
  std::vector<int32_t> experts;     // [N]
  std::vector<float> gates;         // [N]
};

/// Builds both views of a plan of `rows` >= N rows by counting, without a sort.
/// Equal experts within a token (possible with `planFromChoice`) keep their
/// order.
Plan buildPlan(int64_t sequences, int64_t tokens, int64_t experts, int64_t rows,
               const PairList &pairs);

/// A router that stays plain code: ids [S, T, K] of chosen experts and their
/// weights [S, T, K]. An id outside [0, E) means "no expert". The pairs of a
/// token are ordered by expert, and by position where an expert occurs twice.
/// Weights become the gates unchanged. Returns the text of the rule that the
/// sizes break; `plan` is written only when there is none.
struct Choice {
  const void *ids = nullptr;
  bool idsAre64Bit = false;
  const void *weights = nullptr;
  ElementType weightType = ElementType::F32;
  int64_t sequences = 0, tokens = 0, k = 0;
};
std::optional<std::string> planFromChoice(const Choice &choice, int64_t experts,
                                          Plan &plan);

/// The first invariant that a plan breaks, or nothing: sizes, both offset
/// arrays, tokens ascending within an expert, the two views describing the same
/// pairs, -1 beyond the live rows. `onePairPerExpert` also refuses a token that
/// has an expert twice, which a route never makes.
std::optional<std::string> checkPlan(const Plan &plan, bool onePairPerExpert);

} // namespace moe::routing

#endif // MOE_ROUTING_PLAN_H
