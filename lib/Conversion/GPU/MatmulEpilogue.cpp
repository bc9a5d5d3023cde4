// The epilogue of a grouped matmul on the sums in registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MatmulEpilogue.h"
#include "../VectorizeEpilogue.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

/// Elements that a lane handles together: those of its four column blocks of 8
/// in a group of 32 result columns.
static constexpr int64_t kVector = 8;
static constexpr int64_t kGroup = 32;

static int64_t bytesOf(Type element) {
  return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

MatmulEpilogue::MatmulEpilogue(KernelBuilder &b, IdxGroupedMatmulOp op,
                               const MatmulShape &shape, const TilePlace &place,
                               const EpilogueOperands &operands)
    : b(b), op(op), shape(shape), operands(operands), place(place),
      element(getElementTypeOrSelf(op.getOuts().getType())),
      run(shape.layout == Layout::NK              ? kVector
          : shape.holding == Holding::Interleaved ? 1
                                                  : 2) {
  quadLane = b.bitAnd(place.lane, 3);
  column = b.add(b.mul(place.columnTile, shape.tileColumns()),
                 b.mul(place.warpAcross, shape.warpColumns()));
  firstRow = b.add(b.shl(place.warpDown, 4), b.shr(place.lane, 2));
}

/// The first of this lane's columns of a run: of kn, lanes have the columns in
/// the order of mma.
Value MatmulEpilogue::columnOfRun(int64_t group, int64_t number) {
  int64_t ahead = group * kGroup + number * (run == 2 ? 8 : run == 1 ? 4 : 0);
  return b.add(b.add(column, b.mul(quadLane, run)), ahead);
}

Value MatmulEpilogue::loadElement(Type type, Value pointer) {
  // In memory an i1 is a byte.
  if (type.isInteger(1))
    return b.make<arith::TruncIOp>(type,
                                   b.loadConstant(b.getI8Type(), pointer));
  return b.loadConstant(type, pointer);
}

/// Eight elements at this lane's columns of a row that begins at `rowStart`.
/// Columns that the result does not have read others in their place.
Value MatmulEpilogue::loadColumns(Value rowStart, Type type, int64_t group) {
  int64_t bytes = bytesOf(type);
  int64_t width = std::min({run, shape.n & -shape.n, kChunkBytes / bytes});
  SmallVector<Value> elements;
  for (int64_t i = 0; i < kVector; i += width) {
    Value at = b.add(columnOfRun(group, i / run), i % run);
    if (shape.isRagged())
      at = b.min(at, b.word(shape.n - width));
    Value pointer = b.element(rowStart, at, bytes);
    if (width == 1 || type.isInteger(1)) {
      for (int64_t j = 0; j < width; ++j)
        elements.push_back(loadElement(type, b.offset(pointer, j * bytes)));
      continue;
    }
    Value vector = b.loadConstant(VectorType::get({width}, type), pointer);
    for (int64_t j = 0; j < width; ++j)
      elements.push_back(b.make<vector::ExtractOp>(vector, j));
  }
  return b.make<vector::FromElementsOp>(VectorType::get({kVector}, type),
                                        elements);
}

void MatmulEpilogue::emit(ArrayRef<Value> sums, int64_t rowBlocks) {
  if (rowBlocks == 0)
    return;
  // A column's extras are the same for all rows of a tile.
  columnExtras.clear();
  for (int64_t group = 0; group < shape.warpColumns() / kGroup; ++group) {
    columnExtras.emplace_back();
    for (auto [extra, pointer, kind] :
         llvm::zip_equal(op.getExtras(), operands.extras,
                         op.getExtraKinds().getAsRange<ExtraAttr>())) {
      Value values;
      if (kind.getValue() == Extra::Column) {
        Type type = getElementTypeOrSelf(extra.getType());
        Value row = b.element(pointer, place.expert, shape.n * bytesOf(type));
        values = loadColumns(row, type, group);
      }
      columnExtras.back().push_back(values);
    }
  }
  for (int64_t block = 0; block < rowBlocks; ++block)
    for (int64_t half : {0, 1})
      emitRow(sums.slice(32 * block, 32), block, half);
}

/// The sums of an output at this lane's columns of a group; `sums` are those of
/// a row block.
Value MatmulEpilogue::outputOf(ArrayRef<Value> sums, int64_t output,
                               int64_t group, int64_t half) {
  SmallVector<Value> elements;
  for (int64_t i = 0; i < kVector; ++i) {
    // Interleaved columns are side by side; else a column block of 8 holds two
    // columns of one output.
    bool aside = run == 1;
    int64_t block =
        aside ? i : (shape.outputs == 2 ? output : group) * 4 + i / 2;
    int64_t bit = aside ? output : i % 2;
    elements.push_back(sums[4 * block + 2 * half + bit]);
  }
  return b.make<vector::FromElementsOp>(
      VectorType::get({kVector}, b.getF32Type()), elements);
}

void MatmulEpilogue::emitRow(ArrayRef<Value> sums, int64_t block,
                             int64_t half) {
  int64_t ahead = block * shape.blockStride() + 8 * half;
  Value inTile = b.add(firstRow, ahead);
  Value live = b.less(inTile, place.rows);
  // Rows that the tile does not have read the extras of its last one.
  Value row = b.add(place.firstRow, b.min(inTile, b.sub(place.rows, 1)));
  HalfConversion half16{
      [&](Value value) -> Value {
        Type type = b.getF32Type();
        if (auto vector = dyn_cast<VectorType>(value.getType()))
          type = vector.clone(type);
        return b.make<arith::ExtFOp>(type, value);
      },
      [&](Value value, Type type) -> Value {
        if (auto vector = dyn_cast<VectorType>(value.getType()))
          type = vector.clone(type);
        return b.make<arith::TruncFOp>(type, value);
      }};
  for (int64_t group = 0; group < shape.warpColumns() / kGroup; ++group) {
    SmallVector<Value> arguments;
    for (int64_t output = 0; output < shape.outputs; ++output)
      arguments.push_back(outputOf(sums, output, group, half));
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      Type type = getElementTypeOrSelf(extra.getType());
      Value pointer = operands.extras[i];
      switch (cast<ExtraAttr>(op.getExtraKinds()[i]).getValue()) {
      case Extra::Row:
        arguments.push_back(b.make<vector::BroadcastOp>(
            VectorType::get({kVector}, type),
            loadElement(type, b.element(pointer, row, bytesOf(type)))));
        break;
      case Extra::Column:
        arguments.push_back(columnExtras[group][i]);
        break;
      case Extra::Element:
        arguments.push_back(loadColumns(
            b.element(pointer, row, shape.n * bytesOf(type)), type, group));
        break;
      }
    }
    Value values = exchange(
        cloneEpilogue(b, op, arguments, kVector, half16, operands.outside));
    // One address for all rows of a warp: what is ahead is an immediate.
    Value first = b.element(operands.outs, b.add(place.firstRow, firstRow),
                            shape.n * bytesOf(element));
    b.when(live, [&] { storeRow(values, first, ahead, group); });
  }
}

