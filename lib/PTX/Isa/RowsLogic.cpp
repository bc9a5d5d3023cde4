// Logic, shifts and bit fields.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/BitField.h"
#include "Arithmetic/LanePredicate.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
/// `.b16`, `.b32`, `.b64`: untyped bits of an unsigned type.
template <class T> constexpr Type bitsType() {
  return sizeof(T) == 2 ? Type::B16 : sizeof(T) == 4 ? Type::B32 : Type::B64;
}
template <class T> std::string bitsSuffix() {
  return std::string(typeName(bitsType<T>()));
}
template <class T> constexpr float pairWeight() {
  return sizeof(T) == 8 ? 2 : 1;
}

LaneMask maskAnd(LaneMask a, LaneMask b) { return a & b; }
LaneMask maskOr(LaneMask a, LaneMask b) { return a | b; }
LaneMask maskXor(LaneMask a, LaneMask b) { return a ^ b; }
LaneMask maskNot(LaneMask a) { return ~a; }

template <class T> void addLogic(IsaTable &table) {
  OperandSpec to = reg(bitsType<T>()), from = source(bitsType<T>());
  Weight weight = {Cost::Alu, pairWeight<T>()};
  std::string type = bitsSuffix<T>();
  addForm(table, "and" + type, {to, from, from}, laneHandlers<bitAnd<T>>(),
          weight);
  addForm(table, "or" + type, {to, from, from}, laneHandlers<bitOr<T>>(),
          weight);
  addForm(table, "xor" + type, {to, from, from}, laneHandlers<bitXor<T>>(),
          weight);
  addForm(table, "not" + type, {to, from}, laneHandlers<bitNot<T>>(), weight);
  addForm(table, "cnot" + type, {to, from}, laneHandlers<logicalNot<T>>(),
          {Cost::Alu, 2});
  addForm(table, "shl" + type, {to, from, source(Type::U32)},
          laneHandlers<shl<T>>(), weight);
}
void addPredicateLogic(IsaTable &table) {
  OperandSpec to = predicate(), from = predicate(Negate);
  addForm(table, "and.pred", {to, from, from}, predicateHandlers<maskAnd>());
  addForm(table, "or.pred", {to, from, from}, predicateHandlers<maskOr>());
  addForm(table, "xor.pred", {to, from, from}, predicateHandlers<maskXor>());
  addForm(table, "not.pred", {to, from}, predicateHandlers<maskNot>());
}

template <class T> void addShiftRight(IsaTable &table) {
  OperandSpec amount = source(Type::U32);
  Weight weight = {Cost::Alu, pairWeight<T>()};
  addForm(table, "shr" + suffixOf<T>(),
          {reg(typeOf<T>()), source(typeOf<T>()), amount},
          laneHandlers<shr<T>>(), weight);
  if constexpr (!kSigned<T>)
    addForm(table, "shr" + bitsSuffix<T>(),
            {reg(bitsType<T>()), source(bitsType<T>()), amount},
            laneHandlers<shr<T>>(), weight);
}

template <class T> void addCounts(IsaTable &table) {
  OperandSpec count = reg(Type::U32), bits = source(bitsType<T>());
  OperandSpec number = source(Type::U32);
  std::string type = bitsSuffix<T>();
  Weight weight = {Cost::Alu, 2 * pairWeight<T>()};
  addForm(table, "popc" + type, {count, bits}, laneHandlers<popc<T>>(), weight,
          {0, 20});
  addForm(table, "clz" + type, {count, bits}, laneHandlers<clz<T>>(), weight,
          {0, 20});
  addForm(table, "brev" + type, {reg(bitsType<T>()), bits},
          laneHandlers<brev<T>>(), {Cost::Alu, pairWeight<T>()}, {0, 20});
  addForm(table, "bfi" + type, {reg(bitsType<T>()), bits, bits, number, number},
          laneHandlers<bfi<T>>(), {Cost::Alu, 4 * pairWeight<T>()}, {0, 20});
}
template <class T> void addFields(IsaTable &table) {
  OperandSpec from = source(typeOf<T>()), number = source(Type::U32);
  std::string type = suffixOf<T>();
  Weight weight = {Cost::Alu, 2 * pairWeight<T>()};
  addForm(table, "bfind" + type, {reg(Type::U32), from},
          laneHandlers<bfind<T, false>>(), weight, {0, 20});
  addForm(table, "bfind.shiftamt" + type, {reg(Type::U32), from},
          laneHandlers<bfind<T, true>>(), weight, {0, 20});
  addForm(table, "bfe" + type, {reg(typeOf<T>()), from, number, number},
          laneHandlers<bfe<T>>(), {Cost::Alu, 3 * pairWeight<T>()}, {0, 20});
}
template <class T> void addExtensions(IsaTable &table) {
  std::vector<OperandSpec> operands = {reg(typeOf<T>()), source(typeOf<T>()),
                                       source(Type::U32)};
  addForm(table, "szext.wrap" + suffixOf<T>(), operands,
          laneHandlers<szext<T, true>>(), {Cost::Alu, 2}, {0, 76});
  addForm(table, "szext.clamp" + suffixOf<T>(), operands,
          laneHandlers<szext<T, false>>(), {Cost::Alu, 2}, {0, 76});
}

