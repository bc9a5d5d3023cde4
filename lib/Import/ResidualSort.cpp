// stablehlo.sort and tm_tensor.sort: a stable merge sort of row numbers.
//
// The elements of all operands along one line are ordered together, so what is
// sorted is a permutation of that line's positions: n log n comparisons, one
// index moved for each, however many operands there are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residual.h"
#include "ScalarRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

using Predicate = arith::CmpIPredicate;

namespace {
/// Lines of `operands` along `dim`, and how their elements are ordered.
struct SortProblem {
  ValueRange operands;
  int64_t dim;
  Block *comparator;
  /// Whether the comparator says that its first element goes strictly before
  /// its second; else that it may.
  bool strict;

  SmallVector<Value> sort(ImplicitLocOpBuilder &b) const;

private:
  using Indices = SmallVector<Value>;

  Value precedes(ImplicitLocOpBuilder &b, Indices line, Value left,
                 Value right) const;
  Value takesRight(ImplicitLocOpBuilder &b, const Indices &line,
                   Value permutation, Value left, Value middle, Value right,
                   Value end) const;
  Value mergeRuns(ImplicitLocOpBuilder &b, const Indices &line, Value from,
                  Value to, Value begin, Value width, Value size) const;
  std::pair<Value, Value> sortLine(ImplicitLocOpBuilder &b, const Indices &line,
                                   Value permutation, Value scratch,
                                   Value size) const;
  SmallVector<Value> permuteLine(ImplicitLocOpBuilder &b, const Indices &line,
                                 Value permutation, Value size,
                                 ValueRange results) const;
};
} // namespace

static Value compare(ImplicitLocOpBuilder &b, Predicate predicate, Value x,
                     Value y) {
  return arith::CmpIOp::create(b, predicate, x, y);
}

static Value add(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::AddIOp::create(b, x, y);
}

/// The comparator on the elements at two positions of a line.
Value SortProblem::precedes(ImplicitLocOpBuilder &b, Indices line, Value left,
                            Value right) const {
  SmallVector<Value> elements;
  for (Value operand : operands)
    for (Value position : {left, right}) {
      line[dim] = position;
      elements.push_back(tensor::ExtractOp::create(b, operand, line));
    }
  return emitAsScalars(b, *comparator, elements).front();
}

/// Whether the next element of the merge is the right run's. Of equal elements
/// the left run's goes first, which makes the sort stable.
Value SortProblem::takesRight(ImplicitLocOpBuilder &b, const Indices &line,
                              Value permutation, Value left, Value middle,
                              Value right, Value end) const {
  Value hasLeft = compare(b, Predicate::slt, left, middle);
  Value hasRight = compare(b, Predicate::slt, right, end);
  Value both = arith::AndIOp::create(b, hasLeft, hasRight);
  auto choose = scf::IfOp::create(
      b, both,
      [&](OpBuilder &inner, Location loc) {
        ImplicitLocOpBuilder b(loc, inner);
        Value x = tensor::ExtractOp::create(b, permutation, left);
        Value y = tensor::ExtractOp::create(b, permutation, right);
        Value result;
        if (strict) {
          result = precedes(b, line, y, x);
        } else {
          Value one = arith::ConstantIntOp::create(b, 1, 1);
          result = arith::XOrIOp::create(b, precedes(b, line, x, y), one);
        }
        scf::YieldOp::create(b, result);
      },
      [&](OpBuilder &inner, Location loc) {
        scf::YieldOp::create(inner, loc, hasRight);
      });
  return choose.getResult(0);
}

/// Merges the runs [begin, begin + width) and [begin + width, begin + 2·width)
/// of `from` into `to`, both cut off at `size`.
Value SortProblem::mergeRuns(ImplicitLocOpBuilder &b, const Indices &line,
                             Value from, Value to, Value begin, Value width,
                             Value size) const {
  Value middle = arith::MinSIOp::create(b, add(b, begin, width), size);
  Value end = arith::MinSIOp::create(b, add(b, middle, width), size);
  Value one = getIndex(b, 1);
  auto loop = scf::ForOp::create(
      b, begin, end, one, ValueRange{begin, middle, to},
      [&](OpBuilder &inner, Location loc, Value position, ValueRange carried) {
        ImplicitLocOpBuilder b(loc, inner);
        Value left = carried[0], right = carried[1];
        Value fromRight = takesRight(b, line, from, left, middle, right, end);
        Value source = arith::SelectOp::create(b, fromRight, right, left);
        Value moved = tensor::ExtractOp::create(b, from, source);
        Value next = tensor::InsertOp::create(b, moved, carried[2], position);
        Value nextLeft =
            arith::SelectOp::create(b, fromRight, left, add(b, left, one));
        Value nextRight =
            arith::SelectOp::create(b, fromRight, add(b, right, one), right);
        scf::YieldOp::create(b, ValueRange{nextLeft, nextRight, next});
      });
  return loop.getResult(2);
}

