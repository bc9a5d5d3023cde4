// Numbers of the host: those known when a module is compiled, and those that
// are not. What is written once in these words works on both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_HOSTARITHMETIC_H
#define MOE_LIB_CONVERSION_GPU_HOSTARITHMETIC_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe {

/// Sizes that are not negative, known now.
struct KnownArithmetic {
  using Number = int64_t;
  int64_t number(int64_t value) const { return value; }
  int64_t add(int64_t x, int64_t y) const { return x + y; }
  int64_t mul(int64_t x, int64_t y) const { return x * y; }
  int64_t div(int64_t x, int64_t y) const { return x / y; }
  int64_t ceilDiv(int64_t x, int64_t y) const { return llvm::divideCeil(x, y); }
  int64_t min(int64_t x, int64_t y) const { return std::min(x, y); }
  int64_t max(int64_t x, int64_t y) const { return std::max(x, y); }
};

/// The same as index values of the host's code.
struct HostArithmetic {
  using Number = Value;
  OpBuilder &b;
  Location loc;

  Value number(int64_t value) const {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value add(Value x, Value y) const { return make<arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) const { return make<arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) const { return make<arith::MulIOp>(x, y); }
  Value div(Value x, Value y) const { return make<arith::DivUIOp>(x, y); }
  Value ceilDiv(Value x, Value y) const {
    return make<arith::CeilDivUIOp>(x, y);
  }
  Value min(Value x, Value y) const { return make<arith::MinUIOp>(x, y); }
  Value max(Value x, Value y) const { return make<arith::MaxUIOp>(x, y); }

  // Conditions, of i1.
  Value less(Value x, Value y) const {
    return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::ult, x, y);
  }
  Value both(Value x, Value y) const { return make<arith::AndIOp>(x, y); }
  Value no(Value x) const {
    Value one = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
    return make<arith::XOrIOp>(x, one);
  }
  Value select(Value condition, Value x, Value y) const {
    return b.createOrFold<arith::SelectOp>(loc, condition, x, y);
  }

private:
  template <typename OpT> Value make(Value x, Value y) const {
    return b.createOrFold<OpT>(loc, x, y);
  }
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_HOSTARITHMETIC_H
