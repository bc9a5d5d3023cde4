// The device memory of one call of a compiled function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DeviceMemory.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::moe;

/// Every piece begins at a multiple of it, as what the driver allocates does.
static constexpr int64_t kAlignment = 256;

/// The allocation or argument that `memref` is a view of.
static Value rootOf(Value memref) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
    memref = view.getViewSource();
  return memref;
}

/// Where memory is used, by position in `positions`, through views of it and
/// numbers that are its address.
static std::pair<int64_t, int64_t>
lifeOf(Value memory, const DenseMap<Operation *, int64_t> &positions) {
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  SmallVector<Value> pending{memory};
  while (!pending.empty())
    for (Operation *user : pending.pop_back_val().getUsers()) {
      llvm::append_range(pending, user->getResults());
      if (isMemoryEffectFree(user))
        continue;
      int64_t position = positions.lookup(user);
      first = std::min(first, position);
      last = std::max(last, position);
    }
  return {first, last};
}

DeviceMemory::DeviceMemory(func::FuncOp function, int32_t &zeroedNumber)
    : function(function), zeroedNumber(zeroedNumber),
      b(function.getLoc(), function.getContext()) {}

LogicalResult DeviceMemory::assign() {
  for (auto op :
       llvm::make_early_inc_range(function.getOps<memref::DeallocOp>()))
    op.erase();
  if (failed(collect()) || failed(hoistSizes()))
    return failure();
  requestResults();
  requestZeroed();
  if (!temporaries.empty()) {
    choosePlaces();
    requestArena();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What there is
//===----------------------------------------------------------------------===//

LogicalResult DeviceMemory::collect() {
  auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
  llvm::SmallPtrSet<Operation *, 8> returned;
  for (auto [number, operand] : llvm::enumerate(terminator.getOperands())) {
    Value root = rootOf(operand);
    if (auto op = root.getDefiningOp<memref::AllocOp>()) {
      if (returned.insert(op).second)
        results.push_back({op, static_cast<int32_t>(number)});
    } else if (!isa<BlockArgument>(root)) {
      return terminator.emitOpError("result ")
             << number << " is neither a tensor that a kernel wrote nor an "
             << "argument of the function";
    }
  }
  DenseMap<Operation *, int64_t> positions;
  for (Operation &op : function.front())
    positions.insert({&op, positions.size()});
  for (auto op : function.getOps<memref::AllocOp>()) {
    if (!op.getType().getLayout().isIdentity() || op.getType().getMemorySpace())
      return op.emitOpError("is not dense memory of the default space");
    if (returned.contains(op))
      continue;
    if (op->hasAttr(kZeroedMark)) {
      zeroed.push_back(op);
      continue;
    }
    auto [first, last] = lifeOf(op.getMemref(), positions);
    temporaries.push_back({op, first, last, /*place=*/0});
  }
  llvm::sort(temporaries, [](const Temporary &a, const Temporary &b) {
    return a.first != b.first ? a.first < b.first : a.op->isBeforeInBlock(b.op);
  });
  return success();
}

LogicalResult DeviceMemory::hoistSizes() {
  Operation *start = nullptr;
  for (Operation &op : function.front())
    if (isa<memref::AllocOp, gpu::LaunchFuncOp>(op)) {
      start = &op;
      break;
    }
  if (!start)
    return success();
  IRRewriter rewriter(function.getContext());
  for (auto op : function.getOps<memref::AllocOp>())
    if (failed(moveValueDefinitions(rewriter, op.getDynamicSizes(), start)))
      return op.emitOpError(
          "has a size that depends on what a kernel computes; "
          "sizes follow from the shapes of the arguments "
          "alone, because the host reads nothing back");
  b.setInsertionPoint(start);
  return success();
}

//===----------------------------------------------------------------------===//
// Who shares
//===----------------------------------------------------------------------===//

/// How much a temporary would waste in the place of another one: nothing if
/// they are of one size, the difference if both are known, else unknown.
static int64_t wasteOf(memref::AllocOp a, memref::AllocOp b) {
  MemRefType left = a.getType(), right = b.getType();
  if (left == right && llvm::equal(a.getDynamicSizes(), b.getDynamicSizes()))
    return 0;
  if (!left.hasStaticShape() || !right.hasStaticShape())
    return std::numeric_limits<int64_t>::max();
  auto bytes = [](MemRefType type) {
    return type.getNumElements() *
           llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  };
  return std::abs(int64_t(bytes(left)) - int64_t(bytes(right)));
}

/// Launches of one stream run one after the other, so a place is free again
/// with the launch after the last one that uses it.
void DeviceMemory::choosePlaces() {
  for (Temporary &temporary : temporaries) {
    Place *best = nullptr;
    int64_t least = 0;
    for (Place &place : places) {
      if (place.freeFrom > temporary.first)
        continue;
      int64_t waste = wasteOf(place.owner, temporary.op);
      if (!best || waste < least) {
        best = &place;
        least = waste;
      }
    }
    if (!best)
      best = &places.emplace_back();
    if (!best->owner)
      best->owner = temporary.op;
    best->freeFrom = temporary.last + 1;
    temporary.place = best - places.begin();
  }
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

Value DeviceMemory::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

Value DeviceMemory::bytesOf(memref::AllocOp op) {
  MemRefType type = op.getType();
  int64_t known = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t size : type.getShape())
    if (ShapedType::isStatic(size))
      known *= size;
  Value bytes = index(known);
  for (Value size : op.getDynamicSizes())
    bytes = b.createOrFold<arith::MulIOp>(bytes, size);
  return bytes;
}

Value DeviceMemory::request(StringRef name, ValueRange operands) {
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  SmallVector<Value> all{function.getArgument(0)};
  llvm::append_range(all, operands);
  return func::CallOp::create(b, name, type, all).getResult(0);
}

Value DeviceMemory::request(StringRef name, int32_t number,
                            memref::AllocOp op) {
  Value word = arith::ConstantIntOp::create(b, b.getI32Type(), number);
  return request(name, ValueRange{word, bytesOf(op)});
}

void DeviceMemory::replace(memref::AllocOp op, Value memory, Value offset) {
  OpBuilder here(op);
  op.replaceAllUsesWith(memref::ViewOp::create(here, op.getLoc(), op.getType(),
                                               memory, offset,
                                               op.getDynamicSizes())
                            .getResult());
  if (b.getInsertionPoint() == op->getIterator())
    b.setInsertionPointAfter(op);
  op.erase();
}

void DeviceMemory::requestResults() {
  for (auto [op, number] : results)
    replace(op, request(kResult, number, op), index(0));
}

void DeviceMemory::requestZeroed() {
  for (memref::AllocOp op : zeroed)
    replace(op, request(kZeroed, zeroedNumber++, op), index(0));
}

void DeviceMemory::requestArena() {
  SmallVector<Value> sizes(places.size());
  for (Temporary &temporary : temporaries) {
    Value &size = sizes[temporary.place];
    if (!size)
      size = bytesOf(temporary.op);
    else if (wasteOf(places[temporary.place].owner, temporary.op) != 0)
      size = b.createOrFold<arith::MaxUIOp>(size, bytesOf(temporary.op));
  }
  SmallVector<Value> offsets;
  Value end = index(0);
  for (Value size : sizes) {
    offsets.push_back(end);
    Value more = b.createOrFold<arith::AddIOp>(size, index(kAlignment - 1));
    end = b.createOrFold<arith::AddIOp>(
        end, b.createOrFold<arith::AndIOp>(more, index(-kAlignment)));
  }
  Value arena = request(kArena, end);
  for (Temporary &temporary : temporaries)
    replace(temporary.op, arena, offsets[temporary.place]);
}
