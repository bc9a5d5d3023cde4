// Addresses and names of variables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/FunctionDecoder.h"

#include "Machine/Access.h"

#include <algorithm>

using namespace ptx;

static std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

static Space spaceOf(const Symbol &symbol) {
  switch (symbol.kind) {
  case Symbol::Kind::KernelParam:
  case Symbol::Kind::FrameParam:
    return Space::Param;
  case Symbol::Kind::Local:
    return Space::Local;
  case Symbol::Kind::Shared:
  case Symbol::Kind::DynamicShared:
    return Space::Shared;
  default:
    return Space::Global;
  }
}

bool FunctionDecoder::matchAddress(const OperandSpec &spec,
                                   const syntax::Operand &operand,
                                   Mismatch &mismatch) {
  using Kind = syntax::Operand::Kind;
  bool isName = operand.kind == Kind::Name && operand.indexed;
  if (operand.kind != Kind::Address && !isName)
    return reject(mismatch, operand, "an address '[...]' is needed");
  const auto &spaces = currentForm->spaces;
  bool mayBeUnified = currentForm->opcode == "ld" && module.ast.version >= 80 &&
                      (spaces.empty() || spaces[0] == Space::Global);
  if (operand.unified && !mayBeUnified)
    return reject(mismatch, operand,
                  "'.unified' can follow the address of a load from global "
                  "memory, since PTX ISA 8.0");
  unsigned coordinates =
      spec.kind == OperandKind::TensorAddress ? spec.count : 0;
  if (operand.childCount != coordinates)
    return reject(mismatch, operand,
                  "the address has " + std::to_string(operand.childCount) +
                      " coordinates, " + std::to_string(coordinates) +
                      " are needed");
  unsigned which = matched.addresses++;
  if (which >= 3)
    return reject(mismatch, operand, "too many addresses");
  if (operand.name.empty()) {
    matched.add(module.constants.get(0, Width::Double), Width::Double);
    matched.offset[which] = static_cast<int64_t>(operand.constant.bits);
  } else if (!matchAddressName(spec, operand, mismatch)) {
    return false;
  }
  OperandSpec coordinate = operand::source(Type::S32);
  for (unsigned k = 0; k < operand.childCount; ++k)
    if (!matchOperand(coordinate, ast.operands[operand.firstChild + k], false,
                      mismatch))
      return false;
  return true;
}

/// Accesses of one thread by an address that is no offset in a small space.
/// (Copies and tensor maps take any register.)
static bool needsWideAddress(const Form &form) {
  constexpr std::string_view opcodes[] = {
      "ld",       "st",        "ldu",     "atom",          "red",
      "prefetch", "prefetchu", "discard", "applypriority", "mbarrier"};
  bool has = false;
  for (std::string_view opcode : opcodes)
    has |= form.opcode == opcode;
  for (std::string_view modifier : form.modifiers)
    has &=
        modifier != ".async" && modifier != ".bulk" && modifier != ".tensormap";
  return has && (form.spaces.empty() || form.spaces[0] == Space::Global);
}

/// The register or variable in front of an address.
bool FunctionDecoder::matchAddressName(const OperandSpec &spec,
                                       const syntax::Operand &operand,
                                       Mismatch &mismatch) {
  unsigned which = matched.addresses - 1;
  int64_t added = static_cast<int64_t>(operand.constant.bits);
  RegisterName found = findRegister(operand.name);
  if (found.exists()) {
    TypeClass group = typeClass(found.type);
    unsigned bits = bitWidth(found.type);
    if (found.vector != 1 || (bits != 32 && bits != 64) ||
        (group != TypeClass::Bits && group != TypeClass::Integer))
      return reject(mismatch, operand,
                    "an address must be in an integer register of 32 or 64 "
                    "bits");
    if (operand.indexed)
      return reject(mismatch, operand, "a register is no array");
    if (bits == 32 && needsWideAddress(*currentForm))
      return reject(mismatch, operand,
                    "global and generic addresses have 64 bits, and the "
                    "register has 32");
    matched.add(found.id, registers[found.id].width);
    matched.offset[which] = added;
    return true;
  }
  const Symbol *symbol = findSymbol(operand.name);
  if (!symbol || symbol->kind == Symbol::Kind::Register)
    return reject(mismatch, operand,
                  "unknown register or variable " + quoted(operand.name));
  if (symbol->kind == Symbol::Kind::Function)
    return reject(mismatch, operand,
                  "a function has no memory: " + quoted(operand.name));
  // A tensor map is found by a generic address whatever the copy's spaces are.
  bool generic =
      currentForm->spaces.empty() || spec.kind == OperandKind::TensorAddress;
  if (!generic && which < currentForm->spaces.size()) {
    Space named = currentForm->spaces[which], has = spaceOf(*symbol);
    bool constant =
        symbol->kind == Symbol::Kind::Global &&
        module.program.variables[symbol->id].space == Space::Constant;
    if (constant)
      has = Space::Constant;
    if (named != has)
      return reject(mismatch, operand,
                    quoted(operand.name) + " is in ." +
                        std::string(spaceName(has)) + " space, not in ." +
                        std::string(spaceName(named)));
  }
  matched.add(addressOf(*symbol, 0, Width::Double, generic, operand),
              Width::Double);
  matched.offset[which] =
      operand.indexed ? added * static_cast<int64_t>(byteSize(symbol->type)) *
                            symbol->vector
                      : added;
  return true;
}

