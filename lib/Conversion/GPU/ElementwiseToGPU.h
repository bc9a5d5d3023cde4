// What of the code around the layers becomes kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ELEMENTWISETOGPU_H
#define MOE_LIB_CONVERSION_GPU_ELEMENTWISETOGPU_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {

/// Elementwise linalg whose body is arithmetic, and copies: one thread for each
/// element.
void populateElementwiseToGPUPatterns(RewritePatternSet &patterns);

/// memref.store of numbers that the host has, e.g. sizes, to known places: one
/// thread stores all that follow each other.
void convertStoresToGPU(ModuleOp module);

/// Constants that are read: a kernel that has them writes them. Those of more
/// than 65,536 elements are left.
void convertConstantsToGPU(ModuleOp module);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ELEMENTWISETOGPU_H
