// F64 arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Float64.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
std::vector<OperandSpec> same(unsigned sources) {
  std::vector<OperandSpec> operands = {reg(Type::F64)};
  operands.insert(operands.end(), sources, source(Type::F64));
  return operands;
}

/// To nearest the CPU rounds all lanes at once; otherwise integers do.
template <auto F, Round R> HandlerSet rounding() {
  if constexpr (R == Round::Nearest)
    return laneHandlers<F>();
  else
    return eachLaneHandlers<F>();
}

template <Round R> void addRounded(IsaTable &table) {
  std::string name = roundName(R);
  name += ".f64";
  Weight weight = {Cost::Double, 1};
  auto sums = [&](const std::string &rest) {
    addForm(table, "add" + rest, same(2), rounding<addF64<R>, R>(), weight);
    addForm(table, "sub" + rest, same(2), rounding<subF64<R>, R>(), weight);
    addForm(table, "mul" + rest, same(2), rounding<mulF64<R>, R>(), weight);
  };
  sums(name);
  if constexpr (R == Round::Nearest)
    sums(".f64");
  addForm(table, "fma" + name, same(3), rounding<fmaF64<R>, R>(), weight);
  addForm(table, "mad" + name, same(3), rounding<fmaF64<R>, R>(), weight);
  addForm(table, "div" + name, same(2), rounding<divF64<R>, R>(),
          {Cost::Double, 18});
  addForm(table, "rcp" + name, same(1), rounding<rcpF64<R>, R>(),
          {Cost::Double, 12});
  addForm(table, "sqrt" + name, same(1), rounding<sqrtF64<R>, R>(),
          {Cost::Double, 16});
}
} // namespace

namespace ptx {
void registerDoubleRows(IsaTable &table) {
  forRounds([&]<Round R>() { addRounded<R>(table); });
  addForm(table, "min.f64", same(2), laneHandlers<minMaxF64<false>>(),
          {Cost::Double, 4});
  addForm(table, "max.f64", same(2), laneHandlers<minMaxF64<true>>(),
          {Cost::Double, 4});
  addForm(table, "abs.f64", same(1), laneHandlers<absF64>(), {Cost::Double, 1});
  addForm(table, "neg.f64", same(1), laneHandlers<negF64>(), {Cost::Double, 1});
  addForm(table, "copysign.f64", same(2), laneHandlers<copysignF64>(),
          {Cost::Alu, 2}, {0, 20});
}
} // namespace ptx
