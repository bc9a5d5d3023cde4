// Variables of a module and their initial values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/ModuleDecoder.h"

#include "Machine/Access.h"
#include "ptx/Error.h"

#include <algorithm>
#include <cstring>

using namespace ptx;

Slot ModuleContext::addressOf(uint32_t variable, int64_t addend, Width width) {
  named.insert(variable);
  auto [position, added] =
      addresses.try_emplace({variable, addend, width}, kNoSlot);
  if (added) {
    position->second = constants.reserve(width);
    program.addressConstants.push_back(
        {position->second, width, variable, addend});
  }
  return position->second;
}

uint32_t ModuleContext::addShared(const syntax::Variable &variable,
                                  bool dynamic) {
  if (!dynamic && variable.size() > 16u << 20)
    fail(variable.position, "'" + std::string(variable.name) +
                                "' is larger than any shared memory");
  shared.push_back(
      {variable.name, variable.size(), variable.naturalAlignment(), dynamic});
  return static_cast<uint32_t>(shared.size() - 1);
}

uint32_t ModuleContext::addGlobal(const syntax::Variable &variable) {
  GlobalVariable made;
  made.name = variable.name;
  made.space = variable.space;
  made.size = variable.size();
  made.alignment = variable.naturalAlignment();
  made.isExtern = variable.linkage == syntax::Linkage::Extern;
  made.isManaged = variable.isManaged;
  made.line = variable.position.line;
  if (variable.space == Space::Constant && made.size > 64u << 10 &&
      !made.isExtern)
    fail(variable.position, "'" + std::string(variable.name) +
                                "' does not fit the 64 KiB of .const space");
  if (variable.isUnsized && !made.isExtern)
    fail(variable.position,
         "the extent of '" + std::string(variable.name) + "' is not given");
  program.variables.push_back(std::move(made));
  return static_cast<uint32_t>(program.variables.size() - 1);
}

namespace {
/// The bytes of a plain value in an element of \p type.
std::optional<uint64_t> elementBits(Type type,
                                    const syntax::Constant &constant) {
  bool isInteger = constant.kind == syntax::Constant::Kind::Integer;
  if (type == Type::F32)
    return constant.asSingleBits();
  if (type == Type::F64)
    return std::bit_cast<uint64_t>(constant.asDouble());
  if (isInteger)
    return constant.bits;
  unsigned bits = bitWidth(type);
  if (constant.kind == syntax::Constant::Kind::Single && bits == 32)
    return constant.bits;
  if (constant.kind == syntax::Constant::Kind::Double && bits == 64)
    return constant.bits;
  return std::nullopt;
}
} // namespace

void ModuleContext::initialise(const syntax::Variable &variable,
                               uint32_t index) {
  if (!variable.hasInitialiser)
    return;
  GlobalVariable &made = program.variables[index];
  unsigned bytes = byteSize(variable.type);
  made.initial.resize(variable.initialisers.size() * bytes);
  for (size_t i = 0; i < variable.initialisers.size(); ++i) {
    const syntax::Initialiser &value = variable.initialisers[i];
    std::byte *to = made.initial.data() + i * bytes;
    if (value.symbol.empty()) {
      std::optional<uint64_t> bits = elementBits(variable.type, value.constant);
      if (!bits)
        fail(value.position, "a float cannot be the value of a '" +
                                 std::string(typeName(variable.type)) +
                                 "' variable");
      std::memcpy(to, &*bits, std::min(bytes, 8u));
      continue;
    }
    auto found = names.find(value.symbol);
    if (found == names.end())
      fail(value.position,
           "unknown variable or function '" + std::string(value.symbol) + "'");
    GlobalVariable::Pointer pointer;
    pointer.offset = i * bytes;
    pointer.bytes = std::min(bytes, 8u);
    pointer.addend = static_cast<int64_t>(value.constant.bits);
    pointer.mask = value.mask;
    const Symbol &symbol = found->second;
    if (symbol.kind == Symbol::Kind::Global) {
      pointer.variable = static_cast<int32_t>(symbol.id);
      named.insert(symbol.id);
    } else if (symbol.kind == Symbol::Kind::Function &&
               functions[symbol.id].index >= 0) {
      pointer.address =
          kFunctionWindow + static_cast<uint64_t>(functions[symbol.id].index);
    } else {
      fail(value.position, "the address of '" + std::string(value.symbol) +
                               "' is not known when the module is loaded");
    }
    made.pointers.push_back(pointer);
  }
}
