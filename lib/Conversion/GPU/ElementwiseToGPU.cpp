// Elementwise linalg and stores of the host: one thread for each element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseToGPU.h"
#include "Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kThreads = 256;

/// Dense memory of elements that a kernel can load.
static bool isPlainMemory(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && memref.getLayout().isIdentity() &&
         memref.getElementType().isIntOrFloat() &&
         (memref.getElementType().isInteger(1) ||
          memref.getElementTypeBitWidth() % 8 == 0);
}

static int64_t bytesOf(Type element) {
  return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

/// A bool is a byte in memory.
static Value loadElement(KernelBuilder &b, Type element, Value place) {
  if (!element.isInteger(1))
    return b.load(element, place);
  return b.compare(arith::CmpIPredicate::ne, b.load(b.getI8Type(), place),
                   b.constant(b.getI8Type(), 0));
}

static void storeElement(KernelBuilder &b, Value value, Value place) {
  if (value.getType().isInteger(1))
    value = b.make<arith::ExtUIOp>(b.getI8Type(), value);
  b.store(value, place);
}

//===----------------------------------------------------------------------===//
// Numbers of the host
//===----------------------------------------------------------------------===//

/// The index value that an integer of the host is; null where it is none.
static Value indexOf(Value value) {
  if (value.getType().isIndex())
    return value;
  auto cast = value.getDefiningOp<arith::IndexCastOp>();
  return cast && cast.getIn().getType().isIndex() ? cast.getIn() : Value();
}

/// Kernels take constants, and numbers that are sizes or follow from them.
static bool isHostNumber(Value value) {
  return value.getDefiningOp<arith::ConstantOp>() || indexOf(value);
}

namespace {
/// A number of the host that a kernel reads.
class HostNumber {
public:
  HostNumber(Kernel &kernel, Value value) : type(value.getType()) {
    if (auto op = value.getDefiningOp<arith::ConstantOp>())
      constant = op;
    else
      argument = kernel.size(indexOf(value));
  }

  Value read(KernelBuilder &b, ValueRange arguments) const {
    if (constant)
      return b.clone(*constant)->getResult(0);
    Value word = arguments[argument];
    if (type.isIndex())
      return b.make<arith::IndexCastOp>(type, word);
    unsigned width = type.getIntOrFloatBitWidth();
    if (width > 32)
      return b.make<arith::ExtSIOp>(type, word);
    return width < 32 ? b.make<arith::TruncIOp>(type, word).getResult() : word;
  }

private:
  Type type;
  Operation *constant = nullptr;
  unsigned argument = 0;
};
} // namespace

//===----------------------------------------------------------------------===//
// Elementwise ops
//===----------------------------------------------------------------------===//

/// Whether a kernel can hold the body: arithmetic, and where it stands.
static bool hasPlainBody(linalg::LinalgOp op) {
  return llvm::all_of(
      op.getBlock()->without_terminator(), [](Operation &inner) {
        return isa_and_nonnull<arith::ArithDialect>(inner.getDialect()) ||
               isa<linalg::IndexOp>(inner);
      });
}

static bool isElementwise(linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics() ||
      op.getNumLoops() != op.getNumParallelLoops() || !hasPlainBody(op))
    return false;
  SetVector<Value> outside;
  getUsedValuesDefinedAbove(op->getRegions(), outside);
  if (!llvm::all_of(outside, isHostNumber))
    return false;
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    if (!isa<MemRefType>(operand.get().getType()))
      return isHostNumber(operand.get());
    return isPlainMemory(operand.get().getType()) &&
           op.getMatchingIndexingMap(&operand).isProjectedPermutation();
  });
}

namespace {
/// The kernel of one elementwise op.
class ElementwiseKernel {
public:
  ElementwiseKernel(linalg::LinalgOp op, PatternRewriter &rewriter)
      : op(op), host(rewriter), kernel(rewriter, op, "elementwise") {}

