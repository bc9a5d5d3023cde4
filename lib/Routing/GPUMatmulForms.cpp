// The tiles of a grouped matmul on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPUMatmulForms.h"

namespace moe::routing {

/// What was the fastest on an H100 in each range of rows. Few rows: weights
/// stream through small tiles. From 16 on, one tall tile covers an expert, and
/// warps skip the 16-row blocks that it lacks. From 128 on, the columns must be
/// wide, so that a row is not read too often.
static constexpr GPUMatmulForm kForms[] = {
    {32, 128, 64, 16, 4, 8, 0},
    {128, 128, 64, 64, 3, 8, 16},
    {128, 256, 64, 64, 4, 8, 128},
};
static constexpr int64_t kLeastStages = 3;

static int64_t stageBytes(const GPUMatmulForm &form) {
  return (form.rows + form.columns) * form.depth * 2;
}

std::vector<GPUMatmulForm> chooseGPUMatmulForms(const GPUChip &chip,
                                                int64_t columns) {
  std::vector<GPUMatmulForm> forms;
  for (GPUMatmulForm form : kForms) {
    // Half of a tile's columns would be empty.
    if (!forms.empty() && form.columns >= 2 * columns)
      continue;
    while (form.stages > kLeastStages &&
           form.stages * stageBytes(form) > chip.sharedBytes)
      --form.stages;
    if (form.stages * stageBytes(form) <= chip.sharedBytes)
      forms.push_back(form);
  }
  return forms;
}

} // namespace moe::routing
