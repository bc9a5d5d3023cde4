// The words in which the bodies of GPU kernels are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

Value KernelBuilder::constant(Type type, int64_t value) {
  // Bit patterns come as unsigned numbers, too.
  if (type.isInteger(32))
    value = static_cast<int32_t>(value);
  return createOrFold<arith::ConstantOp>(
      type, cast<TypedAttr>(Builder::getIntegerAttr(type, value)));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static int64_t sizeOf(Type type) {
  int64_t bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  if (auto vector = dyn_cast<VectorType>(type))
    bits *= vector.getNumElements();
  return bits / 8;
}

Value KernelBuilder::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return make<LLVM::GEPOp>(pointer.getType(), getI8Type(), pointer,
                           LLVM::GEPArg(static_cast<int32_t>(bytes)),
                           LLVM::GEPNoWrapFlags::inbounds);
}

Value KernelBuilder::offsetOutside(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return make<LLVM::GEPOp>(pointer.getType(), getI8Type(), pointer,
                           LLVM::GEPArg(static_cast<int32_t>(bytes)));
}

/// LLVM moves sums that do not change out of a loop, and makes equal ones once:
/// each would take an instruction and a register. It does not know that the
/// pointer it gets here is the same as at other places, until it selects
/// instructions, and then the sum is part of the access.
Value KernelBuilder::offsetInLoop(Value pointer, int64_t bytes) {
  Value unknown = make<LLVM::LaunderInvariantGroupOp>(pointer);
  return offset(unknown, bytes);
}

Value KernelBuilder::offset(Value pointer, Value bytes) {
  return make<LLVM::GEPOp>(pointer.getType(), getI8Type(), pointer,
                           LLVM::GEPArg(bytes), LLVM::GEPNoWrapFlags::inbounds);
}

Value KernelBuilder::load(Type type, Value pointer) {
  return make<LLVM::LoadOp>(type, pointer, /*alignment=*/sizeOf(type));
}

Value KernelBuilder::loadConstant(Type type, Value pointer) {
  return make<LLVM::LoadOp>(type, pointer, /*alignment=*/sizeOf(type),
                            /*isVolatile=*/false, /*isNonTemporal=*/false,
                            /*isInvariant=*/true);
}

void KernelBuilder::store(Value value, Value pointer) {
  make<LLVM::StoreOp>(value, pointer, /*alignment=*/sizeOf(value.getType()));
}

Value KernelBuilder::loadAcquire(Value pointer) {
  return make<LLVM::LoadOp>(getI32Type(), pointer, /*alignment=*/4,
                            /*isVolatile=*/false, /*isNonTemporal=*/false,
                            /*isInvariant=*/false, /*isInvariantGroup=*/false,
                            LLVM::AtomicOrdering::acquire, "device");
}

// LLVM has no reduction without an answer; ptxas would make one of an atomic
// whose answer is not used, but not of a releasing one.
void KernelBuilder::addGlobal(Value pointer, Value value) {
  make<NVVM::InlinePtxOp>(TypeRange(), ValueRange{pointer, value}, ValueRange(),
                          "red.relaxed.gpu.global.add.u32 [$0], $1;", Value());
}

void KernelBuilder::addRelease(Value pointer, Value value) {
  make<NVVM::InlinePtxOp>(TypeRange(), ValueRange{pointer, value}, ValueRange(),
                          "red.release.gpu.global.add.u32 [$0], $1;", Value());
}

//===----------------------------------------------------------------------===//
// Threads together
//===----------------------------------------------------------------------===//

Value KernelBuilder::sumOfLanesUpTo(Value value) {
  for (int64_t distance = 1; distance < 32; distance *= 2) {
    Value below = shuffleUp(value, distance);
    Value sum = add(value, below);
    value = select(less(laneId(), distance), value, sum);
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void KernelBuilder::forEach(Value begin, Value end, Value step,
                            function_ref<void(Value)> body) {
  fold(begin, end, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

KernelBuilder::Values
KernelBuilder::fold(Value begin, Value end, Value step, ValueRange init,
                    function_ref<Values(Value, ValueRange)> body) {
  auto loop = make<scf::ForOp>(begin, end, step, init);
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  Values state = body(loop.getInductionVar(), loop.getRegionIterArgs());
  // A loop without state already has its terminator.
  if (!init.empty())
    make<scf::YieldOp>(state);
  return Values(loop.getResults());
}

void KernelBuilder::when(Value condition, function_ref<void()> body) {
  auto branch = make<scf::IfOp>(condition, /*withElse=*/false);
  InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  body();
}

KernelBuilder::Values KernelBuilder::choose(Value condition, TypeRange types,
                                            function_ref<Values()> then,
                                            function_ref<Values()> otherwise) {
  auto branch = make<scf::IfOp>(types, condition, /*addThenBlock=*/true,
                                /*addElseBlock=*/true);
  InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  make<scf::YieldOp>(then());
  setInsertionPointToStart(branch.elseBlock());
  make<scf::YieldOp>(otherwise());
  return Values(branch.getResults());
}

KernelBuilder::Values
KernelBuilder::repeatWhile(ValueRange init,
                           function_ref<Value(ValueRange)> condition,
                           function_ref<Values(ValueRange)> body) {
  auto loop = make<scf::WhileOp>(
      init.getTypes(), init,
      [&](OpBuilder &b, Location, ValueRange state) {
        InsertionGuard guard(*this);
        restoreInsertionPoint(b.saveInsertionPoint());
        make<scf::ConditionOp>(condition(state), state);
      },
      [&](OpBuilder &b, Location, ValueRange state) {
        InsertionGuard guard(*this);
        restoreInsertionPoint(b.saveInsertionPoint());
        make<scf::YieldOp>(body(state));
      });
  return Values(loop.getResults());
}
