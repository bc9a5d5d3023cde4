// Module level of a PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/ParseVariable.h"

#include "ptx/Error.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::syntax;

std::string syntax::statementAt(std::string_view text, size_t begin) {
  constexpr size_t longest = 200;
  std::string statement;
  bool blank = false;
  for (size_t i = begin; i < text.size() && statement.size() < longest; ++i) {
    char c = text[i];
    if (character::is(c, character::Blank)) {
      // Many directives have no `;` at the end.
      if (c == '\n' && statement[0] == '.')
        return statement;
      blank = true;
      continue;
    }
    if (c == '\0')
      break;
    if (blank && !statement.empty())
      statement += ' ';
    blank = false;
    // Whatever a hostile text holds, the message is printable.
    statement += c >= ' ' && c < 127 ? c : '?';
    if (c == ';' || ((c == '{' || c == '}') && statement.size() == 1))
      return statement;
  }
  if (statement.size() >= longest)
    statement.replace(longest - 3, std::string::npos, "...");
  return statement;
}

Parser::Parser(std::string_view text) : cursor(text) { module.text = text; }

void Parser::failAt(Position position, std::string why) const {
  throw Error(position.line, position.column,
              statementAt(module.text, statementBegin), std::move(why));
}

void Parser::fail(std::string why) const {
  failAt(cursor.position(), std::move(why));
}

std::string Parser::found() const {
  if (cursor.atEnd())
    return "the end of the text";
  Cursor ahead = cursor;
  if (std::string_view name = ahead.identifier(); !name.empty())
    return "'" + std::string(name.substr(0, 80)) + "'";
  char c = cursor.peek();
  if (c > ' ' && c < 127)
    return std::string("'") + c + "'";
  static const char digits[] = "0123456789abcdef";
  unsigned char byte = static_cast<unsigned char>(c);
  return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15];
}

void Parser::expect(char c, std::string_view where) {
  if (cursor.take(c))
    return;
  if (cursor.hasUnclosedComment())
    fail("a comment is not closed by '*/'");
  fail("expected '" + std::string(1, c) + "' " + std::string(where) +
       ", found " + found());
}

std::string_view Parser::expectIdentifier(std::string_view what) {
  cursor.skip();
  std::string_view name = cursor.identifier();
  if (name.empty())
    fail("expected " + std::string(what) + ", found " + found());
  return name;
}

std::string_view Parser::expectDirective(std::string_view where) {
  cursor.skip();
  Cursor start = cursor;
  if (cursor.peek() == '.') {
    cursor.step();
    if (!cursor.identifier().empty())
      return cursor.since(start);
    cursor = start;
  }
  fail("expected a directive " + std::string(where) + ", found " + found());
}

int64_t Parser::parseInteger(int64_t minimum, int64_t maximum,
                             std::string_view what) {
  cursor.skip();
  Position position = cursor.position();
  Constant value = parseConstant();
  int64_t number = static_cast<int64_t>(value.bits);
  bool tooLarge = value.isUnsigned && number < 0;
  if (value.kind != Constant::Kind::Integer || tooLarge || number < minimum ||
      number > maximum)
    failAt(position, std::string(what) + " must be an integer from " +
                         std::to_string(minimum) + " to " +
                         std::to_string(maximum));
  return number;
}

Module Parser::parse() {
  if (module.text.size() > limit::TextBytes)
    fail("the text is longer than " + std::to_string(limit::TextBytes) +
         " bytes");
  parseHeader();
  for (;;) {
    cursor.skip();
    if (cursor.atEnd())
      break;
    statementBegin = cursor.offset();
    statementPosition = cursor.position();
    parseModuleDirective(expectDirective("at module level"));
  }
  if (cursor.hasUnclosedComment())
    fail("a comment is not closed by '*/'");
  return std::move(module);
}

void Parser::parseHeader() {
  cursor.skip();
  statementBegin = cursor.offset();
  if (cursor.atEnd())
    fail("the text is empty: a PTX module begins with '.version'");
  if (expectDirective("'.version' first") != ".version")
    failAt({1, 1}, "a PTX module begins with '.version'");
  parseVersion();
  cursor.skip();
  statementBegin = cursor.offset();
  if (expectDirective("'.target' behind '.version'") != ".target")
    fail("expected '.target' behind '.version'");
  parseTarget();
}

void Parser::parseVersion() {
  cursor.skip();
  Position position = cursor.position();
  unsigned part[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    if (i && cursor.peek() == '.')
      cursor.step();
    if (!character::is(cursor.peek(), character::Digit))
      failAt(position, "'.version' needs a number like 8.7");
    for (int digits = 0; character::is(cursor.peek(), character::Digit);
         cursor.step()) {
      part[i] = part[i] * 10 + static_cast<unsigned>(cursor.peek() - '0');
      if (++digits > 2)
        failAt(position, "'.version' needs a number like 8.7");
    }
  }
  module.version = part[0] * 10 + part[1];
  if (part[1] > 9 || module.version < 10)
    failAt(position, "there is no such version of the PTX ISA");
  // Minor versions only add: what is unknown of them is refused by name.
  if (part[0] > 9)
    failAt(position, "PTX ISA " + std::to_string(part[0]) + "." +
                         std::to_string(part[1]) +
                         " is newer than the 9.x known here");
}

