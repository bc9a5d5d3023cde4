// F16, bf16 and packed pairs of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Half.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
/// Adds a form for one half and one for packed pairs of `H`.
template <class H> struct Forms {
  IsaTable &table;

  template <auto F, class... From>
  void add(const std::string &name, H (*)(From...), Since since) {
    constexpr unsigned sources = sizeof...(From);
    one(name, typeOf<H>(), sources, laneHandlers<F>(), since);
    one(name, std::is_same_v<H, Half> ? Type::F16x2 : Type::BF16x2, sources,
        packed<F>(std::make_index_sequence<sources>()), since);
  }
  template <auto F> void add(const std::string &name, Since since) {
    add<F>(name, F, since);
  }

  /// A form with a quick function, see MapChecked.
  template <auto Quick, auto F, class... From>
  void addChecked(const std::string &name, H (*)(From...), Since since) {
    constexpr unsigned sources = sizeof...(From);
    one(name, typeOf<H>(), sources, checkedLaneHandlers<Quick, F>(), since);
    one(name, Type::BF16x2, sources,
        checkedLaneHandlers<bothHalvesChecked<H, Quick, Packed<From>...>,
                            bothHalves<H, F, Packed<From>...>>(),
        since);
  }
  template <auto Quick, auto F>
  void addChecked(const std::string &name, Since since) {
    addChecked<Quick, F>(name, F, since);
  }

private:
  template <class> using Packed = uint32_t;
  template <size_t> using Word = uint32_t;
  template <auto F, size_t... K> HandlerSet packed(std::index_sequence<K...>) {
    return laneHandlers<bothHalves<H, F, Word<K>...>>();
  }
  void one(const std::string &name, Type type, unsigned sources,
           HandlerSet handlers, Since since) {
    std::vector<OperandSpec> operands = {reg(type)};
    operands.insert(operands.end(), sources, source(type));
    addForm(table, name + std::string(typeName(type)), operands, handlers,
            {Cost::Half, 1}, since);
  }
};

template <class H, HalfModifiers M> std::string suffix() {
  return when(M.ftz, ".ftz") + when(M.sat, ".sat") + when(M.relu, ".relu");
}

template <class H, HalfModifiers M> void addSums(IsaTable &table, Since since) {
  Forms<H> forms{table};
  for (std::string round : {"", ".rn"}) {
    std::string rest = round + suffix<H, M>();
    forms.template add<addHalf<H, M>>("add" + rest, since);
    forms.template add<subHalf<H, M>>("sub" + rest, since);
    if constexpr (std::is_same_v<H, BHalf>)
      forms.template addChecked<mulHalfQuick<M>, mulHalf<H, M>>("mul" + rest,
                                                                since);
    else
      forms.template add<mulHalf<H, M>>("mul" + rest, since);
  }
}
template <class H, HalfModifiers M> void addFma(IsaTable &table, Since since) {
  std::string name = "fma.rn" + suffix<H, M>();
  Forms<H> forms{table};
  if constexpr (std::is_same_v<H, BHalf>)
    forms.template addChecked<fmaHalfQuick<M>, fmaHalf<H, M>>(name, since);
  else
    forms.template add<fmaHalf<H, M>>(name, since);
}
template <class H> void addFmaOob(IsaTable &table) {
  Forms<H> forms{table};
  forms.template add<fmaHalfOob<H, HalfModifiers{}>>("fma.rn.oob", {90, 81});
  forms.template add<fmaHalfOob<H, HalfModifiers{.relu = true}>>(
      "fma.rn.oob.relu", {90, 81});
  if constexpr (std::is_same_v<H, Half>)
    forms.template add<fmaHalfOob<H, HalfModifiers{.sat = true}>>(
        "fma.rn.sat.oob", {90, 81});
}

template <class H, bool Ftz> void addSigns(IsaTable &table, Since since) {
  Forms<H> forms{table};
  std::string ftz = when(Ftz, ".ftz");
  forms.template add<absHalf<H, Ftz>>("abs" + ftz, since);
  if (std::is_same_v<H, Half>)
    since.ptx = 60;
  forms.template add<negHalf<H, Ftz>>("neg" + ftz, since);
}
template <class H, bool Max, bool Ftz, bool NaN>
void addChoices(IsaTable &table) {
  Forms<H> forms{table};
  std::string name = Max ? "max" : "min";
  name += when(Ftz, ".ftz") + when(NaN, ".NaN");
  forms.template add<minMaxHalf<H, Max, Ftz, NaN, false>>(name, {80, 70});
  forms.template add<minMaxHalf<H, Max, Ftz, NaN, true>>(name + ".xorsign.abs",
                                                         {86, 72});
}
template <class H, bool Ftz> void addAllChoices(IsaTable &table) {
  forBoth([&]<bool Max>() {
    forBoth([&]<bool NaN>() { addChoices<H, Max, Ftz, NaN>(table); });
  });
}
} // namespace

namespace ptx {
void registerHalfRows(IsaTable &table) {
  Since f16 = {53, 42}, relu = {80, 70}, bf16 = {90, 78};
  addSums<Half, HalfModifiers{}>(table, f16);
  addSums<Half, HalfModifiers{.ftz = true}>(table, f16);
  addSums<Half, HalfModifiers{.sat = true}>(table, f16);
  addSums<Half, HalfModifiers{.ftz = true, .sat = true}>(table, f16);
  addSums<BHalf, HalfModifiers{}>(table, bf16);
  addFma<Half, HalfModifiers{}>(table, f16);
  addFma<Half, HalfModifiers{.ftz = true}>(table, f16);
  addFma<Half, HalfModifiers{.sat = true}>(table, f16);
  addFma<Half, HalfModifiers{.ftz = true, .sat = true}>(table, f16);
  addFma<Half, HalfModifiers{.relu = true}>(table, relu);
  addFma<Half, HalfModifiers{.ftz = true, .relu = true}>(table, relu);
  addFma<BHalf, HalfModifiers{}>(table, relu);
  addFma<BHalf, HalfModifiers{.relu = true}>(table, relu);
  addFmaOob<Half>(table);
  addFmaOob<BHalf>(table);
  addSigns<Half, false>(table, {53, 65});
  addSigns<Half, true>(table, {53, 65});
  addSigns<BHalf, false>(table, {80, 70});
  addAllChoices<Half, false>(table);
  addAllChoices<Half, true>(table);
  addAllChoices<BHalf, false>(table);
}
} // namespace ptx
