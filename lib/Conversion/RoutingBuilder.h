// The few words in which loops over memrefs are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_ROUTINGBUILDER_H
#define MOE_LIB_CONVERSION_ROUTINGBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// An ImplicitLocOpBuilder with short names for index arithmetic, loads and
/// structured loops. Values that count or address are of index type; memories
/// of i32 are read and written as index by `loadIndex` and `storeIndex`.
struct RoutingBuilder : ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  template <typename OpT, typename... Args> Value make(Args &&...args) {
    return OpT::create(*this, std::forward<Args>(args)...);
  }

  //===--------------------------------------------------------------------===//
  // Arithmetic on index and i32
  //===--------------------------------------------------------------------===//

  Value index(int64_t v) { return make<arith::ConstantIndexOp>(v); }
  Value word(int32_t v) { return make<arith::ConstantIntOp>(getI32Type(), v); }
  Value add(Value x, Value y) { return make<arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return make<arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return make<arith::MulIOp>(x, y); }
  Value add(Value x, int64_t y) { return add(x, index(y)); }
  Value mul(Value x, int64_t y) { return mul(x, index(y)); }
  Value both(Value x, Value y) { return make<arith::AndIOp>(x, y); }
  Value either(Value x, Value y) { return make<arith::OrIOp>(x, y); }
  Value select(Value when, Value x, Value y) {
    return make<arith::SelectOp>(when, x, y);
  }
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return make<arith::CmpIOp>(predicate, x, y);
  }
  Value less(Value x, Value y) {
    return compare(arith::CmpIPredicate::slt, x, y);
  }
  Value equal(Value x, Value y) {
    return compare(arith::CmpIPredicate::eq, x, y);
  }
  /// 1 where `flag` is true, else 0, as an index.
  Value count(Value flag) {
    return make<arith::IndexCastUIOp>(getIndexType(), flag);
  }
  Value toIndex(Value word) {
    return make<arith::IndexCastOp>(getIndexType(), word);
  }
  Value toWord(Value index) {
    return make<arith::IndexCastOp>(getI32Type(), index);
  }

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  Value dim(Value memory, int64_t i) {
    return createOrFold<memref::DimOp>(memory, i);
  }
  Value load(Value memory, ValueRange at) {
    return make<memref::LoadOp>(memory, at);
  }
  void store(Value value, Value memory, ValueRange at) {
    memref::StoreOp::create(*this, value, memory, at);
  }
  Value loadIndex(Value memory, ValueRange at) {
    return toIndex(load(memory, at));
  }
  void storeIndex(Value value, Value memory, ValueRange at) {
    store(toWord(value), memory, at);
  }

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//

  using Values = SmallVector<Value, 4>;

  /// for (i = from; i < to; i += step) state = body(i, state)
  Values fold(Value from, Value to, int64_t step, ValueRange init,
              function_ref<Values(Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(*this, from, to, index(step), init);
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
    if (!init.empty()) // else the loop came with its yield
      scf::YieldOp::create(*this, next);
    return Values(loop.getResults());
  }
  Value fold(Value from, Value to, Value init,
             function_ref<Value(Value, Value)> body) {
    return fold(from, to, 1, init, [&](Value i, ValueRange state) {
      return Values{body(i, state[0])};
    })[0];
  }
  void loop(Value from, Value to, int64_t step,
            function_ref<void(Value)> body) {
    fold(from, to, step, {}, [&](Value i, ValueRange) {
      body(i);
      return Values();
    });
  }
  void loop(Value from, Value to, function_ref<void(Value)> body) {
    loop(from, to, 1, body);
  }
  void loop(Value to, function_ref<void(Value)> body) {
    loop(index(0), to, body);
  }

  /// for all i < to, in any order or at once
  void parallel(Value to, function_ref<void(Value)> body) {
    auto loop = scf::ParallelOp::create(*this, ValueRange(index(0)),
                                        ValueRange(to), ValueRange(index(1)));
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVars().front());
  }

  /// while (condition(state)) state = body(state)
  Values repeatWhile(ValueRange init, function_ref<Value(ValueRange)> condition,
                     function_ref<Values(ValueRange)> body) {
    auto loop = scf::WhileOp::create(
        *this, init.getTypes(), init,
        [&](OpBuilder &b, Location, ValueRange state) {
          OpBuilder::InsertionGuard guard(*this);
          restoreInsertionPoint(b.saveInsertionPoint());
          scf::ConditionOp::create(*this, condition(state), state);
        },
        [&](OpBuilder &b, Location, ValueRange state) {
          OpBuilder::InsertionGuard guard(*this);
          restoreInsertionPoint(b.saveInsertionPoint());
          scf::YieldOp::create(*this, body(state));
        });
    return Values(loop.getResults());
  }

  /// when ? then() : otherwise()
  Values choose(Value when, TypeRange types, function_ref<Values()> then,
                function_ref<Values()> otherwise) {
    auto branch = scf::IfOp::create(*this, types, when, /*addThenBlock=*/true,
                                    /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(*this, then());
    setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(*this, otherwise());
    return Values(branch.getResults());
  }
  void ifTrue(Value when, function_ref<void()> then) {
    auto branch = scf::IfOp::create(*this, when, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(branch.thenBlock());
    then();
  }
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_ROUTINGBUILDER_H
