// The epilogue of a grouped matmul on vectors: each scalar op of the region
// becomes the same op on vectors. Scalars and vectors run the same operations,
// so that an element's bits do not depend on its place in a vector.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VectorizeEpilogue.h"
#include "ExpandVectorMath.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult mlir::moe::verifyEpilogueOps(IdxGroupedMatmulOp op) {
  for (Operation &inner : op.getEpilogue().front().without_terminator()) {
    if (matchPattern(&inner, m_Constant()))
      continue;
    bool indices = llvm::any_of(inner.getOperandTypes(),
                                [](Type t) { return t.isIndex(); }) ||
                   llvm::any_of(inner.getResultTypes(),
                                [](Type t) { return t.isIndex(); });
    if (indices || !OpTrait::hasElementwiseMappableTraits(&inner) ||
        inner.getNumResults() != 1 ||
        (isa<math::MathDialect>(inner.getDialect()) &&
         isa<FloatType>(inner.getResultTypes().front()) &&
         !isExpandableMath(&inner)))
      return inner.emitOpError("has no form on vectors and cannot stand in the "
                               "epilogue of a grouped matmul on the CPU; use "
                               "elementwise arith and math ops on floats and "
                               "integers");
  }
  return success();
}

namespace {
/// Clones one epilogue for a number of lanes.
class EpilogueCloner {
public:
  EpilogueCloner(LoopBuilder &b, int64_t lanes, bool hasF16)
      : b(b), lanes(lanes), hasF16(hasF16) {}

  Value clone(Block &body, ValueRange arguments) {
    mapping.map(body.getArguments(), arguments);
    for (Operation &op : body.without_terminator())
      mapping.map(op.getResult(0), cloneOp(&op));
    return lookup(cast<YieldOp>(body.getTerminator()).getValue());
  }

private:
  Type shaped(Type scalar) {
    return lanes ? VectorType::get({lanes}, scalar) : scalar;
  }

  /// The clone of a value of the region, or a value from outside in all lanes.
  Value lookup(Value value) {
    if (Value mapped = mapping.lookupOrNull(value))
      return mapped;
    Value result = value;
    if (lanes)
      result = vector::BroadcastOp::create(b, shaped(value.getType()), value);
    mapping.map(value, result);
    return result;
  }

  Value cloneOp(Operation *op) {
    Attribute constant;
    if (matchPattern(op, m_Constant(&constant)))
      return cloneConstant(cast<TypedAttr>(constant));
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(lookup(operand));
    Type result = op->getResult(0).getType();
    if (isa<arith::ExtFOp>(op) && result.isF32())
      return widenToF32(b, operands.front(), hasF16);
    if (isa<arith::TruncFOp>(op) && op->getOperand(0).getType().isF32())
      return roundFromF32(b, operands.front(), result, hasF16);
    // Arithmetic on 16-bit floats: in f32, rounded after each op. That is the
    // same value, and what the target would do by library calls.
    bool isHalf = isa<FloatType>(result) && !result.isF32();
    if (!isa<arith::BitcastOp>(op))
      for (Value &operand : operands)
        if (isa<FloatType>(getElementTypeOrSelf(operand.getType())))
          operand = widenToF32(b, operand, hasF16);
    Type computed = isHalf ? b.getF32Type() : result;
    OperationState state(b.getLoc(), op->getName(), operands, shaped(computed));
    state.propertiesAttr = op->getPropertiesAsAttribute();
    Value value = b.create(state)->getResult(0);
    return isHalf ? roundFromF32(b, value, result, hasF16) : value;
  }

  Value cloneConstant(TypedAttr value) {
    if (lanes)
      value = DenseElementsAttr::get(cast<VectorType>(shaped(value.getType())),
                                     value);
    return arith::ConstantOp::create(b, value);
  }

  LoopBuilder &b;
  int64_t lanes;
  bool hasF16;
  IRMapping mapping;
};
} // namespace

Value mlir::moe::emitEpilogue(LoopBuilder &b, IdxGroupedMatmulOp op,
                              ValueRange arguments, int64_t lanes,
                              bool hasF16) {
  return EpilogueCloner(b, lanes, hasF16)
      .clone(op.getEpilogue().front(), arguments);
}
