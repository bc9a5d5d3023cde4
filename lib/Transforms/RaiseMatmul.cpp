// moe-raise-matmul: dense matmuls become grouped matmuls of one expert, or of
// one expert for each element of a batch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEMATMUL
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// A contraction seen as rows times weight:
/// out[batch, rows, column] = sum_k input[batch, rows, k] · weight[batch, ...].
struct DenseMatmul {
  Value input, weight;
  /// Leading dimensions of the input: of the batch, which the weight has too,
  /// and of the rows.
  int64_t batchDims = 0, rowDims = 0;
  Layout layout = Layout::KN;
};
} // namespace

/// The dimension of the loop nest that each dimension of an operand follows.
static std::optional<SmallVector<unsigned>> loopsOf(AffineMap map) {
  if (!map.isProjectedPermutation())
    return std::nullopt;
  SmallVector<unsigned> loops;
  for (AffineExpr expr : map.getResults())
    loops.push_back(cast<AffineDimExpr>(expr).getPosition());
  return loops;
}

/// Reads `op` with operand `inputIndex` as the rows. All three operands must
/// have their dimensions in the order batch, rows, then k or column; the
/// weight may have its last two the other way round.
static std::optional<DenseMatmul> matchOperands(linalg::LinalgOp op,
                                                unsigned inputIndex) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  auto input = loopsOf(maps[inputIndex]),
       weight = loopsOf(maps[1 - inputIndex]), out = loopsOf(maps[2]);
  if (!input || !weight || !out || input->empty() || weight->size() < 2 ||
      out->empty())
    return std::nullopt;
  unsigned k = input->back(), column = out->back();
  ArrayRef<unsigned> leading = ArrayRef(*input).drop_back();
  if (leading != ArrayRef(*out).drop_back() || k == column)
    return std::nullopt;
  DenseMatmul result;
  result.input = op->getOperand(inputIndex);
  result.weight = op->getOperand(1 - inputIndex);
  result.batchDims = weight->size() - 2;
  result.rowDims = leading.size() - result.batchDims;
  ArrayRef<unsigned> batch = ArrayRef(*weight).drop_back(2);
  if (result.rowDims < 0 || batch != leading.take_front(result.batchDims))
    return std::nullopt;
  ArrayRef<unsigned> last = ArrayRef(*weight).take_back(2);
  if (last == ArrayRef<unsigned>{column, k})
    result.layout = Layout::NK;
  else if (last != ArrayRef<unsigned>{k, column})
    return std::nullopt;
  return result;
}

/// The source of a transpose of the last two dimensions, if `value` is one.
static Value sourceOfTranspose(Value value) {
  auto op = value.getDefiningOp<linalg::LinalgOp>();
  if (!op || op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumLoops() != op.getNumParallelLoops())
    return {};
  auto yield = cast<linalg::YieldOp>(op.getBlock()->getTerminator());
  auto yielded = dyn_cast<BlockArgument>(yield.getValues().front());
  if (!yielded || yielded.getOwner() != op.getBlock() ||
      yielded.getArgNumber() != 0)
    return {};
  auto from = loopsOf(op.getIndexingMapsArray()[0]);
  auto to = loopsOf(op.getIndexingMapsArray()[1]);
  if (!from || !to || from->size() < 2 || from->size() != to->size())
    return {};
  std::swap((*to)[to->size() - 1], (*to)[to->size() - 2]);
  return *from == *to ? op.getDpsInputs().front() : Value();
}

static bool isStorageType(Type type) {
  return type.isF32() || type.isBF16() || type.isF16();
}

static std::optional<DenseMatmul> matchMatmul(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op->getNumOperands() != 3 ||
      op->getNumResults() != 1 || !linalg::isaContractionOpInterface(op))
    return std::nullopt;
  Type left = getElementTypeOrSelf(op->getOperand(0).getType());
  Type right = getElementTypeOrSelf(op->getOperand(1).getType());
  if (left != right || !isStorageType(left) ||
      !isStorageType(getElementTypeOrSelf(op->getResult(0).getType())))
    return std::nullopt;
  std::optional<DenseMatmul> matmul = matchOperands(op, 0);
  if (!matmul)
    matmul = matchOperands(op, 1);
  if (!matmul)
    return std::nullopt;
  if (Value source = sourceOfTranspose(matmul->weight)) {
    matmul->weight = source;
    matmul->layout = matmul->layout == Layout::NK ? Layout::KN : Layout::NK;
  }
  return matmul;
}

static bool isZero(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return matchPattern(fill.getInputs().front(), m_AnyZeroFloat());
  return matchPattern(value, m_AnyZeroFloat());
}

namespace {
/// Writes the grouped matmul of one dense matmul.
class Raiser {
public:
  Raiser(ImplicitLocOpBuilder &b, linalg::LinalgOp op,
         const DenseMatmul &matmul)
      : b(b), op(op), matmul(matmul) {}

  Value raise() {
    Value init = op.getDpsInits().front();
    auto outType = cast<RankedTensorType>(init.getType());
    int64_t leading = outType.getRank() - 1;
    Value input = collapseLeading(matmul.input, leading);
    Value weight = collapseLeading(matmul.weight, matmul.batchDims);
    Value flat = collapseLeading(init, leading);
    SmallVector<Value> extras;
    SmallVector<Attribute> kinds;
    if (!isZero(init)) {
      extras.push_back(flat);
      kinds.push_back(ExtraAttr::get(b.getContext(), Extra::Element));
    }
    Value out = tensor::EmptyOp::create(
        b, tensor::getMixedSizes(b, loc(), flat), outType.getElementType());
    auto grouped = IdxGroupedMatmulOp::create(
        b, out.getType(), input, expertOffsets(input, weight),
        /*row_token=*/Value(), /*tiles=*/ValueRange(), weight, extras, out,
        matmul.layout, ArrangementAttr(), b.getArrayAttr(kinds),
        /*packed=*/false, /*schedule=*/Attribute());
    fillEpilogue(grouped, outType.getElementType());
    return restoreLeading(grouped->getResult(0), init, leading);
  }

private:
  Location loc() { return b.getLoc(); }
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }

