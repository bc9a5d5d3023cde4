// The GPUs that code is generated for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPUChip.h"

namespace moe::routing {

// The kernels are of the mma.sync generation, which begins with sm_80. A later
// version of PTX than the chip's first one is asked for only where an
// instruction needs it: an older driver can read the older text.
static constexpr GPUChip kChips[] = {
    {"sm_80", 80, 76, 11060, 163 * 1024, 108, 56, 1},
    {"sm_86", 86, 76, 11060, 99 * 1024, 84, 16, 1},
    {"sm_89", 89, 78, 11080, 99 * 1024, 142, 20, 1},
    {"sm_90", 90, 80, 12000, 227 * 1024, 132, 78, 16},
    {"sm_100", 100, 86, 12070, 227 * 1024, 148, 132, 16},
    {"sm_120", 120, 87, 12080, 99 * 1024, 188, 20, 8},
};

std::span<const GPUChip> gpuChips() { return kChips; }

std::optional<GPUChip> findGPUChip(std::string_view name) {
  for (const GPUChip &chip : kChips)
    if (chip.name == name)
      return chip;
  return std::nullopt;
}

std::optional<GPUChip> gpuChipOfDevice(int capability) {
  std::optional<GPUChip> found;
  for (const GPUChip &chip : kChips)
    if (chip.capability <= capability)
      found = chip;
  return found;
}

std::string gpuChipNames() {
  std::string names;
  for (const GPUChip &chip : kChips)
    names += (names.empty() ? "" : ", ") + std::string(chip.name);
  return names;
}

} // namespace moe::routing
