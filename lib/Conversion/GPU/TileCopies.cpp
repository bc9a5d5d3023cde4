// Copies of rows and weights from global to shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TileCopies.h"

using namespace mlir;
using namespace mlir::moe;

/// Columns of a line, and of a group: the 32 weight columns that a lane's four
/// n8 blocks of one output cover, 8 adjacent ones to a lane.
static constexpr int64_t kLineColumns = kLineBytes / kElementBytes;
static constexpr int64_t kGroup = 32;
/// Beyond this, a pointer of its own is kept instead of an immediate.
static constexpr int64_t kMaxImmediate = int64_t{1} << 29;

Value mlir::moe::placeOfChunk(KernelBuilder &b, int64_t rowBytes, Value row,
                              Value chunk) {
  if (rowBytes >= kLineBytes)
    return b.add(b.mul(row, rowBytes),
                 b.shl(b.bitXor(chunk, b.bitAnd(row, 7)), 4));
  Value line = b.shr(row, 1);
  Value inLine = b.add(b.shl(b.bitAnd(row, 1), 2), chunk);
  return b.add(b.mul(line, kLineBytes),
               b.shl(b.bitXor(inLine, b.bitAnd(line, 3)), 4));
}

TileCopies::TileCopies(KernelBuilder &b, const MatmulShape &shape,
                       const MatmulOperands &operands, const TilePlace &place)
    : b(b), shape(shape), operands(operands), place(place) {
  addRows();
  if (shape.layout == Layout::NK)
    addWeightsByRow();
  else
    addWeightsByDepth();
}

void TileCopies::addPointer(Value pointer, int64_t step) {
  pointers.push_back(pointer);
  steps.push_back(step);
}

//===----------------------------------------------------------------------===//
// Tile rows that run along K: the input, and weights with layout = nk
//===----------------------------------------------------------------------===//

/// The row, of the 8 or 4 that one copy of a warp takes, of this lane. Rows
/// that are written together must not share banks: in lines of 128 bytes, four
/// lanes take half a line, and so r and r+4 stand side by side.
Value TileCopies::rowOfLane(int64_t half) {
  if (shape.lanes == 8)
    return b.add(b.shr(place.lane, 3), 4 * half);
  if (shape.rowBytes() < kLineBytes)
    return b.shr(place.lane, 2);
  return b.add(b.shr(place.lane, 3), b.bitAnd(place.lane, 4));
}

Value TileCopies::chunkOfLane() {
  return b.bitAnd(place.lane, shape.lanes - 1);
}

/// The place of this lane's chunk of row `row`. `part` bytes into a stage.
Value TileCopies::sharedPlace(Value row, Value chunk, int64_t part) {
  Value at = placeOfChunk(b, shape.rowBytes(), row, chunk);
  return b.offset(b.offset(place.shared, at), part);
}

/// The places of this lane's chunks of the first 8 rows from `firstRow`, which
/// is that of a warp. `part` bytes into a stage.
SmallVector<Value> TileCopies::sharedBases(Value firstRow, int64_t part) {
  SmallVector<Value> bases;
  auto add = [&](Value row, Value chunk) {
    bases.push_back(sharedPlace(b.add(firstRow, row), chunk, part));
  };
  if (shape.lanes == 8)
    for (int64_t half : {0, 1})
      add(rowOfLane(half), chunkOfLane());
  else
    for (int64_t copy = 0; copy < copiesPerRow(); ++copy)
      add(rowOfLane(0), b.add(chunkOfLane(), 4 * copy));
  return bases;
}

/// Warps take the rows of a tile in turn, as many as one copy takes, so that
/// the rows which a short tile lacks are the last copies of every warp.
int64_t TileCopies::rowsOfTurn() const {
  return shape.warps() * kLanes / shape.lanes;
}

/// The token of this lane's row, if lanes stand for the rows of a warp: one
/// load, handed out by shuffles. Rows that the tile does not have stand for its
/// first one, and are not read.
Value TileCopies::tokenOfWarp(Value first) {
  int64_t rowsOfCopy = kLanes / shape.lanes;
  Value mine = b.bitAnd(place.lane, shape.rows / shape.warps() - 1);
  Value row = b.add(b.add(first, b.rem(mine, rowsOfCopy)),
                    b.mul(b.div(mine, rowsOfCopy), rowsOfTurn()));
  row = b.select(b.less(row, place.rows), row, b.word(0));
  Value token =
      b.loadConstant(b.getI32Type(), b.element(operands.rowToken,
                                               b.add(place.firstRow, row), 4));
  // Plans are run-time data: a wrong one must not lead out of bounds.
  return b.min(token, operands.lastInputRow);
}

