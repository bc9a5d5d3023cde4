// Cvt between float types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/ConvertFloat.h"
#include "Arithmetic/ConvertSmall.h"
#include "Arithmetic/LaneConvert.h"
#include "Isa/ConvertRows.h"

using namespace ptx;
using namespace ptx::arithmetic;
using namespace ptx::lanes;
using namespace ptx::operand;

namespace {
void addCvt(IsaTable &table, const std::string &name, Type to,
            const std::vector<Type> &from, const HandlerSet &handlers,
            Since since = {}, float weight = 1) {
  std::vector<OperandSpec> sources;
  for (Type type : from)
    sources.push_back(source(type));
  addConvert(table, name, to, std::move(sources), handlers, since, weight);
}
template <class H> constexpr Type pairOf() {
  return std::is_same_v<H, Half> ? Type::F16x2 : Type::BF16x2;
}
template <class H> inline constexpr bool kIsHalf = std::is_same_v<H, Half>;

/// Integral values: .rni, .rzi, .rmi, .rpi, of one type.
template <Round R> void addIntegral(IsaTable &table) {
  constexpr const char *names[] = {".rni", ".rzi", ".rmi", ".rpi"};
  std::string name = names[static_cast<unsigned>(R)];
  forBoth([&]<bool Sat>() {
    std::string sat = name + when(Sat, ".sat");
    addCvt(table, sat + ".f16.f16", Type::F16, {Type::F16},
           convertHandlers<integralHalf<Half, R, Sat>>());
    if (!Sat) // bf16 has no .sat
      addCvt(table, sat + ".bf16.bf16", Type::BF16, {Type::BF16},
             convertHandlers<integralHalf<BHalf, R, Sat>>(), {90, 78});
    addCvt(table, sat + ".f32.f32", Type::F32, {Type::F32},
           convertHandlers<integralF32<R, false, Sat>>());
    addCvt(table, sat + ".ftz.f32.f32", Type::F32, {Type::F32},
           convertHandlers<integralF32<R, true, Sat>>());
    addCvt(table, sat + ".f64.f64", Type::F64, {Type::F64},
           convertHandlers<integralF64<R, Sat>>());
  });
}

/// To the same type: what is left are `.ftz`, `.sat` and the NaN.
template <bool Sat> void addSame(IsaTable &table) {
  std::string sat = when(Sat, ".sat");
  addCvt(table, sat + ".f16.f16", Type::F16, {Type::F16},
         convertHandlers<sameHalf<Half, Sat>>());
  if (!Sat) // bf16 has no .sat
    addCvt(table, ".bf16.bf16", Type::BF16, {Type::BF16},
           convertHandlers<sameHalf<BHalf, false>>(), {90, 78});
  forBoth([&]<bool Ftz>() {
    addCvt(table, when(Ftz, ".ftz") + sat + ".f32.f32", Type::F32, {Type::F32},
           convertHandlers<sameF32<Ftz, Sat>>());
  });
  addCvt(table, sat + ".f64.f64", Type::F64, {Type::F64},
         convertHandlers<sameF64<Sat>>(), {}, Sat ? 12 : 1);
}

/// Bf16 to wider types: exact, and a rounding may be written all the same.
void addWideningOfBHalves(IsaTable &table) {
  for (const char *round : {"", ".rn", ".rz", ".rm", ".rp"}) {
    std::string name = round;
    addCvt(table, name + ".f32.bf16", Type::F32, {Type::BF16},
           convertHandlers<bhalfToF32>(), {80, 71});
    addCvt(table, name + ".ftz.f32.bf16", Type::F32, {Type::BF16},
           convertHandlers<bhalfToFlushedF32>(), {90, 78});
    addCvt(table, name + ".f64.bf16", Type::F64, {Type::BF16},
           convertHandlers<halfToF64<BHalf, false>>(), {90, 78}, 2);
  }
}

/// Conversions that are exact.
template <bool Sat> void addWidening(IsaTable &table) {
  std::string sat = when(Sat, ".sat");
  forBoth([&]<bool Ftz>() {
    std::string name = when(Ftz, ".ftz") + sat;
    addCvt(table, name + ".f32.f16", Type::F32, {Type::F16},
           convertHandlers<halfToF32<Ftz, Sat>>());
    addCvt(table, name + ".f64.f32", Type::F64, {Type::F32},
           convertHandlers<f32ToF64<Ftz, Sat>>(), {}, 2);
  });
  addCvt(table, sat + ".f64.f16", Type::F64, {Type::F16},
         convertHandlers<halfToF64<Half, Sat>>(), {}, 2);
}

/// `.rn` and the like, of one number.
template <Round R> void addNarrowing(IsaTable &table) {
  std::string name = roundName(R);
  forBoth([&]<bool Ftz>() {
    forBoth([&]<bool Sat>() {
      std::string all = name + when(Ftz, ".ftz") + when(Sat, ".sat");
      addCvt(table, all + ".f32.f64", Type::F32, {Type::F64},
             convertHandlers<f64ToF32<R, Ftz, Sat>>(), {}, 2);
      // Nothing is flushed on the way to f16.
      addCvt(table, all + ".f16.f32", Type::F16, {Type::F32},
             convertHandlers<f32ToHalf<Half, R, FloatModifiers{.sat = Sat}>>());
    });
  });
  Since bf16 = {90, 78};
  addCvt(table, name + ".f16.f64", Type::F16, {Type::F64},
         eachConvertHandlers<f64ToHalf<Half, R>>(), {}, 3);
  addCvt(table, name + ".sat.f16.f64", Type::F16, {Type::F64},
         eachConvertHandlers<f64ToSaturatedHalf<R>>(), {}, 4);
  addCvt(table, name + ".bf16.f64", Type::BF16, {Type::F64},
         eachConvertHandlers<f64ToHalf<BHalf, R>>(), bf16, 3);
  addCvt(table, name + ".bf16.f16", Type::BF16, {Type::F16},
         convertHandlers<halfToHalf<Half, BHalf, R>>(), bf16);
  addCvt(table, name + ".f16.bf16", Type::F16, {Type::BF16},
         convertHandlers<halfToHalf<BHalf, Half, R>>(), bf16);
  addCvt(table, name + ".bf16.f32", Type::BF16, {Type::F32},
         convertHandlers<f32ToHalf<BHalf, R, FloatModifiers{}>>(), {80, 70});
  addCvt(table, name + ".ftz.bf16.f32", Type::BF16, {Type::F32},
         convertHandlers<f32ToHalf<BHalf, R, FloatModifiers{.ftz = true}>>(),
         {80, 70});
}

/// `.relu` and `.satfinite`, and two numbers packed.
template <class H, Round R, FloatModifiers M>
void addModified(IsaTable &table) {
  std::string name = roundName(R) + when(M.relu, ".relu");
  name += when(M.satfinite, ".satfinite");
  Since since = M.satfinite ? Since{80, 81} : Since{80, 70};
  constexpr bool old = std::is_same_v<H, Half> && !M.relu;
  if constexpr (M.relu || M.satfinite)
    addCvt(table, name + suffixOf<H>() + ".f32", typeOf<H>(), {Type::F32},
           convertHandlers<f32ToHalf<H, R, M>>(),
           old ? Since{75, since.ptx} : since);
  addCvt(table, name + std::string(typeName(pairOf<H>())) + ".f32", pairOf<H>(),
         {Type::F32, Type::F32}, convertHandlers<f32ToHalves<H, R, M>>(),
         since);
}
template <Round R> void addAllModified(IsaTable &table) {
  forBoth([&]<bool Relu>() {
    forBoth([&]<bool Finite>() {
      constexpr FloatModifiers m = {.relu = Relu, .satfinite = Finite};
      addModified<Half, R, m>(table);
      addModified<BHalf, R, m>(table);
      std::string name = roundName(R) + when(Relu, ".relu");
      name += when(Finite, ".satfinite");
      addCvt(table, name + ".tf32.f32", Type::B32, {Type::F32},
             convertHandlers<f32ToTF32<R, Relu, Finite>>(),
             Finite ? Since{100, 86} : Since{90, 78});
    });
  });
}

//===----------------------------------------------------------------------===//
// 8-, 6- and 4-bit floats
//===----------------------------------------------------------------------===//

/// Of 6- and 4-bit floats and of scales.
constexpr Since kSmall = {100, 86, true, true};

template <class Fmt, bool Relu>
void addSmall(IsaTable &table, const char *name, Since since) {
  std::string relu = when(Relu, ".relu");
  std::string narrow = ".rn.satfinite" + relu + name;
  std::string wide = ".rn" + relu;
  constexpr bool isByte = kPairShift<Fmt> == 4;
  constexpr Type type = isByte ? Type::B8 : Type::B16;
  HandlerSet to, from;
  if constexpr (isByte) {
    to = convertHandlers<f32ToSmallByte<Fmt, Relu>>();
    from = convertHandlers<smallByteToHalves<Fmt, Half, Relu>>();
  } else {
    to = convertHandlers<f32ToSmallPair<Fmt, Relu>>();
    from = convertHandlers<smallPairToHalves<Fmt, Half, Relu>>();
  }
  addCvt(table, narrow + ".f32", type, {Type::F32, Type::F32}, to, since, 2);
  addCvt(table, wide + ".f16x2" + name, Type::F16x2, {type}, from, since, 2);
}
template <class Fmt, bool Relu> void addFP8(IsaTable &table, const char *name) {
  Since since = {89, std::is_same_v<Fmt, E4M3> ? 81u : 81u};
  addSmall<Fmt, Relu>(table, name, since);
  addCvt(table, ".rn.satfinite" + when(Relu, ".relu") + name + ".f16x2",
         Type::B16, {Type::F16x2},
         convertHandlers<halvesToSmallPair<Fmt, Half, Relu>>(), since, 2);
}
template <bool Up, bool Satfinite> void addScales(IsaTable &table) {
  std::string name = std::string(Up ? ".rp" : ".rz") +
                     when(Satfinite, ".satfinite") + ".ue8m0x2";
  addCvt(table, name + ".f32", Type::B16, {Type::F32, Type::F32},
         convertHandlers<f32ToUE8M0Pair<Up, Satfinite>>(), kSmall);
  addCvt(table, name + ".bf16x2", Type::B16, {Type::BF16x2},
         convertHandlers<bhalvesToUE8M0Pair<Up, Satfinite>>(), kSmall);
}
} // namespace

