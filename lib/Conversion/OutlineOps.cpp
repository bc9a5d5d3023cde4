// Equal ops of the index form share one function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OutlineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "moe/IR/MoE.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::moe;

/// Copies the constants that the regions of `op` use from outside into them,
/// and returns what else they use from outside.
static SetVector<Value> sinkConstants(Operation *op) {
  SetVector<Value> outside, rest;
  getUsedValuesDefinedAbove(op->getRegions(), outside);
  for (Value value : outside) {
    Operation *definition = value.getDefiningOp();
    if (!definition || !matchPattern(definition, m_Constant())) {
      rest.insert(value);
      continue;
    }
    for (Region &region : op->getRegions()) {
      OpBuilder b(region);
      Value copy = b.clone(*definition)->getResult(0);
      replaceAllUsesInRegionWith(value, copy, region);
    }
  }
  return rest;
}

/// A function, in no module yet, that holds a copy of `op` on its arguments.
static func::FuncOp makeFunction(Operation *op, ValueRange operands) {
  OpBuilder b(op->getContext());
  std::string name = op->getName().getStringRef().str();
  llvm::replace(name, '.', '_');
  auto function = func::FuncOp::create(
      op->getLoc(), name, b.getFunctionType(operands.getTypes(), {}));
  function.setPrivate();
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  IRMapping mapping;
  mapping.map(operands, body->getArguments());
  Operation *copy = b.clone(*op, mapping);
  // A name, not a meaning: layers that differ only in it are equal.
  copy->removeAttr("layer");
  func::ReturnOp::create(b, op->getLoc());
  return function;
}

int64_t mlir::moe::outlineIdxOps(ModuleOp module) {
  SmallVector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isa_and_nonnull<MoEDialect>(op->getDialect()) && !isa<YieldOp>(op))
      ops.push_back(op);
  });
  SymbolTable symbols(module);
  llvm::StringMap<func::FuncOp> functions;
  for (Operation *op : ops) {
    SetVector<Value> operands(op->operand_begin(), op->operand_end());
    operands.insert_range(sinkConstants(op));
    func::FuncOp function = makeFunction(op, operands.getArrayRef());
    std::string text;
    llvm::raw_string_ostream(text) << function;
    auto [entry, isNew] = functions.try_emplace(text, function);
    if (isNew)
      symbols.insert(function);
    else
      function.erase();
    OpBuilder b(op);
    func::CallOp::create(b, op->getLoc(), entry->second,
                         operands.getArrayRef());
    op->erase();
  }
  return functions.size();
}