void TileCopies::addRows() {
  int64_t rowsOfCopy = kLanes / shape.lanes;
  Value first = b.mul(place.warp, rowsOfCopy);
  Value token = shape.gathered ? tokenOfWarp(first) : Value();
  for (int64_t turn = 0; turn < shape.rows / rowsOfTurn(); ++turn) {
    Value row = b.add(b.add(first, rowOfLane(0)), turn * rowsOfTurn());
    Value live = b.less(row, place.rows), source;
    if (shape.gathered)
      source = b.shuffle(token, b.add(rowOfLane(0), rowsOfCopy * turn));
    else
      source = b.min(b.add(place.firstRow, b.select(live, row, b.word(0))),
                     operands.lastInputRow);
    Value start = b.element(operands.input, source, shape.k * kElementBytes);
    addPointer(b.element(start, chunkOfLane(), kChunkBytes), shape.rowBytes());
    addRowCopies(turn, b.add(first, rowOfLane(0)), live);
  }
}

/// The copies of one turn, whose pointer is the last one; `row` is the lane's
/// row of the first turn.
void TileCopies::addRowCopies(int64_t turn, Value row, Value live) {
  int64_t piece = shape.inputPiece();
  // Rows congruent mod 8 differ by a constant.
  int64_t base = rowsOfTurn() % 8 == 0 ? 0 : turn % 2;
  int64_t ahead = (turn - base) * rowsOfTurn() * shape.rowBytes();
  Value baseRow = b.add(row, base * rowsOfTurn());
  for (int64_t copy = 0; copy < copiesPerRow(); ++copy) {
    bool whole = shape.lanes == 8;
    Value chunk = whole ? chunkOfLane() : b.add(chunkOfLane(), 4 * copy);
    copies.push_back({static_cast<unsigned>(pointers.size() - 1),
                      copy * shape.lanes * kChunkBytes,
                      shape.rowBytes(),
                      sharedPlace(baseRow, chunk, 0),
                      ahead + (whole ? copy * kLineBytes : 0),
                      piece,
                      {b.select(live, b.word(piece), b.word(0))},
                      b.mul(chunkOfLane(), kChunkElements),
                      copy * shape.lanes * kChunkElements,
                      piece / kElementBytes,
                      operands.input,
                      turn});
  }
}

/// Whether a warp's rows of weights are of both outputs. One with up to a group
/// of columns copies for one output, known at run time.
bool TileCopies::copiesBothOutputs() const {
  return shape.outputs == 2 && shape.columns / shape.warps() > kGroup;
}

/// Whether both outputs need a pointer of their own.
bool TileCopies::outputsAreApart() const {
  if (shape.layout == Layout::KN)
    return shape.holding == Holding::Separate && !shape.mixesOutputs();
  return copiesBothOutputs() && (shape.holding == Holding::Separate ||
                                 (shape.holding == Holding::Concat &&
                                  shape.outputBytes() > kMaxImmediate));
}

/// The weight operand that holds `output`, an i32, where it is not known.
Value TileCopies::weightOf(Value output) {
  Value weight = operands.weights.front();
  if (shape.holding == Holding::Separate)
    weight = b.select(b.equal(output, 0), weight, operands.weights.back());
  return b.element(weight, place.expert, shape.expertBytes());
}

/// Rows of weights are placed such that a lane's four n8 blocks are 8 adjacent
/// columns: row 32g + 8j + r of the tile holds column 8(r / 2) + 2j + r mod 2
/// of group g; of two outputs, groups take turns. Only the source of a copy
/// changes by that.
void TileCopies::addWeightsByRow() {
  int64_t ofWarp = shape.columns / shape.warps();
  bool two = shape.outputs == 2;
  Value first = b.mul(place.warp, ofWarp), group = b.shr(first, 5);
  Value row = rowOfLane(0);
  Value column = b.add(b.add(b.mul(place.columnTile, shape.tileColumns()),
                             b.mul(two ? b.shr(group, 1) : group, kGroup)),
                       b.add(b.mul(b.bitAnd(b.shr(first, 3), 3), 2),
                             b.add(b.mul(b.shr(row, 1), 8), b.bitAnd(row, 1))));
  Value ownOutput =
      two && !copiesBothOutputs() ? b.bitAnd(group, 1) : b.word(0);

  unsigned pointer = pointers.size();
  for (int64_t output = 0; output < (outputsAreApart() ? 2 : 1); ++output) {
    Value of = outputsAreApart() ? b.word(output) : ownOutput;
    Value source = column;
    if (shape.holding == Holding::Interleaved)
      source = b.add(b.mul(column, 2), of);
    Value start = b.element(weightOf(of), source, shape.weightPitch());
    if (shape.holding == Holding::Concat)
      start = b.element(start, of, shape.outputBytes());
    addPointer(b.element(start, chunkOfLane(), kChunkBytes), shape.rowBytes());
  }
  SmallVector<Value> bases = sharedBases(first, shape.rowsBytes());
  for (int64_t eight = 0; eight < ofWarp / 8; ++eight)
    for (int64_t half = 0; half < copiesPerEight(); ++half)
      addWeightRow(eight, half, column, pointer, bases);
}

