// moe-import-asserts: what a front end asserts of indices that are inputs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "moe/Passes.h"
#include <limits>

namespace mlir::moe {
#define GEN_PASS_DEF_IMPORTASSERTS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// Argument attribute [low, high]: every element x is to be low <= x < high.
static constexpr llvm::StringLiteral kRangeAttr = "moe.range";

namespace {
/// low <= index < high, where one of the two is asserted.
struct Bound {
  Value index;
  int64_t low = 0, high = std::numeric_limits<int64_t>::max();
};

struct ImportAsserts : moe::impl::ImportAssertsBase<ImportAsserts> {
  void runOnOperation() override;
};
} // namespace

/// `index` without conversions that keep its value.
static Value stripCasts(Value index) {
  while (Operation *op = index.getDefiningOp()) {
    if (!isa<arith::IndexCastOp, arith::ExtSIOp>(op))
      break;
    index = op->getOperand(0);
  }
  return index;
}

/// Reads `index < constant` and `index >= 0`.
static std::optional<Bound> matchBound(cf::AssertOp op) {
  auto compare = op.getArg().getDefiningOp<arith::CmpIOp>();
  APInt constant;
  if (!compare || !matchPattern(compare.getRhs(), m_ConstantInt(&constant)))
    return std::nullopt;
  Bound bound{stripCasts(compare.getLhs())};
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::slt:
  case arith::CmpIPredicate::ult:
    bound.high = constant.getSExtValue();
    break;
  case arith::CmpIPredicate::sge:
    bound.low = constant.getSExtValue();
    break;
  default:
    return std::nullopt;
  }
  // What is clamped into it must be an index.
  if (bound.low != 0 || bound.high < 1)
    return std::nullopt;
  return bound;
}

/// The argument of a public function whose elements `index` takes, in the body
/// of an elementwise op.
static BlockArgument sourceOf(Value index) {
  auto element = dyn_cast<BlockArgument>(index);
  if (!element)
    return {};
  auto generic = dyn_cast<linalg::GenericOp>(element.getOwner()->getParentOp());
  if (!generic)
    return {};
  Value tensor = generic.getMatchingOpOperand(element)->get();
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp>(
            op))
      return {};
    tensor = op->getOperand(0);
  }
  auto argument = cast<BlockArgument>(tensor);
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function && function.isPublic() && function.getBody().hasOneBlock()
             ? argument
             : BlockArgument();
}

/// The range of an argument that was asserted so far.
static std::pair<int64_t, int64_t> getRange(func::FuncOp function,
                                            unsigned argument) {
  auto range = function.getArgAttrOfType<ArrayAttr>(argument, kRangeAttr);
  if (!range || range.size() != 2)
    return {0, std::numeric_limits<int64_t>::max()};
  auto at = [&](unsigned i) { return cast<IntegerAttr>(range[i]).getInt(); };
  return {at(0), at(1)};
}

/// Uses of the index read within [0, high), whatever a caller gives.
static void clampUses(Value index, int64_t high) {
  SmallVector<Operation *> users;
  for (Operation *user : index.getUsers())
    if (auto cast = dyn_cast<arith::IndexCastOp>(user))
      users.push_back(cast);
  for (Operation *user : users) {
    OpBuilder b(user->getContext());
    b.setInsertionPointAfter(user);
    Location loc = user->getLoc();
    Value value = user->getResult(0);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value last = arith::ConstantIndexOp::create(b, loc, high - 1);
    Value low = arith::MaxSIOp::create(b, loc, value, zero);
    Value clamped = arith::MinSIOp::create(b, loc, low, last);
    value.replaceUsesWithIf(clamped, [](OpOperand &use) {
      return isa<tensor::ExtractOp>(use.getOwner());
    });
  }
}

void ImportAsserts::runOnOperation() {
  SmallVector<cf::AssertOp> asserts;
  getOperation().walk([&](cf::AssertOp op) { asserts.push_back(op); });
  for (cf::AssertOp op : asserts) {
    std::optional<Bound> bound = matchBound(op);
    BlockArgument argument = bound ? sourceOf(bound->index) : BlockArgument();
    if (!argument)
      continue;
    auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
    auto [low, high] = getRange(function, argument.getArgNumber());
    Builder b(op.getContext());
    function.setArgAttr(argument.getArgNumber(), kRangeAttr,
                        b.getI64ArrayAttr({std::max(low, bound->low),
                                           std::min(high, bound->high)}));
    if (bound->high != std::numeric_limits<int64_t>::max())
      clampUses(bound->index, bound->high);
    op.erase();
    ++numRaised;
  }
}