void Parser::parseTarget() {
  static constexpr unsigned known[] = {30, 32,  35,  37,  50,  52,  53, 60, 61,
                                       62, 70,  72,  75,  80,  86,  87, 88, 89,
                                       90, 100, 101, 103, 110, 120, 121};
  do {
    cursor.skip();
    Position position = cursor.position();
    std::string_view name = expectIdentifier("a target like sm_90");
    if (name.substr(0, 3) != "sm_") {
      if (name == "texmode_independent" || name == "texmode_unified" ||
          name == "debug")
        continue;
      failAt(position, "unknown target '" + std::string(name) + "'");
    }
    std::string_view digits = name.substr(3);
    char suffix = 0;
    if (!digits.empty() && (digits.back() == 'a' || digits.back() == 'f')) {
      suffix = digits.back();
      digits.remove_suffix(1);
    }
    unsigned number = 0;
    for (char c : digits.substr(0, 4))
      number = character::is(c, character::Digit)
                   ? number * 10 + static_cast<unsigned>(c - '0')
                   : 100000;
    if (digits.size() < 2 || digits.size() > 3 ||
        std::find(std::begin(known), std::end(known), number) ==
            std::end(known) ||
        (suffix && number < 90) || (suffix == 'f' && number < 100))
      failAt(position, "unknown target '" + std::string(name) +
                           "': known are sm_30 to sm_121");
    if (module.sm)
      failAt(position, "a module has one target architecture");
    module.sm = number;
    module.smSuffix = suffix;
  } while (cursor.take(','));
  if (!module.sm)
    fail("'.target' names no architecture");
}

void Parser::parseModuleDirective(std::string_view directive) {
  if (directive == ".address_size") {
    module.addressSize =
        static_cast<unsigned>(parseInteger(32, 64, "the address size"));
    if (module.addressSize != 64)
      fail("only 64-bit addresses are supported: '.address_size 64'");
    return;
  }
  if (directive == ".extern")
    return parseLinked(Linkage::Extern);
  if (directive == ".visible")
    return parseLinked(Linkage::Visible);
  if (directive == ".weak")
    return parseLinked(Linkage::Weak);
  if (directive == ".common")
    return parseLinked(Linkage::Common);
  if (directive == ".file")
    return parseFile();
  if (directive == ".section")
    return skipSection();
  if (directive == ".pragma")
    return skipPragma();
  if (directive == ".alias")
    return parseAlias();
  if (directive == ".version" || directive == ".target")
    failAt(statementPosition,
           "'" + std::string(directive) + "' is there twice");
  if (directive == ".loc") {
    Function outside;
    return parseLocation(outside);
  }
  // Not a directive of its own: go back, for a declaration without linkage.
  Cursor after = cursor;
  if (directive == ".entry" || directive == ".func") {
    parseFunction(directive == ".entry", Linkage::None);
    return;
  }
  cursor = after;
  Space space;
  if (directive == ".global")
    space = Space::Global;
  else if (directive == ".const")
    space = Space::Constant;
  else if (directive == ".shared")
    space = Space::Shared;
  else if (directive == ".tex" || directive == ".texref" ||
           directive == ".surfref" || directive == ".samplerref")
    failAt(statementPosition, "textures and surfaces are not supported ('" +
                                  std::string(directive) + "')");
  else
    failAt(statementPosition, "unknown directive '" + std::string(directive) +
                                  "' at module level");
  parseVariables(space, Linkage::None, [&](Variable variable) {
    module.variables.push_back(std::move(variable));
  });
}

void Parser::parseLinked(Linkage linkage) {
  cursor.skip();
  Position position = cursor.position();
  std::string_view directive = expectDirective("behind a linkage");
  if (directive == ".entry" || directive == ".func")
    return parseFunction(directive == ".entry", linkage);
  Space space;
  if (directive == ".global")
    space = Space::Global;
  else if (directive == ".const")
    space = Space::Constant;
  else if (directive == ".shared")
    space = Space::Shared;
  else
    failAt(position, "expected a function or a variable behind a linkage, "
                     "found '" +
                         std::string(directive) + "'");
  parseVariables(space, linkage, [&](Variable variable) {
    module.variables.push_back(std::move(variable));
  });
}

std::string_view Parser::parseString() {
  expect('"', "at the begin of a string");
  Cursor start = cursor;
  while (cursor.peek() != '"') {
    if (cursor.atEnd() || cursor.peek() == '\n')
      fail("a string is not closed on its line");
    cursor.step(cursor.peek() == '\\' && cursor.peek(1) >= ' ' ? 2 : 1);
  }
  std::string_view text = cursor.since(start);
  cursor.step();
  return text;
}

void Parser::parseFile() {
  SourceFile file;
  file.number =
      static_cast<uint32_t>(parseInteger(0, UINT32_MAX, "a file number"));
  file.name = parseString();
  // Timestamp and size.
  for (int i = 0; i < 2 && cursor.take(','); ++i)
    parseInteger(0, INT64_MAX, "a timestamp or size");
  module.files.push_back(file);
}

void Parser::parseAlias() {
  Alias alias;
  alias.position = statementPosition;
  alias.name = expectIdentifier("the name of the alias");
  expect(',', "between an alias and its target");
  alias.target = expectIdentifier("the function the alias stands for");
  expect(';', "behind an alias");
  module.aliases.push_back(alias);
}

/// Debug data say nothing about the meaning of a program.
void Parser::skipSection() {
  cursor.skip();
  if (cursor.peek() == '.')
    cursor.step();
  expectIdentifier("the name of the section");
  expect('{', "behind the name of a section");
  for (unsigned depth = 1; depth;) {
    cursor.skip();
    if (cursor.atEnd())
      fail("a section is not closed by '}'");
    char c = cursor.peek();
    if (c == '"') {
      parseString();
      continue;
    }
    cursor.step();
    if (c == '{')
      ++depth;
    else if (c == '}')
      --depth;
  }
}

void Parser::skipPragma() {
  do
    parseString();
  while (cursor.take(','));
  expect(';', "behind a pragma");
}
