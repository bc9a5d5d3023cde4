// Names and sizes of PTX types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Types.h"

#include <cassert>
#include <iterator>

using namespace ptx;

namespace {
struct TypeInfo {
  Type type;
  std::string_view name;
  uint16_t bits;
  TypeClass group;
  bool isSigned;
};

constexpr TypeClass P = TypeClass::Predicate, B = TypeClass::Bits,
                    I = TypeClass::Integer, F = TypeClass::Float;

// In the order of the enumeration.
constexpr TypeInfo infos[] = {
    {Type::None, "", 0, TypeClass::None, false},
    {Type::Pred, ".pred", 1, P, false},
    {Type::B1, ".b1", 1, B, false},
    {Type::B4, ".b4", 4, B, false},
    {Type::B8, ".b8", 8, B, false},
    {Type::B16, ".b16", 16, B, false},
    {Type::B32, ".b32", 32, B, false},
    {Type::B64, ".b64", 64, B, false},
    {Type::B128, ".b128", 128, B, false},
    {Type::B1024, ".b1024", 1024, B, false},
    {Type::U2, ".u2", 2, I, false},
    {Type::U4, ".u4", 4, I, false},
    {Type::U8, ".u8", 8, I, false},
    {Type::U16, ".u16", 16, I, false},
    {Type::U32, ".u32", 32, I, false},
    {Type::U64, ".u64", 64, I, false},
    {Type::S2, ".s2", 2, I, true},
    {Type::S4, ".s4", 4, I, true},
    {Type::S8, ".s8", 8, I, true},
    {Type::S16, ".s16", 16, I, true},
    {Type::S32, ".s32", 32, I, true},
    {Type::S64, ".s64", 64, I, true},
    {Type::F16, ".f16", 16, F, true},
    {Type::BF16, ".bf16", 16, F, true},
    {Type::TF32, ".tf32", 32, F, true},
    {Type::F32, ".f32", 32, F, true},
    {Type::F64, ".f64", 64, F, true},
    {Type::E4M3, ".e4m3", 8, F, true},
    {Type::E5M2, ".e5m2", 8, F, true},
    {Type::E2M3, ".e2m3", 6, F, true},
    {Type::E3M2, ".e3m2", 6, F, true},
    {Type::E2M1, ".e2m1", 4, F, true},
    {Type::UE8M0, ".ue8m0", 8, F, false},
    {Type::U16x2, ".u16x2", 32, I, false},
    {Type::S16x2, ".s16x2", 32, I, true},
    {Type::F16x2, ".f16x2", 32, F, true},
    {Type::BF16x2, ".bf16x2", 32, F, true},
    {Type::F32x2, ".f32x2", 64, F, true},
    {Type::U8x4, ".u8x4", 32, I, false},
    {Type::S8x4, ".s8x4", 32, I, true},
    {Type::E4M3x2, ".e4m3x2", 16, F, true},
    {Type::E5M2x2, ".e5m2x2", 16, F, true},
    {Type::E2M3x2, ".e2m3x2", 16, F, true},
    {Type::E3M2x2, ".e3m2x2", 16, F, true},
    {Type::E2M1x2, ".e2m1x2", 8, F, true},
    {Type::UE8M0x2, ".ue8m0x2", 16, F, false},
    {Type::E4M3x4, ".e4m3x4", 32, F, true},
    {Type::E5M2x4, ".e5m2x4", 32, F, true},
    {Type::E2M3x4, ".e2m3x4", 32, F, true},
    {Type::E3M2x4, ".e3m2x4", 32, F, true},
    {Type::E2M1x4, ".e2m1x4", 16, F, true},
};
static_assert(std::size(infos) == static_cast<size_t>(Type::E2M1x4) + 1);

const TypeInfo &info(Type type) {
  const TypeInfo &found = infos[static_cast<size_t>(type)];
  assert(found.type == type && "the table must be in the enumeration's order");
  return found;
}
} // namespace

unsigned ptx::bitWidth(Type type) { return info(type).bits; }

unsigned ptx::byteSize(Type type) { return (info(type).bits + 7) / 8; }

TypeClass ptx::typeClass(Type type) { return info(type).group; }

bool ptx::isSigned(Type type) { return info(type).isSigned; }

bool ptx::isFloat(Type type) { return info(type).group == F; }

std::string_view ptx::typeName(Type type) { return info(type).name; }

Type ptx::typeNamed(std::string_view name) {
  if (name.size() < 3)
    return Type::None;
  for (const TypeInfo &candidate : infos)
    if (candidate.name == name)
      return candidate.type;
  return Type::None;
}

std::string_view ptx::spaceName(Space space) {
  switch (space) {
  case Space::Generic:
    return "generic";
  case Space::Global:
    return "global";
  case Space::Shared:
    return "shared";
  case Space::Local:
    return "local";
  case Space::Param:
    return "param";
  case Space::Constant:
    return "const";
  case Space::Register:
    return "reg";
  }
  return "?";
}
