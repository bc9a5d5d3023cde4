// Declarations and initialisers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/ParseVariable.h"

using namespace ptx;
using namespace ptx::syntax;

Type Parser::parseType(bool allowPredicate) {
  cursor.skip();
  Position position = cursor.position();
  std::string_view name = expectDirective("that names a type");
  switch (Type type = typeNamed(name)) {
  case Type::Pred:
    if (allowPredicate)
      return type;
    failAt(position, "only registers can be predicates");
  case Type::B8:
  case Type::B16:
  case Type::B32:
  case Type::B64:
  case Type::B128:
  case Type::U8:
  case Type::U16:
  case Type::U32:
  case Type::U64:
  case Type::S8:
  case Type::S16:
  case Type::S32:
  case Type::S64:
  case Type::F16:
  case Type::F16x2:
  case Type::BF16:
  case Type::BF16x2:
  case Type::F32:
  case Type::F64:
    return type;
  default:
    break;
  }
  if (name == ".texref" || name == ".surfref" || name == ".samplerref")
    failAt(position, "textures and surfaces are not supported ('" +
                         std::string(name) + "')");
  failAt(position, "'" + std::string(name) + "' is not the type of a variable");
}

void Parser::parseAttribute(Variable &base) {
  expect('(', "behind '.attribute'");
  do {
    Position position = cursor.position();
    std::string_view name = expectDirective("in an attribute");
    if (name == ".managed") {
      base.isManaged = true;
    } else if (name == ".unified") {
      expect('(', "behind '.unified'");
      parseInteger(INT64_MIN, INT64_MAX, "a number of '.unified'");
      expect(',', "in '.unified'");
      parseInteger(INT64_MIN, INT64_MAX, "a number of '.unified'");
      expect(')', "behind '.unified'");
    } else {
      failAt(position, "unknown attribute '" + std::string(name) + "'");
    }
  } while (cursor.take(','));
  expect(')', "behind an attribute");
}

/// Alignment, attributes, vector and type, in the orders compilers write them.
void Parser::parseVariableSpecifiers(Variable &base) {
  for (;;) {
    cursor.skip();
    Cursor start = cursor;
    std::string_view name = expectDirective("that names a type");
    if (name == ".align") {
      base.alignment =
          static_cast<uint32_t>(parseInteger(1, 1 << 20, "an alignment"));
      if (base.alignment & (base.alignment - 1))
        failAt(start.position(), "an alignment must be a power of two");
    } else if (name == ".attribute") {
      parseAttribute(base);
    } else if (name == ".v2" || name == ".v4" || name == ".v8") {
      base.vector = static_cast<uint8_t>(name[2] - '0');
    } else {
      cursor = start;
      base.type = parseType(base.space == Space::Register);
      return;
    }
  }
}

void Parser::parseDeclarator(Variable &variable) {
  cursor.skip();
  variable.position = cursor.position();
  variable.name = expectIdentifier("the name of a variable");
  cursor.skip();
  if (cursor.peek() == '<') {
    cursor.step();
    if (variable.space != Space::Register)
      fail("only registers are declared by '<n>'");
    variable.isRange = true;
    // Not a constant expression: its end is no comparison.
    cursor.skip();
    Constant count = parseUnary(0);
    if (count.kind != Constant::Kind::Integer || !count.bits ||
        count.bits > limit::RegisterRange)
      fail("the number of registers must be from 1 to " +
           std::to_string(limit::RegisterRange));
    variable.rangeCount = static_cast<uint32_t>(count.bits);
    expect('>', "behind the number of registers");
  }
  parseDimensions(variable);
}

