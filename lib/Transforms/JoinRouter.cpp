// moe-join-router: the matmul of a router becomes a part of its routing.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Routing/GPURoute.h"

namespace mlir::moe {
#define GEN_PASS_DEF_JOINROUTER
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static bool isWholeView(Operation *op) {
  return isa_and_nonnull<memref::ExpandShapeOp, memref::CollapseShapeOp,
                         memref::CastOp>(op);
}

/// What a memref is a view of, of all elements in the same order.
static Value sourceOf(Value memref) {
  while (isWholeView(memref.getDefiningOp()))
    memref = memref.getDefiningOp()->getOperand(0);
  return memref;
}

/// The operations that access `memory`, by itself or by views.
static void collectUsers(Value memory, SmallVectorImpl<Operation *> &users) {
  for (Operation *user : memory.getUsers()) {
    if (isWholeView(user))
      collectUsers(user->getResult(0), users);
    else if (!isa<memref::DimOp>(user))
      users.push_back(user);
  }
}

/// The op that writes the logits of `route`, if nothing else accesses them
/// before it, and both stand in one block.
static IdxGroupedMatmulOp getWriter(IdxRouteOp route) {
  Value memory = sourceOf(route.getLogits());
  if (!memory.getDefiningOp<memref::AllocOp>())
    return nullptr;
  SmallVector<Operation *> users;
  collectUsers(memory, users);
  IdxGroupedMatmulOp writer;
  for (Operation *user : users) {
    Operation *at = route->getBlock()->findAncestorOpInBlock(*user);
    if (at && (at == route || route->isBeforeInBlock(at)))
      continue;
    auto matmul = dyn_cast<IdxGroupedMatmulOp>(user);
    if (at != user || writer || !matmul || sourceOf(matmul.getOuts()) != memory)
      return nullptr;
    writer = matmul;
  }
  return writer;
}

/// Whether it is a matrix times one weight whose region reads no rows.
static bool isRouter(IdxGroupedMatmulOp op) {
  Type element = getElementTypeOrSelf(op.getInput().getType());
  auto isColumn = [](ExtraAttr kind) {
    return kind.getValue() == Extra::Column;
  };
  return (element.isBF16() || element.isF16()) && op.getGPUSchedule() &&
         !op.getRowToken() && op.getWeights().size() == 1 &&
         op.getNumOutputs() == 1 &&
         cast<ShapedType>(op.getExpertOffsets().getType()).getDimSize(0) == 2 &&
         llvm::all_of(op.getExtraKinds().getAsRange<ExtraAttr>(), isColumn);
}

/// Whether an op between the two may write what the matmul reads: then it must
/// stay where it is.
static bool mayChange(Operation *op, ArrayRef<Value> read) {
  auto effects = getEffectsRecursively(op);
  if (!effects)
    return true;
  return llvm::any_of(*effects, [&](const auto &effect) {
    if (isa<MemoryEffects::Read, MemoryEffects::Allocate>(effect.getEffect()))
      return false;
    if (!effect.getValue())
      return true;
    Value written = sourceOf(effect.getValue());
    return llvm::any_of(read, [&](Value value) {
      bool isOwn = written.getDefiningOp<memref::AllocOp>() ||
                   value.getDefiningOp<memref::AllocOp>();
      return written == value || !isOwn;
    });
  });
}

static bool canMove(IdxGroupedMatmulOp matmul, IdxRouteOp route) {
  SmallVector<Value> read{sourceOf(matmul.getInput())};
  for (ValueRange range :
       {ValueRange(matmul.getWeights()), ValueRange(matmul.getExtras())})
    for (Value value : range)
      read.push_back(sourceOf(value));
  for (Operation *op = matmul->getNextNode(); op != route;
       op = op->getNextNode())
    if (mayChange(op, read))
      return false;
  return true;
}

/// Erases lists of tiles that nobody reads any more.
static void eraseUnread(ArrayRef<Value> lists) {
  for (Value list : lists) {
    Operation *alloc = list.getDefiningOp<memref::AllocOp>();
    if (!alloc || !list.hasOneUse())
      continue;
    auto maker = dyn_cast<IdxTilesOp>(*list.getUsers().begin());
    if (!maker)
      continue;
    maker.erase();
    alloc->erase();
  }
}

static void join(IdxGroupedMatmulOp matmul, IdxRouteOp route) {
  SmallVector<Value> router{matmul.getInput(), matmul.getWeights().front()};
  llvm::append_range(router, matmul.getExtras());
  SmallVector<Value> tiles(matmul.getTiles());
  route.getRouterMutable().assign(router);
  route.setLayout(matmul.getLayout());
  route.getEpilogue().takeBody(matmul.getEpilogue());
  matmul.erase();
  eraseUnread(tiles);
}

namespace {
struct JoinRouter : mlir::moe::impl::JoinRouterBase<JoinRouter> {
  using JoinRouterBase::JoinRouterBase;

  void runOnOperation() override {
    if (router == RouterLaunch::Apart)
      return;
    getOperation()->walk([&](IdxRouteOp route) {
      if (!route.getGPUSchedule() || route.hasRouter() ||
          !isa<MemRefType>(route.getLogits().getType()))
        return;
      IdxGroupedMatmulOp matmul = getWriter(route);
      if (!matmul || !isRouter(matmul) || !canMove(matmul, route) ||
          (router == RouterLaunch::Auto && !pays(route, matmul)))
        return;
      join(matmul, route);
      ++numJoined;
    });
  }

private:
  /// By the cost model, where all sizes are known.
  static bool pays(IdxRouteOp route, IdxGroupedMatmulOp matmul) {
    auto offsets =
        cast<ShapedType>(route.getField(Field::TokenOffsets).getType());
    if (!offsets.hasStaticShape())
      return false;
    GPURouteAttr schedule = route.getGPUSchedule();
    auto chip = ::moe::routing::findGPUChip(stringifyChip(schedule.getChip()));
    ::moe::routing::GPURouterSize size{
        offsets.getDimSize(0), offsets.getDimSize(1) - 1, route.getNumExperts(),
        cast<ShapedType>(matmul.getInput().getType()).getDimSize(1),
        matmul.getLayout() == Layout::KN};
    return ::moe::routing::joinsGPURouter(*chip, size);
  }
};
} // namespace
