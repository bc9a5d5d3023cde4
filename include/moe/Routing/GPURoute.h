// How a routing is divided among the blocks of a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUROUTE_H
#define MOE_ROUTING_GPUROUTE_H

#include "moe/Routing/GPUChip.h"

#include <cstdint>
#include <optional>

namespace moe::routing {

/// What a routing works on: S sequences of T tokens, where they are known, and
/// E experts. `bySequence`: a sequence chooses, and not each token.
struct GPURouteSize {
  std::optional<int64_t> seqs, tokens;
  int64_t experts;
  bool bySequence;
};

/// The choices of #moe.gpu_route, which says what each number means. `cluster`
/// is 1 where blocks of the whole grid share a sequence.
struct GPURoute {
  int64_t threads, blocks, tokens, cluster;
};

/// The choices for a chip.
GPURoute chooseGPURoute(const GPUChip &chip, const GPURouteSize &size);

/// The microseconds of one sequence of T tokens, for `cluster` blocks of a
/// cluster, or of the grid if it is 1, by a formula.
double estimateGPURoute(const GPUChip &chip, const GPURouteSize &size,
                        int64_t cluster);

/// The matmul of a router: S sequences of T tokens of H values, E experts.
/// `byDepth`: the weight is [H, E].
struct GPURouterSize {
  int64_t seqs, tokens, experts, depth;
  bool byDepth;
};

/// The microseconds of the product in the routing's launch, and by itself with
/// the launches that only it needs, by formulas.
double estimateGPURouter(const GPUChip &chip, const GPURouterSize &size);
double estimateGPURouterApart(const GPUChip &chip, const GPURouterSize &size);

/// Whether it is surely faster to compute the logits in the routing's launch.
bool joinsGPURouter(const GPUChip &chip, const GPURouterSize &size);

} // namespace moe::routing

#endif // MOE_ROUTING_GPUROUTE_H
