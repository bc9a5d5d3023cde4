// Loops and index arithmetic as the generators of this folder write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"

using namespace mlir;
using namespace mlir::moe;

/// memref[indices..., :, ..., :], whose last dimensions are all of memref's.
/// Written out, because inference drops any dimension of size one.
static Value lastDimsView(LoopBuilder &b, Value memref, ValueRange indices,
                          ArrayRef<OpFoldResult> sizes) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<OpFoldResult> offsets = getAsOpFoldResult(indices);
  offsets.resize(type.getRank(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> extents(indices.size(), b.getIndexAttr(1));
  llvm::append_range(extents, sizes);
  SmallVector<OpFoldResult> ones(type.getRank(), b.getIndexAttr(1));
  MemRefType whole =
      memref::SubViewOp::inferResultType(type, offsets, extents, ones);
  auto [strides, offset] = whole.getStridesAndOffset();
  auto view = MemRefType::get(
      whole.getShape().take_back(sizes.size()), type.getElementType(),
      StridedLayoutAttr::get(b.getContext(), offset,
                             ArrayRef(strides).take_back(sizes.size())),
      type.getMemorySpace());
  return memref::SubViewOp::create(b, view, memref, offsets, extents, ones);
}

Value LoopBuilder::lastDimView(Value memref, ValueRange indices, Value size) {
  return lastDimsView(*this, memref, indices, getAsOpFoldResult(size));
}

Value LoopBuilder::panelView(Value packed, Value expert, Value panel,
                             MemRefType type) {
  Value view = lastDimsView(
      *this, packed, {expert, panel},
      {getAsOpFoldResult(dim(packed, 2)), getAsOpFoldResult(dim(packed, 3))});
  return memref::CastOp::create(*this, type, view);
}

bool mlir::moe::hasUnitLastStride(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         !strides.empty() && strides.back() == 1;
}
