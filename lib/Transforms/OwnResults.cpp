// moe-own-results: no two results of a public function share a buffer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_OWNRESULTS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// The tensor in whose buffer bufferization places `value`: views share it.
static Value rootOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp,
             tensor::ExtractSliceOp, tensor::ReshapeOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// The tensors in one of whose buffers `value` may be placed.
static void collectRoots(Value value, SmallPtrSetImpl<Value> &roots) {
  value = rootOf(value);
  Operation *op = value.getDefiningOp();
  if (auto select = dyn_cast_or_null<arith::SelectOp>(op)) {
    collectRoots(select.getTrueValue(), roots);
    collectRoots(select.getFalseValue(), roots);
  } else if (isa_and_nonnull<scf::IfOp, scf::IndexSwitchOp>(op)) {
    unsigned number = cast<OpResult>(value).getResultNumber();
    for (Region &region : op->getRegions())
      collectRoots(region.front().getTerminator()->getOperand(number), roots);
  } else {
    roots.insert(value);
  }
}

namespace {
struct OwnResults : moe::impl::OwnResultsBase<OwnResults> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic())
        function.walk([&](func::ReturnOp op) { copyShared(op); });
  }

  void copyShared(func::ReturnOp op) {
    OpBuilder b(op);
    SmallPtrSet<Value, 8> taken;
    for (OpOperand &operand : op->getOpOperands()) {
      Value result = operand.get();
      if (!isa<RankedTensorType>(result.getType()))
        continue;
      SmallPtrSet<Value, 8> roots;
      collectRoots(result, roots);
      bool isShared =
          llvm::any_of(roots, [&](Value root) { return taken.contains(root); });
      taken.insert(roots.begin(), roots.end());
      if (!isShared)
        continue;
      operand.set(bufferization::AllocTensorOp::create(
          b, op.getLoc(), cast<RankedTensorType>(result.getType()),
          /*dynamicSizes=*/ValueRange(), /*copy=*/result));
      ++numCopied;
    }
  }
};
} // namespace
