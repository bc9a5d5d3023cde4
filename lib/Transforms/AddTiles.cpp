// moe-add-tiles: lists of tiles for grouped matmuls on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ADDTILES
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOfList(Value byRow, int64_t experts, int64_t rows) {
  int64_t room = cast<RankedTensorType>(byRow.getType()).getDimSize(0);
  return RankedTensorType::get({IdxTilesOp::getWords(room, experts, rows)},
                               IntegerType::get(byRow.getContext(), 32));
}

/// Room for the tiles of `rows` rows, where `byRow` has as many rows as the
/// plan has room for.
static Value createRoom(OpBuilder &b, Location loc, Value byRow,
                        int64_t experts, int64_t rows) {
  RankedTensorType type = typeOfList(byRow, experts, rows);
  SmallVector<Value> sizes;
  if (type.isDynamicDim(0))
    sizes.push_back(IdxTilesOp::getSize(
        b, loc, tensor::DimOp::create(b, loc, byRow, 0), experts, rows));
  return tensor::EmptyOp::create(b, loc, type, sizes);
}

/// The tiles of `rows` rows for a matmul.
static Value createTiles(OpBuilder &b, IdxGroupedMatmulOp op, int64_t rows) {
  Location loc = op.getLoc();
  auto offsets = cast<RankedTensorType>(op.getExpertOffsets().getType());
  int64_t experts = offsets.getDimSize(0) - 1;
  Value room = createRoom(b, loc, op.getOuts(), experts, rows);
  return IdxTilesOp::create(b, loc, TypeRange(room.getType()),
                            op.getExpertOffsets(), room, rows)
      ->getResult(0);
}

/// The routing that can make the list, or none: it stands in the same block,
/// and the list is as long as that of all its rows.
static IdxRouteOp getMaker(IdxTilesOp op) {
  auto route = op.getExpertOffsets().getDefiningOp<IdxRouteOp>();
  if (!route || route->getBlock() != op->getBlock() ||
      op.getExpertOffsets() != route->getResult(0) ||
      !op.getOuts().getDefiningOp<tensor::EmptyOp>())
    return nullptr;
  Type type = typeOfList(route.getField(Field::RowToken), route.getNumExperts(),
                         op.getRows());
  return op.getOuts().getType() == type ? route : nullptr;
}

/// The same routing, with a list for each of `tileRows` in the end.
static IdxRouteOp createRouting(IdxRouteOp op, ArrayRef<int64_t> tileRows) {
  OpBuilder b(op);
  OperationState state(op.getLoc(), IdxRouteOp::getOperationName());
  state.addOperands(op->getOperands());
  state.addTypes(op->getResultTypes());
  size_t known = op.getTileRows().size();
  for (int64_t rows : tileRows.drop_front(known)) {
    Value room = createRoom(b, op.getLoc(), op.getField(Field::RowToken),
                            op.getNumExperts(), rows);
    state.addOperands(room);
    state.addTypes(room.getType());
  }
  auto &properties = state.getOrAddProperties<IdxRouteOp::Properties>();
  properties = op.getProperties();
  properties.operandSegmentSizes.back() += tileRows.size() - known;
  properties.tile_rows = b.getDenseI64ArrayAttr(tileRows);
  state.addAttributes(op->getDiscardableAttrDictionary().getValue());
  state.addRegion(); // of a router, which tensors do not have
  return cast<IdxRouteOp>(b.create(state));
}

/// Makes lists results of a routing, in place of ops of their own.
static void addToRouting(IdxRouteOp op, ArrayRef<IdxTilesOp> lists) {
  SmallVector<int64_t> tileRows(op.getTileRows());
  for (IdxTilesOp list : lists)
    if (!llvm::is_contained(tileRows, list.getRows()))
      tileRows.push_back(list.getRows());
  IdxRouteOp made = createRouting(op, tileRows);
  for (IdxTilesOp list : lists) {
    auto place = llvm::find(tileRows, list.getRows()) - tileRows.begin();
    list->replaceAllUsesWith(
        made->getResults().slice(IdxRouteOp::kPlanOuts + place, 1));
    list.erase();
  }
  op->replaceAllUsesWith(made->getResults().take_front(op->getNumResults()));
  op.erase();
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
    llvm::MapVector<IdxRouteOp, SmallVector<IdxTilesOp>> ofRoutings;
    getOperation()->walk([&](IdxTilesOp op) {
      if (IdxRouteOp route = getMaker(op))
        ofRoutings[route].push_back(op);
    });
    for (auto &[route, ofRouting] : ofRoutings)
      addToRouting(route, ofRouting);
  }
};
} // namespace
