// moe-add-tiles: lists of tiles for grouped matmuls on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ADDTILES
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// The tiles of `rows` rows for a matmul.
static Value createTiles(OpBuilder &b, IdxGroupedMatmulOp op, int64_t rows) {
  Location loc = op.getLoc();
  auto offsets = cast<RankedTensorType>(op.getExpertOffsets().getType());
  auto outs = cast<RankedTensorType>(op.getOuts().getType());
  int64_t experts = offsets.getDimSize(0) - 1, room = outs.getDimSize(0);
  auto type = RankedTensorType::get({IdxTilesOp::getWords(room, experts, rows)},
                                    b.getI32Type());
  SmallVector<Value> sizes;
  if (ShapedType::isDynamic(room))
    sizes.push_back(IdxTilesOp::getSize(
        b, loc, tensor::DimOp::create(b, loc, op.getOuts(), 0), experts, rows));
  Value empty = tensor::EmptyOp::create(b, loc, type, sizes);
  return IdxTilesOp::create(b, loc, TypeRange(type), op.getExpertOffsets(),
                            empty, rows)
      ->getResult(0);
}

namespace {
struct AddTiles : moe::impl::AddTilesBase<AddTiles> {
  void runOnOperation() override {
    // Matmuls of one plan in one block share their lists.
    DenseMap<std::tuple<Block *, Value, int64_t>, Value> lists;
    getOperation()->walk([&](IdxGroupedMatmulOp op) {
      if (!op.getGPUSchedule() || !op.getTiles().empty() ||
          !isa<RankedTensorType>(op.getOuts().getType()) ||
          cast<ShapedType>(op.getExpertOffsets().getType()).isDynamicDim(0))
        return;
      OpBuilder b(op);
      SmallVector<Value> tiles;
      for (int64_t rows : op.getGPUSchedule().getTileRows()) {
        Value &list = lists[{op->getBlock(), op.getExpertOffsets(), rows}];
        if (!list) {
          list = createTiles(b, op, rows);
          ++numLists;
        }
        tiles.push_back(list);
      }
      op.getTilesMutable().assign(tiles);
    });
  }
};
} // namespace