bool FunctionDecoder::matchAddressOf(const OperandSpec &spec,
                                     const syntax::Operand &operand,
                                     const Symbol &symbol, Mismatch &mismatch) {
  unsigned bits = bitWidth(spec.type);
  TypeClass group = typeClass(spec.type);
  if ((bits != 32 && bits != 64) ||
      (group != TypeClass::Bits && group != TypeClass::Integer))
    return reject(mismatch, operand,
                  "an address is an integer of 32 or 64 bits");
  int64_t added = static_cast<int64_t>(operand.constant.bits);
  if (operand.indexed)
    added *= static_cast<int64_t>(byteSize(symbol.type)) * symbol.vector;
  Width width = bits == 64 ? Width::Double : Width::Word;
  matched.add(addressOf(symbol, added, width, false, operand), width);
  return true;
}

/// A slot that holds the address of a variable; constants are made when the
/// layout is known, lane-dependent ones are values of the frame.
Slot FunctionDecoder::addressOf(const Symbol &symbol, int64_t addend,
                                Width width, bool generic,
                                const syntax::Operand &operand) {
  uint64_t base = static_cast<uint64_t>(addend);
  switch (symbol.kind) {
  case Symbol::Kind::KernelParam:
    return module.constants.get(
        base + symbol.offset + (generic ? kParamWindow : 0), width);
  case Symbol::Kind::FrameParam:
    return module.constants.get(base + symbol.offset + kCallParam +
                                    (generic ? kParamWindow : 0),
                                width);
  case Symbol::Kind::Local:
    return frameValue(FrameValueKind::LocalSymbol, width,
                      base + symbol.offset + (generic ? kLocalWindow : 0));
  case Symbol::Kind::Shared:
    return sharedAddress(symbol, base + (generic ? kSharedWindow : 0), width);
  case Symbol::Kind::DynamicShared:
    if (generic || addend)
      fail(*current, operand.position,
           "the address of a dynamic shared array must be taken by 'mov' "
           "without an addend");
    module.uses[index].dynamic.insert(symbol.id);
    return frameValue(FrameValueKind::DynamicShared, width,
                      module.shared[symbol.id].alignment);
  case Symbol::Kind::Global:
    return module.addressOf(symbol.id, addend, width);
  case Symbol::Kind::Function: {
    const FunctionName &function = module.functions[symbol.id];
    if (function.index < 0)
      fail(*current, operand.position,
           "the function " + quoted(function.name) +
               " has no body, so that it has no address");
    return module.constants.get(
        kFunctionWindow + static_cast<uint64_t>(function.index) + base, width);
  }
  case Symbol::Kind::Register:
  case Symbol::Kind::Table:
    break;
  }
  fail(*current, operand.position, quoted(operand.name) + " has no address");
}

Slot FunctionDecoder::sharedAddress(const Symbol &symbol, uint64_t base,
                                    Width width) {
  auto [position, added] =
      sharedSlots.try_emplace({symbol.id, base, width}, kNoSlot);
  if (added) {
    position->second = module.constants.reserve(width);
    module.sharedConstants.push_back(
        {position->second, width, symbol.id, base, index});
    module.uses[index].shared.insert(symbol.id);
  }
  return position->second;
}
