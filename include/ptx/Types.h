// Types, state spaces and sizes of PTX.
//
// The vocabulary every part of the emulator shares. Nothing here allocates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TYPES_H
#define PTX_TYPES_H

#include <cstdint>
#include <string_view>

namespace ptx {

/// Bit l stands for lane l of a warp.
using LaneMask = uint32_t;
inline constexpr unsigned kLanes = 32;
inline constexpr LaneMask kAllLanes = 0xffffffffu;

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  constexpr uint64_t count() const { return uint64_t(x) * y * z; }
  bool operator==(const Dim3 &) const = default;
};

/// The types an instruction or a variable may name. Packed types (`.f16x2`)
/// are types of their own: they are one operand of 32 bits.
enum class Type : uint8_t {
  None,
  Pred,
  B1,
  B4,
  B8,
  B16,
  B32,
  B64,
  B128,
  B1024,
  U2,
  U4,
  U8,
  U16,
  U32,
  U64,
  S2,
  S4,
  S8,
  S16,
  S32,
  S64,
  F16,
  BF16,
  TF32,
  F32,
  F64,
  E4M3,
  E5M2,
  E2M3,
  E3M2,
  E2M1,
  UE8M0,
  U16x2,
  S16x2,
  F16x2,
  BF16x2,
  F32x2,
  U8x4,
  S8x4,
  E4M3x2,
  E5M2x2,
  E2M3x2,
  E3M2x2,
  E2M1x2,
  UE8M0x2,
  E4M3x4,
  E5M2x4,
  E2M3x4,
  E3M2x4,
  E2M1x4,
};

/// What a register may hold is decided by the class: `.b` takes anything of its
/// width, `.u` and `.s` mix, `.f` takes `.f` and `.b`.
enum class TypeClass : uint8_t { None, Predicate, Bits, Integer, Float };

/// Width in bits; 1 for predicates and 0 for Type::None.
unsigned bitWidth(Type type);
/// Bytes in memory (at least 1).
unsigned byteSize(Type type);
TypeClass typeClass(Type type);
bool isSigned(Type type);
bool isFloat(Type type);
/// The name with its dot: ".f16x2".
std::string_view typeName(Type type);
/// The type called \p name (with its dot), or Type::None.
Type typeNamed(std::string_view name);

/// State spaces of variables and resolved accesses; `Generic` is an address
/// that may be in any of the first four.
enum class Space : uint8_t {
  Global,
  Shared,
  Local,
  Param,
  Constant,
  Generic,
  Register,
};
std::string_view spaceName(Space space);

/// Scope of a memory order, from smallest to largest.
enum class Scope : uint8_t { None, Cta, Cluster, Gpu, Sys };

} // namespace ptx

#endif // PTX_TYPES_H
