// Reading unregistered ops, and what their lowerings share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OpaqueFields.h"
#include "Residual.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

FailureOr<int64_t> ResidualOp::getInteger(StringRef name) const {
  auto attribute = op->getAttrOfType<IntegerAttr>(name);
  if (!attribute || attribute.getValue().getSignificantBits() > 64)
    return emitError() << "needs an integer attribute '" << name << "'";
  return attribute.getValue().getSExtValue();
}

FailureOr<SmallVector<int64_t>> ResidualOp::getIntegers(StringRef name) const {
  std::optional<SmallVector<int64_t>> values = readIntegers(op->getAttr(name));
  if (!values)
    return emitError() << "needs an attribute '" << name
                       << "' that is an array of integers";
  return *values;
}

FailureOr<bool> ResidualOp::getBool(StringRef name) const {
  auto attribute = op->getAttrOfType<BoolAttr>(name);
  if (!attribute)
    return emitError() << "needs a bool attribute '" << name << "'";
  return attribute.getValue();
}

LogicalResult ResidualOp::checkOperandCount(unsigned low, unsigned high) const {
  unsigned count = op->getNumOperands();
  if (count >= low && count <= high)
    return success();
  return emitError() << "has " << count << " operands, expected "
                     << (low == high ? "" : "at least ") << low;
}

LogicalResult ResidualOp::checkResultTypes(TypeRange expected) const {
  if (TypeRange(op->getResultTypes()) == expected)
    return success();
  return emitError() << "must have results of types (" << expected << "), got ("
                     << op->getResultTypes() << ")";
}

LogicalResult ResidualOp::checkDimension(StringRef name, int64_t value,
                                         int64_t rank) const {
  if (value >= 0 && value < rank)
    return success();
  return emitError() << "'" << name << "' holds " << value
                     << ", which is no dimension of a tensor of rank " << rank;
}

/// Whether every value is used after it is defined. Nobody has checked this: an
/// unregistered op may hold graphs.
static bool isInOrder(Block &block) {
  for (Operation &op : block) {
    WalkResult result = op.walk([&](Operation *user) {
      for (Value operand : user->getOperands()) {
        Operation *definition = operand.getDefiningOp();
        Operation *ancestor =
            definition ? block.findAncestorOpInBlock(*definition) : nullptr;
        if (ancestor && !ancestor->isBeforeInBlock(&op) &&
            (ancestor != &op || definition == &op))
          return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return false;
  }
  return true;
}

FailureOr<Block *> ResidualOp::getBlock(unsigned region, TypeRange arguments,
                                        TypeRange results) const {
  if (region >= op->getNumRegions() || !op->getRegion(region).hasOneBlock())
    return emitError() << "region #" << region << " must be one block";
  Block &block = op->getRegion(region).front();
  if (TypeRange(block.getArgumentTypes()) != arguments)
    return emitError() << "region #" << region
                       << " must take arguments of types (" << arguments
                       << "), got (" << block.getArgumentTypes() << ")";
  StringRef dialect = op->getName().getDialectNamespace();
  std::string terminator =
      (dialect + (dialect == "stablehlo" ? ".return" : ".yield")).str();
  if (block.empty() || block.back().getName().getStringRef() != terminator)
    return emitError() << "region #" << region << " must end with '"
                       << terminator << "'";
  TypeRange given = block.back().getOperandTypes();
  if (given != results)
    return emitError() << "region #" << region << " must give values of types ("
                       << results << "), got (" << given << ")";
  if (!isInOrder(block))
    return emitError() << "region #" << region
                       << " uses a value before it is defined";
  return &block;
}

void ResidualOp::replace(ValueRange values) const {
  op->replaceAllUsesWith(values);
  op->erase();
}

RankedTensorType moe::getScalarTensor(Type tensor) {
  return RankedTensorType::get({},
                               cast<RankedTensorType>(tensor).getElementType());
}

Value moe::getIndex(ImplicitLocOpBuilder &builder, int64_t value) {
  return arith::ConstantIndexOp::create(builder, value);
}

Value moe::getDim(ImplicitLocOpBuilder &builder, Value tensor, int64_t dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.isDynamicDim(dim))
    return tensor::DimOp::create(builder, tensor, dim);
  return getIndex(builder, type.getDimSize(dim));
}

SmallVector<Value> moe::getDims(ImplicitLocOpBuilder &builder, Value tensor) {
  SmallVector<Value> dims;
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  for (int64_t dim = 0; dim < rank; ++dim)
    dims.push_back(getDim(builder, tensor, dim));
  return dims;
}

SmallVector<Value> moe::buildLoops(
    ImplicitLocOpBuilder &builder, ValueRange bounds, ValueRange values,
    llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &,
                                          ValueRange indices, ValueRange)>
        body) {
  SmallVector<Value> zeros(bounds.size(), getIndex(builder, 0));
  SmallVector<Value> ones(bounds.size(), getIndex(builder, 1));
  scf::LoopNest nest =
      scf::buildLoopNest(builder, builder.getLoc(), zeros, bounds, ones, values,
                         [&](OpBuilder &inner, Location loc, ValueRange indices,
                             ValueRange carried) -> scf::ValueVector {
                           ImplicitLocOpBuilder b(loc, inner);
                           SmallVector<Value> next = body(b, indices, carried);
                           return {next.begin(), next.end()};
                         });
  return {nest.results.begin(), nest.results.end()};
}