namespace ptx {
void registerConvertFloatRows(IsaTable &table) {
  forRounds([&]<Round R>() {
    addIntegral<R>(table);
    addNarrowing<R>(table);
  });
  forBoth([&]<bool Sat>() {
    addSame<Sat>(table);
    addWidening<Sat>(table);
  });
  addWideningOfBHalves(table);
  addAllModified<Round::Nearest>(table);
  addAllModified<Round::Zero>(table);
  addCvt(table, ".rna.tf32.f32", Type::B32, {Type::F32},
         convertHandlers<f32ToTF32<Round::Away, false, false>>(), {80, 70});
  addCvt(table, ".rna.satfinite.tf32.f32", Type::B32, {Type::F32},
         convertHandlers<f32ToTF32<Round::Away, false, true>>(), {80, 81});
  forBoth([&]<bool Relu>() {
    addFP8<E4M3, Relu>(table, ".e4m3x2");
    addFP8<E5M2, Relu>(table, ".e5m2x2");
    addSmall<E2M3, Relu>(table, ".e2m3x2", kSmall);
    addSmall<E3M2, Relu>(table, ".e3m2x2", kSmall);
    addSmall<E2M1, Relu>(table, ".e2m1x2", kSmall);
    addCvt(table, ".rn.satfinite" + when(Relu, ".relu") + ".e2m1x2.f16x2",
           Type::B8, {Type::F16x2},
           convertHandlers<halvesToSmallByte<E2M1, Half, Relu>>(), kSmall, 2);
  });
  addScales<false, false>(table);
  addScales<false, true>(table);
  addScales<true, false>(table);
  addScales<true, true>(table);
  addCvt(table, ".rn.bf16x2.ue8m0x2", Type::BF16x2, {Type::B16},
         convertHandlers<ue8m0PairToBHalves>(), kSmall);
}
} // namespace ptx
