// How a routing is divided among the blocks of a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPURoute.h"

namespace moe::routing {

// Measured on an H100 with 132 multiprocessors, for E from 64 to 256: the best
// numbers of blocks are 16 to 32 at T = 128, 64 to 128 at T = 1024, and all
// from 4096 on, so 8 tokens a block, or as many as are left to it. Blocks of
// 256 threads are the faster ones up to T = 1024, where every scan over a block
// counts; more than 512 threads never paid.
static constexpr int64_t kTokensOfBlock = 8;
static constexpr int64_t kFewTokens = 1024;

GPURoute chooseGPURoute(const GPUChip &chip, std::optional<int64_t> tokens) {
  bool areFew = tokens && *tokens <= kFewTokens;
  return {areFew ? 256 : 512, chip.multiprocessors, kTokensOfBlock};
}

} // namespace moe::routing
