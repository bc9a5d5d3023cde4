// From a parsed file to a program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/ModuleDecoder.h"

#include "Decode/FunctionDecoder.h"
#include "Syntax/Parser.h"
#include "ptx/Error.h"

#include <algorithm>

using namespace ptx;

ModuleContext::ModuleContext(const syntax::Module &ast, const IsaTable &table)
    : ast(ast), forms(table, {ast.sm, ast.smSuffix, ast.version}) {}

void ModuleContext::fail(syntax::Position position, size_t statement,
                         std::string why) const {
  throw Error(position.line, position.column,
              syntax::statementAt(ast.text, statement), std::move(why));
}

void ModuleContext::fail(syntax::Position position, std::string why) const {
  // The begin of the line: declarations seldom share theirs.
  size_t at = 0;
  for (uint32_t line = 1; line < position.line; ++line) {
    size_t next = ast.text.find('\n', at);
    if (next == std::string_view::npos)
      break;
    at = next + 1;
  }
  fail(position, at, std::move(why));
}

template <class T>
static T *fromPool(std::deque<std::vector<T>> &pool, size_t count) {
  constexpr size_t chunk = 1 << 14;
  if (pool.empty() || pool.back().capacity() - pool.back().size() < count) {
    pool.emplace_back();
    pool.back().reserve(std::max(chunk, count));
  }
  std::vector<T> &last = pool.back();
  last.resize(last.size() + count);
  return last.data() + last.size() - count;
}

Slot *ModuleContext::newOperands(size_t count) {
  return fromPool(program.operands, count);
}

Width *ModuleContext::newWidths(size_t count) {
  return fromPool(program.widths, count);
}

void ModuleDecoder::decode() {
  declareNames();
  declareFunctions();
  initialise();
  for (const FunctionName &function : context.functions)
    if (function.index >= 0)
      context.program.functions.emplace_back();
  context.uses.resize(context.program.functions.size());
  for (const FunctionName &name : context.functions) {
    if (name.index < 0)
      continue;
    Function &function =
        context.program.functions[static_cast<size_t>(name.index)];
    function.name = name.name;
    function.isEntry = name.definition->isEntry;
    function.line = name.definition->position.line;
    FunctionDecoder(context, *name.definition,
                    static_cast<uint32_t>(name.index))
        .decode();
  }
  describeKernels();
  layOutShared();
  // What is declared elsewhere and named by nobody need not exist.
  for (uint32_t i = 0; i < context.program.variables.size(); ++i)
    if (!context.named.count(i))
      context.program.variables[i].isExtern = false;
  context.program.constants = context.constants.finish();
}

void ModuleDecoder::declareNames() {
  for (const syntax::Variable &variable : context.ast.variables) {
    Symbol symbol;
    symbol.type = variable.type;
    symbol.vector = variable.vector;
    symbol.size = variable.size();
    bool isExtern = variable.linkage == syntax::Linkage::Extern;
    auto known = context.names.find(variable.name);
    if (variable.space == Space::Shared) {
      bool dynamic = isExtern || variable.isUnsized;
      symbol.kind =
          dynamic ? Symbol::Kind::DynamicShared : Symbol::Kind::Shared;
      symbol.id = context.addShared(variable, dynamic);
    } else if (known != context.names.end() &&
               known->second.kind == Symbol::Kind::Global &&
               context.program.variables[known->second.id].isExtern) {
      // Declared before, defined now.
      symbol.kind = Symbol::Kind::Global;
      symbol.id = context.addGlobal(variable);
      known->second = symbol;
      continue;
    } else if (isExtern && known != context.names.end()) {
      continue;
    } else {
      symbol.kind = Symbol::Kind::Global;
      symbol.id = context.addGlobal(variable);
    }
    if (!context.names.emplace(variable.name, symbol).second)
      context.fail(variable.position,
                   "'" + std::string(variable.name) + "' is defined twice");
  }
}

