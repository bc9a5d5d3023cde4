// The postcondition of moe-expand-plan, for the stages that rely on it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_TRANSFORMS_EXPANDPLAN_H
#define MOE_TRANSFORMS_EXPANDPLAN_H

#include "mlir/Support/LLVM.h"

namespace mlir {
class Operation;
namespace moe {

/// Emits an error at the first op under `root` with a `!moe.plan` among its
/// operands, results, block arguments or in its function type.
LogicalResult verifyNoPlan(Operation *root);

} // namespace moe
} // namespace mlir

#endif // MOE_TRANSFORMS_EXPANDPLAN_H
