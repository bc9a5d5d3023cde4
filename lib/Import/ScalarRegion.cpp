// Regions on tensors of rank 0, as scalar code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ScalarRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::moe;

static bool isRankZero(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 0;
}

namespace {
class ScalarEmitter {
public:
  explicit ScalarEmitter(OpBuilder &builder) : builder(builder) {}

  SmallVector<Value> emit(Block &body, ValueRange arguments);

private:
  void emitOp(Operation &op);
  bool emitAccess(Operation &op);
  bool emitGeneric(Operation &op);
  bool emitElementwise(Operation &op);
  void emitAsIs(Operation &op);

  void setScalar(Value old, Value scalar) {
    (isRankZero(old.getType()) ? scalars : others).map(old, scalar);
  }
  Value getScalar(Value old);
  Value makeTensor(Value old, Location loc);

  OpBuilder &builder;
  // Elements of tensors of rank 0; copies of other values, and of tensors of
  // rank 0 where an op needs the tensor.
  IRMapping scalars, others;
};
} // namespace

/// The element of a tensor of rank 0, or the copy of another value.
Value ScalarEmitter::getScalar(Value old) {
  if (!isRankZero(old.getType()))
    return others.lookupOrDefault(old);
  if (Value known = scalars.lookupOrNull(old))
    return known;
  Type element = cast<RankedTensorType>(old.getType()).getElementType();
  Value scalar;
  if (old.getDefiningOp<tensor::EmptyOp>() &&
      isa<IntegerType, FloatType, IndexType>(element))
    // No element yet: any value will do.
    scalar = arith::ConstantOp::create(builder, old.getLoc(),
                                       builder.getZeroAttr(element));
  else
    scalar = tensor::ExtractOp::create(builder, old.getLoc(),
                                       others.lookupOrDefault(old));
  scalars.map(old, scalar);
  return scalar;
}

/// A tensor of rank 0 of which only the element is known.
Value ScalarEmitter::makeTensor(Value old, Location loc) {
  return tensor::FromElementsOp::create(builder, loc, old.getType(),
                                        scalars.lookup(old));
}

/// Ops that move between a tensor of rank 0 and its element.
bool ScalarEmitter::emitAccess(Operation &op) {
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    if (!isRankZero(extract.getTensor().getType()))
      return false;
    others.map(extract.getResult(), getScalar(extract.getTensor()));
    return true;
  }
  if (auto make = dyn_cast<tensor::FromElementsOp>(op)) {
    if (!isRankZero(make.getType()))
      return false;
    scalars.map(make.getResult(), getScalar(make.getElements().front()));
    return true;
  }
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    if (!isRankZero(fill.getOutputs().front().getType()))
      return false;
    scalars.map(fill.getResult(0), getScalar(fill.getInputs().front()));
    return true;
  }
  auto constant = dyn_cast<arith::ConstantOp>(op);
  if (!constant || !isRankZero(constant.getType()))
    return false;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements)
    return false;
  scalars.map(constant.getResult(),
              arith::ConstantOp::create(
                  builder, op.getLoc(),
                  cast<TypedAttr>(elements.getSplatValue<Attribute>())));
  return true;
}

/// A linalg.generic without loops is its body.
bool ScalarEmitter::emitGeneric(Operation &op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumLoops() != 0 ||
      !llvm::all_of(op.getResultTypes(), isRankZero))
    return false;
  Block *body = generic.getBody();
  for (auto [argument, operand] :
       llvm::zip(body->getArguments(), op.getOperands()))
    others.map(argument, getScalar(operand));
  for (Operation &inner : body->without_terminator())
    emitOp(inner);
  for (auto [result, value] :
       llvm::zip(op.getResults(), body->getTerminator()->getOperands()))
    scalars.map(result, others.lookupOrDefault(value));
  return true;
}

/// Elementwise arithmetic on tensors of rank 0.
bool ScalarEmitter::emitElementwise(Operation &op) {
  if (!OpTrait::hasElementwiseMappableTraits(&op) ||
      !llvm::all_of(op.getResultTypes(), isRankZero))
    return false;
  OperationState state(op.getLoc(), op.getName());
  for (Value operand : op.getOperands())
    state.addOperands(getScalar(operand));
  for (Type type : op.getResultTypes())
    state.addTypes(cast<RankedTensorType>(type).getElementType());
  state.addAttributes(llvm::to_vector(op.getDiscardableAttrs()));
  state.propertiesAttr = op.getPropertiesAsAttribute();
  Operation *scalar = builder.create(state);
  for (auto [old, value] : llvm::zip(op.getResults(), scalar->getResults()))
    scalars.map(old, value);
  return true;
}

/// Any other op stays what it is.
void ScalarEmitter::emitAsIs(Operation &op) {
  SetVector<Value> captured(op.operand_begin(), op.operand_end());
  getUsedValuesDefinedAbove(op.getRegions(), captured);
  for (Value value : captured)
    if (scalars.contains(value) && !others.contains(value))
      others.map(value, makeTensor(value, op.getLoc()));
  Operation *clone = builder.clone(op, others);
  for (auto [old, value] : llvm::zip(op.getResults(), clone->getResults()))
    others.map(old, value);
}

void ScalarEmitter::emitOp(Operation &op) {
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    if (isRankZero(empty.getType()))
      return; // getScalar knows it.
  if (!emitAccess(op) && !emitGeneric(op) && !emitElementwise(op))
    emitAsIs(op);
}

SmallVector<Value> ScalarEmitter::emit(Block &body, ValueRange arguments) {
  for (auto [old, scalar] : llvm::zip(body.getArguments(), arguments))
    setScalar(old, scalar);
  // The terminator may be unregistered: not known to be one.
  Operation &terminator = body.back();
  for (Operation &op : body)
    if (&op != &terminator)
      emitOp(op);
  return llvm::map_to_vector(terminator.getOperands(),
                             [&](Value value) { return getScalar(value); });
}

SmallVector<Value> moe::emitAsScalars(OpBuilder &builder, Block &body,
                                      ValueRange arguments) {
  return ScalarEmitter(builder).emit(body, arguments);
}
