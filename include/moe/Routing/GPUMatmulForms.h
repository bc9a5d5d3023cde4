// The tiles of a grouped matmul on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUMATMULFORMS_H
#define MOE_ROUTING_GPUMATMULFORMS_H

#include "moe/Routing/GPUChip.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace moe::routing {

/// One shape of tiles; #moe.gpu_matmul_form says what each number means.
struct GPUMatmulForm {
  int64_t rows, columns, depth, warpRows, stages, lanes;
  /// The average number of rows of an expert from which it is used.
  int64_t least;
};

/// The sizes of a grouped matmul of elements of two bytes.
struct GPUMatmulSize {
  int64_t experts;
  int64_t depth;      ///< K, the length of a sum
  int64_t columns;    ///< of all weights of an expert
  int64_t outColumns; ///< of the result: half of them for a gated pair
};

/// The forms for a chip and a matmul, `least` growing from 0: those whose
/// modelled time (GPUMatmulCost.h) is the least. One where the average number
/// of rows of an expert is known, else as many as pay, up to `kMostForms`: each
/// is a kernel of its own.
std::vector<GPUMatmulForm> chooseGPUMatmulForms(const GPUChip &chip,
                                                const GPUMatmulSize &size,
                                                std::optional<double> rows);
inline constexpr int kMostForms = 3;

} // namespace moe::routing

#endif // MOE_ROUTING_GPUMATMULFORMS_H
