// stablehlo.while, case, if and optimization_barrier.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residual.h"
#include "ScalarRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

/// What is carried for a tensor: its element where it has rank 0, so that loop
/// counters and conditions are scalars and not memory.
static SmallVector<Type> getCarriedTypes(TypeRange types) {
  return llvm::map_to_vector(types, [](Type type) -> Type {
    auto tensor = cast<RankedTensorType>(type);
    return tensor.getRank() == 0 ? tensor.getElementType() : type;
  });
}

static SmallVector<Value> toCarried(ImplicitLocOpBuilder &b,
                                    ValueRange values) {
  return llvm::map_to_vector(values, [&](Value value) -> Value {
    if (cast<RankedTensorType>(value.getType()).getRank() != 0)
      return value;
    return tensor::ExtractOp::create(b, value, ValueRange());
  });
}

static SmallVector<Value> fromCarried(ImplicitLocOpBuilder &b,
                                      ValueRange values, TypeRange types) {
  SmallVector<Value> tensors;
  for (auto [value, type] : llvm::zip(values, types)) {
    bool scalar = value.getType() != type;
    tensors.push_back(
        scalar ? tensor::FromElementsOp::create(b, type, value).getResult()
               : value);
  }
  return tensors;
}

/// Fills `region` with what the block of a StableHLO region computes.
static void buildBranch(ImplicitLocOpBuilder &b, Block &from, Region &region) {
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&region);
  SmallVector<Value> results = emitAsScalars(b, from, {});
  scf::YieldOp::create(b, results);
}

LogicalResult moe::lowerWhile(ResidualOp op) {
  SmallVector<Type> types(op->getOperandTypes());
  auto i1 = RankedTensorType::get({}, IntegerType::get(op->getContext(), 1));
  FailureOr<Block *> condition = op.getBlock(0, types, i1);
  if (failed(condition) || failed(op.checkResultTypes(types)))
    return failure();
  FailureOr<Block *> body = op.getBlock(1, types, types);
  if (failed(body))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  auto loop = scf::WhileOp::create(
      b, getCarriedTypes(types), toCarried(b, op->getOperands()),
      [&](OpBuilder &inner, Location loc, ValueRange carried) {
        Value more = emitAsScalars(inner, **condition, carried).front();
        scf::ConditionOp::create(inner, loc, more, carried);
      },
      [&](OpBuilder &inner, Location loc, ValueRange carried) {
        scf::YieldOp::create(inner, loc, emitAsScalars(inner, **body, carried));
      });
  op.replace(fromCarried(b, loop.getResults(), types));
  return success();
}

LogicalResult moe::lowerIf(ResidualOp op) {
  auto i1 = RankedTensorType::get({}, IntegerType::get(op->getContext(), 1));
  TypeRange types = op->getResultTypes();
  if (failed(op.checkOperandCount(1, 1)))
    return failure();
  if (op->getOperand(0).getType() != i1)
    return op.emitError() << "must have a predicate of type " << i1 << ", got "
                          << op->getOperand(0).getType();
  FailureOr<Block *> onTrue = op.getBlock(0, {}, types);
  if (failed(onTrue))
    return failure();
  FailureOr<Block *> onFalse = op.getBlock(1, {}, types);
  if (failed(onFalse))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  Value predicate = toCarried(b, op->getOperand(0)).front();
  auto branch = scf::IfOp::create(b, getCarriedTypes(types), predicate,
                                  /*addThenBlock=*/false,
                                  /*addElseBlock=*/false);
  buildBranch(b, **onTrue, branch.getThenRegion());
  buildBranch(b, **onFalse, branch.getElseRegion());
  op.replace(fromCarried(b, branch.getResults(), types));
  return success();
}

/// The last branch is also that of every index that is none.
LogicalResult moe::lowerCase(ResidualOp op) {
  auto i32 = RankedTensorType::get({}, IntegerType::get(op->getContext(), 32));
  TypeRange types = op->getResultTypes();
  if (failed(op.checkOperandCount(1, 1)))
    return failure();
  if (op->getOperand(0).getType() != i32)
    return op.emitError() << "must have an index of type " << i32 << ", got "
                          << op->getOperand(0).getType();
  SmallVector<Block *> branches;
  for (unsigned region = 0; region < op->getNumRegions(); ++region) {
    FailureOr<Block *> branch = op.getBlock(region, {}, types);
    if (failed(branch))
      return failure();
    branches.push_back(*branch);
  }
  if (branches.empty())
    return op.emitError() << "has no branch";
  ImplicitLocOpBuilder b = op.getBuilder();
  Value index = toCarried(b, op->getOperand(0)).front();
  index = arith::IndexCastOp::create(b, b.getIndexType(), index);
  int64_t last = branches.size() - 1;
  auto choice = scf::IndexSwitchOp::create(
      b, getCarriedTypes(types), index,
      llvm::to_vector(llvm::seq<int64_t>(0, last)), /*caseRegionsCount=*/last);
  for (int64_t branch = 0; branch < last; ++branch)
    buildBranch(b, *branches[branch], choice.getCaseRegions()[branch]);
  buildBranch(b, *branches[last], choice.getDefaultRegion());
  op.replace(fromCarried(b, choice.getResults(), types));
  return success();
}

/// A barrier orders the work of the framework's compiler; its values pass
/// unchanged.
LogicalResult moe::lowerOptimizationBarrier(ResidualOp op) {
  if (failed(op.checkResultTypes(op->getOperandTypes())))
    return failure();
  SmallVector<Value> values(op->getOperands());
  op.replace(values);
  return success();
}
