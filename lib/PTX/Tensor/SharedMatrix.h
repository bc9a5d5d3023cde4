// Matrices that wgmma reads from shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_SHAREDMATRIX_H
#define PTX_TENSOR_SHAREDMATRIX_H

#include "Tensor/Product.h"

#include <cstddef>
#include <cstdint>

namespace ptx::tensor {

/// A matrix descriptor of wgmma, its fields in bytes.
struct MatrixDescriptor {
  uint32_t start = 0;   ///< bits 13..0, times 16
  uint32_t leading = 0; ///< bits 29..16, times 16: "leading dimension offset"
  uint32_t stride = 0;  ///< bits 45..32, times 16: "stride dimension offset"
  unsigned base = 0;    ///< bits 51..49: phase of the swizzle pattern
  unsigned swizzle = 0; ///< bits 63..62: 0, 128, 64 or 32 bytes

  static MatrixDescriptor decode(uint64_t bits);
};

/// How a matrix of `rows` rows (of A, or columns of B) by `words` 32-bit words
/// of packed K elements lies in shared memory.
struct MatrixTile {
  MatrixDescriptor descriptor;
  unsigned elementBytes = 2;
  bool transposed = false; ///< rows are contiguous instead of K ("MN-major")

  /// The address of element (row, k) of shared memory.
  uint32_t addressOf(unsigned row, unsigned k) const;
  /// Bytes that lie together: runs of 16 bytes along K, or along the rows.
  static constexpr unsigned kRun = 16;
};

/// Reads the tile: out [rows][words]. False if it reaches beyond \p size bytes
/// of \p shared; \p outside is then the first such address.
bool readTile(const MatrixTile &tile, const std::byte *shared, uint64_t size,
              unsigned rows, unsigned words, uint32_t *out, uint32_t &outside);

} // namespace ptx::tensor

#endif // PTX_TENSOR_SHAREDMATRIX_H