/// The sorted permutation of one line, and the scratch it used.
std::pair<Value, Value> SortProblem::sortLine(ImplicitLocOpBuilder &b,
                                              const Indices &line,
                                              Value permutation, Value scratch,
                                              Value size) const {
  permutation =
      buildLoops(b, size, permutation,
                 [](ImplicitLocOpBuilder &b, ValueRange index, ValueRange v) {
                   return SmallVector<Value>{
                       tensor::InsertOp::create(b, index[0], v[0], index[0])};
                 })
          .front();
  Value one = getIndex(b, 1);
  auto passes = scf::WhileOp::create(
      b, TypeRange{one.getType(), permutation.getType(), scratch.getType()},
      ValueRange{one, permutation, scratch},
      [&](OpBuilder &inner, Location loc, ValueRange carried) {
        ImplicitLocOpBuilder b(loc, inner);
        Value more = compare(b, Predicate::slt, carried[0], size);
        scf::ConditionOp::create(b, more, carried);
      },
      [&](OpBuilder &inner, Location loc, ValueRange carried) {
        ImplicitLocOpBuilder b(loc, inner);
        Value width = carried[0], from = carried[1];
        Value twice = add(b, width, width);
        auto merges = scf::ForOp::create(
            b, getIndex(b, 0), size, twice, ValueRange{carried[2]},
            [&](OpBuilder &inner, Location loc, Value begin, ValueRange to) {
              ImplicitLocOpBuilder b(loc, inner);
              Value merged =
                  mergeRuns(b, line, from, to[0], begin, width, size);
              scf::YieldOp::create(b, merged);
            });
        // Copied back, because a loop that swaps its buffers cannot be
        // bufferized in place.
        Value merged = merges.getResult(0);
        Value back = linalg::CopyOp::create(b, merged, from).getResult(0);
        scf::YieldOp::create(b, ValueRange{twice, back, merged});
      });
  return {passes.getResult(1), passes.getResult(2)};
}

/// Writes one line of each operand in the order of the permutation.
SmallVector<Value> SortProblem::permuteLine(ImplicitLocOpBuilder &b,
                                            const Indices &line,
                                            Value permutation, Value size,
                                            ValueRange results) const {
  return buildLoops(
      b, size, results,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange carried) {
        Indices from = line, to = line;
        from[dim] = tensor::ExtractOp::create(b, permutation, index);
        to[dim] = index[0];
        SmallVector<Value> next;
        for (auto [operand, result] : llvm::zip(operands, carried)) {
          Value element = tensor::ExtractOp::create(b, operand, from);
          next.push_back(tensor::InsertOp::create(b, element, result, to));
        }
        return next;
      });
}

/// Memory of its own. Two tensor.empty of one type may be merged into one, and
/// bufferization then gives both the same memory, because neither has contents.
static Value allocate(ImplicitLocOpBuilder &b, RankedTensorType type,
                      ValueRange sizes) {
  SmallVector<Value> dynamic;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      dynamic.push_back(size);
  return bufferization::AllocTensorOp::create(b, type, dynamic);
}

SmallVector<Value> SortProblem::sort(ImplicitLocOpBuilder &b) const {
  Value size = getDim(b, operands.front(), dim);
  SmallVector<Value> bounds = getDims(b, operands.front()), values;
  // One pass over the dimension that is sorted: sortLine loops over it.
  bounds[dim] = getIndex(b, 1);
  for (Value operand : operands)
    values.push_back(allocate(b, cast<RankedTensorType>(operand.getType()),
                              getDims(b, operand)));
  auto line = RankedTensorType::get(
      {cast<RankedTensorType>(operands.front().getType()).getDimSize(dim)},
      b.getIndexType());
  for (int buffer = 0; buffer < 2; ++buffer)
    values.push_back(allocate(b, line, size));
  SmallVector<Value> results = buildLoops(
      b, bounds, values,
      [&](ImplicitLocOpBuilder &b, ValueRange line, ValueRange carried) {
        auto [permutation, scratch] =
            sortLine(b, Indices(line), carried[operands.size()],
                     carried[operands.size() + 1], size);
        SmallVector<Value> next =
            permuteLine(b, Indices(line), permutation, size,
                        carried.take_front(operands.size()));
        next.append({permutation, scratch});
        return next;
      });
  results.truncate(operands.size());
  return results;
}

/// Checks what both sorts share, and replaces the op.
static LogicalResult lowerSort(ResidualOp op, bool strict) {
  if (failed(op.checkOperandCount(1, ~0u)) ||
      failed(op.checkResultTypes(op->getOperandTypes())))
    return failure();
  auto first = cast<RankedTensorType>(op->getOperandTypes().front());
  SmallVector<Type> arguments;
  for (Type type : op->getOperandTypes()) {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getShape() != first.getShape())
      return op.emitError() << "must have operands of one shape, got " << first
                            << " and " << tensor;
    Type argument = strict ? getScalarTensor(tensor) : tensor.getElementType();
    arguments.append(2, argument);
  }
  FailureOr<int64_t> dim = op.getInteger("dimension");
  if (failed(dim))
    return failure();
  // StableHLO counts from the end as well.
  if (*dim < 0)
    *dim += first.getRank();
  if (failed(op.checkDimension("dimension", *dim, first.getRank())))
    return failure();
  Type i1 = IntegerType::get(op->getContext(), 1);
  Type result = strict ? RankedTensorType::get({}, i1) : i1;
  FailureOr<Block *> comparator = op.getBlock(0, arguments, result);
  if (failed(comparator))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  SortProblem problem{op->getOperands(), *dim, *comparator, strict};
  op.replace(problem.sort(b));
  return success();
}

/// The comparator is a strict order; `is_stable = false` permits any order of
/// equal elements, so also the stable one.
LogicalResult moe::lowerStableHLOSort(ResidualOp op) {
  return lowerSort(op, /*strict=*/true);
}

/// The region says that two elements may stand in this order.
LogicalResult moe::lowerTMTensorSort(ResidualOp op) {
  return lowerSort(op, /*strict=*/false);
}
