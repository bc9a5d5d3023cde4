// The patterns of moe-fuse besides those of grouped matmuls by a plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_TRANSFORMS_FUSEPATTERNS_H
#define MOE_LIB_TRANSFORMS_FUSEPATTERNS_H

#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

/// Gates: a product of rows and gates into the combine that adds them, and
/// casts of gates into the routing that makes them. Both are counted.
void populateFuseGatePatterns(RewritePatternSet &patterns,
                              Pass::Statistic &numGates,
                              Pass::Statistic &numGateCasts);

/// Sums of a combine and another tensor into the combine.
void populateFuseAddendPatterns(RewritePatternSet &patterns,
                                Pass::Statistic &numAddends);

/// Elementwise linalg into the epilogue of a dense matmul that
/// moe-raise-matmul made.
void populateFuseDensePatterns(RewritePatternSet &patterns,
                               Pass::Statistic &numDense);

} // namespace mlir::moe

#endif // MOE_LIB_TRANSFORMS_FUSEPATTERNS_H
