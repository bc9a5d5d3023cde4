// Declarations and the order of a body.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/FunctionDecoder.h"

#include "Machine/Access.h"

#include <algorithm>

using namespace ptx;

FunctionDecoder::FunctionDecoder(ModuleContext &module,
                                 const syntax::Function &ast, uint32_t index)
    : module(module), ast(ast), index(index) {}

void FunctionDecoder::fail(const syntax::Instruction &in,
                           syntax::Position position, std::string why) const {
  module.fail(position, in.textBegin, std::move(why));
}

void FunctionDecoder::fail(syntax::Position position, std::string why) const {
  module.fail(position, std::move(why));
}

void FunctionDecoder::decode() {
  begin = static_cast<uint32_t>(module.program.instructions.size());
  names.open();
  declareFormals();
  collectLabels();
  walk();
  finish();
}

static Width widthOf(Type type) {
  unsigned bits = bitWidth(type);
  if (type == Type::Pred)
    return Width::Predicate;
  if (bits <= 16)
    return Width::Half;
  return bits == 32 ? Width::Word : bits == 64 ? Width::Double : Width::Quad;
}

uint32_t FunctionDecoder::newRegister(Type type) {
  registers.push_back({type, widthOf(type), false});
  return static_cast<uint32_t>(registers.size() - 1);
}

uint32_t FunctionDecoder::placeParam(uint64_t size, uint64_t alignment) {
  uint64_t offset = alignTo(paramBytes, alignment);
  if (offset + size > 1u << 20)
    fail(ast.position, "the '.param' variables of '" + std::string(ast.name) +
                           "' take more than 1 MiB");
  paramBytes = static_cast<uint32_t>(offset + size);
  uint32_t &most = module.program.functions[index].paramBytes;
  most = std::max(most, paramBytes);
  return static_cast<uint32_t>(offset);
}

Formal FunctionDecoder::declareFormal(const syntax::Variable &variable) {
  Formal formal;
  Symbol symbol;
  symbol.type = variable.type;
  symbol.size = variable.size();
  if (variable.space == Space::Register) {
    symbol.kind = Symbol::Kind::Register;
    symbol.id = newRegister(variable.type);
    // Calls write parameters and read results behind the body's back.
    registers[symbol.id].pinned = true;
    formal.inRegister = true;
    formal.slot = symbol.id;
    formal.width = registers[symbol.id].width;
  } else {
    symbol.kind = Symbol::Kind::FrameParam;
    symbol.offset = placeParam(symbol.size, variable.naturalAlignment());
    formal.offset = static_cast<uint32_t>(symbol.offset);
    formal.size = static_cast<uint32_t>(symbol.size);
  }
  if (!variable.name.empty() && !names.declare(variable.name, symbol))
    fail(variable.position,
         "'" + std::string(variable.name) + "' is declared twice");
  return formal;
}

void FunctionDecoder::declareFormals() {
  Function &function = module.program.functions[index];
  if (!ast.isEntry) {
    for (const syntax::Variable &variable : ast.results)
      function.results.push_back(declareFormal(variable));
    for (const syntax::Variable &variable : ast.parameters)
      function.parameters.push_back(declareFormal(variable));
    return;
  }
  std::vector<ParamInfo> layout;
  layOutParameters(ast.parameters, layout);
  for (size_t i = 0; i < layout.size(); ++i) {
    const syntax::Variable &variable = ast.parameters[i];
    if (variable.space == Space::Register)
      fail(variable.position, "a parameter of a kernel must be '.param'");
    Symbol symbol;
    symbol.kind = Symbol::Kind::KernelParam;
    symbol.type = variable.type;
    symbol.size = variable.size();
    symbol.offset = layout[i].offset;
    if (!names.declare(variable.name, symbol))
      fail(variable.position,
           "'" + std::string(variable.name) + "' is declared twice");
  }
}

