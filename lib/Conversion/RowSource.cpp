// Where a grouped matmul reads its rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RowSource.h"
#include "StorageConversion.h"
#include "VectorLoop.h"

using namespace mlir;
using namespace mlir::moe;

/// Tokens [S, T, K] are read as [S·T, K].
static SmallVector<ReassociationIndices> flatTokens() { return {{0, 1}, {2}}; }

static bool canReadInPlace(IdxGroupedMatmulOp op, const TileShape &tile) {
  auto type = cast<MemRefType>(op.getInput().getType());
  if (type.getElementType() != tile.rowElement ||
      !hasUnitLastStride(op.getInput()))
    return false;
  int64_t depth = type.getShape().back();
  if (tile.kStep() == 2 && (ShapedType::isDynamic(depth) || depth % 2))
    return false;
  return !op.getRowToken() ||
         memref::CollapseShapeOp::isGuaranteedCollapsible(type, flatTokens());
}

RowSource::RowSource(LoopBuilder &b, IdxGroupedMatmulOp op,
                     const TileShape &tile, int64_t blockRows)
    : b(b), op(op), tile(tile), blockRows(blockRows),
      inPlace(canReadInPlace(op, tile)) {
  Value input = op.getInput();
  depth = b.dim(input, cast<MemRefType>(input.getType()).getRank() - 1);
  if (!inPlace)
    return;
  if (op.getRowToken())
    input = memref::CollapseShapeOp::create(b, input, flatTokens());
  rows = memref::CastOp::create(b, tile.rowsType(), input);
}

void RowSource::beginTask() {
  if (inPlace)
    return;
  // Whole vectors, and an odd number of lines, so that the rows of a tile do
  // not all fall into one set of the cache.
  int64_t pitch = 2 * tile.lineElements();
  Value width = b.add(b.mul(b.ceilDiv(depth, pitch), pitch), pitch / 2);
  auto type =
      MemRefType::get({blockRows, ShapedType::kDynamic}, tile.rowElement);
  block = memref::AllocOp::create(b, type, ValueRange{width},
                                  b.getI64IntegerAttr(64));
  rows = memref::CastOp::create(b, tile.rowsType(), block);
}

void RowSource::endTask() {
  if (!inPlace)
    memref::DeallocOp::create(b, block);
}

void RowSource::beginBlock(Value begin, Value end) {
  blockBegin = begin;
  if (inPlace)
    return;
  b.forEach(begin, end, 1, [&](Value row) {
    Value source = b.lastDimView(op.getInput(), inputIndices(row), depth);
    Value target = b.lastDimView(block, b.sub(row, begin), b.dim(block, 1));
    copyRow(source, target);
  });
}

void RowSource::copyRow(Value source, Value target) {
  copyElements(b, source, target, depth, tile.lanes, [&](Value loaded) {
    if (tile.product == Product::BF16Dot)
      return loaded;
    return widenToF32(b, loaded, tile.hasF16());
  });
  if (tile.kStep() == 1)
    return;
  // The partner of an odd last k. Unconditional: the block has room for it.
  Value zero = splatConstant(b, tile.rowElement, 0.0);
  memref::StoreOp::create(b, zero, target, depth);
}

Value RowSource::tokenOf(Value row) {
  // Plans are run-time data: one that is wrong must not make us read beyond
  // the tokens.
  Value input = op.getInput();
  Value token = b.loadIndex(op.getRowToken(), row);
  Value tokens = b.mul(b.dim(input, 0), b.dim(input, 1));
  return b.min(token, b.sub(tokens, b.index(1)));
}

SmallVector<Value> RowSource::inputIndices(Value row) {
  if (!op.getRowToken())
    return {row};
  Value token = tokenOf(row), tokens = b.dim(op.getInput(), 1);
  return {b.createOrFold<arith::DivUIOp>(token, tokens),
          b.createOrFold<arith::RemUIOp>(token, tokens)};
}

Value RowSource::positionOf(Value row) {
  if (!inPlace)
    return b.sub(row, blockBegin);
  return op.getRowToken() ? tokenOf(row) : row;
}
