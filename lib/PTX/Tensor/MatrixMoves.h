// Ldmatrix, stmatrix, movmatrix.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_MATRIXMOVES_H
#define PTX_TENSOR_MATRIXMOVES_H

#include "Isa/IsaTable.h"

#include "Machine/Memory.h"

namespace ptx::tensor {

inline constexpr uint32_t kMatrixRowBytes = 16;

/// Instruction::extra of ldmatrix and stmatrix with 16-bit elements.
struct MatrixMove {
  unsigned count = 1; ///< of eight rows: as many lanes times eight
  bool transposed = false;
  Space space = Space::Generic;
};

/// Makes the access of all rows, whose addresses the lanes give, and the
/// pointers to them; returns the lanes whose rows are to be moved.
LaneMask prepareRows(Warp &warp, const Instruction &in, const MatrixMove &move,
                     unsigned addressOperand, Access &access, uint64_t *address,
                     std::byte **pointer);

/// Row::decode and handlers of ldmatrix, stmatrix and movmatrix.
void decodeMatrixMove(DecodeContext &context, Instruction &in);
/// One a CPU level.
HandlerSet loadMatrixHandlers();
void handleStoreMatrix(Warp &warp, const Instruction &in);
void handleMoveMatrix(Warp &warp, const Instruction &in);

} // namespace ptx::tensor

#endif // PTX_TENSOR_MATRIXMOVES_H