/// Labels may be used before they are set: find all of them first. Every
/// instruction of the text becomes one decoded instruction, so that their
/// numbers are known.
void FunctionDecoder::collectLabels() {
  scopeParents.assign(1, 0);
  uint32_t here = 0, position = begin;
  labelled.assign(ast.instructions.size() + 1, false);
  tableScopes.assign(ast.tables.size(), 0);
  for (const syntax::Item &item : ast.items) {
    switch (item.kind) {
    case syntax::Item::Kind::Instruction:
      ++position;
      break;
    case syntax::Item::Kind::Open:
      scopeParents.push_back(here);
      here = static_cast<uint32_t>(scopeParents.size() - 1);
      break;
    case syntax::Item::Kind::Close:
      here = scopeParents[here];
      break;
    case syntax::Item::Kind::Label: {
      const syntax::Label &label = ast.labels[item.index];
      if (!labels.emplace(LabelKey{label.name, here}, position).second)
        fail(label.position,
             "the label '" + std::string(label.name) + "' is set twice");
      labelled[position - begin] = true;
      break;
    }
    case syntax::Item::Kind::Table: {
      const syntax::Table &table = ast.tables[item.index];
      tableScopes[item.index] = here;
      if (!tables.emplace(LabelKey{table.name, here}, item.index).second)
        fail(table.position,
             "'" + std::string(table.name) + "' is declared twice");
      break;
    }
    default:
      break;
    }
  }
}

void FunctionDecoder::walk() {
  uint32_t nextScope = 0;
  for (const syntax::Item &item : ast.items) {
    switch (item.kind) {
    case syntax::Item::Kind::Instruction:
      decodeInstruction(ast.instructions[item.index]);
      break;
    case syntax::Item::Kind::Open:
      names.open();
      paramMarks.push_back(paramBytes);
      scope = ++nextScope;
      break;
    case syntax::Item::Kind::Close:
      names.close();
      // Nobody can name the variables of the block any more.
      paramBytes = paramMarks.back();
      paramMarks.pop_back();
      scope = scopeParents[scope];
      break;
    case syntax::Item::Kind::Variable:
      declare(ast.variables[item.index]);
      break;
    case syntax::Item::Kind::Location:
      sourceLine = ast.locations[item.index].line;
      sourceFile = ast.locations[item.index].file;
      break;
    default:
      break;
    }
  }
}

void FunctionDecoder::declareRegister(const syntax::Variable &variable) {
  bool added;
  if (variable.isRange) {
    added = names.declareRange(
        variable.name,
        {variable.type, variable.vector, variable.rangeCount, {}});
  } else {
    Symbol symbol;
    symbol.type = variable.type;
    symbol.vector = variable.vector;
    symbol.id = static_cast<uint32_t>(registers.size());
    for (unsigned i = 0; i < variable.vector; ++i)
      newRegister(variable.type);
    added = names.declare(variable.name, symbol);
  }
  if (!added)
    fail(variable.position,
         "'" + std::string(variable.name) + "' is declared twice");
}

void FunctionDecoder::declare(const syntax::Variable &variable) {
  if (variable.space == Space::Register)
    return declareRegister(variable);
  Function &function = module.program.functions[index];
  Symbol symbol;
  symbol.type = variable.type;
  symbol.vector = variable.vector;
  symbol.size = variable.size();
  uint32_t alignment = variable.naturalAlignment();
  switch (variable.space) {
  case Space::Param:
    symbol.kind = Symbol::Kind::FrameParam;
    symbol.offset = placeParam(symbol.size, alignment);
    break;
  case Space::Local: {
    symbol.kind = Symbol::Kind::Local;
    symbol.offset = alignTo(function.localBytes, alignment);
    if (variable.isUnsized || symbol.offset + symbol.size > 512u << 10)
      fail(variable.position,
           "the '.local' variables of a thread take more than 512 KiB");
    function.localBytes = static_cast<uint32_t>(symbol.offset + symbol.size);
    function.localAlign = std::max(function.localAlign, alignment);
    break;
  }
  case Space::Shared:
    symbol.kind =
        variable.isUnsized ? Symbol::Kind::DynamicShared : Symbol::Kind::Shared;
    symbol.id = module.addShared(variable, variable.isUnsized);
    break;
  default:
    symbol.kind = Symbol::Kind::Global;
    symbol.id = module.addGlobal(variable);
    module.initialise(variable, symbol.id);
    break;
  }
  if (!names.declare(variable.name, symbol))
    fail(variable.position,
         "'" + std::string(variable.name) + "' is declared twice");
}

FunctionDecoder::RegisterName
FunctionDecoder::findRegister(std::string_view name) {
  NameTable::Numbered numbered = names.findNumbered(name);
  if (!numbered.range) {
    const Symbol *symbol = names.find(name);
    if (!symbol || symbol->kind != Symbol::Kind::Register)
      return {};
    return {symbol->id, symbol->type, symbol->vector};
  }
  RegisterRange &range = *numbered.range;
  if (range.ids.size() <= numbered.number)
    range.ids.resize(
        std::max<size_t>(numbered.number + 1,
                         std::min<size_t>(range.count, range.ids.size() * 2)),
        ~0u);
  uint32_t &id = range.ids[numbered.number];
  if (id == ~0u) {
    id = static_cast<uint32_t>(registers.size());
    for (unsigned i = 0; i < range.vector; ++i)
      newRegister(range.type);
  }
  return {id, range.type, range.vector};
}

