// Between the types of storage (f32, bf16, f16) and f32.
// LLVM turns fptrunc to bf16, and both directions of f16, into calls of
// compiler-rt on targets without an instruction for them, one lane at a time.
// Integer operations are exact, vectorise, and have the same bits everywhere.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StorageConversion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

Type mlir::moe::withElement(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(element);
  return element;
}

Value mlir::moe::splatConstant(ImplicitLocOpBuilder &b, Type type,
                               double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attribute =
      isa<FloatType>(element)
          ? cast<TypedAttr>(b.getFloatAttr(element, value))
          : b.getIntegerAttr(element, static_cast<int64_t>(value));
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(b, attribute);
}

namespace {
/// 32-bit integer arithmetic on the bits of scalars or vectors.
class Bits {
public:
  Bits(ImplicitLocOpBuilder &b, Type like)
      : b(b), i32(withElement(like, b.getI32Type())),
        f32(withElement(like, b.getF32Type())) {}

  Value constant(int64_t value) {
    return splatConstant(b, i32, static_cast<int32_t>(value));
  }
  Value shiftLeft(Value v, int64_t n) {
    return arith::ShLIOp::create(b, v, constant(n));
  }
  Value shiftRight(Value v, int64_t n) {
    return arith::ShRUIOp::create(b, v, constant(n));
  }
  Value mask(Value v, int64_t m) {
    return arith::AndIOp::create(b, v, constant(m));
  }
  Value join(Value v, Value w) { return arith::OrIOp::create(b, v, w); }
  Value add(Value v, Value w) { return arith::AddIOp::create(b, v, w); }
  Value less(Value v, int64_t limit) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, v,
                                 constant(limit));
  }
  Value select(Value condition, Value v, Value w) {
    return arith::SelectOp::create(b, condition, v, w);
  }
  Value asFloat(Value v) { return arith::BitcastOp::create(b, f32, v); }
  Value asInt(Value v) { return arith::BitcastOp::create(b, i32, v); }
  /// The low 16 bits of each as `element`, a 16-bit float.
  Value asHalf(Value v, Type element) {
    Value low = arith::TruncIOp::create(b, withElement(i32, b.getI16Type()), v);
    return arith::BitcastOp::create(b, withElement(i32, element), low);
  }
  Value fromHalf(Value v) {
    Value low =
        arith::BitcastOp::create(b, withElement(i32, b.getI16Type()), v);
    return arith::ExtUIOp::create(b, i32, low);
  }

private:
  ImplicitLocOpBuilder &b;
  Type i32, f32;
};
} // namespace

/// f16 to f32: the exponent is rebased by an integer addition. A subnormal is
/// read as 2^-14 · 1.m and 2^-14 is subtracted, so that no f32 subnormal
/// occurs, which a flush-to-zero mode would lose.
static Value widenF16(ImplicitLocOpBuilder &b, Value value) {
  Bits bits(b, value.getType());
  Value half = bits.fromHalf(value);
  Value sign = bits.shiftLeft(bits.mask(half, 0x8000), 16);
  Value magnitude = bits.shiftLeft(bits.mask(half, 0x7FFF), 13);
  Value normal = bits.add(magnitude, bits.constant(112 << 23));
  Value special = bits.add(magnitude, bits.constant(224 << 23));
  Value finite = bits.less(magnitude, 0x1F << 23);
  Value shifted = bits.add(magnitude, bits.constant(113 << 23));
  Value subnormal = bits.asInt(arith::SubFOp::create(
      b, bits.asFloat(shifted), bits.asFloat(bits.constant(113 << 23))));
  Value result = bits.select(finite, normal, special);
  result = bits.select(bits.less(magnitude, 1 << 23), subnormal, result);
  return bits.asFloat(bits.join(result, sign));
}

Value mlir::moe::widenToF32(ImplicitLocOpBuilder &b, Value value, bool hasF16) {
  Type element = getElementTypeOrSelf(value.getType());
  if (element.isF32())
    return value;
  if (element.isBF16()) {
    Bits bits(b, value.getType());
    return bits.asFloat(bits.shiftLeft(bits.fromHalf(value), 16));
  }
  if (!hasF16)
    return widenF16(b, value);
  return arith::ExtFOp::create(b, withElement(value.getType(), b.getF32Type()),
                               value);
}

/// The upper half of the bits after adding the rounding increment: below the
/// cut 0x7FFF, plus the last bit that stays, which makes ties even.
static Value roundToBF16(ImplicitLocOpBuilder &b, Value value) {
  Bits bits(b, value.getType());
  Value word = bits.asInt(value);
  Value even = bits.mask(bits.shiftRight(word, 16), 1);
  Value rounded = bits.shiftRight(
      bits.add(word, bits.add(even, bits.constant(0x7FFF))), 16);
  Value isNaN =
      arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  Value result = bits.select(isNaN, bits.constant(0x7FC0), rounded);
  return bits.asHalf(result, b.getBF16Type());
}

/// Four ranges of the magnitude: NaN, overflow to infinity, normal (rebase the
/// exponent and round like bf16), and subnormal, where adding 0.5 in f32 puts
/// the wanted bits at the end and rounds them.
static Value roundToF16(ImplicitLocOpBuilder &b, Value value) {
  Bits bits(b, value.getType());
  Value word = bits.asInt(value);
  Value sign = bits.shiftRight(bits.mask(word, 0x80000000), 16);
  Value magnitude = bits.mask(word, 0x7FFFFFFF);
  Value even = bits.mask(bits.shiftRight(magnitude, 13), 1);
  Value rebased =
      bits.add(magnitude, bits.add(even, bits.constant(0xFFF - (112 << 23))));
  Value half = bits.constant(126 << 23);
  Value sum = bits.asInt(
      arith::AddFOp::create(b, bits.asFloat(magnitude), bits.asFloat(half)));
  Value subnormal = bits.add(sum, bits.constant(-(126 << 23)));
  Value result = bits.select(bits.less(magnitude, 113 << 23), subnormal,
                             bits.shiftRight(rebased, 13));
  Value overflow = bits.select(bits.less(magnitude, (255 << 23) + 1),
                               bits.constant(0x7C00), bits.constant(0x7E00));
  result = bits.select(bits.less(magnitude, 143 << 23), result, overflow);
  return bits.asHalf(bits.join(result, sign), b.getF16Type());
}

Value mlir::moe::roundFromF32(ImplicitLocOpBuilder &b, Value value,
                              Type element, bool hasF16) {
  if (element.isF32())
    return value;
  if (element.isBF16())
    return roundToBF16(b, value);
  if (!hasF16)
    return roundToF16(b, value);
  return arith::TruncFOp::create(b, withElement(value.getType(), element),
                                 value);
}
