// How a routing is divided among the blocks of a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUROUTE_H
#define MOE_ROUTING_GPUROUTE_H

#include "moe/Routing/GPUChip.h"

#include <cstdint>
#include <optional>

namespace moe::routing {

/// The choices of #moe.gpu_route, which says what each number means.
struct GPURoute {
  int64_t threads, blocks, tokens;
};

/// The choices for a chip and T tokens of a sequence, if that is known.
GPURoute chooseGPURoute(const GPUChip &chip, std::optional<int64_t> tokens);

} // namespace moe::routing

#endif // MOE_ROUTING_GPUROUTE_H