void ModuleDecoder::declareFunctions() {
  int32_t next = 0;
  for (const syntax::Function &function : context.ast.functions) {
    Symbol symbol;
    symbol.kind = Symbol::Kind::Function;
    symbol.id = static_cast<uint32_t>(context.functions.size());
    auto [known, added] = context.names.emplace(function.name, symbol);
    if (added)
      context.functions.push_back({function.name, &function, nullptr, -1});
    else if (known->second.kind != Symbol::Kind::Function)
      context.fail(function.position, "'" + std::string(function.name) +
                                          "' is a variable already");
    if (!function.hasBody)
      continue;
    FunctionName &name = context.functions[known->second.id];
    if (name.definition)
      context.fail(function.position,
                   "'" + std::string(function.name) + "' is defined twice");
    name.declaration = name.definition = &function;
    name.index = next++;
  }
  for (const syntax::Alias &alias : context.ast.aliases) {
    auto target = context.names.find(alias.target);
    if (target == context.names.end() ||
        target->second.kind != Symbol::Kind::Function)
      context.fail(alias.position,
                   "unknown function '" + std::string(alias.target) + "'");
    Symbol symbol = target->second;
    auto [known, added] = context.names.emplace(alias.name, symbol);
    if (added)
      continue;
    // Declared before, without a body.
    if (known->second.kind != Symbol::Kind::Function ||
        context.functions[known->second.id].definition)
      context.fail(alias.position,
                   "'" + std::string(alias.name) + "' is defined twice");
    known->second = symbol;
  }
}

void ModuleDecoder::initialise() {
  for (const syntax::Variable &variable : context.ast.variables) {
    const Symbol &symbol = context.names.find(variable.name)->second;
    if (symbol.kind == Symbol::Kind::Global &&
        variable.linkage != syntax::Linkage::Extern)
      context.initialise(variable, symbol.id);
  }
}

uint32_t ptx::layOutParameters(const std::vector<syntax::Variable> &parameters,
                               std::vector<ParamInfo> &result) {
  uint64_t end = 0;
  for (const syntax::Variable &variable : parameters) {
    ParamInfo info;
    info.name = variable.name;
    info.type = variable.type;
    info.isArray = variable.isArray || variable.vector > 1;
    info.isPointer = variable.isPointer;
    info.pointerSpace = variable.pointerSpace;
    info.pointerAlignment = variable.pointerAlignment;
    info.alignment = variable.naturalAlignment();
    end = alignTo(end, info.alignment);
    if (end + variable.size() > 32764)
      throw Error(variable.position.line, variable.position.column, {},
                  "the parameters of a kernel take more than 32764 bytes");
    info.offset = static_cast<uint32_t>(end);
    info.size = static_cast<uint32_t>(variable.size());
    end += variable.size();
    result.push_back(std::move(info));
  }
  return static_cast<uint32_t>(end);
}

void ModuleDecoder::describeKernels() {
  for (const FunctionName &name : context.functions) {
    if (name.index < 0 || !name.definition->isEntry)
      continue;
    const syntax::Function &ast = *name.definition;
    KernelInfo info;
    info.name = ast.name;
    info.paramBytes = layOutParameters(ast.parameters, info.params);
    if (ast.hasMaxntid)
      info.maxntid = ast.maxntid;
    if (ast.hasReqntid)
      info.reqntid = ast.reqntid;
    if (ast.hasReqCluster)
      info.reqCluster = ast.reqCluster;
    info.maxClusterRank = ast.maxClusterRank;
    info.minBlocksPerSm = ast.minnctapersm;
    info.maxRegisters = ast.maxnreg;
    info.explicitCluster = ast.explicitCluster;
    info.blocksAreClusters = ast.blocksAreClusters;
    if (ast.blocksAreClusters && !(ast.hasReqntid && ast.hasReqCluster))
      context.fail(ast.position, "'.blocksareclusters' needs '.reqntid' and "
                                 "'.reqnctapercluster'");
    if (ast.blocksAreClusters &&
        (context.ast.sm < 90 || context.ast.version < 90))
      context.fail(ast.position,
                   "'.blocksareclusters' needs sm_90 and PTX ISA 9.0");
    info.sm = context.ast.sm;
    info.smSuffix = context.ast.smSuffix;
    info.line = ast.position.line;
    info.function = static_cast<uint32_t>(name.index);
    info.localBytes = context.program.functions[info.function].localBytes;
    kernels.emplace(info.name, std::move(info));
  }
}

