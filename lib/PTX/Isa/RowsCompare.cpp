// Setp, set, selp, slct, testp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Compare.h"
#include "Arithmetic/LanePredicate.h"
#include "Isa/LaneRows.h"
#include "Machine/Instruction.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
template <Bool B, uint32_t Yes>
void keepRest(DecodeContext &, Instruction &in) {
  static constexpr AfterComparison rest = {B, Yes};
  in.extra = &rest;
}
using Decode = void (*)(DecodeContext &, Instruction &);

/// In the order of Comparison: integers have the first 6, untyped bits 2.
constexpr const char *kNames[] = {".eq",  ".ne",  ".lt",  ".le",  ".gt",
                                  ".ge",  ".equ", ".neu", ".ltu", ".leu",
                                  ".gtu", ".geu", ".num", ".nan"};
/// What unsigned comparisons are also called.
constexpr const char *kUnsignedNames[] = {nullptr, nullptr, ".lo",
                                          ".ls",   ".hi",   ".hs"};

/// The handlers of one type, by comparison.
struct Comparisons {
  std::vector<HandlerSet> setp, set;
};
template <auto F> HandlerSet setOnce() {
  return {Levels<SetValues<F>>::baseline};
}
template <class T, bool Ftz, Comparison... C> Comparisons comparisonsOf() {
  constexpr bool isHalf = std::is_same_v<T, Half> || std::is_same_v<T, BHalf>;
  return {{handlersOf<SetPredicates<compare<C, Ftz, T>, !isHalf>>()...},
          {setOnce<compare<C, Ftz, T>>()...}};
}
template <class H, bool Ftz, Comparison... C> Comparisons pairsOf() {
  return {
      {handlersOf<SetPredicatesOfHalves<compareHalfOf<C, Ftz, H, false>,
                                        compareHalfOf<C, Ftz, H, true>>>()...},
      {HandlerSet(
          Levels<SetHalves<compareHalfOf<C, Ftz, H, false>,
                           compareHalfOf<C, Ftz, H, true>>>::baseline)...}};
}
template <class T> Comparisons integerComparisons() {
  using enum Comparison;
  return comparisonsOf<T, false, Eq, Ne, Lt, Le, Gt, Ge>();
}
template <class T, bool Ftz> Comparisons floatComparisons() {
  using enum Comparison;
  return comparisonsOf<T, Ftz, Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu,
                       Geu, Num, Nan>();
}
template <class H, bool Ftz> Comparisons pairComparisons() {
  using enum Comparison;
  return pairsOf<H, Ftz, Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu,
                 Num, Nan>();
}

/// The form alone and with each boolean operation.
struct Decodes {
  Decode none, logicAnd, logicOr, logicXor;
};
template <uint32_t Yes> constexpr Decodes decodesOf() {
  return {keepRest<Bool::None, Yes>, keepRest<Bool::And, Yes>,
          keepRest<Bool::Or, Yes>, keepRest<Bool::Xor, Yes>};
}
void addWithBools(IsaTable &table, const std::string &front,
                  const std::string &back, std::vector<OperandSpec> operands,
                  const HandlerSet &handlers, const Decodes &decodes,
                  Weight weight, Since since, unsigned results) {
  auto add = [&](const char *name, Decode decode) {
    addForm(table, front + name + back, operands, handlers, weight, since,
            results, decode);
  };
  add("", decodes.none);
  operands.push_back(predicate(Negate));
  add(".and", decodes.logicAnd);
  add(".or", decodes.logicOr);
  add(".xor", decodes.logicXor);
}

void addSetp(IsaTable &table, const std::string &comparison, bool ftz,
             Type type, const HandlerSet &handlers, Since since) {
  std::vector<OperandSpec> operands = {predicate(Sink)};
  // A comparison of one half has no complement.
  if (type != Type::F16 && type != Type::BF16)
    operands.push_back(predicate(Sink).pair().optional());
  unsigned results = static_cast<unsigned>(operands.size());
  operands.insert(operands.end(), 2, source(type));
  Weight weight = {type == Type::F64 ? Cost::Double : Cost::Alu,
                   bitWidth(type) == 64 && !isFloat(type) ? 2.0f : 1.0f};
  addWithBools(table, "setp" + comparison,
               when(ftz, ".ftz") + std::string(typeName(type)), operands,
               handlers, decodesOf<0>(), weight, since, results);
}
void addSet(IsaTable &table, const std::string &comparison, bool ftz,
            Type result, Type type, const HandlerSet &handlers,
            const Decodes &decodes, Since since) {
  addWithBools(table, "set" + comparison,
               when(ftz, ".ftz") + std::string(typeName(result)) +
                   std::string(typeName(type)),
               {reg(result), source(type), source(type)}, handlers, decodes,
               {Cost::Alu, 2}, since, 1);
}

constexpr Since kF16 = {53, 42}, kBF16 = {90, 78};
constexpr uint32_t kOne = 0x3f800000u, kHalfOne = 0x3c00u, kBHalfOne = 0x3f80u;

/// All results that a comparison of 16- to 64-bit types may have.
void addSets(IsaTable &table, const std::string &name, bool ftz, Type type,
             const HandlerSet &handlers) {
  auto add = [&](Type result, const Decodes &decodes, Since since) {
    addSet(table, name, ftz, result, type, handlers, decodes, since);
  };
  add(Type::U32, decodesOf<0xffffffffu>(), {});
  add(Type::S32, decodesOf<0xffffffffu>(), {});
  add(Type::F32, decodesOf<kOne>(), {});
  add(Type::F16, decodesOf<kHalfOne>(), kF16);
  if (!ftz)
    add(Type::BF16, decodesOf<kBHalfOne>(), kBF16);
}

