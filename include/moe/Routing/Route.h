// The routing rule.
//
// The routing rule in plain C++: what generated code is compared with, and what
// `target="reference"` of the Python package runs. `docs/routing.md` states the
// contract.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_ROUTE_H
#define MOE_ROUTING_ROUTE_H

#include "moe/Routing/Element.h"
#include "moe/Routing/Options.h"
#include "moe/Routing/Plan.h"

namespace moe::routing {

/// What a routing reads. Arrays are dense and row-major and are not owned.
struct RouteInputs {
  /// [S, T, E], of `logitsType`.
  const void *logits = nullptr;
  ElementType logitsType = ElementType::F32;
  int64_t sequences = 0, tokens = 0, experts = 0;
  /// [S, T]: zero for a token that is padding. Null: every token is valid.
  const uint8_t *valid = nullptr;
  /// [E], added to the scores for the choice only. Null: no bias.
  const float *choiceBias = nullptr;
};

/// Routes a batch. Returns the text of the first rule that the options or sizes
/// break; `plan` is written only when there is none. Time and memory are linear
/// in S*T*E.
std::optional<std::string> route(const RouteOptions &options,
                                 const RouteInputs &inputs, Plan &plan);

} // namespace moe::routing

#endif // MOE_ROUTING_ROUTE_H