void ModuleDecoder::reachable(uint32_t function,
                              std::set<uint32_t> &seen) const {
  std::vector<uint32_t> work{function};
  bool everything = false;
  while (!work.empty()) {
    uint32_t at = work.back();
    work.pop_back();
    if (!seen.insert(at).second)
      continue;
    for (int32_t callee : context.uses[at].callees)
      work.push_back(static_cast<uint32_t>(callee));
    if (context.uses[at].callsIndirectly && !everything) {
      everything = true;
      for (uint32_t i = 0; i < context.program.functions.size(); ++i)
        if (!context.program.functions[i].isEntry)
          work.push_back(i);
    }
  }
}

/// Shared variables of device functions lie first, at the same place for
/// every kernel; a kernel's own follow. Kernels that reach no such function
/// begin at 0.
void ModuleDecoder::layOutShared() {
  std::vector<uint64_t> offsets(context.shared.size(), 0);
  auto place = [&](uint32_t variable, uint64_t end) {
    const SharedVariable &shared = context.shared[variable];
    offsets[variable] = alignTo(end, shared.alignment);
    return offsets[variable] + shared.size;
  };
  std::set<uint32_t> common;
  for (uint32_t i = 0; i < context.program.functions.size(); ++i)
    if (!context.program.functions[i].isEntry)
      common.insert(context.uses[i].shared.begin(),
                    context.uses[i].shared.end());
  uint64_t commonEnd = 0;
  for (uint32_t variable : common)
    commonEnd = place(variable, commonEnd);
  std::vector<uint64_t> commonOffsets = offsets;
  std::vector<std::vector<const SharedConstant *>> constants(
      context.program.functions.size());
  for (const SharedConstant &constant : context.sharedConstants)
    constants[constant.function].push_back(&constant);
  auto fill = [&](uint32_t function) {
    for (const SharedConstant *constant : constants[function]) {
      uint64_t value = offsets[constant->variable] + constant->base;
      if (constant->width == Width::Word)
        value &= 0xffffffff;
      context.constants.set(constant->slot, constant->width, value);
    }
  };
  for (uint32_t i = 0; i < context.program.functions.size(); ++i)
    if (!context.program.functions[i].isEntry)
      fill(i);
  for (auto &[name, kernel] : kernels) {
    std::set<uint32_t> functions;
    reachable(kernel.function, functions);
    bool usesCommon = false;
    for (uint32_t function : functions) {
      const FunctionUses &uses = context.uses[function];
      usesCommon |= function != kernel.function && !uses.shared.empty();
      for (uint32_t variable : uses.dynamic) {
        kernel.usesDynamicShared = true;
        kernel.dynamicSharedAlignment = std::max(
            kernel.dynamicSharedAlignment, context.shared[variable].alignment);
      }
    }
    uint64_t end = usesCommon ? commonEnd : 0;
    for (uint32_t variable : context.uses[kernel.function].shared)
      if (usesCommon && common.count(variable))
        offsets[variable] = commonOffsets[variable];
      else
        end = place(variable, end);
    if (end > UINT32_MAX / 2)
      throw Error(kernel.line, 1, {},
                  "the kernel '" + kernel.name +
                      "' uses too much shared memory");
    kernel.staticShared = static_cast<uint32_t>(end);
    fill(kernel.function);
  }
}