void Parser::parseDimensions(Variable &variable) {
  unsigned dimensions = 0;
  while (cursor.take('[')) {
    if (variable.space == Space::Register)
      fail("registers cannot be arrays");
    if (++dimensions > limit::Dimensions)
      fail("an array has more than " + std::to_string(limit::Dimensions) +
           " dimensions");
    variable.isArray = true;
    if (cursor.take(']')) {
      if (dimensions > 1)
        fail("only the first dimension of an array can be left open");
      variable.isUnsized = true;
      variable.elements = 0;
      continue;
    }
    uint64_t extent = static_cast<uint64_t>(
        parseInteger(0, static_cast<int64_t>(limit::VariableBytes),
                     "the extent of an array"));
    expect(']', "behind the extent of an array");
    uint64_t product;
    if (variable.isUnsized)
      continue;
    if (__builtin_mul_overflow(variable.elements, extent, &product) ||
        product > limit::VariableBytes)
      fail("the array is larger than " + std::to_string(limit::VariableBytes) +
           " bytes");
    variable.elements = product;
  }
}

void Parser::checkVariable(const Variable &variable) {
  if (variable.space == Space::Register)
    return;
  uint64_t bytes;
  if (__builtin_mul_overflow(variable.elements, variable.elementSize(),
                             &bytes) ||
      bytes > limit::VariableBytes)
    failAt(variable.position,
           "the variable '" + std::string(variable.name) + "' is larger than " +
               std::to_string(limit::VariableBytes) + " bytes");
  if (variable.initialisers.size() >
      variable.elements * uint64_t{variable.vector})
    failAt(variable.position,
           "'" + std::string(variable.name) + "' has " +
               std::to_string(variable.initialisers.size()) +
               " initial values for " +
               std::to_string(variable.elements * variable.vector) +
               " elements");
}

void Parser::parseInitialiser(Variable &variable) {
  if (variable.space != Space::Global && variable.space != Space::Constant)
    fail("only variables in .global and .const space have initial values");
  if (variable.linkage == Linkage::Extern)
    fail("an '.extern' variable cannot have initial values");
  variable.hasInitialiser = true;
  cursor.skip();
  if (cursor.peek() == '"') {
    for (char c : parseString()) {
      Initialiser value;
      value.constant.bits = static_cast<unsigned char>(c);
      value.position = variable.position;
      variable.initialisers.push_back(value);
    }
    variable.initialisers.push_back({});
  } else if (cursor.peek() == '{') {
    parseInitialiserList(variable, 0);
  } else {
    variable.initialisers.push_back(parseInitialiserValue());
  }
  if (variable.isUnsized && !variable.initialisers.empty()) {
    variable.isUnsized = false;
    variable.elements = variable.initialisers.size() / variable.vector;
  }
}

void Parser::parseInitialiserList(Variable &variable, unsigned depth) {
  if (depth > limit::Dimensions)
    fail("initial values are nested too deep");
  expect('{', "before initial values");
  if (cursor.take('}'))
    return;
  do {
    cursor.skip();
    if (cursor.peek() == '}')
      break; // behind a trailing comma
    if (cursor.peek() == '{') {
      parseInitialiserList(variable, depth + 1);
      continue;
    }
    if (++initialiserCount > limit::Initialisers)
      fail("more than " + std::to_string(limit::Initialisers) +
           " initial values");
    variable.initialisers.push_back(parseInitialiserValue());
  } while (cursor.take(','));
  expect('}', "behind initial values");
}

Initialiser Parser::parseInitialiserValue() {
  cursor.skip();
  Initialiser value;
  value.position = cursor.position();
  bool masked = false;
  if (!character::is(cursor.peek(), character::First)) {
    value.constant = parseConstant();
    if (!cursor.take('('))
      return value;
    // `0xff00(symbol)`: these bytes of the address.
    value.mask = value.constant.bits;
    value.constant = {};
    masked = true;
  }
  value.symbol = expectIdentifier("the name of a variable or function");
  if (value.symbol == "WARP_SZ") {
    value.symbol = {};
    value.constant.bits = kLanes;
    return value;
  }
  if (value.symbol == "generic" && cursor.take('(')) {
    value.isGeneric = true;
    value.symbol = expectIdentifier("the name of a variable or function");
    value.constant = addSigned();
    expect(')', "behind 'generic(...'");
  }
  Constant more = addSigned();
  value.constant.bits += more.bits;
  if (masked)
    expect(')', "behind a part of an address");
  return value;
}
