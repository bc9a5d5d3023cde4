// Ldmatrix, stmatrix, movmatrix.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_MATRIXMOVES_H
#define PTX_TENSOR_MATRIXMOVES_H

#include "Isa/IsaTable.h"

namespace ptx::tensor {

/// Row::decode and handlers of ldmatrix, stmatrix and movmatrix.
void decodeMatrixMove(DecodeContext &context, Instruction &in);
/// One a CPU level.
HandlerSet loadMatrixHandlers();
void handleStoreMatrix(Warp &warp, const Instruction &in);
void handleMoveMatrix(Warp &warp, const Instruction &in);

} // namespace ptx::tensor

#endif // PTX_TENSOR_MATRIXMOVES_H
