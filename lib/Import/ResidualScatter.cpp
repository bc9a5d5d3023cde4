// stablehlo.scatter, tm_tensor.scatter and tm_tensor.scan, as sequential loops.
//
// Updates are applied one after the other in the order of the updates tensor,
// so that the result does not depend on anything, also where an index occurs
// twice. An update whose place is not in the result is skipped.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OpaqueFields.h"
#include "Residual.h"
#include "ScalarRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

using Indices = SmallVector<Value>;

static Value toIndex(ImplicitLocOpBuilder &b, Value value) {
  if (value.getType().isIndex())
    return value;
  return arith::IndexCastOp::create(b, b.getIndexType(), value);
}

static Value add(ImplicitLocOpBuilder &b, Value x, Value y) {
  if (!x || !y)
    return x ? x : y;
  return arith::AddIOp::create(b, x, y);
}

/// Whether `place` lies in a tensor.
static Value isInside(ImplicitLocOpBuilder &b, const Indices &place,
                      Value tensor) {
  Value inside = arith::ConstantIntOp::create(b, 1, 1);
  for (auto [dim, index] : llvm::enumerate(place)) {
    // Unsigned, so that a negative index is outside.
    Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, index,
                                        getDim(b, tensor, dim));
    inside = arith::AndIOp::create(b, inside, below);
  }
  return inside;
}

/// Where `place` lies in the carried tensors, replaces their elements there by
/// what `update` makes of them.
static SmallVector<Value> updateInside(
    ImplicitLocOpBuilder &b, const Indices &place, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)>
        update) {
  auto guarded = scf::IfOp::create(
      b, isInside(b, place, carried.front()),
      [&](OpBuilder &inner, Location loc) {
        ImplicitLocOpBuilder b(loc, inner);
        SmallVector<Value> elements, next;
        for (Value tensor : carried)
          elements.push_back(tensor::ExtractOp::create(b, tensor, place));
        for (auto [element, tensor] : llvm::zip(update(b, elements), carried))
          next.push_back(tensor::InsertOp::create(b, element, tensor, place));
        scf::YieldOp::create(b, next);
      },
      [&](OpBuilder &inner, Location loc) {
        scf::YieldOp::create(inner, loc, carried);
      });
  return {guarded.result_begin(), guarded.result_end()};
}

//===----------------------------------------------------------------------===//
// stablehlo.scatter
//===----------------------------------------------------------------------===//

namespace {
/// The dimension numbers of a scatter; see the StableHLO specification.
struct ScatterDims {
  SmallVector<int64_t> updateWindow, insertedWindow, inputBatching,
      indicesBatching, scatterToOperand;
  int64_t indexVector = 0;

  static FailureOr<ScatterDims> read(ResidualOp op);
  LogicalResult verify(ResidualOp op, RankedTensorType input,
                       RankedTensorType indices,
                       RankedTensorType updates) const;

  /// The element of an input that the update at `position` changes.
  Indices getPlace(ImplicitLocOpBuilder &b, Value indices, ValueRange position,
                   int64_t inputRank) const;

private:
  LogicalResult verifyLists(ResidualOp op, int64_t inputRank,
                            int64_t indicesRank, int64_t updatesRank) const;
};
} // namespace

FailureOr<ScatterDims> ScatterDims::read(ResidualOp op) {
  FailureOr<OpaqueFields> fields =
      OpaqueFields::parse(op->getAttr("scatter_dimension_numbers"), "stablehlo",
                          "scatter", [&] { return op.emitError(); });
  if (failed(fields))
    return failure();
  ScatterDims dims;
  const std::pair<StringRef, SmallVector<int64_t> *> lists[] = {
      {"update_window_dims", &dims.updateWindow},
      {"inserted_window_dims", &dims.insertedWindow},
      {"input_batching_dims", &dims.inputBatching},
      {"scatter_indices_batching_dims", &dims.indicesBatching},
      {"scatter_dims_to_operand_dims", &dims.scatterToOperand}};
  for (auto [name, value] : fields->getFields()) {
    auto integer = dyn_cast<IntegerAttr>(value);
    if (name == "index_vector_dim" && integer) {
      dims.indexVector = integer.getInt();
      continue;
    }
    const auto *list =
        llvm::find_if(lists, [&](const auto &l) { return l.first == name; });
    std::optional<SmallVector<int64_t>> numbers = readIntegers(value);
    if (list == std::end(lists) || !numbers)
      return op.emitError()
             << "has an unknown dimension number '" << name << "' = " << value;
    *list->second = *numbers;
  }
  return dims;
}

