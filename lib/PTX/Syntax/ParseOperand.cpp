// Operands of instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/Parser.h"

using namespace ptx;
using namespace ptx::syntax;

/// Takes the operands up to and with the `;`. Children go to the pool first,
/// so that the top-level operands lie one behind the other.
void Parser::parseOperands(Function &function, Instruction &instruction) {
  bool lists = instruction.opcode.substr(0, 4) == "call";
  pending.clear();
  cursor.skip();
  if (cursor.peek() != ';') {
    for (bool paired = false;;) {
      if (pending.size() == limit::OperandCount)
        fail("an instruction has more than " +
             std::to_string(limit::OperandCount) + " operands");
      Operand operand = parseOperand(function, lists);
      operand.paired = paired;
      pending.push_back(operand);
      cursor.skip();
      char c = cursor.peek();
      if (c != ',' && c != '|')
        break;
      paired = c == '|';
      cursor.step();
    }
  }
  expect(';',
         "behind the operands of '" + std::string(instruction.opcode) + "'");
  if (operandCount += pending.size(); operandCount > limit::Operands)
    fail("a module has more than " + std::to_string(limit::Operands) +
         " operands");
  instruction.firstOperand = static_cast<uint32_t>(function.operands.size());
  instruction.operandCount = static_cast<uint32_t>(pending.size());
  function.operands.insert(function.operands.end(), pending.begin(),
                           pending.end());
}

Operand Parser::parseOperand(Function &function, bool lists) {
  cursor.skip();
  Operand operand;
  operand.position = cursor.position();
  char c = cursor.peek();
  if (character::is(c, character::First)) {
    parseName(operand);
    return operand;
  }
  switch (c) {
  case '[':
    parseAddress(function, operand);
    return operand;
  case '{':
    cursor.step();
    operand.kind = Operand::Kind::Vector;
    parseChildren(function, operand, '}');
    return operand;
  case '(':
    if (!lists)
      break;
    cursor.step();
    operand.kind = Operand::Kind::List;
    parseChildren(function, operand, ')');
    return operand;
  case '!': {
    Cursor ahead = cursor;
    ahead.step();
    ahead.skip();
    if (!character::is(ahead.peek(), character::First))
      break;
    cursor = ahead;
    operand.negated = true;
    parseName(operand);
    return operand;
  }
  case '-': { // `-r`; constant expressions know one name
    Cursor ahead = cursor;
    ahead.step();
    ahead.skip();
    Cursor name = ahead;
    name.identifier();
    if (!character::is(ahead.peek(), character::First) ||
        name.since(ahead) == "WARP_SZ")
      break;
    cursor = ahead;
    operand.minus = true;
    parseName(operand);
    return operand;
  }
  default:
    break;
  }
  operand.kind = Operand::Kind::Constant;
  operand.constant = parseConstant();
  return operand;
}

/// A name, with what is added to it: `%r1`, `%tid.x`, `V.y`, `array+4`, `a[2]`.
void Parser::parseName(Operand &operand) {
  Cursor start = cursor;
  cursor.identifier();
  std::string_view name = cursor.since(start);
  if (name.empty())
    fail("expected an operand, found " + found());
  if (name == "_") {
    operand.kind = Operand::Kind::Sink;
    return;
  }
  while (cursor.peek() == '.' &&
         character::is(cursor.peek(1), character::Letter)) {
    cursor.step();
    cursor.identifier();
    name = cursor.since(start);
  }
  operand.kind = Operand::Kind::Name;
  operand.name = name;
  cursor.skip();
  switch (cursor.peek()) {
  case '+':
  case '-':
    operand.constant = addSigned();
    break;
  case '[':
    cursor.step();
    operand.indexed = true;
    operand.constant.bits = static_cast<uint64_t>(
        parseInteger(INT32_MIN, INT32_MAX, "the index of an array"));
    expect(']', "behind the index of an array");
    break;
  default:
    if (name == "WARP_SZ") {
      operand.kind = Operand::Kind::Constant;
      operand.constant.bits = kLanes;
    }
    break;
  }
}

void Parser::parseAddress(Function &function, Operand &operand) {
  cursor.step(); // '['
  cursor.skip();
  operand.kind = Operand::Kind::Address;
  if (character::is(cursor.peek(), character::First)) {
    Position position = cursor.position();
    parseName(operand);
    if (operand.kind == Operand::Kind::Constant)
      operand.name = {}; // WARP_SZ
    else if (operand.kind != Operand::Kind::Name)
      failAt(position, "an address cannot be '_'");
    operand.kind = Operand::Kind::Address;
  } else {
    operand.constant = parseConstant();
  }
  if (operand.constant.kind != Constant::Kind::Integer)
    failAt(operand.position, "an address cannot be a float");
  if (cursor.take(',')) {
    expect('{', "before the coordinates of a tensor address");
    parseChildren(function, operand, '}');
  }
  expect(']', "behind an address");
  if (cursor.peek() != '.')
    return;
  Cursor start = cursor;
  cursor.step();
  cursor.identifier();
  if (cursor.since(start) != ".unified")
    failAt(operand.position, "only '.unified' can follow an address, not '" +
                                 std::string(cursor.since(start)) + "'");
  operand.unified = true;
}

/// The elements of `{...}` or `(...)`, none of which has children.
void Parser::parseChildren(Function &function, Operand &operand, char close) {
  operand.firstChild = static_cast<uint32_t>(function.operands.size());
  if (cursor.take(close))
    return;
  do {
    ++operandCount;
    if (operand.childCount++ == limit::OperandCount)
      fail("a list has more than " + std::to_string(limit::OperandCount) +
           " elements");
    cursor.skip();
    Operand child;
    child.position = cursor.position();
    if (character::is(cursor.peek(), character::First)) {
      parseName(child);
    } else {
      child.kind = Operand::Kind::Constant;
      child.constant = parseConstant();
    }
    function.operands.push_back(child);
  } while (cursor.take(','));
  expect(close, "behind a list of operands");
}
