// Lowering of the index form of moe to loops and vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_CONVERSION_MOETOCPU_H
#define MOE_CONVERSION_MOETOCPU_H

namespace mlir {
class RewritePatternSet;
namespace moe {

// Patterns that lower bufferized moe.idx ops, by family; convert-moe-to-cpu
// runs them all.

} // namespace moe
} // namespace mlir

#endif // MOE_CONVERSION_MOETOCPU_H
