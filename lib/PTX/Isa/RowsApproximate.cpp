// The approximate functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Approximate.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
/// Without `.ftz` the hardware needs more instructions around subnormals.
struct Cheap {
  float plain, ftz;
};
template <auto Plain, auto Ftz>
void addF32(IsaTable &table, const std::string &name, Cheap cheap,
            unsigned sources = 1) {
  std::vector<OperandSpec> operands = {reg(Type::F32)};
  operands.insert(operands.end(), sources, source(Type::F32));
  addForm(table, name + ".f32", operands, laneHandlers<Plain>(),
          {Cost::Special, cheap.plain});
  addForm(table, name + ".ftz.f32", operands, laneHandlers<Ftz>(),
          {Cost::Special, cheap.ftz});
}

/// f(x) of packed halves.
template <class H, auto F>
void addHalf(IsaTable &table, const std::string &name, Since since) {
  Type one = typeOf<H>();
  Type two = std::is_same_v<H, Half> ? Type::F16x2 : Type::BF16x2;
  addForm(table, name + std::string(typeName(one)), {reg(one), source(one)},
          laneHandlers<F>(), {Cost::Special, 1}, since);
  addForm(table, name + std::string(typeName(two)), {reg(two), source(two)},
          laneHandlers<bothHalves<H, F, uint32_t>>(), {Cost::Special, 2},
          since);
}
} // namespace

namespace ptx {
void registerApproximateRows(IsaTable &table) {
  addF32<rcpApprox<false>, rcpApprox<true>>(table, "rcp.approx", {4, 1});
  addF32<sqrtApprox<false>, sqrtApprox<true>>(table, "sqrt.approx", {5, 2});
  addF32<rsqrtApprox<false>, rsqrtApprox<true>>(table, "rsqrt.approx", {4, 1});
  addF32<ex2Approx<false>, ex2Approx<true>>(table, "ex2.approx", {4, 1});
  addF32<lg2Approx<false>, lg2Approx<true>>(table, "lg2.approx", {4, 1});
  addF32<sinApprox<false>, sinApprox<true>>(table, "sin.approx", {2, 2});
  addF32<cosApprox<false>, cosApprox<true>>(table, "cos.approx", {2, 2});
  addF32<divApprox<false, true>, divApprox<true, true>>(table, "div.full",
                                                        {8, 5}, 2);
  addF32<divApprox<false, false>, divApprox<true, false>>(table, "div.approx",
                                                          {6, 2}, 2);
  addForm(table, "tanh.approx.f32", {reg(Type::F32), source(Type::F32)},
          laneHandlers<tanhApprox>(), {Cost::Special, 1}, {75, 70});
  std::vector<OperandSpec> f64 = {reg(Type::F64), source(Type::F64)};
  addForm(table, "rcp.approx.ftz.f64", f64, laneHandlers<rcpApproxF64>(),
          {Cost::Special, 1});
  addForm(table, "rsqrt.approx.ftz.f64", f64, laneHandlers<rsqrtApproxFtzF64>(),
          {Cost::Special, 1});
  addForm(table, "rsqrt.approx.f64", f64, laneHandlers<rsqrtApproxF64>(),
          {Cost::Double, 12});
  Since f16 = {75, 70}, bf16 = {90, 78};
  addHalf<Half, ex2ApproxHalf<Half, false>>(table, "ex2.approx", f16);
  addHalf<BHalf, ex2ApproxHalf<BHalf, true>>(table, "ex2.approx.ftz", bf16);
  addHalf<Half, tanhApproxHalf<Half>>(table, "tanh.approx", f16);
  addHalf<BHalf, tanhApproxHalf<BHalf>>(table, "tanh.approx", bf16);
}
} // namespace ptx
