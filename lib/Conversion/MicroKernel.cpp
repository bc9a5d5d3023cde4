// The register tile of a grouped matmul as a function.
//
// The sums stay in registers over the whole of k: each step loads the panel's
// vectors once, and for each row one scalar, broadcast. Nothing else touches
// memory but the prefetch of the panel that comes next, which is what hides
// the streaming of weights behind the multiplication.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MicroKernel.h"
#include "LoopBuilder.h"
#include "StorageConversion.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kLineBytes = 64;

TileShape::TileShape(ScheduleAttr schedule, Type storage)
    : lanes(schedule.getVector()), rows(schedule.getRows()),
      vectors(schedule.getVectors()), product(schedule.getProduct()),
      prefetch(schedule.getPrefetch()),
      rowElement(product == Product::BF16Dot
                     ? storage
                     : Float32Type::get(schedule.getContext())),
      panelElement(storage) {}

int64_t TileShape::lineElements() const {
  return kLineBytes * 8 / panelElement.getIntOrFloatBitWidth();
}

int64_t TileShape::panelLines() const {
  return llvm::divideCeil(panelWidth(), lineElements());
}

static MemRefType stridedRows(int64_t width, Type element,
                              ArrayRef<int64_t> strides) {
  auto layout = StridedLayoutAttr::get(element.getContext(),
                                       ShapedType::kDynamic, strides);
  return MemRefType::get({ShapedType::kDynamic, width}, element, layout);
}

MemRefType TileShape::rowsType() const {
  return stridedRows(ShapedType::kDynamic, rowElement,
                     {ShapedType::kDynamic, 1});
}

MemRefType TileShape::panelType() const {
  return stridedRows(panelWidth(), panelElement, {panelWidth(), 1});
}

MemRefType TileShape::sumsType() const {
  return MemRefType::get({rows, vectors * lanes},
                         Float32Type::get(panelElement.getContext()));
}

SmallVector<Value> TileOperands::flat() const {
  SmallVector<Value> values{rows};
  values.append(positions);
  values.push_back(panel);
  if (next) {
    values.push_back(next);
    values.append(nextLines);
  }
  values.push_back(sums);
  return values;
}

namespace {
/// Writes the body of one tile function.
class TileEmitter {
public:
  TileEmitter(LoopBuilder &b, const TileShape &tile, int64_t count,
              const TileOperands &operands)
      : b(b), tile(tile), count(count), operands(operands),
        sum(VectorType::get({tile.lanes}, b.getF32Type())) {}