LogicalResult ScatterDims::verifyLists(ResidualOp op, int64_t inputRank,
                                       int64_t indicesRank,
                                       int64_t updatesRank) const {
  struct {
    StringLiteral name;
    ArrayRef<int64_t> dims;
    int64_t rank;
  } lists[] = {{"update_window_dims", updateWindow, updatesRank},
               {"inserted_window_dims", insertedWindow, inputRank},
               {"input_batching_dims", inputBatching, inputRank},
               {"scatter_indices_batching_dims", indicesBatching, indicesRank},
               {"scatter_dims_to_operand_dims", scatterToOperand, inputRank}};
  for (const auto &list : lists)
    for (auto [i, dim] : llvm::enumerate(list.dims)) {
      if (failed(op.checkDimension(list.name, dim, list.rank)))
        return failure();
      if (llvm::is_contained(list.dims.take_front(i), dim))
        return op.emitError()
               << "'" << list.name << "' holds " << dim << " twice";
    }
  return success();
}

LogicalResult ScatterDims::verify(ResidualOp op, RankedTensorType input,
                                  RankedTensorType indices,
                                  RankedTensorType updates) const {
  int64_t inputRank = input.getRank(), indicesRank = indices.getRank();
  if (failed(verifyLists(op, inputRank, indicesRank, updates.getRank())))
    return failure();
  if (indexVector < 0 || indexVector > indicesRank)
    return op.emitError() << "'index_vector_dim' is " << indexVector
                          << ", the indices have rank " << indicesRank;
  auto mismatch = [&](StringRef what) {
    return op.emitError() << "has dimension numbers whose " << what
                          << " do not fit input " << input << ", indices "
                          << indices << " and updates " << updates;
  };
  if (inputBatching.size() != indicesBatching.size())
    return mismatch("batching dimensions");
  if (static_cast<int64_t>(updateWindow.size() + insertedWindow.size() +
                           inputBatching.size()) != inputRank)
    return mismatch("window dimensions");
  bool hasVector = indexVector < indicesRank;
  int64_t scatterRank = indicesRank - (hasVector ? 1 : 0);
  if (static_cast<int64_t>(updateWindow.size()) + scatterRank !=
      updates.getRank())
    return mismatch("update dimensions");
  SmallVector<int64_t> scatter, positions;
  for (auto [dim, size] : llvm::enumerate(updates.getShape()))
    if (!llvm::is_contained(updateWindow, static_cast<int64_t>(dim)))
      scatter.push_back(size);
  for (auto [dim, size] : llvm::enumerate(indices.getShape()))
    if (static_cast<int64_t>(dim) != indexVector)
      positions.push_back(size);
  if (failed(verifyCompatibleShape(scatter, positions)))
    return mismatch("scatter sizes");
  int64_t components = hasVector ? indices.getDimSize(indexVector) : 1;
  if (components != static_cast<int64_t>(scatterToOperand.size()))
    return mismatch("index components");
  return success();
}

Indices ScatterDims::getPlace(ImplicitLocOpBuilder &b, Value indices,
                              ValueRange position, int64_t inputRank) const {
  Indices scatterPosition, place(inputRank);
  for (auto [dim, index] : llvm::enumerate(position))
    if (!llvm::is_contained(updateWindow, static_cast<int64_t>(dim)))
      scatterPosition.push_back(index);
  // Where the window starts.
  bool hasVector =
      indexVector < cast<RankedTensorType>(indices.getType()).getRank();
  for (auto [component, dim] : llvm::enumerate(scatterToOperand)) {
    Indices at = scatterPosition;
    if (hasVector)
      at.insert(at.begin() + indexVector, getIndex(b, component));
    place[dim] = toIndex(b, tensor::ExtractOp::create(b, indices, at));
  }
  for (auto [dim, batch] : llvm::zip(inputBatching, indicesBatching)) {
    int64_t at = hasVector && batch > indexVector ? batch - 1 : batch;
    place[dim] = add(b, place[dim], scatterPosition[at]);
  }
  // Where in the window the update lies: its dimensions are those of the input
  // that are neither inserted nor batched.
  const int64_t *window = updateWindow.begin();
  for (int64_t dim = 0; dim < inputRank; ++dim) {
    if (!llvm::is_contained(insertedWindow, dim) &&
        !llvm::is_contained(inputBatching, dim))
      place[dim] = add(b, place[dim], position[*window++]);
    if (!place[dim])
      place[dim] = getIndex(b, 0);
  }
  return place;
}

