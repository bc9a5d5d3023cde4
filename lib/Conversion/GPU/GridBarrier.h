// A barrier among resident blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_GRIDBARRIER_H
#define MOE_LIB_CONVERSION_GPU_GRIDBARRIER_H

#include "KernelBuilder.h"

namespace mlir::moe {

/// A barrier that resets itself, in one word of global memory that was zero
/// once. Those that arrive add up to 2^31 a phase, so bit 31 flips exactly when
/// all have arrived, for any number of blocks; nobody needs the answer of an
/// atomic. The bit is read when the kernel starts: it cannot flip before this
/// block arrives. One warp polls, so that a block asks one question at a time.
class GridBarrier {
public:
  GridBarrier() = default;
  /// Reads the phase, and keeps it in the word of shared memory at `place`; the
  /// block must pass a barrier of its own before it arrives.
  GridBarrier(KernelBuilder &builder, Value word, Value place);

  /// The phase when the kernel started: 0 or 1.
  Value firstPhase() const { return first; }
  /// All threads of `blocks` blocks arrive; each sees what all others wrote
  /// before. `isFirst` is true in one of these blocks.
  void arriveAndWait(Value blocks, Value isFirst);

private:
  KernelBuilder *b = nullptr;
  Value word, place, first;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_GRIDBARRIER_H
