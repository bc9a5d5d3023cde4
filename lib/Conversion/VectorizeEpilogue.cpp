// The epilogue of a grouped matmul on vectors: each scalar op of the region
// becomes the same op on vectors. Scalars and vectors run the same operations,
// so that an element's bits do not depend on its place in a vector.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VectorizeEpilogue.h"
#include "ExpandVectorMath.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
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
        (isa_and_nonnull<math::MathDialect>(inner.getDialect()) &&
         isa<FloatType>(inner.getResultTypes().front()) &&
         !isExpandableMath(&inner)))
      return inner.emitOpError("has no form on vectors and cannot stand in the "
                               "epilogue of a grouped matmul on the CPU; use "
                               "elementwise arith and math ops on floats and "
                               "integers");
  }
  return success();
}

/// Whether values of a type are carried as f32.
static bool isHalf(Type type) { return type.isBF16() || type.isF16(); }

namespace {
/// Clones one epilogue for a number of lanes.
///
/// A 16-bit float is carried as the f32 of its value: arithmetic on it is that
/// of f32, rounded after each op, which is the same value and what the target
/// would do by library calls. It is also never live as a 16-bit float, which
/// LLVM would keep in an f32 register and turn back by a call.
class EpilogueCloner {
public:
  EpilogueCloner(ImplicitLocOpBuilder &b, int64_t lanes,
                 const HalfConversion &half, const IRMapping &outside)
      : b(b), lanes(lanes), half(half), outside(outside) {}

  Value clone(Block &body, ValueRange arguments) {
    for (auto [argument, value] : llvm::zip(body.getArguments(), arguments))
      mapping.map(argument, carry(value));
    for (Operation &op : body.without_terminator())
      mapping.map(op.getResult(0), cloneOp(&op));
    Value yielded = cast<YieldOp>(body.getTerminator()).getValue();
    return uncarry(lookup(yielded), yielded.getType());
  }

private:
  Type shaped(Type scalar) {
    return lanes ? VectorType::get({lanes}, scalar) : scalar;
  }

  Value carry(Value value) {
    if (!isHalf(getElementTypeOrSelf(value.getType())))
      return value;
    Value wide = half.widen(value);
    uncarried[wide] = value;
    return wide;
  }

  /// `value` as the scalar type `type` of the region; rounds to 16 bits.
  Value uncarry(Value value, Type type) {
    if (!isHalf(type))
      return value;
    Value known = uncarried.lookup(value);
    if (known && getElementTypeOrSelf(known.getType()) == type)
      return known;
    return half.round(value, type);
  }

  /// The clone of a value of the region, or a value from outside in all lanes.
  Value lookup(Value value) {
    if (Value mapped = mapping.lookupOrNull(value))
      return mapped;
    Value result = carry(outside.lookupOrDefault(value));
    if (lanes)
      result = vector::BroadcastOp::create(b, shaped(result.getType()), result);
    mapping.map(value, result);
    return result;
  }

  Value cloneOp(Operation *op) {
    Attribute constant;
    if (matchPattern(op, m_Constant(&constant)))
      return cloneConstant(cast<TypedAttr>(constant));
    Type type = op->getResult(0).getType();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(lookup(operand));
    Value first = operands.front();
    if (isa<arith::ExtFOp, arith::TruncFOp>(op) &&
        getElementTypeOrSelf(first.getType()).isF32() &&
        (isHalf(type) || type.isF32()))
      return carry(uncarry(first, type));
    bool isBitcast = isa<arith::BitcastOp>(op);
    if (isBitcast)
      operands.front() = uncarry(first, op->getOperand(0).getType());
    Type computed = isHalf(type) && !isBitcast ? b.getF32Type() : type;
    OperationState state(b.getLoc(), op->getName(), operands, shaped(computed));
    state.propertiesAttr = op->getPropertiesAsAttribute();
    Value value = b.create(state)->getResult(0);
    return isBitcast ? carry(value) : carry(uncarry(value, type));
  }

  Value cloneConstant(TypedAttr value) {
    if (isHalf(value.getType()))
      return splatConstant(b, shaped(b.getF32Type()),
                           cast<FloatAttr>(value).getValueAsDouble());
    if (lanes)
      value = DenseElementsAttr::get(cast<VectorType>(shaped(value.getType())),
                                     value);
    return arith::ConstantOp::create(b, value);
  }

  ImplicitLocOpBuilder &b;
  int64_t lanes;
  const HalfConversion &half;
  const IRMapping &outside;
  IRMapping mapping;
  /// The 16-bit value that a carried one was made of.
  DenseMap<Value, Value> uncarried;
};
} // namespace

Value mlir::moe::cloneEpilogue(ImplicitLocOpBuilder &b, Region &epilogue,
                               ValueRange arguments, int64_t lanes,
                               const HalfConversion &half,
                               const IRMapping &outside) {
  return EpilogueCloner(b, lanes, half, outside)
      .clone(epilogue.front(), arguments);
}

Value mlir::moe::emitEpilogue(LoopBuilder &b, IdxGroupedMatmulOp op,
                              ValueRange arguments, int64_t lanes,
                              bool hasF16) {
  HalfConversion half{[&](Value value) { return widenToF32(b, value, hasF16); },
                      [&](Value value, Type type) {
                        return roundFromF32(b, value, type, hasF16);
                      }};
  return cloneEpilogue(b, op, arguments, lanes, half);
}
