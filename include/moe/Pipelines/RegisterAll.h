// Registration of everything that a tool needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PIPELINES_REGISTERALL_H
#define MOE_PIPELINES_REGISTERALL_H

namespace mlir {
class DialectRegistry;
namespace moe {

/// Registers the dialect, its external models, every pass and pipeline.
void registerAllMoE(DialectRegistry &registry);

/// Registers every pass and pipeline.
void registerAllMoEPasses();

} // namespace moe
} // namespace mlir

#endif // MOE_PIPELINES_REGISTERALL_H
