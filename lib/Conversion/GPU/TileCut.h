// How the rows of one expert are cut into tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_TILECUT_H
#define MOE_LIB_CONVERSION_GPU_TILECUT_H

#include "KernelBuilder.h"

namespace mlir::moe {

/// As few tiles of at most `mostRows` rows as cover `count` rows, and as equal
/// as whole blocks of rows allow. A short tile beside full ones would run ahead
/// of them through the weights they have in common, which then leave the cache
/// before the others need them.
class TileCut {
public:
  /// How many tiles `count` rows take, all i32.
  static Value tilesOf(KernelBuilder &b, Value count, int64_t mostRows);

  /// `tiles` is what tilesOf gives.
  TileCut(KernelBuilder &b, Value count, Value tiles, int64_t mostRows);

  /// The first row of tile `tile`, from the expert's first one, and how many
  /// it has.
  struct Rows {
    Value first, count;
  };
  Rows rowsOf(Value tile);

private:
  KernelBuilder &b;
  Value count;
  /// Rows that are not cut apart: those of one mma.
  int64_t block;
  /// Blocks of every tile, and how many tiles have one more.
  Value blocks, larger;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_TILECUT_H
