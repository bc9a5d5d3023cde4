// Shuffles, for one CPU level each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_SHUFFLE_H
#define PTX_MACHINE_SHUFFLE_H

#include "Machine/Warp.h"

namespace ptx {

enum class ShuffleMode { Up, Down, Butterfly, Index };

#define PTX_DECLARE_SHUFFLES(LEVEL)                                            \
  namespace LEVEL {                                                            \
  void handleShuffleUp(Warp &, const Instruction &);                           \
  void handleShuffleDown(Warp &, const Instruction &);                         \
  void handleShuffleButterfly(Warp &, const Instruction &);                    \
  void handleShuffleIndex(Warp &, const Instruction &);                        \
  }
PTX_DECLARE_SHUFFLES(baseline)
PTX_DECLARE_SHUFFLES(avx2)
PTX_DECLARE_SHUFFLES(avx512)
#undef PTX_DECLARE_SHUFFLES

/// Moves the poison of a shuffle; lane l reads lane from[l].
void spreadShuffledPoison(Warp &warp, const Instruction &in,
                          const uint32_t *from);

} // namespace ptx

#endif // PTX_MACHINE_SHUFFLE_H
