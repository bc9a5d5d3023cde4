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

/// The rows of an instruction in shared memory, of which each lane gives the
/// address of one.
struct MatrixRows {
  alignas(64) uint64_t address[kLanes];
  std::byte *pointer[kLanes];
  LaneMask lanes = 0;      ///< whose rows are to be moved
  LaneMask poison[4] = {}; ///< the lanes with each word of a row undefined
};
/// Makes the access of all rows, checked and observed. Of a load it fills in
/// what is undefined.
void reachForLoad(Warp &warp, const Instruction &in, const MatrixMove &move,
                  MatrixRows &rows);
/// Stores \p data, 16 bytes a lane, of which `rows.poison` is undefined.
void storeRows(Warp &warp, const Instruction &in, const MatrixMove &move,
               const std::byte *data, MatrixRows &rows);

/// Row::decode and handlers of ldmatrix, stmatrix and movmatrix.
void decodeMatrixMove(DecodeContext &context, Instruction &in);
/// One a CPU level.
HandlerSet loadMatrixHandlers();
void handleStoreMatrix(Warp &warp, const Instruction &in);
void handleMoveMatrix(Warp &warp, const Instruction &in);

} // namespace ptx::tensor

#endif // PTX_TENSOR_MATRIXMOVES_H
