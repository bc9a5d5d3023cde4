// Loops over the elements of a row: by vectors, then one by one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VectorLoop.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::moe;

void mlir::moe::forEachVector(
    LoopBuilder &b, Value length, int64_t lanes, bool vectorize,
    function_ref<void(Value position, int64_t lanes)> body) {
  Value whole = b.index(0);
  if (vectorize) {
    whole = b.mul(b.div(length, lanes), lanes);
    b.forEach(b.index(0), whole, lanes, [&](Value at) { body(at, lanes); });
  }
  if (auto static_ = getConstantIntValue(length);
      vectorize && static_ && *static_ % lanes == 0)
    return;
  b.forEach(whole, length, 1, [&](Value at) { body(at, 0); });
}

Value mlir::moe::loadLanes(LoopBuilder &b, Value memref, ValueRange indices,
                           int64_t lanes) {
  if (!lanes)
    return memref::LoadOp::create(b, memref, indices);
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  auto type = VectorType::get({lanes}, element);
  if (!element.isInteger(1))
    return vector::LoadOp::create(b, type, memref, indices);
  // A vector of i1 would be loaded as packed bits; in memory each is a byte.
  SmallVector<Value> bits;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    SmallVector<Value> at(indices);
    at.back() = b.add(at.back(), lane);
    bits.push_back(memref::LoadOp::create(b, memref, at));
  }
  return vector::FromElementsOp::create(b, type, bits);
}

Value mlir::moe::broadcastLanes(LoopBuilder &b, Value scalar, int64_t lanes) {
  if (!lanes)
    return scalar;
  return vector::BroadcastOp::create(
      b, VectorType::get({lanes}, scalar.getType()), scalar);
}

void mlir::moe::storeLanes(LoopBuilder &b, Value value, Value memref,
                           ValueRange indices, int64_t lanes) {
  if (lanes)
    vector::StoreOp::create(b, value, memref, indices);
  else
    memref::StoreOp::create(b, value, memref, indices);
}

void mlir::moe::copyElements(LoopBuilder &b, Value source, Value target,
                             Value length, int64_t lanes,
                             function_ref<Value(Value)> convert) {
  bool contiguous = hasUnitLastStride(source) && hasUnitLastStride(target);
  forEachVector(b, length, lanes, contiguous, [&](Value at, int64_t width) {
    Value loaded = loadLanes(b, source, at, width);
    storeLanes(b, convert(loaded), target, at, width);
  });
}
