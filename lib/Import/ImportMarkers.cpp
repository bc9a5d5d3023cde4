// moe-import-markers: marker calls of the front ends become ops of the dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Marker.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Iterators.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_IMPORTMARKERS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

// Symbols of markers start with this.
static constexpr StringLiteral kMarkerPrefix = "moe.";

namespace {
class ImportMarkers : public moe::impl::ImportMarkersBase<ImportMarkers> {
  void runOnOperation() override;
  LogicalResult checkDeclarations();
  LogicalResult importCall(func::CallOp call, func::FuncOp declaration);
};
} // namespace

/// A marker is a private declaration with a dictionary, and is only called.
LogicalResult ImportMarkers::checkDeclarations() {
  for (auto function : getOperation().getOps<func::FuncOp>()) {
    StringRef name = function.getSymName();
    bool isMarker = function->hasAttr(kMarkerAttr);
    if (isMarker && !function.isExternal())
      return function->emitError()
             << "marker @" << name
             << " has a body; a marker is a declaration, and its meaning is "
                "that of its '"
             << kMarkerAttr << "'";
    if (!isMarker && function.isExternal() && name.starts_with(kMarkerPrefix))
      return function->emitError()
             << "declaration @" << name << " has no '" << kMarkerAttr
             << "' that says what it stands for";
    if (!isMarker)
      continue;
    for (SymbolTable::SymbolUse use : function.getSymbolUses(getOperation())
                                          .value_or(SymbolTable::UseRange({})))
      if (!isa<func::CallOp>(use.getUser()))
        return use.getUser()->emitError()
               << "marker @" << name << " may only be called by func.call, "
               << "but '" << use.getUser()->getName() << "' uses it";
  }
  return success();
}

LogicalResult ImportMarkers::importCall(func::CallOp call,
                                        func::FuncOp declaration) {
  FailureOr<StringRef> op = Marker::readOp(call, declaration);
  if (failed(op))
    return failure();
  if (*op == "route") {
    ++numRoutes;
    return importRoute(call, declaration);
  }
  if (*op == "plan_from_choice") {
    ++numChoices;
    return importPlanFromChoice(call, declaration);
  }
  if (*op == "experts") {
    ++numExperts;
    return importExperts(call, declaration);
  }
  if (*op == "grouped_matmul") {
    ++numMatmuls;
    return importGroupedMatmul(call, declaration);
  }
  auto diag = call->emitError() << "marker @" << call.getCallee() << ": ";
  if (*op == "topk")
    return diag << "op \"" << *op
                << "\" stands for a hand-written layer, which is not "
                   "recognised as a whole; write the layer with the front "
                   "end's route and experts";
  return diag << "op \"" << *op
              << "\" is unknown, accepted are: route, plan_from_choice, "
                 "experts, grouped_matmul";
}

void ImportMarkers::runOnOperation() {
  if (failed(checkDeclarations()))
    return signalPassFailure();
  SymbolTable symbols(getOperation());
  // In order, so that a plan stands before the experts that use it.
  SmallVector<std::pair<func::CallOp, func::FuncOp>> calls;
  getOperation().walk<WalkOrder::PreOrder>([&](func::CallOp call) {
    auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
    if (callee && callee->hasAttr(kMarkerAttr))
      calls.emplace_back(call, callee);
  });
  for (auto [call, declaration] : calls)
    if (failed(importCall(call, declaration)))
      return signalPassFailure();
  // A plan's fields were read for `experts`, which took the plan itself.
  getOperation().walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isa<PlanFieldOp, tensor::CastOp>(op) && op->use_empty())
      op->erase();
  });
  for (auto function :
       llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
    if (function->hasAttr(kMarkerAttr))
      symbols.erase(function);
}
