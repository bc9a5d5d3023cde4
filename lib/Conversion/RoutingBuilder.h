// The words in which the loops of routing are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_ROUTINGBUILDER_H
#define MOE_LIB_CONVERSION_ROUTINGBUILDER_H

#include "LoopBuilder.h"

namespace mlir::moe {

/// A LoopBuilder with what routing needs besides: loops that carry state, i32
/// words as data, and compares of signed words and vectors of them.
class RoutingBuilder : public LoopBuilder {
public:
  using LoopBuilder::LoopBuilder;
  using Values = SmallVector<Value, 4>;

  template <typename OpT, typename... Args> Value make(Args &&...args) {
    return OpT::create(*this, std::forward<Args>(args)...);
  }

  //===--------------------------------------------------------------------===//
  // Words: i32, or vectors of it
  //===--------------------------------------------------------------------===//

  Value truth() { return make<arith::ConstantIntOp>(getI1Type(), 1); }
  Value word(int32_t v) { return make<arith::ConstantIntOp>(getI32Type(), v); }
  /// x < y as signed numbers.
  Value isBelow(Value x, Value y) {
    return make<arith::CmpIOp>(arith::CmpIPredicate::slt, x, y);
  }
  Value isAtLeast(Value x, Value y) {
    return make<arith::CmpIOp>(arith::CmpIPredicate::sge, x, y);
  }
  Value isNot(Value x, Value y) {
    return make<arith::CmpIOp>(arith::CmpIPredicate::ne, x, y);
  }
  Value either(Value x, Value y) { return make<arith::OrIOp>(x, y); }
  Value flip(Value x, Value bits) { return make<arith::XOrIOp>(x, bits); }
  /// 1 where `flag` is true, else 0: an i32, or an index.
  Value asWord(Value flag) { return make<arith::ExtUIOp>(getI32Type(), flag); }
  Value asCount(Value flag) {
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

  Value load(Value memory, ValueRange at) {
    return make<memref::LoadOp>(memory, at);
  }
  void store(Value value, Value memory, ValueRange at) {
    memref::StoreOp::create(*this, value, memory, at);
  }
  void storeIndex(Value value, Value memory, ValueRange at) {
    store(toWord(value), memory, at);
  }

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//

  /// for (i = begin; i < end; i += step) state = body(i, state)
  Values fold(Value begin, Value end, int64_t step, ValueRange init,
              function_ref<Values(Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(*this, begin, end, index(step), init);
    InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        *this, body(loop.getInductionVar(), loop.getRegionIterArgs()));
    return Values(loop.getResults());
  }
  Value fold(Value begin, Value end, Value init,
             function_ref<Value(Value, Value)> body) {
    return fold(begin, end, 1, init, [&](Value i, ValueRange state) {
      return Values{body(i, state[0])};
    })[0];
  }
  using LoopBuilder::forEach;
  void forEach(Value end, function_ref<void(Value)> body) {
    forEach(index(0), end, 1, body);
  }

  /// while (condition(state)) state = body(state)
  Values repeatWhile(ValueRange init, function_ref<Value(ValueRange)> condition,
                     function_ref<Values(ValueRange)> body) {
    auto loop = scf::WhileOp::create(
        *this, init.getTypes(), init,
        [&](OpBuilder &b, Location, ValueRange state) {
          InsertionGuard guard(*this);
          restoreInsertionPoint(b.saveInsertionPoint());
          scf::ConditionOp::create(*this, condition(state), state);
        },
        [&](OpBuilder &b, Location, ValueRange state) {
          InsertionGuard guard(*this);
          restoreInsertionPoint(b.saveInsertionPoint());
          scf::YieldOp::create(*this, body(state));
        });
    return Values(loop.getResults());
  }

  /// condition ? then() : otherwise()
  Values choose(Value condition, TypeRange types, function_ref<Values()> then,
                function_ref<Values()> otherwise) {
    auto branch =
        scf::IfOp::create(*this, types, condition, /*addThenBlock=*/true,
                          /*addElseBlock=*/true);
    InsertionGuard guard(*this);
    setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(*this, then());
    setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(*this, otherwise());
    return Values(branch.getResults());
  }
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_ROUTINGBUILDER_H
