// The arithmetic of each CPU level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Product.h"

PTX_DECLARE_PRODUCT_KERNELS(baseline)
PTX_DECLARE_PRODUCT_KERNELS(avx2)
PTX_DECLARE_PRODUCT_KERNELS(avx512)

namespace ptx::tensor {

#define PTX_KERNELS(LEVEL)                                                     \
  {ptx::LEVEL::multiplyExact,    ptx::LEVEL::multiplyFast,                     \
   ptx::LEVEL::multiplyIntegers, ptx::LEVEL::multiplyGroups,                   \
   ptx::LEVEL::multiplyScaled,   ptx::LEVEL::multiplyF64,                      \
   ptx::LEVEL::multiplyWarp,     ptx::LEVEL::lanesToRows,                      \
   ptx::LEVEL::rowsToLanes,      ptx::LEVEL::loadMatrixRows}

const Kernels kBaselineKernels = PTX_KERNELS(baseline);
const Kernels kAvx2Kernels = PTX_KERNELS(avx2);
const Kernels kAvx512Kernels = PTX_KERNELS(avx512);

} // namespace ptx::tensor
