// Call, its results and arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/FunctionDecoder.h"

#include <algorithm>

using namespace ptx;

namespace {
/// A function without a body which the runtime provides.
struct RuntimeFunction {
  std::string_view name;
  size_t results, parameters;
};
/// As CUDA's device runtime has them. There is no printf: compilers pack its
/// arguments into memory and call vprintf.
constexpr RuntimeFunction runtimeFunctions[] = {{"vprintf", 1, 2},
                                                {"malloc", 1, 1},
                                                {"free", 0, 1},
                                                {"__assertfail", 0, 5}};

std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}
} // namespace

/// The actual parameters of `(a, b)`; a null list has none.
std::vector<Actual> FunctionDecoder::actuals(const syntax::Operand *list,
                                             bool results) {
  std::vector<Actual> found;
  if (!list)
    return found;
  for (unsigned k = 0; k < list->childCount; ++k) {
    const syntax::Operand &operand = ast.operands[list->firstChild + k];
    Actual actual;
    if (operand.kind == syntax::Operand::Kind::Constant && !results) {
      actual.inRegister = true;
      actual.width = Width::Double; // as wide as the formal, see checkActuals
      actual.slot = module.constants.get(operand.constant.bits, Width::Double);
      found.push_back(actual);
      continue;
    }
    if (operand.kind != syntax::Operand::Kind::Name || operand.constant.bits)
      fail(*current, operand.position,
           "a parameter of a call is a register or a '.param' variable");
    if (RegisterName name = findRegister(operand.name);
        name.exists() && name.vector == 1) {
      actual.inRegister = true;
      actual.slot = name.id;
      actual.width = registers[name.id].width;
    } else {
      const Symbol *symbol = names.find(operand.name);
      if (!symbol || symbol->kind != Symbol::Kind::FrameParam)
        fail(*current, operand.position,
             "unknown register or '.param' variable " + quoted(operand.name));
      actual.offset = static_cast<uint32_t>(symbol->offset);
      actual.size = static_cast<uint32_t>(symbol->size);
    }
    found.push_back(actual);
  }
  return found;
}

void FunctionDecoder::checkActuals(const syntax::Instruction &in,
                                   const std::vector<Actual> &given,
                                   const std::vector<syntax::Variable> &formals,
                                   std::string_view what) {
  if (given.size() != formals.size())
    fail(in, in.position,
         "the call gives " + std::to_string(given.size()) + " " +
             std::string(what) + ", the function has " +
             std::to_string(formals.size()));
  for (size_t i = 0; i < given.size(); ++i) {
    bool inRegister = formals[i].space == Space::Register;
    // A constant fits any register; `.param` variables must have the size,
    // except of an array whose extent is left open.
    bool fits = given[i].inRegister == inRegister;
    if (fits && !inRegister && !formals[i].isUnsized)
      fits = given[i].size == formals[i].size();
    if (fits && inRegister && !(given[i].slot & kConstant))
      fits = fileBytesOf(given[i].width) ==
             (formals[i].type == Type::Pred
                  ? 8
                  : std::max(128u, 4 * bitWidth(formals[i].type)));
    if (!fits)
      fail(in, in.position,
           "parameter " + std::to_string(i + 1) + " of the " +
               std::string(what) + " has another size than the function's");
  }
}

void FunctionDecoder::checkRuntimeFunction(const syntax::Instruction &in,
                                           syntax::Position position,
                                           std::string_view name,
                                           const CallSite &site) const {
  for (const RuntimeFunction &known : runtimeFunctions) {
    if (known.name != name)
      continue;
    if (site.results.size() <= known.results &&
        site.arguments.size() == known.parameters)
      return;
    fail(in, position,
         quoted(name) + " of the runtime has " +
             std::to_string(known.parameters) + " parameters and " +
             std::to_string(known.results) + " results");
  }
  fail(in, position,
       "the function " + quoted(name) +
           " has no body, and is none of vprintf, malloc, free and "
           "__assertfail, which the emulator provides" +
           (name == "printf" ? " (compilers turn printf into vprintf)" : ""));
}

/// Finds out who is called: a function of the module, one of the runtime, or
/// whatever a register holds.
void FunctionDecoder::decodeCallee(const syntax::Instruction &in,
                                   const syntax::Operand &operand,
                                   CallSite &site, Matched &found) {
  if (RegisterName name = findRegister(operand.name); name.exists()) {
    if (registers[name.id].width != Width::Double)
      fail(in, operand.position,
           "the address of a function is in a 64-bit register");
    module.uses[index].callsIndirectly = true;
    found.add(name.id, Width::Double);
    return;
  }
  const Symbol *symbol = findSymbol(operand.name);
  if (!symbol || symbol->kind != Symbol::Kind::Function)
    fail(in, operand.position, "unknown function " + quoted(operand.name));
  const FunctionName &function = module.functions[symbol->id];
  site.function = function.index;
  checkActuals(in, site.results, function.declaration->results, "results");
  // A runtime function may be declared in several ways.
  checkActuals(in, site.arguments, function.declaration->parameters,
               "arguments");
  if (function.declaration->isEntry)
    fail(in, operand.position, "a kernel cannot be called");
  if (function.index >= 0) {
    module.uses[index].callees.insert(function.index);
    found.target = static_cast<uint32_t>(function.index);
    return;
  }
  checkRuntimeFunction(in, operand.position, function.name, site);
  site.system = function.name;
}

void FunctionDecoder::decodeCall(const syntax::Instruction &in,
                                 const Form &form) {
  const syntax::Operand *operands = ast.operands.data() + in.firstOperand;
  using Kind = syntax::Operand::Kind;
  size_t next = 0;
  auto list = [&]() -> const syntax::Operand * {
    if (next < in.operandCount && operands[next].kind == Kind::List)
      return &operands[next++];
    return nullptr;
  };
  const syntax::Operand *results = list();
  if (next == in.operandCount || operands[next].kind != Kind::Name)
    fail(in, in.position, "'call' needs a function");
  const syntax::Operand &callee = operands[next++];
  const syntax::Operand *arguments = list();
  auto site = std::make_shared<CallSite>();
  site->results = actuals(results, true);
  site->arguments = actuals(arguments, false);
  matched.clear(*form.rows.front());
  decodeCallee(in, callee, *site, matched);
  if (next < in.operandCount) {
    const syntax::Table *table = operands[next].kind == Kind::Name
                                     ? findTable(operands[next].name)
                                     : nullptr;
    if (!table)
      fail(in, operands[next].position,
           "expected the label of a prototype or of call targets");
    if (table->kind == syntax::Table::Kind::CallPrototype) {
      checkActuals(in, site->results, table->results, "results");
      checkActuals(in, site->arguments, table->parameters, "arguments");
    }
    ++next;
  }
  if (next != in.operandCount)
    fail(in, operands[next].position, "'call' takes no more operands");
  commit(in, form, matched);
  module.program.instructions.back().extra = site.get();
  module.program.extras.push_back(site);
  calls.emplace(static_cast<uint32_t>(sources.size() - 1), site);
}
