// Loops and index arithmetic as the generators of this folder write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"

using namespace mlir;
using namespace mlir::moe;

Value LoopBuilder::lastDimView(Value memref, ValueRange indices, Value size) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<OpFoldResult> offsets = getAsOpFoldResult(indices);
  offsets.push_back(getIndexAttr(0));
  SmallVector<OpFoldResult> sizes(indices.size(), getIndexAttr(1));
  sizes.push_back(getAsOpFoldResult(size));
  SmallVector<OpFoldResult> strides(type.getRank(), getIndexAttr(1));
  auto extent = getConstantIntValue(sizes.back());
  MemRefType view = memref::SubViewOp::inferRankReducedResultType(
      {extent.value_or(ShapedType::kDynamic)}, type, offsets, sizes, strides);
  return memref::SubViewOp::create(*this, view, memref, offsets, sizes,
                                   strides);
}

Value LoopBuilder::panelView(Value packed, Value expert, Value panel,
                             MemRefType type) {
  auto source = cast<MemRefType>(packed.getType());
  SmallVector<OpFoldResult> offsets{expert, panel, getIndexAttr(0),
                                    getIndexAttr(0)};
  SmallVector<OpFoldResult> sizes{getIndexAttr(1), getIndexAttr(1),
                                  getAsOpFoldResult(dim(packed, 2)),
                                  getAsOpFoldResult(dim(packed, 3))};
  SmallVector<OpFoldResult> strides(4, getIndexAttr(1));
  MemRefType view = memref::SubViewOp::inferRankReducedResultType(
      {source.getDimSize(2), source.getDimSize(3)}, source, offsets, sizes,
      strides);
  Value panelMemRef =
      memref::SubViewOp::create(*this, view, packed, offsets, sizes, strides);
  return memref::CastOp::create(*this, type, panelMemRef);
}

bool mlir::moe::hasUnitLastStride(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         !strides.empty() && strides.back() == 1;
}
