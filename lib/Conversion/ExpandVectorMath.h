// Math functions without a library.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_EXPANDVECTORMATH_H
#define MOE_LIB_CONVERSION_EXPANDVECTORMATH_H

#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// Whether expandVectorMath can expand `op`, an op of math on floats, or a
/// target has an instruction for it.
bool isExpandableMath(Operation *op);

/// Replaces the math ops inside `root`, on f32 or vectors of f32, by
/// arithmetic. LLVM would call libm for them, for each lane of a vector.
/// `hasFma`: the target has fused multiply-add and rounding to integers; else
/// none is emitted, because they too would become calls.
void expandVectorMath(Operation *root, bool hasFma);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_EXPANDVECTORMATH_H
