// Cvt with stochastic rounding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/ConvertStochastic.h"
#include "Arithmetic/LaneConvert.h"
#include "Isa/ConvertRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
/// On sm_100a and sm_103a only.
constexpr Since kStochastic = {
    .sm = 100, .ptx = 87, .needsA = true, .onlyA = true};

template <class H, bool Relu, bool Finite> void addPair(IsaTable &table) {
  constexpr Type type = std::is_same_v<H, Half> ? Type::F16x2 : Type::BF16x2;
  constexpr FloatModifiers m = {.relu = Relu, .satfinite = Finite};
  std::string name = when(Relu, ".relu") + when(Finite, ".satfinite");
  addConvert(table, ".rs" + name + std::string(typeName(type)) + ".f32", type,
             {source(Type::F32), source(Type::F32), reg(Type::B32)},
             convertHandlers<f32ToStochasticHalves<H, m>>(), kStochastic);
}
template <class Fmt> void addFour(IsaTable &table, const char *type) {
  forBoth([&]<bool Relu>() {
    constexpr bool isNibbles = kPairShift<Fmt> == 4;
    HandlerSet handlers;
    if constexpr (isNibbles)
      handlers = convertHandlers<f32ToStochasticNibbles<Fmt, Relu>>();
    else
      handlers = convertHandlers<f32ToStochasticFour<Fmt, Relu>>();
    addConvert(
        table, ".rs" + when(Relu, ".relu") + ".satfinite" + type + ".f32",
        isNibbles ? Type::B16 : Type::B32,
        {vector(4, Type::F32), reg(Type::B32)}, handlers, kStochastic, 2);
  });
}
} // namespace

namespace ptx {
void registerConvertStochasticRows(IsaTable &table) {
  forBoth([&]<bool Relu>() {
    forBoth([&]<bool Finite>() {
      addPair<Half, Relu, Finite>(table);
      addPair<BHalf, Relu, Finite>(table);
    });
  });
  addFour<E4M3>(table, ".e4m3x4");
  addFour<E5M2>(table, ".e5m2x4");
  addFour<E2M3>(table, ".e2m3x4");
  addFour<E3M2>(table, ".e3m2x4");
  addFour<E2M1>(table, ".e2m1x4");
}
} // namespace ptx
