// How rows of lane-wise instructions are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ISA_LANEROWS_H
#define PTX_ISA_LANEROWS_H

#include "Arithmetic/Lanes.h"
#include "Isa/IsaTable.h"

#include <string>

namespace ptx {

/// Since when a form exists.
struct Since {
  unsigned sm = 0; ///< 0: all the machines the emulator models
  unsigned ptx = 10;
  bool needsA = false;
  bool laterFamilies = false; ///< see Row
  bool onlyA = false;         ///< see Row
};

/// What a form costs.
struct Weight {
  Cost cost = Cost::Alu;
  float instructions = 1; ///< machine instructions on an H100
};

/// Adds the form \p name ("add.rn.ftz.f32") with \p results results at the
/// front of \p operands.
inline void addForm(IsaTable &table, const std::string &name,
                    std::vector<OperandSpec> operands, HandlerSet handlers,
                    Weight weight = {}, Since since = {}, unsigned results = 1,
                    void (*decode)(DecodeContext &, Instruction &) = nullptr) {
  Row row;
  size_t dot = name.find('.');
  row.opcode = name.substr(0, dot);
  while (dot != std::string::npos) {
    size_t next = name.find('.', dot + 1);
    row.modifiers.push_back(name.substr(dot, next - dot));
    dot = next;
  }
  row.operands = std::move(operands);
  row.resultCount = results;
  row.minSm = since.sm;
  row.minPtx = since.ptx;
  row.needsA = since.needsA;
  row.laterFamilies = since.laterFamilies;
  row.onlyA = since.onlyA;
  row.cost = weight.cost;
  row.machineWeight = weight.instructions;
  row.handlers = handlers;
  row.decode = decode;
  table.add(std::move(row));
}

/// The PTX type of the type a handler computes with.
template <class T> constexpr Type typeOf() {
  if constexpr (std::is_same_v<T, int8_t>)
    return Type::S8;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return Type::U8;
  else if constexpr (std::is_same_v<T, int16_t>)
    return Type::S16;
  else if constexpr (std::is_same_v<T, uint16_t>)
    return Type::U16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return Type::S32;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return Type::U32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return Type::S64;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return Type::U64;
  else if constexpr (std::is_same_v<T, Half>)
    return Type::F16;
  else if constexpr (std::is_same_v<T, BHalf>)
    return Type::BF16;
  else if constexpr (std::is_same_v<T, float>)
    return Type::F32;
  else
    return Type::F64;
}
template <class T> std::string suffixOf() {
  return std::string(typeName(typeOf<T>()));
}

/// Calls `body.template operator()<T>()` for each type.
template <class... T, class Body> void forTypes(Body body) {
  (body.template operator()<T>(), ...);
}
/// Calls `body.template operator()<v>()` for each value.
template <auto... V, class Body> void forValues(Body body) {
  (body.template operator()<V>(), ...);
}
/// For both values of a modifier that may be written or not.
template <class Body> void forBoth(Body body) { forValues<false, true>(body); }
/// The modifier if it is chosen.
inline std::string when(bool chosen, const char *modifier) {
  return chosen ? modifier : "";
}

inline const char *roundName(Round round) {
  constexpr const char *names[] = {".rn", ".rz", ".rm", ".rp", ".rna"};
  return names[static_cast<unsigned>(round)];
}
template <class Body> void forRounds(Body body) {
  forValues<Round::Nearest, Round::Zero, Round::Down, Round::Up>(body);
}

} // namespace ptx

#endif // PTX_ISA_LANEROWS_H
