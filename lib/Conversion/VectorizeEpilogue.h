// The epilogue of a grouped matmul on vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H
#define MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H

#include "LoopBuilder.h"
#include "moe/IR/MoE.h"

namespace mlir::moe {

/// Refuses, by name, an epilogue with an op that has no form on vectors.
LogicalResult verifyEpilogueOps(IdxGroupedMatmulOp op);

/// Clones the epilogue for arguments that are scalars (lanes = 0) or vectors
/// of `lanes` elements, and returns what it yields. `hasF16` as in
/// StorageConversion.h.
Value emitEpilogue(LoopBuilder &b, IdxGroupedMatmulOp op, ValueRange arguments,
                   int64_t lanes, bool hasF16);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H