/// Inputs, indices and updates of a scatter of `count` tensors, checked.
static FailureOr<ScatterDims> readScatter(ResidualOp op, unsigned count) {
  FailureOr<ScatterDims> dims = ScatterDims::read(op);
  if (failed(dims))
    return failure();
  auto type = [&](unsigned operand) {
    return cast<RankedTensorType>(op->getOperand(operand).getType());
  };
  if (!isa<IntegerType, IndexType>(type(count).getElementType()))
    return op.emitError() << "must have indices of an integer type, got "
                          << type(count);
  for (unsigned i = 0; i < count; ++i) {
    if (type(i).getShape() != type(0).getShape() ||
        type(count + 1 + i).getShape() != type(count + 1).getShape())
      return op.emitError() << "must have inputs of one shape and updates of "
                               "one shape";
    if (type(i).getElementType() != type(count + 1 + i).getElementType())
      return op.emitError() << "must have updates of the inputs' element types";
  }
  if (failed(dims->verify(op, type(0), type(count), type(count + 1))))
    return failure();
  return dims;
}

LogicalResult moe::lowerStableHLOScatter(ResidualOp op) {
  if (failed(op.checkOperandCount(3, ~0u)))
    return failure();
  if (op->getNumOperands() % 2 == 0)
    return op.emitError() << "must have as many inputs as updates, and indices";
  unsigned count = op->getNumOperands() / 2;
  OperandRange inputs = op->getOperands().take_front(count);
  Value indices = op->getOperand(count);
  OperandRange updates = op->getOperands().drop_front(count + 1);
  SmallVector<Type> scalars;
  for (Value value : inputs)
    scalars.push_back(getScalarTensor(value.getType()));
  SmallVector<Type> arguments = scalars;
  arguments.append(scalars);
  FailureOr<ScatterDims> dims = readScatter(op, count);
  FailureOr<Block *> body = op.getBlock(0, arguments, scalars);
  if (failed(dims) || failed(body) ||
      failed(op.checkResultTypes(inputs.getTypes())))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  int64_t rank = cast<RankedTensorType>(inputs.front().getType()).getRank();
  op.replace(buildLoops(
      b, getDims(b, updates.front()), inputs,
      [&](ImplicitLocOpBuilder &b, ValueRange position, ValueRange carried) {
        Indices place = dims->getPlace(b, indices, position, rank);
        return updateInside(b, place, carried,
                            [&](ImplicitLocOpBuilder &b, ValueRange elements) {
                              SmallVector<Value> values(elements);
                              for (Value update : updates)
                                values.push_back(tensor::ExtractOp::create(
                                    b, update, position));
                              return emitAsScalars(b, **body, values);
                            });
      }));
  return success();
}

//===----------------------------------------------------------------------===//
// tm_tensor.scatter and tm_tensor.scan
//===----------------------------------------------------------------------===//

/// updates [n, window...], indices [n, depth]: component i of an index counts
/// along dimension dimension_map[i], and the window along the last dimensions.
LogicalResult moe::lowerTMTensorScatter(ResidualOp op) {
  if (failed(op.checkOperandCount(3, 3)) ||
      failed(op.checkResultTypes(op->getOperand(2).getType())))
    return failure();
  Value updates = op->getOperand(0), indices = op->getOperand(1);
  Value original = op->getOperand(2);
  auto updatesType = cast<RankedTensorType>(updates.getType());
  auto indicesType = cast<RankedTensorType>(indices.getType());
  auto type = cast<RankedTensorType>(original.getType());
  Type element = type.getElementType();
  FailureOr<SmallVector<int64_t>> map = op.getIntegers("dimension_map");
  FailureOr<Block *> body =
      op.getBlock(0, {updatesType.getElementType(), element}, {element});
  if (failed(map) || failed(body))
    return failure();
  for (int64_t dim : *map)
    if (failed(op.checkDimension("dimension_map", dim, type.getRank())))
      return failure();
  int64_t window = updatesType.getRank() - 1;
  if (window < 0 || window > type.getRank() || indicesType.getRank() != 2 ||
      indicesType.getDimSize(1) != static_cast<int64_t>(map->size()) ||
      failed(verifyCompatibleShape(updatesType.getShape().take_front(),
                                   indicesType.getShape().take_front())) ||
      !isa<IntegerType, IndexType>(indicesType.getElementType()))
    return op.emitError() << "has updates " << updatesType << " and indices "
                          << indicesType << " that do not fit " << type;
  ImplicitLocOpBuilder b = op.getBuilder();
  op.replace(buildLoops(
      b, getDims(b, updates), original,
      [&](ImplicitLocOpBuilder &b, ValueRange position, ValueRange carried) {
        Indices place(type.getRank());
        llvm::copy(position.drop_front(), place.end() - window);
        for (auto [component, dim] : llvm::enumerate(*map)) {
          Value index = tensor::ExtractOp::create(
              b, indices, ValueRange{position[0], getIndex(b, component)});
          place[dim] = add(b, place[dim], toIndex(b, index));
        }
        for (Value &index : place)
          if (!index)
            index = getIndex(b, 0);
        return updateInside(
            b, place, carried,
            [&](ImplicitLocOpBuilder &b, ValueRange elements) {
              Value update = tensor::ExtractOp::create(b, updates, position);
              return emitAsScalars(b, **body, {update, elements.front()});
            });
      }));
  return success();
}

