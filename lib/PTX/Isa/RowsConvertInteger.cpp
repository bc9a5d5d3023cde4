// Cvt from and to integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/ConvertInteger.h"
#include "Arithmetic/LaneConvert.h"
#include "Isa/ConvertRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
void addCvt(IsaTable &table, const std::string &modifiers, Type to, Type from,
            const HandlerSet &handlers, Since since = {}) {
  bool wide = bitWidth(to) == 64 || bitWidth(from) == 64;
  std::string name = modifiers;
  name += typeName(to);
  name += typeName(from);
  addConvert(table, name, to, {source(from)}, handlers, since,
             wide ? 2.0f : 1.0f);
}
template <class T> inline constexpr bool kIsBHalf = std::is_same_v<T, BHalf>;
template <class T> inline constexpr bool kIsHalf = std::is_same_v<T, Half>;
template <class T> constexpr Since sinceOf() {
  return kIsBHalf<T> ? Since{90, 78} : Since{};
}

template <class Body> void forIntegers(Body body) {
  forTypes<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t,
           uint64_t>(body);
}

/// The function of a conversion between integers does not depend on the sign
/// of the result, except where the register is wider.
template <class S, class D> void addIntegers(IsaTable &table) {
  addCvt(table, "", typeOf<D>(), typeOf<S>(),
         convertHandlers<truncateOrExtend<S, D>>());
  // Only where a value may be outside the result's type.
  constexpr bool narrower =
      sizeof(D) < sizeof(S) || (sizeof(D) == sizeof(S) && !std::is_signed_v<S>);
  if (narrower || (std::is_signed_v<S> && !std::is_signed_v<D>))
    addCvt(table, ".sat", typeOf<D>(), typeOf<S>(),
           convertHandlers<saturateInteger<S, D>>());
}

/// Vectors have instructions for 32 bits; 64-bit ones go lane by lane.
template <auto F, bool Vector> HandlerSet handlersFor() {
  if constexpr (Vector)
    return convertHandlers<F>();
  else
    return eachConvertHandlers<F>();
}

template <class D, class S, Round R> void addToInteger(IsaTable &table) {
  constexpr const char *names[] = {".rni", ".rzi", ".rmi", ".rpi"};
  constexpr bool vector = sizeof(D) <= 4;
  std::string name = names[static_cast<unsigned>(R)];
  auto add = [&](const std::string &modifiers, const HandlerSet &handlers) {
    // It always saturates.
    addCvt(table, modifiers, typeOf<D>(), typeOf<S>(), handlers, sinceOf<S>());
    if (!kIsBHalf<S>) // which has no .sat
      addCvt(table, modifiers + ".sat", typeOf<D>(), typeOf<S>(), handlers,
             sinceOf<S>());
  };
  if constexpr (std::is_same_v<S, float>) {
    add(name, handlersFor<f32ToInteger<D, R, false>, vector>());
    add(name + ".ftz", handlersFor<f32ToInteger<D, R, true>, vector>());
  } else if constexpr (std::is_same_v<S, double>) {
    add(name, handlersFor<f64ToInteger<D, R>, vector>());
  } else {
    add(name, handlersFor<halfToInteger<D, R, S>, vector>());
  }
}

template <class D, class S, Round R, bool Sat>
void addFromInteger(IsaTable &table) {
  std::string name = roundName(R) + when(Sat, ".sat");
  constexpr bool nearest = R == Round::Nearest;
  if constexpr (std::is_same_v<D, float>) {
    HandlerSet handlers =
        handlersFor<integerToF32<S, R, Sat>, nearest || sizeof(S) <= 4>();
    addCvt(table, name, typeOf<D>(), typeOf<S>(), handlers);
    // No result is subnormal.
    addCvt(table, name + ".ftz", typeOf<D>(), typeOf<S>(), handlers);
  } else if constexpr (std::is_same_v<D, double>) {
    addCvt(table, name, typeOf<D>(), typeOf<S>(),
           handlersFor<integerToF64<S, R, Sat>, nearest || sizeof(S) <= 4>());
  } else {
    addCvt(
        table, name, typeOf<D>(), typeOf<S>(),
        handlersFor<integerToHalf<S, R, D, Sat>, nearest && sizeof(S) <= 2>(),
        sinceOf<D>());
  }
}

template <class S> void addPairsWith(IsaTable &table) {
  forIntegers([&]<class D>() {
    if constexpr (!std::is_same_v<S, D>)
      addIntegers<S, D>(table);
  });
  forRounds([&]<Round R>() {
    forBoth([&]<bool Sat>() {
      addFromInteger<Half, S, R, Sat>(table);
      if constexpr (!Sat)
        addFromInteger<BHalf, S, R, Sat>(table);
      addFromInteger<float, S, R, Sat>(table);
      addFromInteger<double, S, R, Sat>(table);
    });
    addToInteger<S, Half, R>(table);
    addToInteger<S, BHalf, R>(table);
    addToInteger<S, float, R>(table);
    addToInteger<S, double, R>(table);
  });
  // Equal types: a copy, cut or extended.
  addCvt(table, "", typeOf<S>(), typeOf<S>(),
         convertHandlers<truncateOrExtend<S, S>>());
}

template <unsigned Bits, bool IsSigned>
void addPackOnto(IsaTable &table, const char *type) {
  OperandSpec number = source(Type::S32), bits = source(Type::B32);
  addForm(table, std::string("cvt.pack.sat") + type + ".s32.b32",
          {reg(Type::B32), number, number, bits},
          laneHandlers<packOnto<Bits, IsSigned>>(), {Cost::Convert, 1},
          Bits < 8 ? Since{75, 65} : Since{72, 65});
}
} // namespace

namespace ptx {
void registerConvertIntegerRows(IsaTable &table) {
  forIntegers([&]<class S>() { addPairsWith<S>(table); });
  OperandSpec number = source(Type::S32);
  addForm(table, "cvt.pack.sat.s16.s32", {reg(Type::B32), number, number},
          laneHandlers<packTwo<int16_t>>(), {Cost::Convert, 1}, {72, 65});
  addForm(table, "cvt.pack.sat.u16.s32", {reg(Type::B32), number, number},
          laneHandlers<packTwo<uint16_t>>(), {Cost::Convert, 1}, {72, 65});
  addPackOnto<8, true>(table, ".s8");
  addPackOnto<8, false>(table, ".u8");
  addPackOnto<4, true>(table, ".s4");
  addPackOnto<4, false>(table, ".u4");
  addPackOnto<2, true>(table, ".s2");
  addPackOnto<2, false>(table, ".u2");
}
} // namespace ptx