/// The copies of rows `half` of the `eight`-th 8 rows of a warp; `column` is
/// that of this lane's row of the first ones.
void TileCopies::addWeightRow(int64_t eight, int64_t half, Value column,
                              unsigned pointer, ArrayRef<Value> bases) {
  int64_t piece = shape.weightPiece();
  int64_t output = copiesBothOutputs() ? eight / 4 % 2 : 0;
  int64_t ahead =
      eight / (4 * shape.outputs) * kGroup + eight % 4 * 2 + 16 * half;
  int64_t source = ahead * shape.weightPitch();
  if (shape.holding == Holding::Interleaved)
    source = (2 * ahead + output) * shape.weightPitch();
  else if (shape.holding == Holding::Concat && !outputsAreApart())
    source += output * shape.outputBytes();
  if (outputsAreApart())
    pointer += output;
  SmallVector<Value, 1> sizes;
  if (shape.isRagged())
    sizes = {b.select(b.less(b.add(column, ahead), shape.n), b.word(piece),
                      b.word(0))};
  bool whole = shape.lanes == 8;
  for (int64_t copy = 0; copy < copiesPerRow(); ++copy)
    copies.push_back(
        {pointer, source + copy * shape.lanes * kChunkBytes, shape.rowBytes(),
         bases[whole ? half : copy],
         eight * 8 * shape.rowBytes() + (whole ? copy * kLineBytes : 0), piece,
         sizes, b.mul(chunkOfLane(), kChunkElements),
         copy * shape.lanes * kChunkElements, piece / kElementBytes,
         operands.weights.front(), std::nullopt});
}

//===----------------------------------------------------------------------===//
// Weights with layout = kn
//===----------------------------------------------------------------------===//

/// Lines of a tile, each one k, that one copy of a warp takes.
static constexpr int64_t kLines = 4;

/// A line of the tile is one k: all columns, and where outputs are not
/// interleaved first those of output 0. A copy takes 128 bytes of 4 lines.
void TileCopies::addWeightsByDepth() {
  int64_t ofWarp = shape.depth / shape.warps();
  Value first = b.add(b.mul(place.warp, ofWarp), b.shr(place.lane, 3));
  Value chunk = b.bitAnd(place.lane, 7);
  bool mixed = shape.mixesOutputs();
  Value column = b.mul(mixed ? b.bitAnd(chunk, 3) : chunk, kChunkElements);
  column = b.add(column, b.mul(place.columnTile, shape.holdsHalves()
                                                     ? shape.tileColumns()
                                                     : shape.columns));
  Value ownOutput = mixed ? b.shr(chunk, 2) : b.word(0);

  unsigned pointer = pointers.size();
  for (int64_t output = 0; output < (outputsAreApart() ? 2 : 1); ++output) {
    Value of = outputsAreApart() ? b.word(output) : ownOutput;
    Value start = b.element(weightOf(of), first, shape.weightPitch());
    if (shape.holding == Holding::Concat)
      start = b.element(start, of, shape.n * kElementBytes);
    addPointer(b.element(start, column, kElementBytes),
               shape.depth * shape.weightPitch());
  }
  SmallVector<Value> bases;
  for (int64_t half = 0; half < std::min<int64_t>(2, ofWarp / kLines); ++half) {
    Value line = b.add(first, kLines * half);
    Value at = b.add(b.mul(line, shape.weightLineBytes()),
                     b.shl(b.bitXor(chunk, b.bitAnd(line, 7)), 4));
    bases.push_back(b.offset(b.offset(place.shared, at), shape.rowsBytes()));
  }
  for (int64_t part = 0; part < shape.columns / kLineColumns; ++part)
    addWeightLines(part, first, column, pointer, bases);
}

/// The copies of the `part`-th 128 bytes of lines; `first` and `column` are
/// this lane's line and column of the first ones.
void TileCopies::addWeightLines(int64_t part, Value first, Value column,
                                unsigned pointer, ArrayRef<Value> bases) {
  int64_t parts = shape.columns / kLineColumns, piece = shape.weightPiece();
  bool second =
      shape.holdsHalves() && !shape.mixesOutputs() && part >= parts / 2;
  int64_t ahead = part * kLineColumns - (second ? shape.tileColumns() : 0);
  int64_t limit = shape.holdsHalves() ? shape.n : shape.weightColumns();
  SmallVector<Value, 1> sizes;
  if (shape.isRagged())
    for (int64_t at = 0; at < kChunkElements; at += piece / kElementBytes)
      sizes.push_back(b.select(b.less(b.add(column, ahead + at), limit),
                               b.word(piece), b.word(0)));
  int64_t source = ahead * kElementBytes;
  if (second && outputsAreApart())
    ++pointer;
  else if (second)
    source += shape.n * kElementBytes;
  int64_t ofWarp = shape.depth / shape.warps();
  for (int64_t i = 0; i < ofWarp / kLines; ++i)
    copies.push_back({pointer, source + i * kLines * shape.weightPitch(),
                      shape.depth * shape.weightPitch(), bases[i & 1],
                      i / 2 * 8 * shape.weightLineBytes() + part * kLineBytes,
                      piece, sizes, first, i * kLines, 0,
                      operands.weights.front(), std::nullopt});
}

