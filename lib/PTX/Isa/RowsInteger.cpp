// Integer arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Integer.h"
#include "Arithmetic/LaneCarry.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
template <class T> std::vector<OperandSpec> sameTypes(unsigned sources) {
  std::vector<OperandSpec> operands = {reg(typeOf<T>())};
  operands.insert(operands.end(), sources, source(typeOf<T>()));
  return operands;
}

/// A function of equal types.
template <auto F, class T>
void addSame(IsaTable &table, const std::string &name, unsigned sources,
             float weight, Since since = {}) {
  addForm(table, name + suffixOf<T>(), sameTypes<T>(sources), laneHandlers<F>(),
          {Cost::Alu, weight}, since);
}

template <class T> void addBasic(IsaTable &table) {
  // A 64-bit operation is made of 32-bit ones.
  constexpr bool wide = sizeof(T) == 8;
  constexpr float pair = wide ? 2 : 1;
  constexpr float product = wide ? 4 : 1;
  addSame<add<T>, T>(table, "add", 2, pair);
  addSame<sub<T>, T>(table, "sub", 2, pair);
  addSame<arithmetic::min<T>, T>(table, "min", 2, 2 * pair - 1);
  addSame<arithmetic::max<T>, T>(table, "max", 2, 2 * pair - 1);
  addSame<mulLo<T>, T>(table, "mul.lo", 2, product);
  addSame<mulHi<T>, T>(table, "mul.hi", 2, wide ? 8 : 1);
  addSame<madLo<T>, T>(table, "mad.lo", 3, product);
  addSame<madHi<T>, T>(table, "mad.hi", 3, wide ? 8 : 2);
  addSame<sad<T>, T>(table, "sad", 3, 3 * pair);
  if constexpr (kSigned<T>) {
    addSame<arithmetic::abs<T>, T>(table, "abs", 1, pair);
    addSame<neg<T>, T>(table, "neg", 1, pair);
  }
  // Vectors divide 32-bit numbers as doubles; wider ones go lane by lane.
  constexpr float division = wide ? 70 : 18;
  HandlerSet quotients, rests;
  if constexpr (wide) {
    quotients = eachLaneHandlers<arithmetic::div<T>>();
    rests = eachLaneHandlers<rem<T>>();
  } else {
    quotients = laneHandlers<divByDouble<T>>();
    rests = laneHandlers<remByDouble<T>>();
  }
  addForm(table, "div" + suffixOf<T>(), sameTypes<T>(2), quotients,
          {Cost::Alu, division});
  addForm(table, "rem" + suffixOf<T>(), sameTypes<T>(2), rests,
          {Cost::Alu, division});
}

template <class T> void addWide(IsaTable &table) {
  using W = Twice<T>;
  OperandSpec from = source(typeOf<T>());
  addForm(table, "mul.wide" + suffixOf<T>(), {reg(typeOf<W>()), from, from},
          laneHandlers<mulWide<T>>());
  addForm(table, "mad.wide" + suffixOf<T>(),
          {reg(typeOf<W>()), from, from, source(typeOf<W>())},
          laneHandlers<madWide<T>>());
}

template <class T> void add24(IsaTable &table) {
  addSame<mul24Lo<T>, T>(table, "mul24.lo", 2, 3);
  addSame<mul24Hi<T>, T>(table, "mul24.hi", 2, 3);
  addSame<mad24Lo<T>, T>(table, "mad24.lo", 3, 3);
  addSame<mad24Hi<T>, T>(table, "mad24.hi", 3, 3);
}

template <auto F>
void addPacked(IsaTable &table, const std::string &name, Type type) {
  addForm(table, name + std::string(typeName(type)),
          {reg(type), source(type), source(type)}, laneHandlers<F>(), {},
          {90, 80});
}

void addPackedForms(IsaTable &table) {
  addPacked<both16<add<uint16_t>, uint16_t>>(table, "add", Type::U16x2);
  addPacked<both16<add<int16_t>, int16_t>>(table, "add", Type::S16x2);
  addPacked<both16<arithmetic::min<uint16_t>, uint16_t>>(table, "min",
                                                         Type::U16x2);
  addPacked<both16<arithmetic::max<uint16_t>, uint16_t>>(table, "max",
                                                         Type::U16x2);
  addPacked<both16<arithmetic::min<int16_t>, int16_t>>(table, "min",
                                                       Type::S16x2);
  addPacked<both16<arithmetic::max<int16_t>, int16_t>>(table, "max",
                                                       Type::S16x2);
  addPacked<both16<minRelu<int16_t>, int16_t>>(table, "min.relu", Type::S16x2);
  addPacked<both16<maxRelu<int16_t>, int16_t>>(table, "max.relu", Type::S16x2);
}

