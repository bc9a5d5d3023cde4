// The epilogue of a grouped matmul on vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H
#define MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H

#include "LoopBuilder.h"
#include "mlir/IR/IRMapping.h"
#include "moe/IR/MoE.h"
#include <functional>

namespace mlir::moe {

/// Refuses, by name, an epilogue with an op that has no form on vectors.
LogicalResult verifyEpilogueOps(IdxGroupedMatmulOp op);

/// How a target converts scalars or vectors of bf16 or f16 to f32, and f32 to
/// an element type of these.
struct HalfConversion {
  std::function<Value(Value)> widen;
  std::function<Value(Value, Type)> round;
};

/// Clones an epilogue for arguments that are scalars (lanes = 0) or vectors
/// of `lanes` elements, and returns what it yields. `outside` maps values that
/// the region uses from outside, where they are others in the clone.
Value cloneEpilogue(ImplicitLocOpBuilder &b, Region &epilogue,
                    ValueRange arguments, int64_t lanes,
                    const HalfConversion &half, const IRMapping &outside = {});
inline Value cloneEpilogue(ImplicitLocOpBuilder &b, IdxGroupedMatmulOp op,
                           ValueRange arguments, int64_t lanes,
                           const HalfConversion &half,
                           const IRMapping &outside = {}) {
  return cloneEpilogue(b, op.getEpilogue(), arguments, lanes, half, outside);
}

/// The same on the CPU. `hasF16` as in StorageConversion.h.
Value emitEpilogue(LoopBuilder &b, IdxGroupedMatmulOp op, ValueRange arguments,
                   int64_t lanes, bool hasF16);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_VECTORIZEEPILOGUE_H