  void emit() {
    Value depth = b.dim(operands.rows, 1);
    for (Value position : operands.positions)
      rows.push_back(b.lastDimView(operands.rows, {position}, depth));
    Value zero = splatConstant(b, sum, 0.0);
    SmallVector<Value> zeros(count * tile.vectors, zero);
    auto loop = scf::ForOp::create(b, b.index(0), b.dim(operands.panel, 0),
                                   b.index(1), zeros);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      SmallVector<Value> sums(loop.getRegionIterArgs());
      emitStep(loop.getInductionVar(), sums);
      scf::YieldOp::create(b, sums);
    }
    for (auto [index, value] : llvm::enumerate(loop.getResults()))
      vector::StoreOp::create(
          b, value, operands.sums,
          ValueRange{b.index(index / tile.vectors),
                     b.index(index % tile.vectors * tile.lanes)});
  }

private:
  /// One step of k: adds a row of products to all sums.
  void emitStep(Value step, MutableArrayRef<Value> sums) {
    for (Value line : operands.nextLines)
      memref::PrefetchOp::create(b, operands.next, ValueRange{step, line},
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
    SmallVector<Value> weights;
    for (int64_t v = 0; v < tile.vectors; ++v)
      weights.push_back(loadWeights(step, v));
    for (int64_t row = 0; row < count; ++row) {
      Value factor = loadFactor(rows[row], step);
      for (int64_t v = 0; v < tile.vectors; ++v) {
        Value &value = sums[row * tile.vectors + v];
        value = multiplyAdd(factor, weights[v], value);
      }
    }
  }

  Value loadWeights(Value step, int64_t v) {
    int64_t width = tile.lanes * tile.kStep();
    Value loaded = vector::LoadOp::create(
        b, VectorType::get({width}, tile.panelElement), operands.panel,
        ValueRange{step, b.index(v * width)});
    if (tile.product == Product::BF16Dot)
      return loaded;
    return widenToF32(b, loaded, tile.hasF16());
  }

  /// The row's value of this step in every lane; for bf16_dot a pair of
  /// values, which is broadcast as one i32.
  Value loadFactor(Value row, Value step) {
    if (tile.product != Product::BF16Dot) {
      Value scalar = memref::LoadOp::create(b, row, step);
      return vector::BroadcastOp::create(b, sum, scalar);
    }
    auto vectorOf = [](int64_t size, Type type) {
      return VectorType::get({size}, type);
    };
    Value pair = vector::LoadOp::create(b, vectorOf(2, tile.rowElement), row,
                                        ValueRange{b.mul(step, 2)});
    Value word =
        vector::BitCastOp::create(b, vectorOf(1, b.getI32Type()), pair);
    Value words = vector::BroadcastOp::create(
        b, vectorOf(tile.lanes, b.getI32Type()),
        vector::ExtractOp::create(b, word, 0).getResult());
    return vector::BitCastOp::create(
        b, vectorOf(2 * tile.lanes, tile.rowElement), words);
  }

  Value multiplyAdd(Value factor, Value weights, Value accumulator) {
    switch (tile.product) {
    case Product::Fma:
      // Not vector.fma: it becomes fmuladd, which is fused only where the code
      // generator may contract, and that is off.
      return math::FmaOp::create(b, factor, weights, accumulator);
    case Product::MulAdd: {
      Value product = arith::MulFOp::create(b, factor, weights);
      return arith::AddFOp::create(b, product, accumulator);
    }
    case Product::BF16Dot:
      return x86vector::DotBF16Op::create(b, sum, accumulator, factor, weights);
    }
    llvm_unreachable("a product that no schedule names");
  }

  LoopBuilder &b;
  const TileShape &tile;
  int64_t count;
  const TileOperands &operands;
  VectorType sum;
  SmallVector<Value> rows;
};
} // namespace

static std::string nameOf(const TileShape &tile, int64_t count) {
  std::string name;
  llvm::raw_string_ostream os(name);
  os << "moe_tile_" << count << "of" << tile.rows << "x" << tile.vectors << "x"
     << tile.lanes << "_" << tile.panelElement << "_"
     << stringifyProduct(tile.product) << (tile.prefetch ? "_prefetch" : "");
  return name;
}

/// The arguments of a tile function, as the operands they stand for.
static TileOperands splitArguments(Block &body, const TileShape &tile,
                                   int64_t count) {
  auto rest = body.getArguments();
  auto take = [&](size_t n) {
    auto taken = rest.take_front(n);
    rest = rest.drop_front(n);
    return SmallVector<Value>(taken.begin(), taken.end());
  };
  TileOperands operands;
  operands.rows = take(1).front();
  operands.positions = take(count);
  operands.panel = take(1).front();
  if (tile.prefetch) {
    operands.next = take(1).front();
    operands.nextLines = take(2);
  }
  operands.sums = take(1).front();
  return operands;
}

static FunctionType typeOf(const TileShape &tile, int64_t count) {
  MLIRContext *context = tile.panelElement.getContext();
  Type index = IndexType::get(context);
  SmallVector<Type> inputs{tile.rowsType()};
  inputs.append(count, index);
  inputs.push_back(tile.panelType());
  if (tile.prefetch)
    inputs.append({tile.panelType(), index, index});
  inputs.push_back(tile.sumsType());
  return FunctionType::get(context, inputs, {});
}

func::FuncOp mlir::moe::getTileFunction(Operation *user, const TileShape &tile,
                                        int64_t count) {
  auto module = user->getParentOfType<ModuleOp>();
  std::string name = nameOf(tile, count);
  FunctionType type = typeOf(tile, count);
  auto found = module.lookupSymbol<func::FuncOp>(name);
  if (found && found.getFunctionType() == type)
    return found;
  LoopBuilder b(user->getLoc(), module.getBodyRegion());
  auto function = func::FuncOp::create(b, name, type);
  function.setPrivate();
  // Inlined copies would multiply the code by the number of callers.
  function.setNoInline(true);
  SymbolTable(module).insert(function);
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  TileOperands operands = splitArguments(*body, tile, count);
  TileEmitter(b, tile, count, operands).emit();
  func::ReturnOp::create(b);
  return function;
}
