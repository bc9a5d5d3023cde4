// Mma.sync.m8n8k4 of f16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_QUADMMA_H
#define PTX_TENSOR_QUADMMA_H

#include "Isa/IsaTable.h"

namespace ptx::tensor {

/// Row::decode and handlers, one a CPU level.
void decodeQuadMma(DecodeContext &context, Instruction &in);
HandlerSet quadMmaHandlers();

} // namespace ptx::tensor

#endif // PTX_TENSOR_QUADMMA_H
