// Bufferization of the index form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
#define MOE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;
namespace moe {

/// Lets one-shot-bufferize see the destination style of the moe.idx ops.
void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry);

} // namespace moe
} // namespace mlir

#endif // MOE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
