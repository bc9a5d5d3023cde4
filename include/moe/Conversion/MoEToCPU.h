// Lowering of the index form of moe to loops and vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_CONVERSION_MOETOCPU_H
#define MOE_CONVERSION_MOETOCPU_H

namespace mlir {
class RewritePatternSet;
namespace moe {

// Patterns that lower bufferized moe.idx ops, by family; convert-moe-to-cpu
// runs them all. They are plain rewrite patterns: operands are memrefs.

/// moe.idx.route: scores, the choice, the plan's views and gates.
void populateRouteToCPUPatterns(RewritePatternSet &patterns);
/// moe.idx.plan_from_choice: the plan's views of given pairs.
void populatePlanFromChoiceToCPUPatterns(RewritePatternSet &patterns);
/// moe.idx.grouped_matmul: register tiles over packed weight panels.
void populateGroupedMatmulToCPUPatterns(RewritePatternSet &patterns);
/// moe.idx.pack: the panels that grouped_matmul reads.
void populatePackToCPUPatterns(RewritePatternSet &patterns);
/// moe.idx.dispatch: one copy for each row.
void populateDispatchToCPUPatterns(RewritePatternSet &patterns);
/// moe.idx.combine: one sum for each token.
void populateCombineToCPUPatterns(RewritePatternSet &patterns);

} // namespace moe
} // namespace mlir

#endif // MOE_CONVERSION_MOETOCPU_H
