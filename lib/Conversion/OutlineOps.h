// Equal ops of the index form share one function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_OUTLINEOPS_H
#define MOE_LIB_CONVERSION_OUTLINEOPS_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Moves each moe.idx op into a private function that takes its operands;
/// ops that differ in nothing but their operands' values call the same one.
/// The layers of a model are alike, so that code size and compile time follow
/// the number of different layers. Returns the number of functions made.
int64_t outlineIdxOps(ModuleOp module);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_OUTLINEOPS_H
