// Regions on tensors of rank 0, as scalar code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_IMPORT_SCALARREGION_H
#define MOE_LIB_IMPORT_SCALARREGION_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// Emits the computation of `body` on scalars, and returns the operands of its
/// terminator as scalars.
///
/// Comparators, update functions and loop conditions of StableHLO compute on
/// tensors of rank 0. Run as they are, each element of a sort would go through
/// memory several times. `arguments` are the values of the block's arguments:
/// scalars where these are tensors of rank 0. Operations that are no scalar
/// arithmetic in disguise are kept, on tensors made of the scalars. The
/// terminator may be of an unregistered dialect.
SmallVector<Value> emitAsScalars(OpBuilder &builder, Block &body,
                                 ValueRange arguments);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_SCALARREGION_H
