// F32 arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Half.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
std::vector<OperandSpec> same(Type type, unsigned sources) {
  std::vector<OperandSpec> operands = {reg(type)};
  operands.insert(operands.end(), sources, source(type));
  return operands;
}

/// A rounding may be left out where it is to nearest.
template <class Add> void named(Round round, bool may, Add add) {
  if (may && round == Round::Nearest)
    add(std::string());
  add(std::string(roundName(round)));
}

template <Round R, bool Ftz, bool Sat> void addSums(IsaTable &table) {
  std::string rest = when(Ftz, ".ftz");
  rest += when(Sat, ".sat");
  rest += ".f32";
  HandlerSet product, fused;
  if constexpr (R == Round::Nearest && Ftz) {
    product = checkedLaneHandlers<mulF32Quick<Sat>, mulF32<R, true, Sat>>();
    fused = checkedLaneHandlers<fmaF32Quick<Sat>, fmaF32<R, true, Sat>>();
  } else {
    product = laneHandlers<mulF32<R, Ftz, Sat>>();
    fused = laneHandlers<fmaF32<R, Ftz, Sat>>();
  }
  Weight weight = {Cost::Fma, 1};
  named(R, true, [&](const std::string &round) {
    addForm(table, "add" + round + rest, same(Type::F32, 2),
            laneHandlers<addF32<R, Ftz, Sat>>(), weight);
    addForm(table, "sub" + round + rest, same(Type::F32, 2),
            laneHandlers<subF32<R, Ftz, Sat>>(), weight);
    addForm(table, "mul" + round + rest, same(Type::F32, 2), product, weight);
  });
  // Since sm_20 mad is fma, and its rounding must be written.
  addForm(table, "mad" + std::string(roundName(R)) + rest, same(Type::F32, 3),
          fused, weight);
  addForm(table, "fma" + std::string(roundName(R)) + rest, same(Type::F32, 3),
          fused, weight);
}

template <Round R, bool Ftz> void addRoots(IsaTable &table) {
  std::string name = roundName(R) + when(Ftz, ".ftz");
  name += ".f32";
  addForm(table, "div" + name, same(Type::F32, 2),
          laneHandlers<divF32<R, Ftz>>(), {Cost::Special, 10});
  addForm(table, "rcp" + name, same(Type::F32, 1),
          laneHandlers<rcpF32<R, Ftz>>(), {Cost::Special, 7});
  addForm(table, "sqrt" + name, same(Type::F32, 1),
          laneHandlers<sqrtF32<R, Ftz>>(), {Cost::Special, 8});
}

/// f32x2: two f32 in a 64-bit register.
template <Round R, bool Ftz> void addPairs(IsaTable &table) {
  std::string rest = when(Ftz, ".ftz");
  rest += ".f32x2";
  Since since = {100, 86};
  Weight weight = {Cost::Fma, 1};
  named(R, true, [&](const std::string &round) {
    addForm(table, "add" + round + rest, same(Type::F32x2, 2),
            laneHandlers<bothF32<addF32<R, Ftz>, uint64_t, uint64_t>>(), weight,
            since);
    addForm(table, "sub" + round + rest, same(Type::F32x2, 2),
            laneHandlers<bothF32<subF32<R, Ftz>, uint64_t, uint64_t>>(), weight,
            since);
    addForm(table, "mul" + round + rest, same(Type::F32x2, 2),
            laneHandlers<bothF32<mulF32<R, Ftz>, uint64_t, uint64_t>>(), weight,
            since);
  });
  addForm(table, "fma" + std::string(roundName(R)) + rest, same(Type::F32x2, 3),
          laneHandlers<bothF32<fmaF32<R, Ftz>, uint64_t, uint64_t, uint64_t>>(),
          weight, since);
}

/// f32 sums of 16-bit operands.
template <class H, Round R, bool Sat> PTX_INLINE float addMixed(H a, float c) {
  return addF32<R, false, Sat>(toFloat(a), c);
}
template <class H, Round R, bool Sat> PTX_INLINE float subMixed(H a, float c) {
  return subF32<R, false, Sat>(toFloat(a), c);
}
template <class H, Round R, bool Sat>
PTX_INLINE float fmaMixed(H a, H b, float c) {
  return fmaF32<R, false, Sat>(toFloat(a), toFloat(b), c);
}
template <class H, Round R, bool Sat> void addMixedForms(IsaTable &table) {
  std::string rest = when(Sat, ".sat");
  rest += ".f32" + suffixOf<H>();
  OperandSpec to = reg(Type::F32), half = source(typeOf<H>());
  OperandSpec single = source(Type::F32);
  Since since = {100, 86};
  named(R, true, [&](const std::string &round) {
    addForm(table, "add" + round + rest, {to, half, single},
            laneHandlers<addMixed<H, R, Sat>>(), {Cost::Fma, 1}, since);
    addForm(table, "sub" + round + rest, {to, half, single},
            laneHandlers<subMixed<H, R, Sat>>(), {Cost::Fma, 1}, since);
  });
  addForm(table, "fma" + std::string(roundName(R)) + rest,
          {to, half, half, single}, laneHandlers<fmaMixed<H, R, Sat>>(),
          {Cost::Fma, 1}, since);
}

template <bool Max, bool Ftz, bool NaN> void addChoices(IsaTable &table) {
  std::string name = Max ? "max" : "min";
  name += when(Ftz, ".ftz") + when(NaN, ".NaN");
  Since nan = {NaN ? 80u : 0u, NaN ? 70u : 10u};
  addForm(table, name + ".f32", same(Type::F32, 2),
          laneHandlers<minMaxF32<Max, Ftz, NaN, false>>(), {}, nan);
  addForm(table, name + ".xorsign.abs.f32", same(Type::F32, 2),
          laneHandlers<minMaxF32<Max, Ftz, NaN, true>>(), {}, {86, 72});
  addForm(table, name + ".f32", same(Type::F32, 3),
          laneHandlers<minMax3F32<Max, Ftz, NaN, false>>(), {}, {100, 88});
  addForm(table, name + ".abs.f32", same(Type::F32, 3),
          laneHandlers<minMax3F32<Max, Ftz, NaN, true>>(), {}, {100, 88});
}

template <bool Ftz> void addSigns(IsaTable &table) {
  std::string rest = when(Ftz, ".ftz");
  rest += ".f32";
  addForm(table, "abs" + rest, same(Type::F32, 1), laneHandlers<absF32<Ftz>>());
  addForm(table, "neg" + rest, same(Type::F32, 1), laneHandlers<negF32<Ftz>>());
}
} // namespace

namespace ptx {
void registerFloatRows(IsaTable &table) {
  forRounds([&]<Round R>() {
    addSums<R, false, false>(table);
    addSums<R, false, true>(table);
    addSums<R, true, false>(table);
    addSums<R, true, true>(table);
    forBoth([&]<bool Ftz>() {
      addRoots<R, Ftz>(table);
      addPairs<R, Ftz>(table);
    });
    forBoth([&]<bool Sat>() {
      addMixedForms<Half, R, Sat>(table);
      addMixedForms<BHalf, R, Sat>(table);
    });
  });
  forBoth([&]<bool Ftz>() {
    addSigns<Ftz>(table);
    forBoth([&]<bool NaN>() {
      addChoices<false, Ftz, NaN>(table);
      addChoices<true, Ftz, NaN>(table);
    });
  });
  addForm(table, "copysign.f32", same(Type::F32, 2),
          laneHandlers<copysignF32>(), {}, {0, 20});
}
} // namespace ptx
