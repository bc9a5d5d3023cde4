// Bodies of functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/ParseVariable.h"

using namespace ptx;
using namespace ptx::syntax;

void Parser::append(Function &function, Item::Kind kind, size_t index) {
  if (++itemCount > limit::Items)
    fail("a module has more than " + std::to_string(limit::Items) +
         " statements");
  function.items.push_back({kind, static_cast<uint32_t>(index)});
}

void Parser::parseBody(Function &function) {
  blockDepth = 1;
  while (blockDepth) {
    cursor.skip();
    statementBegin = cursor.offset();
    statementPosition = cursor.position();
    parseStatement(function);
  }
}

void Parser::parseStatement(Function &function) {
  switch (cursor.peek()) {
  case '{':
    if (++blockDepth > limit::BlockDepth)
      fail("blocks are nested deeper than " +
           std::to_string(limit::BlockDepth));
    cursor.step();
    return append(function, Item::Kind::Open, 0);
  case '}':
    cursor.step();
    if (--blockDepth)
      append(function, Item::Kind::Close, 0);
    return;
  case ';':
    cursor.step();
    return;
  case '.':
    return parseBodyDirective(function, expectDirective("in a body"));
  case '@':
    return parseInstruction(function, cursor);
  default:
    break;
  }
  if (cursor.atEnd())
    failAt(function.position, cursor.hasUnclosedComment()
                                  ? "a comment is not closed by '*/'"
                                  : "the body of '" +
                                        std::string(function.name) +
                                        "' is not closed by '}'");
  Cursor start = cursor;
  std::string_view name = cursor.identifier();
  if (name.empty())
    fail("expected an instruction, found " + found());
  cursor.skip();
  if (cursor.peek() != ':' || cursor.peek(1) == ':')
    return parseInstruction(function, start);
  cursor.step();
  cursor.skip();
  if (cursor.peek() == '.') {
    Cursor directive = cursor;
    cursor.step();
    std::string_view word = cursor.identifier();
    cursor = directive;
    if (word == "branchtargets" || word == "calltargets" ||
        word == "callprototype")
      return parseTable(function, name);
  }
  append(function, Item::Kind::Label, function.labels.size());
  function.labels.push_back({start.position(), name});
}

void Parser::parseBodyDirective(Function &function,
                                std::string_view directive) {
  if (directive == ".loc")
    return parseLocation(function);
  if (directive == ".pragma")
    return skipPragma();
  if (directive == ".file")
    return parseFile();
  if (directive == ".section")
    return skipSection();
  Space space;
  if (directive == ".reg")
    space = Space::Register;
  else if (directive == ".param")
    space = Space::Param;
  else if (directive == ".local")
    space = Space::Local;
  else if (directive == ".shared")
    space = Space::Shared;
  else if (directive == ".global")
    space = Space::Global;
  else if (directive == ".const")
    space = Space::Constant;
  else
    failAt(statementPosition,
           "unknown directive '" + std::string(directive) + "' in a body");
  parseVariables(space, Linkage::None, [&](Variable variable) {
    append(function, Item::Kind::Variable, function.variables.size());
    function.variables.push_back(std::move(variable));
  });
}

/// `.loc file line column [, function_name label[+n], inlined_at f l c]`,
/// without a semicolon.
void Parser::parseLocation(Function &function) {
  auto number = [&] {
    return static_cast<uint32_t>(
        parseInteger(0, UINT32_MAX, "a number of '.loc'"));
  };
  Location location;
  location.file = number();
  location.line = number();
  location.column = number();
  while (cursor.take(',')) {
    std::string_view word = expectIdentifier("'function_name' or 'inlined_at'");
    if (word == "function_name") {
      expectIdentifier("a label of the debug strings");
      addSigned();
    } else if (word == "inlined_at") {
      for (int i = 0; i < 3; ++i)
        number();
    } else {
      fail("unknown attribute '" + std::string(word) + "' of '.loc'");
    }
  }
  append(function, Item::Kind::Location, function.locations.size());
  function.locations.push_back(location);
}

void Parser::parseTable(Function &function, std::string_view label) {
  Table table;
  table.name = label;
  table.position = statementPosition;
  std::string_view directive = expectDirective("behind a label");
  if (directive == ".callprototype") {
    table.kind = Table::Kind::CallPrototype;
    cursor.skip();
    if (cursor.peek() == '(')
      table.results = parseParameters();
    expectIdentifier("'_' in a prototype");
    cursor.skip();
    if (cursor.peek() == '(')
      table.parameters = parseParameters();
    Function attributes;
    parsePerformance(attributes);
  } else {
    table.kind = directive == ".calltargets" ? Table::Kind::CallTargets
                                             : Table::Kind::BranchTargets;
    do {
      table.targets.push_back(expectIdentifier("a target"));
      cursor.skip();
      if (cursor.peek() == '<')
        fail("a range of labels is not supported: list them");
    } while (cursor.take(','));
  }
  expect(';', "behind a table of targets");
  append(function, Item::Kind::Table, function.tables.size());
  function.tables.push_back(std::move(table));
}

/// The opcode with its modifiers, which may be apart: `mov .u32`.
std::string_view Parser::parseOpcode() {
  Cursor start = cursor;
  if (cursor.identifier().empty())
    fail("expected an instruction, found " + found());
  std::string_view text = cursor.since(start);
  bool together = true;
  std::string composed;
  for (;;) {
    cursor.skip();
    if (cursor.peek() != '.')
      break;
    Cursor dot = cursor;
    cursor.step();
    cursor.skip();
    Cursor word = cursor;
    // A modifier may begin with a digit (`.2d`) and hold `::`.
    while (character::is(cursor.peek(), character::Inside) ||
           (cursor.peek() == ':' && cursor.peek(1) == ':'))
      cursor.step(cursor.peek() == ':' ? 2 : 1);
    std::string_view modifier = cursor.since(word);
    if (modifier.empty())
      fail("expected a modifier behind '.', found " + found());
    bool adjacent = dot.pointer() == text.data() + text.size() &&
                    word.pointer() == dot.pointer() + 1;
    if (together && !adjacent)
      composed = text;
    together &= adjacent;
    if (together)
      text = cursor.since(start);
    else
      composed.append(1, '.').append(modifier);
    if ((together ? text.size() : composed.size()) > limit::ModifierBytes)
      fail("an opcode is longer than " + std::to_string(limit::ModifierBytes) +
           " bytes");
  }
  if (together)
    return text;
  module.composed.push_back(std::move(composed));
  return module.composed.back();
}

void Parser::parseInstruction(Function &function, const Cursor &start) {
  cursor = start;
  Instruction instruction;
  instruction.position = start.position();
  instruction.textBegin = start.offset();
  if (cursor.take('@')) {
    instruction.hasGuard = true;
    instruction.guardNegated = cursor.take('!');
    cursor.skip();
    Cursor guard = cursor;
    if (character::is(cursor.peek(), character::Digit)) {
      cursor.step();
      instruction.guard = cursor.since(guard);
      if (instruction.guard != "0" && instruction.guard != "1")
        fail("a guard is a predicate, or 0 or 1");
    } else {
      instruction.guard = expectIdentifier("the predicate of a guard");
    }
    cursor.skip();
  }
  instruction.opcode = parseOpcode();
  parseOperands(function, instruction);
  append(function, Item::Kind::Instruction, function.instructions.size());
  function.instructions.push_back(instruction);
}
