// What the compiler knows of one grouped matmul kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_MATMULSHAPE_H
#define MOE_LIB_CONVERSION_GPU_MATMULSHAPE_H

#include "moe/IR/MoE.h"

namespace mlir::moe {

/// Bytes of an element of rows and weights, bf16 or f16.
inline constexpr int64_t kElementBytes = 2;
/// Bytes of a chunk: what one lane copies at a time, and one row of the 8x8
/// matrices that ldmatrix reads.
inline constexpr int64_t kChunkBytes = 16;
inline constexpr int64_t kChunkElements = kChunkBytes / kElementBytes;
/// Bytes of a line of shared memory, over which all banks are spread once.
inline constexpr int64_t kLineBytes = 128;
inline constexpr int64_t kLanes = 32;

/// How the weights hold the logical outputs of a result element.
enum class Holding {
  /// There is one output.
  Single,
  /// One weight: all columns of output 0, then all of output 1.
  Concat,
  /// One weight: columns 2n and 2n+1.
  Interleaved,
  /// Two weights.
  Separate
};

/// The sizes of one kernel: those of the problem and those of a form. What
/// follows from them is a number here, so that a kernel's addresses become
/// immediates.
struct MatmulShape {
  MatmulShape(IdxGroupedMatmulOp op, GPUMatmulFormAttr form);

  Type element;
  Layout layout;
  Holding holding;
  bool gathered;
  /// E, K, N; logical outputs of a result element.
  int64_t experts, k, n, outputs;
  /// The tile: rows, weight columns, elements of K in one stage.
  int64_t rows, columns, depth;
  int64_t warpRows, stages, lanes;
  /// Warps along the rows and the columns of a tile.
  int64_t warpsDown, warpsAcross;

  int64_t warps() const { return warpsDown * warpsAcross; }
  int64_t threads() const { return warps() * kLanes; }
  /// Distance between the 16-row blocks of a warp. Warps take them in turn, so
  /// that they share a short tile evenly.
  int64_t blockStride() const { return 16 * warpsDown; }
  int64_t blocksOfWarp() const { return warpRows / 16; }

  // Shared memory.
  int64_t rowBytes() const { return depth * kElementBytes; }
  int64_t rowsBytes() const { return rows * rowBytes(); }
  int64_t stageBytes() const { return (rows + columns) * rowBytes(); }
  int64_t sharedBytes() const { return stages * stageBytes(); }
  /// Bytes of one k of the weights, where they lie k by k (layout = kn).
  int64_t weightLineBytes() const { return columns * kElementBytes; }

  // Steps along K.
  int64_t depthSteps() const { return llvm::divideCeil(k, depth); }
  /// Elements of the last step, if it is not a whole one; else 0.
  int64_t depthRest() const { return k % depth; }
  int64_t depthBlocks() const { return depth / 16; }

  // Columns.
  /// Result columns of a tile, and of a warp.
  int64_t tileColumns() const { return columns / outputs; }
  int64_t warpColumns() const {
    return GPUMatmulFormAttr::kWarpColumns / outputs;
  }
  int64_t columnTiles() const { return llvm::divideCeil(n, tileColumns()); }
  /// The last tile of a row of tiles has fewer columns.
  bool isRagged() const { return n % tileColumns() != 0; }
  /// Columns of one weight operand.
  int64_t weightColumns() const {
    return holding == Holding::Concat || holding == Holding::Interleaved ? 2 * n
                                                                         : n;
  }
  /// Bytes from one row of a weight operand to the next.
  int64_t weightPitch() const {
    return (layout == Layout::NK ? k : weightColumns()) * kElementBytes;
  }
  /// Bytes from output 0 to output 1 in one weight of nk.
  int64_t outputBytes() const { return n * weightPitch(); }
  /// A line of kn holds the columns of output 0 and then those of output 1;
  /// with 64 columns both are in one part of 128 bytes.
  bool holdsHalves() const {
    return holding == Holding::Concat || holding == Holding::Separate;
  }
  bool mixesOutputs() const {
    return holdsHalves() && columns == GPUMatmulFormAttr::kWarpColumns;
  }
  int64_t expertBytes() const { return weightColumns() * k * kElementBytes; }

  // Bytes of the widest access that alignment allows: 16, 8, 4 or 2.
  int64_t inputPiece() const { return pieceOf(k); }
  int64_t weightPiece() const {
    return pieceOf(layout == Layout::NK              ? k
                   : holding == Holding::Interleaved ? 2 * n
                                                     : n);
  }

private:
  static int64_t pieceOf(int64_t elements) {
    return std::min(kChunkBytes, (elements & -elements) * kElementBytes);
  }
};

/// Refuses, by name, what no kernel can be made for.
LogicalResult verifyMatmulOnGPU(IdxGroupedMatmulOp op);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_MATMULSHAPE_H
