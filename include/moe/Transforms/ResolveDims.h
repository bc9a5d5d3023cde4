// Sizes of what moe ops make, from what they read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_TRANSFORMS_RESOLVEDIMS_H
#define MOE_TRANSFORMS_RESOLVEDIMS_H

namespace mlir {
class RewritePatternSet;
namespace moe {

/// tensor.dim of the result of moe.dispatch and moe.grouped_matmul becomes a
/// size of the plan, the tokens or the weight.
void populateResolveDimsPatterns(RewritePatternSet &patterns);

} // namespace moe
} // namespace mlir

#endif // MOE_TRANSFORMS_RESOLVEDIMS_H
