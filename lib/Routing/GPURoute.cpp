// How a routing is divided among the blocks of a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPURoute.h"
#include "moe/Routing/GPUMatmulCost.h"

#include <algorithm>

namespace moe::routing {

// Measured on an H100 with 132 multiprocessors, for E from 64 to 256: the best
// numbers of blocks are 16 to 32 at T = 128, 64 to 128 at T = 1024, and all
// from 4096 on, so 8 tokens a block, or as many as are left to it. Blocks of
// 256 threads are the faster ones up to T = 1024, where every scan over a block
// counts; more than 512 threads never paid.
static constexpr int64_t kTokensOfBlock = 8;
static constexpr int64_t kFewTokens = 1024;

// Fitted to ten kernels of the grid's form that were timed on an H100, within
// 8 %: a launch, each barrier of the grid with what is published before it and
// read after it, and warp instructions at four a clock of 1.96 GHz. A barrier
// of a cluster was measured to take 0.24 us less than one of the grid, so that
// is what it is thought to save; no kernel of this form was timed.
static constexpr double kLaunch = 0.66, kGridBarrier = 3.33,
                        kClusterBarrier = kGridBarrier - 0.24;
static constexpr double kIssue = 1.74 / (4 * 1960.0);
/// Warp instructions of a block, and for 32 keys.
static constexpr double kOfBlock = 4000, kOf32Keys = 70;

double estimateGPURoute(const GPUChip &chip, const GPURouteSize &size,
                        int64_t cluster) {
  double tokens = double(size.tokens.value_or(0));
  double blocks = double(cluster);
  if (cluster == 1)
    blocks =
        std::clamp(tokens / kTokensOfBlock, 1.0, double(chip.multiprocessors));
  double barriers = size.bySequence ? 2 : 1;
  double instructions =
      kOfBlock + kOf32Keys * tokens * double((size.experts + 31) / 32) / blocks;
  return kLaunch + barriers * (cluster == 1 ? kGridBarrier : kClusterBarrier) +
         kIssue * instructions;
}

/// Clusters of as many blocks as the tokens ask for, if that is faster. With
/// several sequences all blocks of the grid wait for each other anyhow.
static int64_t chooseCluster(const GPUChip &chip, const GPURouteSize &size) {
  if (chip.clusterBlocks == 1 || size.seqs != 1 || !size.tokens ||
      *size.tokens <= kTokensOfBlock)
    return 1;
  int64_t cluster = 2;
  while (cluster < chip.clusterBlocks &&
         cluster * kTokensOfBlock < *size.tokens)
    cluster *= 2;
  bool isFaster =
      estimateGPURoute(chip, size, cluster) < estimateGPURoute(chip, size, 1);
  return isFaster ? cluster : 1;
}

GPURoute chooseGPURoute(const GPUChip &chip, const GPURouteSize &size) {
  bool areFew = size.tokens && *size.tokens <= kFewTokens;
  return {areFew ? 256 : 512, chip.multiprocessors, kTokensOfBlock,
          chooseCluster(chip, size)};
}

//===----------------------------------------------------------------------===//
// Routers
//===----------------------------------------------------------------------===//

// No kernel that computes its logits was timed. What its terms are made of was
// measured on an H100: an empty launch in a graph takes 0.93 us; L2 gives each
// of all multiprocessors 28 bytes a clock, and answers after 290; and a product
// waits 35 for the one that it adds to.
static constexpr double kClocks = 1960; // of a microsecond
static constexpr double kEmptyLaunch = 0.93, kBytesOfClock = 28;
static constexpr double kRoundTrip = 290 + 8 * 35;
/// The matmul's offsets and its tiles are launches, too.
static constexpr double kLaunchesApart = 3;
/// Where weights lie by depth a load brings 4 bytes in place of 16.
static constexpr double kLoadsByDepth = 4;
/// How much faster it must be: with it, the choices are those of the emulator's
/// time model, too, in which no two loads of a warp overlap.
static constexpr double kSurely = 2;

/// Products of 8 or 16 tokens and 16 experts along 32 of H; of the first 4, and
/// of the others 3 have their loads in flight together.
double estimateGPURouter(const GPUChip &chip, const GPURouterSize &size) {
  auto ceilDiv = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  GPURouteSize routed{size.seqs, size.tokens, size.experts, false};
  int64_t warps = chooseGPURoute(chip, routed).threads / 32;
  int64_t teams = size.seqs * ceilDiv(size.tokens, kTokensOfBlock);
  int64_t blocks = std::clamp<int64_t>(teams, 1, chip.multiprocessors);
  int64_t ofBlock = ceilDiv(size.seqs * size.tokens, blocks);
  bool isOne = ofBlock <= kTokensOfBlock;
  int64_t passes = ceilDiv(ofBlock, isOne ? 8 : 16);
  int64_t experts = ceilDiv(size.experts, 16);
  int64_t parts = std::max<int64_t>(1, warps / experts);
  int64_t trips = ceilDiv(experts * parts, warps) *
                  ceilDiv(size.depth, (isOne ? 128 : 96) * parts);
  double bytes = 2.0 * double(size.experts) * double(size.depth);
  double clocks = double(passes) *
                  std::max(bytes / kBytesOfClock, double(trips) * kRoundTrip);
  return (size.byDepth ? kLoadsByDepth : 1) * clocks / kClocks;
}

double estimateGPURouterApart(const GPUChip &chip, const GPURouterSize &size) {
  GPUMatmulSize matmul{1, size.depth, size.experts, size.experts};
  double rows = double(size.seqs) * double(size.tokens);
  GPUMatmulForm form = chooseGPUMatmulForms(chip, matmul, rows).front();
  double total = modelGPUMatmul(chip, form, matmul, rows, true).total;
  return total + kLaunchesApart * kEmptyLaunch;
}

bool joinsGPURouter(const GPUChip &chip, const GPURouterSize &size) {
  return kSurely * estimateGPURouter(chip, size) <
         estimateGPURouterApart(chip, size);
}

} // namespace moe::routing