  void emit() {
    SetVector<Value> outside;
    getUsedValuesDefinedAbove(op->getRegions(), outside);
    for (OpOperand &operand : op->getOpOperands())
      if (isa<MemRefType>(operand.get().getType()))
        places[&operand] = kernel.pointer(operand.get());
      else
        outside.insert(operand.get());
    for (Value value : outside)
      numbers.insert({value, HostNumber(kernel, value)});
    Location loc = op.getLoc();
    Value count = arith::ConstantIndexOp::create(host, loc, 1);
    for (OpFoldResult size : loopSizes()) {
      Value value = getValueOrCreateConstantIndexOp(host, loc, size);
      sizes.push_back(kernel.size(value));
      count = host.createOrFold<arith::MulIOp>(loc, count, value);
    }
    Value threads = arith::ConstantIndexOp::create(host, loc, kThreads);
    Kernel::Shape shape;
    shape.gridX = host.createOrFold<arith::CeilDivUIOp>(loc, count, threads);
    shape.threads = kThreads;
    kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
      emitBody(b, arguments);
    });
  }

private:
  /// The size of each loop, from an operand that has it.
  SmallVector<OpFoldResult> loopSizes() {
    SmallVector<OpFoldResult> result(op.getNumLoops(), host.getIndexAttr(1));
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      AffineMap map = op.getMatchingIndexingMap(&operand);
      for (auto [dim, expr] : llvm::enumerate(map.getResults()))
        result[cast<AffineDimExpr>(expr).getPosition()] =
            memref::getMixedSize(host, op.getLoc(), operand.get(), dim);
    }
    return result;
  }

  void emitBody(KernelBuilder &b, ValueRange arguments) {
    // All in 64 bits: there may be more elements than an i32 counts.
    Value number =
        b.add(b.mul(b.asWide(b.blockId()), kThreads), b.asWide(b.threadId()));
    Value count = b.wide(1);
    SmallVector<Value> extents;
    for (unsigned size : sizes) {
      extents.push_back(b.asWide(arguments[size]));
      count = b.mul(count, extents.back());
    }
    b.when(b.less(number, count), [&] {
      SmallVector<Value> loops(extents.size());
      Value rest = number;
      for (int64_t i = loops.size() - 1; i > 0; --i) {
        loops[i] = b.make<arith::RemUIOp>(rest, extents[i]);
        rest = b.make<arith::DivUIOp>(rest, extents[i]);
      }
      if (!loops.empty())
        loops[0] = rest;
      emitElement(b, arguments, extents, loops);
    });
  }

  /// Where the element of an operand is, for one iteration of the loops.
  Value placeOf(KernelBuilder &b, OpOperand &operand, ValueRange arguments,
                ArrayRef<Value> extents, ArrayRef<Value> loops) {
    Value index = b.wide(0);
    for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults()) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      index = b.add(b.mul(index, extents[loop]), loops[loop]);
    }
    Type element = getElementTypeOrSelf(operand.get().getType());
    return b.offset(arguments[places.lookup(&operand)],
                    b.mul(index, bytesOf(element)));
  }

  void emitElement(KernelBuilder &b, ValueRange arguments,
                   ArrayRef<Value> extents, ArrayRef<Value> loops) {
    IRMapping mapping;
    for (auto &[value, number] : numbers)
      mapping.map(value, number.read(b, arguments));
    for (OpOperand &operand : op->getOpOperands()) {
      BlockArgument inner = op.getMatchingBlockArgument(&operand);
      if (inner.use_empty())
        continue;
      mapping.map(inner, places.contains(&operand)
                             ? loadElement(b, inner.getType(),
                                           placeOf(b, operand, arguments,
                                                   extents, loops))
                             : mapping.lookup(operand.get()));
    }
    Block *body = op.getBlock();
    for (Operation &inner : body->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        mapping.map(index.getResult(),
                    b.make<arith::IndexCastOp>(b.getIndexType(),
                                               loops[index.getDim()]));
      else
        b.clone(inner, mapping);
    }
    for (auto [value, init] : llvm::zip_equal(
             body->getTerminator()->getOperands(), op.getDpsInitsMutable()))
      storeElement(b, mapping.lookupOrDefault(value),
                   placeOf(b, init, arguments, extents, loops));
  }

  linalg::LinalgOp op;
  OpBuilder &host;
  Kernel kernel;
  /// Numbers of arguments: of memory, by operand, and of the loops' sizes.
  DenseMap<OpOperand *, unsigned> places;
  SmallVector<unsigned> sizes;
  llvm::MapVector<Value, HostNumber> numbers;
};

