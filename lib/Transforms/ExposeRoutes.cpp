// moe-expose-routes: what each layer routes, for the caller.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPOSEROUTES
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct ExposeRoutes : moe::impl::ExposeRoutesBase<ExposeRoutes> {
  using ExposeRoutesBase::ExposeRoutesBase;

  void runOnOperation() override;
  LogicalResult check(func::FuncOp function, ArrayRef<RouteOp> routes);
  void expose(func::FuncOp function, ArrayRef<RouteOp> routes);
  PlanFromChoiceOp replaceByArguments(func::FuncOp function, RouteOp route);
};
} // namespace

LogicalResult ExposeRoutes::check(func::FuncOp function,
                                  ArrayRef<RouteOp> routes) {
  if (!function.getBody().hasOneBlock())
    return function.emitError(
        "moe-expose-routes: the function has several blocks, so that no one "
        "return could give what its layers route");
  for (RouteOp route : routes) {
    if (route->getParentOp() != function)
      return route.emitOpError(
          "is in a loop or branch, which moe-expose-routes "
          "cannot look into; unroll it in the framework");
    if (given && (route.getLogits().getType().getRank() != 3 ||
                  route.getPlan().getType().getRows() != ShapedType::kDynamic))
      return route.emitOpError(
          "has static sizes or no sequences, and with 'given' the number of "
          "its rows changes; import the model with dynamic sizes");
  }
  return success();
}

/// The plan of ids and weights [S, T, E] that the caller gives.
PlanFromChoiceOp ExposeRoutes::replaceByArguments(func::FuncOp function,
                                                  RouteOp route) {
  auto logits = cast<RankedTensorType>(route.getLogits().getType());
  Type gate = getElementTypeOrSelf(route.getGates().getType());
  OpBuilder b(route);
  SmallVector<Value> arguments;
  for (Type element : {Type(b.getI32Type()), gate}) {
    unsigned number = function.getNumArguments();
    (void)function.insertArgument(number, logits.clone(element), {},
                                  route.getLoc());
    arguments.push_back(function.getArgument(number));
  }
  auto choice =
      PlanFromChoiceOp::create(b, route.getLoc(), arguments[0], arguments[1],
                               b.getI64IntegerAttr(route.getNumExperts()));
  route.getPlan().replaceAllUsesWith(choice.getPlan());
  route.getGates().replaceAllUsesWith(choice.getGates());
  return choice;
}

void ExposeRoutes::expose(func::FuncOp function, ArrayRef<RouteOp> routes) {
  SmallVector<Value> added;
  for (RouteOp route : routes) {
    OpBuilder b(route->getContext());
    b.setInsertionPointAfter(route);
    if (given) {
      added.push_back(route.getLogits());
      if (Value bias = route.getChoiceBias())
        added.push_back(bias);
      replaceByArguments(function, route);
      route.erase();
    } else {
      added.push_back(PlanFieldOp::create(b, route.getLoc(), route.getPlan(),
                                          Field::TokenOffsets));
    }
    ++numExposed;
  }
  // Read now: gates that the function gives are those of another op by now.
  Operation *end = function.getBody().front().getTerminator();
  SmallVector<Value> results(end->getOperands());
  llvm::append_range(results, added);
  end->setOperands(results);
  function.setType(FunctionType::get(function.getContext(),
                                     function.getArgumentTypes(),
                                     ValueRange(results).getTypes()));
}

void ExposeRoutes::runOnOperation() {
  for (auto function : getOperation().getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isDeclaration())
      continue;
    SmallVector<RouteOp> routes;
    function.walk([&](RouteOp route) { routes.push_back(route); });
    if (routes.empty())
      continue;
    if (failed(check(function, routes)))
      return signalPassFailure();
    expose(function, routes);
  }
}