const Symbol *FunctionDecoder::findSymbol(std::string_view name) {
  if (const Symbol *symbol = names.find(name))
    return symbol;
  auto found = module.names.find(name);
  return found == module.names.end() ? nullptr : &found->second;
}

std::optional<uint32_t> FunctionDecoder::findLabel(std::string_view name,
                                                   uint32_t from) const {
  for (uint32_t at = from;; at = scopeParents[at]) {
    if (auto found = labels.find({name, at}); found != labels.end())
      return found->second;
    if (!at)
      return std::nullopt;
  }
}

const syntax::Table *FunctionDecoder::findTable(std::string_view name) const {
  for (uint32_t at = scope;; at = scopeParents[at]) {
    if (auto found = tables.find({name, at}); found != tables.end())
      return &ast.tables[found->second];
    if (!at)
      return nullptr;
  }
}

uint32_t FunctionDecoder::frameValue(FrameValueKind kind, Width width,
                                     uint64_t value) {
  auto [position, added] = frameIds.try_emplace({kind, width, value}, 0);
  if (added) {
    uint32_t id = newRegister(width == Width::Double      ? Type::B64
                              : width == Width::Predicate ? Type::Pred
                                                          : Type::B32);
    registers[id].pinned = true;
    position->second = id;
    frameValues.push_back({kind, width, id, value});
  }
  return position->second;
}

void FunctionDecoder::setGuard(const syntax::Instruction &in,
                               Instruction &out) {
  if (!in.hasGuard)
    return;
  out.flags |= kGuarded;
  out.guardNegated = in.guardNegated;
  if (in.guard == "0" || in.guard == "1") {
    out.guard = module.constants.get(in.guard == "1", Width::Predicate);
    return;
  }
  RegisterName guard = findRegister(in.guard);
  if (!guard.exists())
    fail(in, in.position, "unknown predicate '" + std::string(in.guard) + "'");
  if (guard.type != Type::Pred || guard.vector != 1)
    fail(in, in.position,
         "the guard '" + std::string(in.guard) + "' is no predicate");
  out.guard = guard.id;
}

void FunctionDecoder::decodeInstruction(const syntax::Instruction &in) {
  const Form &form = module.forms.find(in.opcode);
  if (form.rows.empty())
    fail(in, in.position, form.problem);
  current = &in;
  currentForm = &form;
  if (form.opcode == "call")
    return decodeCall(in, form);
  matchForm(in, form);
  if (matched.clock)
    readClock();
  commit(in, form, matched);
  if (matched.clock)
    module.program.instructions.back().extra =
        reinterpret_cast<const void *>(static_cast<uintptr_t>(*matched.clock));
}

/// A clock has another value at every use: the instruction becomes the table's
/// `%clock`, whose extra says which clock.
void FunctionDecoder::readClock() {
  Match match = IsaTable::get().find("%clock");
  if (match.rows.empty())
    fail(*current, current->position, "clocks cannot be read");
  matched.row = match.rows.front();
}

void FunctionDecoder::commit(const syntax::Instruction &in, const Form &form,
                             const Matched &found) {
  Instruction out;
  setGuard(in, out);
  out.row = found.row;
  out.resultCount = static_cast<uint16_t>(found.results);
  out.operandCount = static_cast<uint16_t>(found.slots.size());
  Slot *slots = module.newOperands(found.slots.size());
  Width *widths = module.newWidths(found.widths.size());
  std::copy(found.slots.begin(), found.slots.end(), slots);
  std::copy(found.widths.begin(), found.widths.end(), widths);
  out.operand = slots;
  out.width = widths;
  out.target = found.target;
  out.negatedPredicates = found.negated;
  std::copy(found.offset, found.offset + 3, out.offset);
  if (found.memberMask >= 0) {
    out.flags |= kMemberMask;
    out.memberMask = static_cast<uint16_t>(found.memberMask);
  }
  out.line = in.position.line;
  out.column = in.position.column;
  out.sourceLine = sourceLine;
  out.sourceFile = sourceFile;
  if (found.table) {
    auto table = std::make_shared<BranchTable>();
    out.extra = table.get();
    module.program.extras.push_back(table);
    pendingTables.push_back({table, found.table, &in});
  }
  module.program.instructions.push_back(out);
  sources.push_back({&in, &form});
}
