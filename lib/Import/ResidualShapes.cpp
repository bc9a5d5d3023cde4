// StableHLO's ops on sizes that are known at run time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residual.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult moe::lowerGetDimensionSize(ResidualOp op) {
  auto i32 = RankedTensorType::get({}, IntegerType::get(op->getContext(), 32));
  if (failed(op.checkOperandCount(1, 1)) || failed(op.checkResultTypes(i32)))
    return failure();
  Value operand = op->getOperand(0);
  FailureOr<int64_t> dim = op.getInteger("dimension");
  if (failed(dim) || failed(op.checkDimension(
                         "dimension", *dim,
                         cast<RankedTensorType>(operand.getType()).getRank())))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  Value size = arith::IndexCastOp::create(b, i32.getElementType(),
                                          getDim(b, operand, *dim));
  op.replace(tensor::FromElementsOp::create(b, i32, size).getResult());
  return success();
}

/// The sizes that an op is given as a tensor [rank] of integers, for a result
/// of that rank.
static LogicalResult checkSizes(ResidualOp op, Value sizes,
                                RankedTensorType result) {
  auto type = cast<RankedTensorType>(sizes.getType());
  if (type.getRank() == 1 && type.getDimSize(0) == result.getRank() &&
      type.getElementType().isSignlessIntOrIndex())
    return success();
  return op.emitError() << "must be given the sizes of its result " << result
                        << " as integers [" << result.getRank() << "], got "
                        << type;
}

static FailureOr<RankedTensorType> getOnlyResult(ResidualOp op, Type element) {
  if (op->getNumResults() == 1) {
    auto type = dyn_cast<RankedTensorType>(op->getResultTypes().front());
    if (type && type.getElementType() == element)
      return type;
  }
  return op.emitError() << "must have one result of element type " << element;
}

LogicalResult moe::lowerDynamicReshape(ResidualOp op) {
  if (failed(op.checkOperandCount(2, 2)))
    return failure();
  Value operand = op->getOperand(0), sizes = op->getOperand(1);
  auto type = cast<RankedTensorType>(operand.getType());
  FailureOr<RankedTensorType> result = getOnlyResult(op, type.getElementType());
  if (failed(result) || failed(checkSizes(op, sizes, *result)))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  op.replace(tensor::ReshapeOp::create(b, *result, operand, sizes).getResult());
  return success();
}

/// Element i of a broadcast reads element i of the operand, or its only one
/// where a dimension of size 1 is expanded.
static Value buildBroadcast(ImplicitLocOpBuilder &b, Value operand, Value empty,
                            ArrayRef<int64_t> dims) {
  auto result = cast<RankedTensorType>(empty.getType());
  Value zero = getIndex(b, 0), one = getIndex(b, 1);
  SmallVector<Value> sizes = getDims(b, operand);
  AffineMap identity = b.getMultiDimIdentityMap(result.getRank());
  SmallVector<utils::IteratorType> iterators(result.getRank(),
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, result, ValueRange(), empty, ArrayRef(identity), iterators,
      [&](OpBuilder &inner, Location loc, ValueRange) {
        ImplicitLocOpBuilder b(loc, inner);
        SmallVector<Value> at;
        for (auto [size, dim] : llvm::zip(sizes, dims)) {
          Value index = linalg::IndexOp::create(b, dim);
          Value expanded =
              arith::CmpIOp::create(b, arith::CmpIPredicate::eq, size, one);
          at.push_back(arith::SelectOp::create(b, expanded, zero, index));
        }
        Value element = tensor::ExtractOp::create(b, operand, at);
        linalg::YieldOp::create(b, element);
      });
  return generic.getResult(0);
}

LogicalResult moe::lowerDynamicBroadcastInDim(ResidualOp op) {
  if (failed(op.checkOperandCount(2, 2)))
    return failure();
  Value operand = op->getOperand(0), sizes = op->getOperand(1);
  auto type = cast<RankedTensorType>(operand.getType());
  FailureOr<RankedTensorType> result = getOnlyResult(op, type.getElementType());
  FailureOr<SmallVector<int64_t>> dims = op.getIntegers("broadcast_dimensions");
  if (failed(result) || failed(dims) || failed(checkSizes(op, sizes, *result)))
    return failure();
  for (int64_t dim : *dims)
    if (failed(
            op.checkDimension("broadcast_dimensions", dim, result->getRank())))
      return failure();
  if (static_cast<int64_t>(dims->size()) != type.getRank())
    return op.emitError() << "'broadcast_dimensions' must name a dimension for "
                             "each of the operand "
                          << type;
  ImplicitLocOpBuilder b = op.getBuilder();
  SmallVector<OpFoldResult> mixed;
  for (int64_t dim = 0; dim < result->getRank(); ++dim) {
    if (!result->isDynamicDim(dim)) {
      mixed.push_back(b.getIndexAttr(result->getDimSize(dim)));
      continue;
    }
    Value size = tensor::ExtractOp::create(b, sizes, getIndex(b, dim));
    if (!size.getType().isIndex())
      size = arith::IndexCastOp::create(b, b.getIndexType(), size);
    mixed.push_back(size);
  }
  Value empty = tensor::EmptyOp::create(b, mixed, type.getElementType());
  op.replace(buildBroadcast(b, operand, empty, *dims));
  return success();
}