template <class T> void addIntegers(IsaTable &table) {
  constexpr Type bits = sizeof(T) == 2   ? Type::B16
                        : sizeof(T) == 4 ? Type::B32
                                         : Type::B64;
  Comparisons handlers = integerComparisons<T>();
  for (unsigned c = 0; c < handlers.setp.size(); ++c) {
    auto add = [&](const char *name, Type type) {
      addSetp(table, name, false, type, handlers.setp[c], {});
      addSets(table, name, false, type, handlers.set[c]);
    };
    add(kNames[c], typeOf<T>());
    if (!kSigned<T> && c < 2)
      add(kNames[c], bits);
    if (!kSigned<T> && kUnsignedNames[c])
      add(kUnsignedNames[c], typeOf<T>());
  }
}
template <class T, bool Ftz> void addFloats(IsaTable &table) {
  Comparisons handlers = floatComparisons<T, Ftz>();
  for (unsigned c = 0; c < handlers.setp.size(); ++c) {
    addSetp(table, kNames[c], Ftz, typeOf<T>(), handlers.setp[c], {});
    addSets(table, kNames[c], Ftz, typeOf<T>(), handlers.set[c]);
  }
}
template <class H, bool Ftz> void addHalves(IsaTable &table, Since since) {
  constexpr bool isHalf = std::is_same_v<H, Half>;
  constexpr Type one = typeOf<H>(), two = isHalf ? Type::F16x2 : Type::BF16x2;
  constexpr Decodes truth = decodesOf<isHalf ? kHalfOne : kBHalfOne>();
  Comparisons handlers = floatComparisons<H, Ftz>();
  Comparisons pairs = pairComparisons<H, Ftz>();
  Since integers = isHalf ? Since{53, 65} : since; // as results
  for (unsigned c = 0; c < handlers.setp.size(); ++c) {
    addSetp(table, kNames[c], Ftz, one, handlers.setp[c], since);
    addSetp(table, kNames[c], Ftz, two, pairs.setp[c], since);
    addSet(table, kNames[c], Ftz, one, one, handlers.set[c], truth, since);
    addSet(table, kNames[c], Ftz, two, two, pairs.set[c], truth, since);
    for (Type result : {Type::U16, Type::S16})
      addSet(table, kNames[c], Ftz, result, one, handlers.set[c],
             decodesOf<0xffffu>(), integers);
    for (Type result : {Type::U32, Type::S32}) {
      addSet(table, kNames[c], Ftz, result, one, handlers.set[c],
             decodesOf<0xffffffffu>(), integers);
      addSet(table, kNames[c], Ftz, result, two, pairs.set[c],
             decodesOf<0xffffu>(), integers);
    }
    if (isHalf && !Ftz)
      addSet(table, kNames[c], Ftz, Type::BF16, one, handlers.set[c],
             decodesOf<kBHalfOne>(), kBF16);
  }
}

template <class T> void addSelections(IsaTable &table) {
  Weight weight = {Cost::Alu, sizeof(T) == 8 ? 2.0f : 1.0f};
  auto add = [&](Type type) {
    std::string name(typeName(type));
    OperandSpec to = reg(type), from = source(type);
    addForm(table, "selp" + name, {to, from, from, predicate(Negate)},
            laneHandlers<selp<T>>(), weight);
    addForm(table, "slct" + name + ".s32", {to, from, from, source(Type::S32)},
            laneHandlers<slct<T>>(), {Cost::Alu, weight.instructions + 1});
    addForm(table, "slct" + name + ".f32", {to, from, from, source(Type::F32)},
            laneHandlers<slctFloat<T, false>>(),
            {Cost::Alu, weight.instructions + 1});
    addForm(table, "slct.ftz" + name + ".f32",
            {to, from, from, source(Type::F32)},
            laneHandlers<slctFloat<T, true>>(),
            {Cost::Alu, weight.instructions + 1});
  };
  if constexpr (sizeof(T) == 2)
    for (Type type : {Type::B16, Type::U16, Type::S16})
      add(type);
  else if constexpr (sizeof(T) == 4)
    for (Type type : {Type::B32, Type::U32, Type::S32, Type::F32})
      add(type);
  else
    for (Type type : {Type::B64, Type::U64, Type::S64, Type::F64})
      add(type);
}

template <class T> void addProperties(IsaTable &table) {
  auto add = [&]<Property P>(const char *name) {
    addForm(table, "testp" + std::string(name) + suffixOf<T>(),
            {predicate(), source(typeOf<T>())}, laneHandlers<testp<P, T>>(),
            {Cost::Alu, 3}, {0, 20});
  };
  add.template operator()<Property::Finite>(".finite");
  add.template operator()<Property::Infinite>(".infinite");
  add.template operator()<Property::Number>(".number");
  add.template operator()<Property::NotANumber>(".notanumber");
  add.template operator()<Property::Normal>(".normal");
  add.template operator()<Property::Subnormal>(".subnormal");
}
} // namespace

namespace ptx {
void registerCompareRows(IsaTable &table) {
  forTypes<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      [&]<class T>() { addIntegers<T>(table); });
  addFloats<float, false>(table);
  addFloats<float, true>(table);
  addFloats<double, false>(table);
  addHalves<Half, false>(table, kF16);
  addHalves<Half, true>(table, kF16);
  addHalves<BHalf, false>(table, kBF16);
  forTypes<uint16_t, uint32_t, uint64_t>(
      [&]<class T>() { addSelections<T>(table); });
  forTypes<float, double>([&]<class T>() { addProperties<T>(table); });
}
} // namespace ptx
