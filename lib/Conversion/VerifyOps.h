// What every conversion of moe ops expects and promises.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_VERIFYOPS_H
#define MOE_LIB_CONVERSION_VERIFYOPS_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Calls `verify` for each moe op but moe.yield, until one fails.
LogicalResult verifyMoEOps(ModuleOp module,
                           function_ref<LogicalResult(Operation *)> verify);

/// The precondition: `op` is in index form and on memrefs. `pass` is the name
/// of the conversion, for the message.
LogicalResult verifyBufferized(Operation *op, StringRef pass);

/// The postcondition: no moe op is left. `target` ends the message.
LogicalResult verifyNoMoE(ModuleOp module, StringRef target);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_VERIFYOPS_H
