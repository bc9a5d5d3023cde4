// Which bytes a tensor copy moves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_TENSORBOX_H
#define PTX_ASYNC_TENSORBOX_H

#include "ptx/TensorMap.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ptx::async {

/// Bytes that lie together in shared and in global memory.
struct BoxRun {
  uint32_t shared; ///< address in shared memory
  uint64_t global; ///< address, if inside
  uint32_t bytes;
  bool inside; ///< in the tensor; else filled (loads), skipped (stores)
  uint32_t padding = 0; ///< bytes that only shared memory has behind them
};

/// Where a copy begins in the tensor.
struct BoxPlace {
  /// Of each dimension; with `fourRows` the column and four rows.
  int32_t coordinate[5] = {};
  /// `.tile::gather4` and `.tile::scatter4`: four boxes of one row each of a
  /// tensor of two dimensions.
  bool fourRows = false;
};

/// Why the hardware refuses the copy ("illegal instruction"), or empty.
std::string refusal(const TensorMap &map, const BoxPlace &place, bool store);

/// The runs of a box at \p place, ascending in the box. \p shared: address of
/// the box in shared memory, whose bits also decide the swizzle.
std::vector<BoxRun> boxRuns(const TensorMap &map, const BoxPlace &place,
                            uint32_t shared, bool store);

/// What a load counts as transferred: the whole box, clipped or not, without
/// padding.
uint32_t transactionBytes(const TensorMap &map, bool fourRows);
/// The bytes of shared memory a box spans, with the padding of a swizzle.
uint32_t spannedBytes(const TensorMap &map, bool fourRows);

} // namespace ptx::async

#endif // PTX_ASYNC_TENSORBOX_H