  /// `value` with its first `count` dimensions as one; of size 1 for none.
  Value collapseLeading(Value value, int64_t count) {
    auto type = cast<RankedTensorType>(value.getType());
    if (count == 1)
      return value;
    if (count > 1)
      return tensor::CollapseShapeOp::create(b, value,
                                             grouping(type.getRank(), count));
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc(), value);
    sizes.insert(sizes.begin(), b.getIndexAttr(1));
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin(), 1);
    SmallVector<ReassociationIndices> groups = grouping(shape.size(), 2);
    return tensor::ExpandShapeOp::create(b, type.clone(shape), value, groups,
                                         sizes);
  }

  /// The inverse for a result: the first dimension as those of `like`.
  Value restoreLeading(Value value, Value like, int64_t count) {
    auto type = cast<RankedTensorType>(like.getType());
    if (count == 1)
      return value;
    if (count == 0)
      return tensor::CollapseShapeOp::create(b, type, value, grouping(2, 2));
    return tensor::ExpandShapeOp::create(b, type, value,
                                         grouping(type.getRank(), count),
                                         tensor::getMixedSizes(b, loc(), like));
  }

  /// [[0, ..., count - 1], [count], ...].
  static SmallVector<ReassociationIndices> grouping(int64_t rank,
                                                    int64_t count) {
    SmallVector<ReassociationIndices> groups(1);
    for (int64_t i = 0; i < count; ++i)
      groups.front().push_back(i);
    for (int64_t i = count; i < rank; ++i)
      groups.push_back({i});
    return groups;
  }

  /// Offsets 0, M, 2·M, ... of E experts with M rows each, [E+1] of i32.
  Value expertOffsets(Value input, Value weight) {
    Value rows = b.createOrFold<tensor::DimOp>(input, index(0));
    Value experts = b.createOrFold<tensor::DimOp>(weight, index(0));
    Type i32 = b.getI32Type();
    auto count = getConstantIntValue(experts), size = getConstantIntValue(rows);
    if (count && size) {
      SmallVector<int32_t> offsets;
      for (int64_t expert = 0; expert <= *count; ++expert)
        offsets.push_back(expert * (*size / std::max<int64_t>(*count, 1)));
      return arith::ConstantOp::create(b, b.getI32TensorAttr(offsets));
    }
    if (count && *count == 1) {
      SmallVector<Value> ends{arith::ConstantIntOp::create(b, i32, 0),
                              b.createOrFold<arith::IndexCastOp>(i32, rows)};
      return tensor::FromElementsOp::create(b, ends);
    }
    Value each = b.createOrFold<arith::DivUIOp>(
        rows, b.createOrFold<arith::MaxUIOp>(experts, index(1)));
    Value ends = b.createOrFold<arith::AddIOp>(experts, index(1));
    auto known = getConstantIntValue(ends);
    auto type =
        RankedTensorType::get({known.value_or(ShapedType::kDynamic)}, i32);
    return tensor::GenerateOp::create(
        b, type, known ? ValueRange() : ValueRange(ends),
        [&](OpBuilder &nested, Location loc, ValueRange at) {
          Value offset = arith::MulIOp::create(nested, loc, at[0], each);
          Value entry = arith::IndexCastOp::create(nested, loc, i32, offset);
          tensor::YieldOp::create(nested, loc, entry);
        });
  }

  /// The sum, plus what the accumulator held, rounded once.
  void fillEpilogue(IdxGroupedMatmulOp grouped, Type result) {
    OpBuilder::InsertionGuard guard(b);
    Block *body = b.createBlock(&grouped.getEpilogue());
    Value sum = body->addArgument(b.getF32Type(), loc());
    if (!grouped.getExtras().empty()) {
      Value held = body->addArgument(result, loc());
      if (!result.isF32())
        held = arith::ExtFOp::create(b, b.getF32Type(), held);
      sum = arith::AddFOp::create(b, sum, held);
    }
    if (!result.isF32())
      sum = arith::TruncFOp::create(b, result, sum);
    YieldOp::create(b, sum);
  }

  ImplicitLocOpBuilder &b;
  linalg::LinalgOp op;
  const DenseMatmul &matmul;
};

struct RaiseMatmul : moe::impl::RaiseMatmulBase<RaiseMatmul> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> matmuls;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (matchMatmul(op))
        matmuls.push_back(op);
    });
    numRaised += matmuls.size();
    IRRewriter rewriter(&getContext());
    // Matched again: what it reads may be the result of one raised before.
    for (linalg::LinalgOp op : matmuls)
      raise(op, *matchMatmul(op), rewriter);
  }

  static void raise(linalg::LinalgOp op, const DenseMatmul &matmul,
                    IRRewriter &rewriter) {
    Value weight = op->getOperand(0) == matmul.input ? op->getOperand(1)
                                                     : op->getOperand(0);
    rewriter.setInsertionPoint(op);
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, Raiser(b, op, matmul).raise());
    // A transpose that nobody else reads.
    if (weight != matmul.weight && weight.use_empty())
      rewriter.eraseOp(weight.getDefiningOp());
  }
};
} // namespace
