// Math functions and division in epilogues, by instructions of GPUs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_KERNELMATH_H
#define MOE_LIB_CONVERSION_GPU_KERNELMATH_H

#include "moe/IR/MoE.h"

namespace mlir::moe {

/// Refuses, by name, an epilogue with an op that kernels have no form for.
LogicalResult verifyKernelEpilogue(Region &epilogue);
inline LogicalResult verifyKernelEpilogue(IdxGroupedMatmulOp op) {
  return verifyKernelEpilogue(op.getEpilogue());
}

/// Replaces math ops and divisions on f32 or vectors of f32 inside `kernel`;
/// no call is left. Largest errors, for results that are normal numbers:
///
/// | op | by | error |
/// |---|---|---|
/// | exp | ex2.approx(x · log2 e) | (2 + 1.2·abs(x)) ulp |
/// | exp2 | ex2.approx | 2 ulp |
/// | rsqrt | rsqrt.approx | 2^-22.9 relative |
/// | a / (1 + exp(x)) | a · rcp.approx | 2 ulp more than the divisor's |
/// | a / b | div.full | 2 ulp |
/// | sqrt, fma | themselves | 0.5 ulp |
/// | floor, ceil, trunc, roundeven, absf, copysign | themselves | none |
/// | log | the fixed evaluation | 0.9 ulp |
/// | log2, log1p, expm1, tanh, erf, erfc | polynomials | 5 · 2^-24 relative |
///
/// Subnormal results of the approximate ones become zero.
void expandKernelMath(Operation *kernel);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_KERNELMATH_H