namespace {
/// A running reduction of `input` along `dim`.
struct ScanProblem {
  Value input;
  int64_t dim;
  bool inclusive;
  Block *body;

  SmallVector<Value> step(ImplicitLocOpBuilder &b, ValueRange position,
                          ValueRange carried) const;
};
} // namespace

/// One element of a scan: the first of a line is the input's, or the initial
/// value; each other one adds to the element before it.
SmallVector<Value> ScanProblem::step(ImplicitLocOpBuilder &b,
                                     ValueRange position,
                                     ValueRange carried) const {
  Indices line(position);
  line.erase(line.begin() + dim);
  Value zero = getIndex(b, 0);
  Value first =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, position[dim], zero);
  auto choose = scf::IfOp::create(
      b, first,
      [&](OpBuilder &inner, Location loc) {
        ImplicitLocOpBuilder b(loc, inner);
        Value start = inclusive
                          ? tensor::ExtractOp::create(b, input, position)
                          : tensor::ExtractOp::create(b, carried[1], line);
        Value last = tensor::ExtractOp::create(b, carried[1], line);
        scf::YieldOp::create(b, ValueRange{start, last});
      },
      [&](OpBuilder &inner, Location loc) {
        ImplicitLocOpBuilder b(loc, inner);
        Indices before(position);
        before[dim] = arith::SubIOp::create(b, position[dim], getIndex(b, 1));
        Value sum = tensor::ExtractOp::create(b, carried[0], before);
        Value next = tensor::ExtractOp::create(
            b, input, inclusive ? Indices(position) : before);
        Value total = emitAsScalars(b, *body, {sum, next}).front();
        scf::YieldOp::create(b, ValueRange{total, total});
      });
  Value output =
      tensor::InsertOp::create(b, choose.getResult(0), carried[0], position);
  Value last =
      tensor::InsertOp::create(b, choose.getResult(1), carried[1], line);
  return {output, last};
}

LogicalResult moe::lowerTMTensorScan(ResidualOp op) {
  if (failed(op.checkOperandCount(3, 3)) ||
      failed(op.checkResultTypes(op->getOperands().drop_front().getTypes())))
    return failure();
  auto input = cast<RankedTensorType>(op->getOperand(0).getType());
  auto output = cast<RankedTensorType>(op->getOperand(1).getType());
  auto last = cast<RankedTensorType>(op->getOperand(2).getType());
  FailureOr<int64_t> dim = op.getInteger("dimension");
  FailureOr<bool> inclusive = op.getBool("inclusive");
  if (failed(dim) || failed(inclusive) ||
      failed(op.checkDimension("dimension", *dim, input.getRank())))
    return failure();
  SmallVector<int64_t> line(input.getShape());
  line.erase(line.begin() + *dim);
  Type element = input.getElementType();
  if (output != input || last != RankedTensorType::get(line, element))
    return op.emitError() << "has an output " << output
                          << " and an accumulator " << last
                          << " that do not fit the input " << input;
  FailureOr<Block *> body = op.getBlock(0, {element, element}, {element});
  if (failed(body))
    return failure();
  ImplicitLocOpBuilder b = op.getBuilder();
  ScanProblem problem{op->getOperand(0), *dim, *inclusive, *body};
  op.replace(buildLoops(
      b, getDims(b, op->getOperand(0)), op->getOperands().drop_front(),
      [&](ImplicitLocOpBuilder &b, ValueRange position, ValueRange carried) {
        return problem.step(b, position, carried);
      }));
  return success();
}