struct LowerElementwise : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!isElementwise(op))
      return failure();
    ElementwiseKernel(op, rewriter).emit();
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

struct LowerCopy : OpRewritePattern<memref::CopyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::CopyOp op,
                                PatternRewriter &rewriter) const override {
    if (!isPlainMemory(op.getSource().getType()) ||
        !isPlainMemory(op.getTarget().getType()))
      return failure();
    auto type = cast<MemRefType>(op.getSource().getType());
    auto identity = rewriter.getMultiDimIdentityMap(type.getRank());
    SmallVector<utils::IteratorType> loops(type.getRank(),
                                           utils::IteratorType::parallel);
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), op.getSource(), op.getTarget(),
        ArrayRef{identity, identity}, loops,
        [](OpBuilder &b, Location loc, ValueRange elements) {
          linalg::YieldOp::create(b, loc, elements[0]);
        });
    ElementwiseKernel(generic, rewriter).emit();
    rewriter.eraseOp(generic);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

/// The element where a number of the host is stored, if it is known.
static std::optional<int64_t> placeOf(memref::StoreOp store) {
  if (!isPlainMemory(store.getMemRefType()) ||
      !store.getMemRefType().hasStaticShape() ||
      !isHostNumber(store.getValueToStore()))
    return std::nullopt;
  int64_t place = 0;
  for (auto [size, index] :
       llvm::zip_equal(store.getMemRefType().getShape(), store.getIndices())) {
    std::optional<int64_t> known = getConstantIntValue(index);
    if (!known)
      return std::nullopt;
    place = place * size + *known;
  }
  return place;
}

/// `first` and the stores into the same memory that follow it, with nothing
/// between them that may touch memory.
static SmallVector<memref::StoreOp> followers(memref::StoreOp first) {
  SmallVector<memref::StoreOp> stores;
  for (Operation *op = first; op; op = op->getNextNode()) {
    auto store = dyn_cast<memref::StoreOp>(op);
    if (store && store.getMemRef() == first.getMemRef() && placeOf(store))
      stores.push_back(store);
    else if (!isMemoryEffectFree(op))
      break;
  }
  return stores;
}

/// One kernel, which takes the numbers as arguments.
static void lowerStores(ArrayRef<memref::StoreOp> stores) {
  memref::StoreOp last = stores.back();
  OpBuilder host(last);
  Kernel kernel(host, last, "store");
  kernel.pointer(last.getMemRef());
  SmallVector<HostNumber> numbers;
  for (memref::StoreOp store : stores)
    numbers.push_back(HostNumber(kernel, store.getValueToStore()));
  Kernel::Shape shape;
  shape.gridX = arith::ConstantIndexOp::create(host, last.getLoc(), 1);
  shape.threads = 32;
  int64_t bytes = bytesOf(last.getMemRefType().getElementType());
  kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
    b.when(b.equal(b.threadId(), 0), [&] {
      for (auto [number, store] : llvm::zip_equal(numbers, stores))
        storeElement(b, number.read(b, arguments),
                     b.offset(arguments[0], *placeOf(store) * bytes));
    });
  });
  for (memref::StoreOp store : stores)
    store.erase();
}

void mlir::moe::convertStoresToGPU(ModuleOp module) {
  // The stores of one tensor.from_elements follow each other.
  SmallVector<SmallVector<memref::StoreOp>> groups;
  llvm::SmallPtrSet<Operation *, 16> seen;
  module.walk([&](memref::StoreOp store) {
    if (seen.contains(store) || !placeOf(store) ||
        !isa<func::FuncOp>(store->getParentOp()))
      return;
    groups.push_back(followers(store));
    seen.insert(groups.back().begin(), groups.back().end());
  });
  for (ArrayRef<memref::StoreOp> group : groups)
    lowerStores(group);
}

void mlir::moe::populateElementwiseToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerElementwise, LowerCopy>(patterns.getContext());
}
