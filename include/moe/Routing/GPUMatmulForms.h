// The tiles of a grouped matmul on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUMATMULFORMS_H
#define MOE_ROUTING_GPUMATMULFORMS_H

#include "moe/Routing/GPUChip.h"

#include <cstdint>
#include <vector>

namespace moe::routing {

/// One shape of tiles; #moe.gpu_matmul_form says what each number means.
struct GPUMatmulForm {
  int64_t rows, columns, depth, warpRows, stages, lanes;
  /// The average number of rows of an expert from which it is used.
  int64_t least;
};

/// The forms for a chip and `columns` weight columns of an expert, `least`
/// growing from 0.
std::vector<GPUMatmulForm> chooseGPUMatmulForms(const GPUChip &chip,
                                                int64_t columns);

} // namespace moe::routing

#endif // MOE_ROUTING_GPUMATMULFORMS_H