template <class A, class B> void addDotProducts(IsaTable &table) {
  // The type names of the 32-bit operands say how the bytes are read.
  using WideA = std::conditional_t<kSigned<A>, int32_t, uint32_t>;
  using WideB = std::conditional_t<kSigned<B>, int32_t, uint32_t>;
  using HalfA = std::conditional_t<kSigned<A>, int16_t, uint16_t>;
  std::string types = suffixOf<WideA>() + suffixOf<WideB>();
  // The sum is signed if either factor is.
  Type sum = kSigned<A> || kSigned<B> ? Type::S32 : Type::U32;
  std::vector<OperandSpec> operands = {reg(sum), source(typeOf<WideA>()),
                                       source(typeOf<WideB>()), source(sum)};
  addForm(table, "dp4a" + types, operands, laneHandlers<dp4a<A, B>>(), {},
          {61, 50});
  addForm(table, "dp2a.lo" + types, operands,
          laneHandlers<dp2a<HalfA, B, false>>(), {}, {61, 50});
  addForm(table, "dp2a.hi" + types, operands,
          laneHandlers<dp2a<HalfA, B, true>>(), {}, {61, 50});
}

template <class T> void addCarryForms(IsaTable &table) {
  constexpr float weight = sizeof(T) == 8 ? 2 : 1;
  constexpr Weight product = {Cost::Alu, sizeof(T) == 8 ? 8.0f : 2.0f};
  Since since = {0, sizeof(T) == 8 ? 43u : 12u};
  std::string type = suffixOf<T>();
  auto two = sameTypes<T>(2), three = sameTypes<T>(3);
  addForm(table, "add.cc" + type, two,
          carryHandlers<addCarry<T>, Carry::Clear, true>(), {Cost::Alu, weight},
          since);
  addForm(table, "addc" + type, two,
          carryHandlers<addCarry<T>, Carry::Use, false>(), {Cost::Alu, weight},
          since);
  addForm(table, "addc.cc" + type, two,
          carryHandlers<addCarry<T>, Carry::Use, true>(), {Cost::Alu, weight},
          since);
  addForm(table, "sub.cc" + type, two,
          carryHandlers<subCarry<T>, Carry::Set, true>(), {Cost::Alu, weight},
          since);
  addForm(table, "subc" + type, two,
          carryHandlers<subCarry<T>, Carry::Use, false>(), {Cost::Alu, weight},
          since);
  addForm(table, "subc.cc" + type, two,
          carryHandlers<subCarry<T>, Carry::Use, true>(), {Cost::Alu, weight},
          since);
  Since mad = {0, sizeof(T) == 8 ? 43u : 30u};
  auto products = [&]<auto F>(const std::string &part) {
    addForm(table, "mad" + part + ".cc" + type, three,
            carryHandlers<F, Carry::Clear, true>(), product, mad);
    addForm(table, "madc" + part + type, three,
            carryHandlers<F, Carry::Use, false>(), product, mad);
    addForm(table, "madc" + part + ".cc" + type, three,
            carryHandlers<F, Carry::Use, true>(), product, mad);
  };
  products.template operator()<madLoCarry<T>>(".lo");
  products.template operator()<madHiCarry<T>>(".hi");
}
} // namespace

namespace ptx {
void registerIntegerRows(IsaTable &table) {
  forTypes<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      [&]<class T>() { addBasic<T>(table); });
  forTypes<int16_t, uint16_t, int32_t, uint32_t>(
      [&]<class T>() { addWide<T>(table); });
  forTypes<int32_t, uint32_t>([&]<class T>() { add24<T>(table); });
  addSame<addSat, int32_t>(table, "add.sat", 2, 3);
  addSame<subSat, int32_t>(table, "sub.sat", 2, 3);
  addSame<madHiSat, int32_t>(table, "mad.hi.sat", 3, 5);
  addSame<mad24HiSat, int32_t>(table, "mad24.hi.sat", 3, 6);
  addSame<minRelu<int32_t>, int32_t>(table, "min.relu", 2, 1, {90, 80});
  addSame<maxRelu<int32_t>, int32_t>(table, "max.relu", 2, 1, {90, 80});
  addPackedForms(table);
  addDotProducts<int8_t, int8_t>(table);
  addDotProducts<int8_t, uint8_t>(table);
  addDotProducts<uint8_t, int8_t>(table);
  addDotProducts<uint8_t, uint8_t>(table);
  forTypes<int32_t, uint32_t, int64_t, uint64_t>(
      [&]<class T>() { addCarryForms<T>(table); });
}
} // namespace ptx
