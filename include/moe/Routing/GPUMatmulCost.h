// What a grouped matmul costs on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUMATMULCOST_H
#define MOE_ROUTING_GPUMATMULCOST_H

#include "moe/Routing/GPUMatmulForms.h"

namespace moe::routing {

/// The terms of the model, in microseconds where nothing else is said. The
/// first three overlap.
struct GPUMatmulCost {
  double memory;  ///< each weight of an active expert once, rows, results
  double cache;   ///< what all blocks read through the L2 cache
  double compute; ///< tensor cores or shared memory, in whole waves of blocks
  double latency; ///< the first loads and the last stores of a block
  double total;
  /// Not in the total: slots of instructions that are no products.
  double issue;
};

/// Blocks of tiles that a multiprocessor holds at once, at least one.
int64_t residentGPUBlocks(const GPUChip &chip, const GPUMatmulForm &form);

/// Models `form` on a device of `chip` where experts have `rows` rows on
/// average: all nearly as many, or by Zipf's law with exponent 1.2.
GPUMatmulCost modelGPUMatmul(const GPUChip &chip, const GPUMatmulForm &form,
                             const GPUMatmulSize &size, double rows,
                             bool isUniform);

} // namespace moe::routing

#endif // MOE_ROUTING_GPUMATMULCOST_H
