// Lowering of the index form of moe to GPU kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_CONVERSION_MOETOGPU_H
#define MOE_CONVERSION_MOETOGPU_H

namespace mlir {
class OpBuilder;
class RewritePatternSet;
class Value;
namespace moe {
class IdxRouteOp;

/// The i32 words of workspace, an index, that the kernel of a routing needs.
/// They are zero before its first launch, and kept for the next one, which may
/// have other sizes; after a launch that failed they are made zero again.
Value getRouteWorkspaceSize(OpBuilder &builder, IdxRouteOp op);

// Patterns that turn bufferized moe.idx ops into a kernel and its launch, by
// family; convert-moe-to-gpu runs them all. Operands are dense memrefs of
// global memory.

/// moe.idx.route: both views of the plan and the gates in one launch.
void populateRouteToGPUPatterns(RewritePatternSet &patterns);

/// moe.idx.plan_from_choice: one warp for each expert.
void populatePlanFromChoiceToGPUPatterns(RewritePatternSet &patterns);

/// moe.idx.dispatch: one block of threads for each row.
void populateDispatchToGPUPatterns(RewritePatternSet &patterns);

/// moe.idx.grouped_matmul: a kernel for each form of its schedule; a block of
/// threads makes one tile of the result.
void populateGroupedMatmulToGPUPatterns(RewritePatternSet &patterns);

/// moe.idx.tiles: one block of threads.
void populateTilesToGPUPatterns(RewritePatternSet &patterns);

/// moe.idx.combine: one block of threads for each token.
void populateCombineToGPUPatterns(RewritePatternSet &patterns);

} // namespace moe
} // namespace mlir

#endif // MOE_CONVERSION_MOETOGPU_H
