// Ldmatrix and stmatrix of bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_BYTEMATRICES_H
#define PTX_TENSOR_BYTEMATRICES_H

#include "Isa/IsaTable.h"

namespace ptx::tensor {

/// Row::decode and handlers of ldmatrix with `.m16n16` and `.m8n16`, and of
/// stmatrix with `.m16n8`.
void decodeByteMatrices(DecodeContext &context, Instruction &in);
void handleLoadBytes(Warp &warp, const Instruction &in);
void handleStoreBytes(Warp &warp, const Instruction &in);

} // namespace ptx::tensor

#endif // PTX_TENSOR_BYTEMATRICES_H
