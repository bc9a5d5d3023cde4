// Mma.sync, mma.sp and wmma.mma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_MMA_H
#define PTX_TENSOR_MMA_H

#include "Isa/IsaTable.h"
#include "Tensor/Fragment.h"

namespace ptx::tensor {

/// Instruction::extra of mma.sync, mma.sp and wmma.mma.
struct MmaExtra {
  MmaShape shape;
  unsigned registersOfA = 0, registersOfB = 0; ///< as operands, copies too
  unsigned selector = 0; ///< of mma.sp: whose metadata counts
  /// With `.block_scale`: the position among the sources of A's scales, their
  /// byte and thread; B's follow.
  unsigned scales = 0;
  bool warp = false; ///< m16n8 that Kernels::warp takes
};

/// Row::decode of the three.
void decodeMma(DecodeContext &context, Instruction &in);
void decodeWmmaMma(DecodeContext &context, Instruction &in);

/// Their handlers, one a CPU level.
HandlerSet mmaHandlers();

/// The shape a row of mma or mma.sp spells.
MmaShape mmaShapeOf(const Row &row);
/// The same for wmma.mma.
MmaShape wmmaShapeOf(const Row &row);

} // namespace ptx::tensor

#endif // PTX_TENSOR_MMA_H