template <bool Wrap> void addFunnels(IsaTable &table) {
  std::string mode = Wrap ? ".wrap.b32" : ".clamp.b32";
  OperandSpec to = reg(Type::B32), from = source(Type::B32);
  OperandSpec number = source(Type::U32);
  addForm(table, "shf.l" + mode, {to, from, from, number},
          laneHandlers<shfLeft<Wrap>>(), {}, {0, 31});
  addForm(table, "shf.r" + mode, {to, from, from, number},
          laneHandlers<shfRight<Wrap>>(), {}, {0, 31});
  addForm(table, "bmsk" + mode, {to, number, number},
          laneHandlers<bmsk<Wrap>>(), {}, {0, 76});
}

void addLop3(IsaTable &table) {
  OperandSpec to = reg(Type::B32), from = source(Type::B32);
  OperandSpec bits = immediate(0, 255, Type::U32);
  addForm(table, "lop3.b32", {to, from, from, from, bits}, laneHandlers<lop3>(),
          {}, {0, 43});
  std::vector<OperandSpec> operands = {
      to.sink(), predicate(Sink).pair(), from, from, from,
      bits,      predicate(Negate)};
  addForm(table, "lop3.and.b32", operands,
          handlersOf<Lop3WithPredicate<Bool::And>>(), {}, {70, 82}, 2);
  addForm(table, "lop3.or.b32", operands,
          handlersOf<Lop3WithPredicate<Bool::Or>>(), {}, {70, 82}, 2);
}

template <Permute Mode> void addPermute(IsaTable &table, const char *mode) {
  OperandSpec from = source(Type::B32);
  addForm(table, std::string("prmt.b32") + mode,
          {reg(Type::B32), from, from, from}, laneHandlers<prmt<Mode>>(), {},
          {0, 20});
}
} // namespace

namespace ptx {
void registerLogicRows(IsaTable &table) {
  forTypes<uint16_t, uint32_t, uint64_t>(
      [&]<class T>() { addLogic<T>(table); });
  addPredicateLogic(table);
  forTypes<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      [&]<class T>() { addShiftRight<T>(table); });
  forTypes<uint32_t, uint64_t>([&]<class T>() { addCounts<T>(table); });
  forTypes<int32_t, uint32_t, int64_t, uint64_t>(
      [&]<class T>() { addFields<T>(table); });
  forTypes<int32_t, uint32_t>([&]<class T>() { addExtensions<T>(table); });
  addFunnels<true>(table);
  addFunnels<false>(table);
  addForm(
      table, "fns.b32",
      {reg(Type::B32), source(Type::B32), source(Type::B32), source(Type::S32)},
      eachLaneHandlers<fns>(), {Cost::Alu, 30}, {0, 60});
  addLop3(table);
  addPermute<Permute::Index>(table, "");
  addPermute<Permute::F4E>(table, ".f4e");
  addPermute<Permute::B4E>(table, ".b4e");
  addPermute<Permute::RC8>(table, ".rc8");
  addPermute<Permute::ECL>(table, ".ecl");
  addPermute<Permute::ECR>(table, ".ecr");
  addPermute<Permute::RC16>(table, ".rc16");
}
} // namespace ptx
