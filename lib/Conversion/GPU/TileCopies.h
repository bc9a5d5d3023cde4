// Copies of rows and weights from global to shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_TILECOPIES_H
#define MOE_LIB_CONVERSION_GPU_TILECOPIES_H

#include "KernelBuilder.h"
#include "MatmulShape.h"
#include <optional>

namespace mlir::moe {

/// The operands of a grouped matmul kernel, as its arguments.
struct MatmulOperands {
  Value input, rowToken;
  SmallVector<Value, 2> weights;
  /// Tokens of the input, or rows where it is not gathered, less one.
  Value lastInputRow;
  /// Rows that the result has room for.
  Value room;
};

/// The tile of one block of threads, and who a thread is in it: i32 values.
struct TilePlace {
  Value shared;
  Value expert, firstRow, rows, columnTile;
  Value lane, warp, warpDown, warpAcross;
};

/// Offset in bytes of 16-byte chunk `chunk` of tile row `row`, both i32.
///
/// Chunks are placed so that 8 adjacent rows at one chunk, which ldmatrix reads
/// together, lie in different banks: chunk c of row r at c xor (r mod 8). Rows
/// of 64 bytes share a line of 128 in pairs. Rows that are congruent mod 8
/// differ by a constant.
Value placeOfChunk(KernelBuilder &b, int64_t rowBytes, Value row, Value chunk);

/// One thread's share of the copies of one k step of a tile.
///
/// Every copy is a chunk, from a pointer that moves along K plus an immediate
/// to one of a few places in shared memory plus an immediate. Where alignment
/// forbids chunks of 16 bytes it is made of smaller pieces; pieces beyond the
/// tensor read nothing and write zeros.
class TileCopies {
public:
  TileCopies(KernelBuilder &b, const MatmulShape &shape,
             const MatmulOperands &operands, const TilePlace &place);

  /// The pointers as they are before the first step.
  ArrayRef<Value> getPointers() const { return pointers; }
  /// `from`, moved by `steps` steps along K.
  KernelBuilder::Values advance(ValueRange from, int64_t steps);
  /// Copies the step that is `ahead` steps from where `from` points to the
  /// stage at byte `stage`. `isRest`: it is the last one and not whole.
  /// Where it is known how many blocks of 16 rows this warp has, rows that no
  /// warp needs are left out.
  void emit(ValueRange from, int64_t ahead, int64_t stage, bool isRest,
            std::optional<int64_t> rowBlocks);

private:
  struct Copy {
    unsigned pointer;
    /// Bytes from the pointer, and from one step to the next.
    int64_t source, step;
    Value shared;
    int64_t place;
    int64_t piece;
    /// Bytes that each piece reads; none: whole pieces.
    SmallVector<Value, 1> sizes;
    /// Position along K within the step, and from one piece to the next.
    Value depth;
    int64_t depthOffset, depthOfPiece;
    /// An address that may be read, in place of those that may not.
    Value readable;
    /// Of rows: the turn in which the warp takes them.
    std::optional<int64_t> turn;
  };

  void addRows();
  void addRowCopies(int64_t turn, Value row, Value live);
  int64_t rowsOfTurn() const;
  bool isOfTile(const Copy &copy, int64_t rowBlocks) const;
  bool isWhole(const Copy &copy, int64_t rowBlocks) const;
  Value tokenOfWarp(Value firstOfWarp);
  void addWeightsByRow();
  void addWeightRow(int64_t eight, int64_t half, Value column, unsigned pointer,
                    ArrayRef<Value> bases);
  void addWeightsByDepth();
  void addWeightLines(int64_t part, Value first, Value column, unsigned pointer,
                      ArrayRef<Value> bases);
  bool copiesBothOutputs() const;
  bool outputsAreApart() const;
  Value weightOf(Value output);
  void addPointer(Value pointer, int64_t step);
  Value rowOfLane(int64_t half);
  Value chunkOfLane();
  /// Copies per row of 8 (8 lanes: 2), and per row of a tile.
  int64_t copiesPerEight() const { return shape.lanes == 8 ? 2 : 1; }
  int64_t copiesPerRow() const {
    return shape.rowBytes() / (shape.lanes * kChunkBytes);
  }
  Value sharedPlace(Value row, Value chunk, int64_t part);
  SmallVector<Value> sharedBases(Value firstRow, int64_t part);
  void emitPieces(const Copy &copy, Value source, Value target, bool isRest);
  void emitElements(const Copy &copy, Value source, Value target, bool isRest);
  Value isLive(const Copy &copy, int64_t piece, bool isRest);

  KernelBuilder &b;
  const MatmulShape &shape;
  const MatmulOperands &operands;
  const TilePlace &place;
  KernelBuilder::Values pointers;
  SmallVector<int64_t> steps;
  SmallVector<Copy> copies;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_TILECOPIES_H
