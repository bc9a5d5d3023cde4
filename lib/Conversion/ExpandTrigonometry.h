// Sine and cosine without a library.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_EXPANDTRIGONOMETRY_H
#define MOE_LIB_CONVERSION_EXPANDTRIGONOMETRY_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {

/// Patterns that replace math.sin and math.cos on f32, scalars and vectors, by
/// arithmetic on f64 and i64. The error is below 0.501 ulp for every finite
/// argument, however large; that of an infinity is NaN.
void populateTrigonometryPatterns(RewritePatternSet &patterns);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_EXPANDTRIGONOMETRY_H