/// Stores eight adjacent columns of the row that is `ahead` rows further.
void MatmulEpilogue::storeRow(Value values, Value rowStart, int64_t ahead,
                              int64_t group) {
  int64_t bytes = bytesOf(element);
  int64_t width = std::min({kVector, shape.n & -shape.n, kChunkBytes / bytes});
  Value start = b.add(column, b.mul(quadLane, kVector));
  Value pointer = b.element(rowStart, start, bytes);
  for (int64_t i = 0; i < kVector; i += width) {
    Value part = values;
    if (width < kVector)
      part = b.make<vector::ShuffleOp>(
          values, values, llvm::to_vector(llvm::seq<int64_t>(i, i + width)));
    auto store = [&] {
      int64_t place = ahead * shape.n + group * kGroup + i;
      b.store(part, b.offsetOutside(pointer, place * bytes));
    };
    if (shape.isRagged())
      b.when(b.less(b.add(start, group * kGroup + i), shape.n), store);
    else
      store();
  }
}

//===----------------------------------------------------------------------===//
// Columns between lanes
//===----------------------------------------------------------------------===//

/// Gives each lane eight adjacent columns of its row, 8q for lane q of four.
Value MatmulEpilogue::exchange(Value values) {
  if (run == kVector)
    return values;
  // Unit u holds elements 2u and 2u+1: columns 8u + 2q and the next, or, of
  // interleaved columns, 8u + q and 4 more.
  int64_t words = kVector * bytesOf(element) / 4;
  auto type = VectorType::get({words}, b.getI32Type());
  Value bits = b.make<vector::BitCastOp>(type, values);
  SmallVector<KernelBuilder::Values> units(4);
  for (int64_t i = 0; i < words; ++i)
    units[i / (words / 4)].push_back(b.make<vector::ExtractOp>(bits, i));
  transposeQuad(units);
  SmallVector<Value> flat;
  for (const KernelBuilder::Values &unit : units)
    flat.append(unit.begin(), unit.end());
  bits = b.make<vector::FromElementsOp>(type, flat);
  values = b.make<vector::BitCastOp>(values.getType(), bits);
  if (run == 2)
    return values;
  return b.make<vector::ShuffleOp>(values, values,
                                   ArrayRef<int64_t>{0, 2, 4, 6, 1, 3, 5, 7});
}

/// Of four lanes with four units each: unit u of lane q becomes unit q of lane
/// u.
void MatmulEpilogue::transposeQuad(
    MutableArrayRef<KernelBuilder::Values> units) {
  for (int64_t distance : {1, 2}) {
    Value upper = b.less(b.word(0), b.bitAnd(quadLane, distance));
    for (int64_t low = 0; low < 4; ++low) {
      if (low & distance)
        continue;
      for (auto [a, c] : llvm::zip_equal(units[low], units[low + distance])) {
        Value received = b.shuffleXor(b.select(upper, a, c), distance);
        a = b.select(upper, received, a);
        c = b.select(upper, c, received);
      }
    }
  }
}
