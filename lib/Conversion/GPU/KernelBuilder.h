// The words in which the bodies of GPU kernels are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_KERNELBUILDER_H
#define MOE_LIB_CONVERSION_GPU_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// The memory spaces of NVPTX that kernels address.
enum class Space : unsigned { Global = 1, Shared = 3 };

/// A builder of one kernel's body.
///
/// Integers are i32 and not negative, unless a name says otherwise; where both
/// operands are values they have one type. Memory is addressed by LLVM pointers
/// and byte offsets: an `int64_t` offset ends as an immediate of the access,
/// which keeps address arithmetic out of inner loops, and a memref's
/// descriptors and index arithmetic would not.
class KernelBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  using Values = SmallVector<Value, 4>;

  template <typename OpT, typename... Args> auto make(Args &&...args) {
    return OpT::create(*this, std::forward<Args>(args)...);
  }

  //===--------------------------------------------------------------------===//
  // Integers
  //===--------------------------------------------------------------------===//

  Value word(int64_t value) { return constant(getI32Type(), value); }
  Value wide(int64_t value) { return constant(getI64Type(), value); }
  /// An integer constant of a type.
  Value constant(Type type, int64_t value);

  Value add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b ? add(a, like(a, b)) : a; }
  Value sub(Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); }
  Value sub(Value a, int64_t b) { return b ? sub(a, like(a, b)) : a; }
  Value mul(Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return mul(a, like(a, b)); }
  Value div(Value a, int64_t b) {
    return createOrFold<arith::DivUIOp>(a, like(a, b));
  }
  Value divide(Value a, Value b) { return createOrFold<arith::DivUIOp>(a, b); }
  Value rem(Value a, int64_t b) {
    return createOrFold<arith::RemUIOp>(a, like(a, b));
  }
  Value bitAnd(Value a, Value b) { return createOrFold<arith::AndIOp>(a, b); }
  Value bitAnd(Value a, int64_t b) { return bitAnd(a, like(a, b)); }
  Value bitOr(Value a, Value b) { return createOrFold<arith::OrIOp>(a, b); }
  Value bitXor(Value a, Value b) { return createOrFold<arith::XOrIOp>(a, b); }
  Value bitXor(Value a, int64_t b) { return bitXor(a, like(a, b)); }
  Value shl(Value a, Value b) { return createOrFold<arith::ShLIOp>(a, b); }
  Value shl(Value a, int64_t b) { return b ? shl(a, like(a, b)) : a; }
  Value shr(Value a, Value b) { return createOrFold<arith::ShRUIOp>(a, b); }
  Value shr(Value a, int64_t b) { return b ? shr(a, like(a, b)) : a; }
  Value min(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }
  Value max(Value a, Value b) { return createOrFold<arith::MaxUIOp>(a, b); }

  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return createOrFold<arith::CmpIOp>(predicate, a, b);
  }
  /// a < b and so on, as unsigned numbers.
  Value less(Value a, Value b) {
    return compare(arith::CmpIPredicate::ult, a, b);
  }
  Value less(Value a, int64_t b) { return less(a, like(a, b)); }
  Value atLeast(Value a, Value b) {
    return compare(arith::CmpIPredicate::uge, a, b);
  }
  Value atLeast(Value a, int64_t b) { return atLeast(a, like(a, b)); }
  Value equal(Value a, Value b) {
    return compare(arith::CmpIPredicate::eq, a, b);
  }
  Value equal(Value a, int64_t b) { return equal(a, like(a, b)); }
  Value select(Value condition, Value a, Value b) {
    return createOrFold<arith::SelectOp>(condition, a, b);
  }
  /// An i1 or i32, extended with zeros.
  Value asWord(Value flag) {
    return createOrFold<arith::ExtUIOp>(getI32Type(), flag);
  }
  Value asWide(Value value) {
    return createOrFold<arith::ExtUIOp>(getI64Type(), value);
  }
  Value population(Value mask) { return make<LLVM::CtPopOp>(mask); }
  Value unequal(Value a, Value b) {
    return compare(arith::CmpIPredicate::ne, a, b);
  }
  Value unequal(Value a, int64_t b) { return unequal(a, like(a, b)); }
  Value greater(Value a, Value b) { return less(b, a); }
  Value bitOr(Value a, int64_t b) { return bitOr(a, like(a, b)); }
  Value invert(Value a) { return bitXor(a, -1); }
  Value isSet(Value mask, Value bit) {
    return unequal(bitAnd(shr(mask, bit), 1), 0);
  }
  /// The number of the lowest set bit of a mask that is not zero.
  Value lowestBit(Value mask) {
    return make<LLVM::CountTrailingZerosOp>(getI32Type(), mask,
                                            /*is_zero_poison=*/false);
  }
  Value flag(bool value) {
    return createOrFold<arith::ConstantOp>(getI1Type(), getBoolAttr(value));
  }

  //===--------------------------------------------------------------------===//
  // Where a thread stands
  //===--------------------------------------------------------------------===//

  Value threadId() { return make<NVVM::ThreadIdXOp>(getI32Type()); }
  Value blockId() { return make<NVVM::BlockIdXOp>(getI32Type()); }
  Value blockIdY() { return make<NVVM::BlockIdYOp>(getI32Type()); }
  Value laneId() { return bitAnd(threadId(), 31); }
  Value warpId() { return shr(threadId(), 5); }

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  Type pointerType(Space space) {
    return LLVM::LLVMPointerType::get(getContext(),
                                      static_cast<unsigned>(space));
  }
  /// `pointer` moved by bytes; a value is i32 or i64, and not negative.
  Value offset(Value pointer, int64_t bytes);
  Value offset(Value pointer, Value bytes);
  /// The same where the result may lie outside of the object that `pointer`
  /// points into, and is then not accessed.
  Value offsetOutside(Value pointer, int64_t bytes);
  /// The same as offset, for an immediate of an access in a loop.
  Value offsetInLoop(Value pointer, int64_t bytes);
  /// `pointer` moved by `index` elements of `bytes` bytes each, in 64 bits.
  Value element(Value pointer, Value index, int64_t bytes) {
    return offset(pointer, mul(asWide(index), bytes));
  }
  /// Reads a value of `type` at an address that its size divides.
  Value load(Type type, Value pointer);
  /// The same of memory that nothing writes while the kernel runs, by the
  /// path for read-only data (ld.global.nc).
  Value loadConstant(Type type, Value pointer);
  Value loadWord(Value pointer) { return load(getI32Type(), pointer); }
  void store(Value value, Value pointer);
  /// Reads a word that other blocks write, at once and before all that follows.
  Value loadAcquire(Value pointer);
  /// Adds to a word, or makes it the larger of two; returns what it was.
  Value atomicAdd(Value pointer, Value value) {
    return atomic(LLVM::AtomicBinOp::add, pointer, value);
  }
  Value atomicMax(Value pointer, Value value) {
    return atomic(LLVM::AtomicBinOp::umax, pointer, value);
  }
  Value atomicOr(Value pointer, Value value) {
    return atomic(LLVM::AtomicBinOp::_or, pointer, value);
  }
  /// Adds to a word of global memory without waiting for an answer.
  void addGlobal(Value pointer, Value value);
  /// The same, after everything that this thread has seen.
  void addRelease(Value pointer, Value value);

  //===--------------------------------------------------------------------===//
  // Threads together
  //===--------------------------------------------------------------------===//

  /// All threads of the block arrive and see what the others wrote before.
  void barrier() { make<NVVM::Barrier0Op>(); }
  Value allLanes() { return word(-1); }
  /// The lanes of the warp see what the others wrote before.
  void warpBarrier() { make<NVVM::SyncWarpOp>(allLanes()); }
  /// The lanes below this one, as a mask.
  Value lanesBelow() { return sub(shl(word(1), laneId()), 1); }
  /// The sum of the values of the lanes up to this one, itself included.
  Value sumOfLanesUpTo(Value value);
  /// The value of lane `lane`, of lane `lane xor distance`, of the lane
  /// `distance` below (its own where there is none). Of i32 or f32.
  Value shuffle(Value value, Value lane) {
    return shuffle(value, lane, NVVM::ShflKind::idx, 31);
  }
  Value shuffleXor(Value value, int64_t distance) {
    return shuffle(value, word(distance), NVVM::ShflKind::bfly, 31);
  }
  Value shuffleUp(Value value, int64_t distance) {
    return shuffle(value, word(distance), NVVM::ShflKind::up, 0);
  }
  /// The lanes for which `flag` is true, lane 0 in bit 0.
  Value ballot(Value flag) {
    return make<NVVM::VoteSyncOp>(getI32Type(), allLanes(), flag,
                                  NVVM::VoteSyncKind::ballot);
  }
  Value anyLane(Value flag) {
    return make<NVVM::VoteSyncOp>(getI1Type(), allLanes(), flag,
                                  NVVM::VoteSyncKind::any);
  }
  /// The sum, the largest and so on of an i32 over the lanes, in every lane.
  Value reduce(Value value, NVVM::ReduxKind kind) {
    return make<NVVM::ReduxOp>(getI32Type(), value, kind, allLanes());
  }

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//

  /// for (i = begin; i < end; i += step) body(i); i32, signed compare.
  void forEach(Value begin, Value end, Value step,
               function_ref<void(Value)> body);
  /// for (i = begin; i < end; i += step) state = body(i, state)
  Values fold(Value begin, Value end, Value step, ValueRange init,
              function_ref<Values(Value, ValueRange)> body);
  /// if (condition) body()
  void when(Value condition, function_ref<void()> body);
  /// condition ? then() : otherwise()
  Values choose(Value condition, TypeRange types, function_ref<Values()> then,
                function_ref<Values()> otherwise);
  /// while (condition(state)) state = body(state)
  Values repeatWhile(ValueRange init, function_ref<Value(ValueRange)> condition,
                     function_ref<Values(ValueRange)> body);

private:
  Value atomic(LLVM::AtomicBinOp operation, Value pointer, Value value) {
    return make<LLVM::AtomicRMWOp>(operation, pointer, value,
                                   LLVM::AtomicOrdering::monotonic);
  }
  Value like(Value value, int64_t number) {
    return constant(value.getType(), number);
  }
  Value shuffle(Value value, Value by, NVVM::ShflKind kind, int64_t clamp) {
    return make<NVVM::ShflOp>(value.getType(), allLanes(), value, by,
                              word(clamp), kind, UnitAttr());
  }
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_KERNELBUILDER_H
