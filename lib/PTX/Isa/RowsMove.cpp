// Mov in all its forms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/LaneMove.h"
#include "Arithmetic/LanePredicate.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
/// Moves mostly vanish in machine code.
constexpr Weight kMove = {Cost::Alu, 0.5f};

template <class T>
void addMoves(IsaTable &table, std::initializer_list<Type> types) {
  for (Type type : types)
    addForm(table, "mov" + std::string(typeName(type)),
            {reg(type), {OperandKind::SourceOrAddressOf, type}},
            handlersOf<Move<T>>(), kMove);
}

OperandSpec sinks(unsigned count, Type type) {
  return vector(count, type).with(Sink);
}
/// `mov.v2.b32 v, w`: vector registers, or elements in braces.
template <class T>
void addVectorMoves(IsaTable &table, std::initializer_list<Type> types) {
  for (Type type : types)
    forValues<2u, 4u>([&]<unsigned Count>() {
      if (Count * byteSize(type) > 16)
        return;
      addForm(table,
              "mov.v" + std::to_string(Count) + std::string(typeName(type)),
              {sinks(Count, type), vector(Count, type)},
              {Levels<MoveVector<T, Count>>::baseline}, kMove);
    });
}
/// `mov d, {a, b}` and `mov {a, b}, d`.
template <unsigned Count, unsigned Bits>
void addVectors(IsaTable &table, Type whole, Type element) {
  std::string name = "mov" + std::string(typeName(whole));
  addForm(table, name, {reg(whole), vector(Count, element)},
          handlersOf<Pack<Count, Bits>>(), kMove);
  addForm(table, name, {sinks(Count, element), source(whole)},
          handlersOf<Unpack<Count, Bits>>(), kMove);
}
template <unsigned Count> void addQuads(IsaTable &table, Type element) {
  Since since = {70, 83};
  addForm(table, "mov.b128", {reg(Type::B128), vector(Count, element)},
          {Levels<PackQuad<Count>>::baseline}, kMove, since);
  addForm(table, "mov.b128", {sinks(Count, element), source(Type::B128)},
          {Levels<UnpackQuad<Count>>::baseline}, kMove, since);
}
} // namespace

namespace ptx {
void registerMoveRows(IsaTable &table) {
  addForm(table, "mov.pred", {predicate(), predicate(Negate)},
          predicateHandlers<sameMask>(), kMove);
  addMoves<uint32_t>(table, {Type::B16, Type::U16, Type::S16});
  addMoves<uint32_t>(table, {Type::B32, Type::U32, Type::S32, Type::F32});
  addMoves<uint64_t>(table, {Type::B64, Type::U64, Type::S64, Type::F64});
  addVectorMoves<uint32_t>(table, {Type::B16, Type::U16, Type::S16});
  addVectorMoves<uint32_t>(table, {Type::B32, Type::U32, Type::S32, Type::F32});
  addVectorMoves<uint64_t>(table, {Type::B64, Type::U64, Type::S64, Type::F64});
  addVectors<2, 8>(table, Type::B16, Type::B8);
  addVectors<2, 16>(table, Type::B32, Type::B16);
  addVectors<4, 8>(table, Type::B32, Type::B8);
  addVectors<2, 32>(table, Type::B64, Type::B32);
  addVectors<4, 16>(table, Type::B64, Type::B16);
  addForm(table, "mov.b128", {reg(Type::B128), source(Type::B128)},
          {Levels<MoveQuad>::baseline}, kMove, {70, 83});
  addQuads<2>(table, Type::B64);
  addQuads<4>(table, Type::B32);
}
} // namespace ptx
