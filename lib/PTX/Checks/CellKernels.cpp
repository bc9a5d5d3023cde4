// Choosing the loops compiled for this CPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/CellKernels.h"

namespace ptx {
#define PTX_DECLARE_CELL_KERNELS(LEVEL)                                        \
  namespace LEVEL {                                                            \
  extern const checks::CellKernels kCellKernels;                               \
  }
PTX_DECLARE_CELL_KERNELS(baseline)
PTX_DECLARE_CELL_KERNELS(avx2)
PTX_DECLARE_CELL_KERNELS(avx512)
} // namespace ptx

using namespace ptx;
using namespace ptx::checks;

const CellKernels *checks::cellKernelsAt(KernelLevel level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (level == KernelLevel::Avx512)
    return __builtin_cpu_supports("x86-64-v4") ? &avx512::kCellKernels
                                               : nullptr;
  if (level == KernelLevel::Avx2)
    return __builtin_cpu_supports("x86-64-v3") ? &avx2::kCellKernels : nullptr;
#endif
  return level == KernelLevel::Baseline ? &baseline::kCellKernels : nullptr;
}

const CellKernels &checks::cellKernels() {
  static const CellKernels &best = []() -> const CellKernels & {
    for (KernelLevel level : {KernelLevel::Avx512, KernelLevel::Avx2})
      if (const CellKernels *kernels = cellKernelsAt(level))
        return *kernels;
    return baseline::kCellKernels;
  }();
  return best;
}
