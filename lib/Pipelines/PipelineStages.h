// What the pipelines of several targets have in common.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_PIPELINES_PIPELINESTAGES_H
#define MOE_LIB_PIPELINES_PIPELINESTAGES_H

#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

/// Canonicalization and the removal of what is computed twice.
void addCleanUp(OpPassManager &pm);

/// Fails at the first operation that `stage` may not leave (moe-verify-stage).
void addVerification(OpPassManager &pm, StringRef stage);

/// One function per entry, so that what follows sees whole layers.
void addInlining(OpPassManager &pm);

/// From tensors to memrefs, up to stage "buffers"; nothing is freed yet.
/// `loopsMayAllocate`: a loop may hand a new buffer to its next iteration.
void addBufferization(OpPassManager &pm, bool loopsMayAllocate);

} // namespace mlir::moe

#endif // MOE_LIB_PIPELINES_PIPELINESTAGES_H