//===----------------------------------------------------------------------===//
// Copying
//===----------------------------------------------------------------------===//

KernelBuilder::Values TileCopies::advance(ValueRange from, int64_t count) {
  KernelBuilder::Values moved;
  for (auto [pointer, step] : llvm::zip_equal(from, steps))
    moved.push_back(b.offsetOutside(pointer, count * step));
  return moved;
}

/// A warp that has `rowBlocks` blocks of 16 rows knows by them what rows the
/// tile lacks. Those `down` the tile have one block the more before theirs.
bool TileCopies::isOfTile(const Copy &copy, int64_t rowBlocks) const {
  int64_t ofWarps = shape.warpsAcross * kLanes / shape.lanes;
  for (int64_t down = 0; down < shape.warpsDown; ++down)
    if (*copy.turn * rowsOfTurn() + down * ofWarps <
        rowBlocks * shape.blockStride() + 16 * down)
      return true;
  return false;
}

/// The tile has at least the rows of all blocks but the warp's last one.
bool TileCopies::isWhole(const Copy &copy, int64_t rowBlocks) const {
  return (*copy.turn + 1) * rowsOfTurn() <=
         (rowBlocks - 1) * shape.blockStride();
}

void TileCopies::emit(ValueRange from, int64_t ahead, int64_t stage,
                      bool isRest, std::optional<int64_t> rowBlocks) {
  for (Copy copy : copies) {
    if (copy.turn && rowBlocks) {
      if (!isOfTile(copy, *rowBlocks))
        continue;
      if (isWhole(copy, *rowBlocks))
        copy.sizes.clear();
    }
    Value source =
        b.offsetOutside(from[copy.pointer], copy.source + ahead * copy.step);
    Value target = b.offsetInLoop(copy.shared, stage + copy.place);
    if (copy.piece == kElementBytes)
      emitElements(copy, source, target, isRest);
    else
      emitPieces(copy, source, target, isRest);
  }
}

/// Whether piece `piece` is in the step's rest of K; null: always.
Value TileCopies::isLive(const Copy &copy, int64_t piece, bool isRest) {
  if (!isRest)
    return Value();
  return b.less(b.add(copy.depth, copy.depthOffset + piece * copy.depthOfPiece),
                shape.depthRest());
}

void TileCopies::emitPieces(const Copy &copy, Value source, Value target,
                            bool isRest) {
  auto cache = copy.piece == kChunkBytes ? NVVM::LoadCacheModifierKind::CG
                                         : NVVM::LoadCacheModifierKind::CA;
  for (int64_t i = 0; i < kChunkBytes / copy.piece; ++i) {
    Value size;
    if (!copy.sizes.empty())
      size = copy.sizes[copy.sizes.size() == 1 ? 0 : i];
    if (Value live = isLive(copy, i, isRest))
      size = b.select(live, size ? size : b.word(copy.piece), b.word(0));
    b.make<NVVM::CpAsyncOp>(b.offset(target, i * copy.piece),
                            b.offsetOutside(source, i * copy.piece),
                            static_cast<uint32_t>(copy.piece), cache, size);
  }
}

/// Rows of an odd number of elements: no asynchronous copy is that narrow.
void TileCopies::emitElements(const Copy &copy, Value source, Value target,
                              bool isRest) {
  Type element = b.getI16Type();
  SmallVector<Value> elements;
  for (int64_t i = 0; i < kChunkElements; ++i) {
    Value live = isLive(copy, i, isRest);
    if (!copy.sizes.empty()) {
      Value size = copy.sizes[copy.sizes.size() == 1 ? 0 : i];
      Value inside = b.less(b.word(0), size);
      live = live ? b.bitAnd(live, inside) : inside;
    }
    Value place = b.offsetOutside(source, i * kElementBytes);
    if (live)
      place = b.select(live, place, copy.readable);
    Value value = b.loadConstant(element, place);
    if (live)
      value = b.select(live, value, b.constant(element, 0));
    elements.push_back(value);
  }
  Type type = VectorType::get({kChunkElements}, element);
  b.store(b.make<vector::FromElementsOp>(type, elements), target);
}
