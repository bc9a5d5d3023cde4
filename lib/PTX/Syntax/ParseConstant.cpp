// Literals and constant expressions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/Parser.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

using namespace ptx;
using namespace ptx::syntax;

double Constant::asDouble() const {
  switch (kind) {
  case Kind::Single:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  case Kind::Double:
    return std::bit_cast<double>(bits);
  case Kind::Integer:
    break;
  }
  return isUnsigned ? static_cast<double>(bits)
                    : static_cast<double>(static_cast<int64_t>(bits));
}

uint32_t Constant::asSingleBits() const {
  if (kind == Kind::Single)
    return static_cast<uint32_t>(bits);
  return std::bit_cast<uint32_t>(static_cast<float>(asDouble()));
}

namespace {
bool isFloating(const Constant &value) {
  return value.kind != Constant::Kind::Integer;
}

Constant integer(uint64_t bits, bool isUnsigned = false) {
  return {Constant::Kind::Integer, isUnsigned, bits};
}

Constant floating(double value) {
  return {Constant::Kind::Double, false, std::bit_cast<uint64_t>(value)};
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The operators of each precedence, weakest first; longer ones come first.
constexpr unsigned kPrecedences = 10;
constexpr std::string_view operators[kPrecedences][4] = {{"||"},
                                                         {"&&"},
                                                         {"|"},
                                                         {"^"},
                                                         {"&"},
                                                         {"==", "!="},
                                                         {"<=", ">=", "<", ">"},
                                                         {"<<", ">>"},
                                                         {"+", "-"},
                                                         {"*", "/", "%"}};

bool isOperator(char c) { return c && std::strchr("|&^=!<>+-*/%?", c); }
} // namespace

/// A constant expression. A `|` outside parentheses is an operator here:
/// pairs `d|p` are made of names.
Constant Parser::parseConstant() { return parseTernary(0); }

Constant Parser::parseTernary(unsigned depth) {
  Constant condition = parseBinary(0, depth);
  cursor.skip();
  if (cursor.peek() != '?')
    return condition;
  cursor.step();
  if (depth >= limit::ExpressionDepth)
    fail("a constant expression is nested too deep");
  Constant yes = parseTernary(depth + 1);
  expect(':', "in a constant expression");
  Constant no = parseTernary(depth + 1);
  return condition.bits ? yes : no;
}

Constant Parser::parseBinary(unsigned precedence, unsigned depth) {
  if (precedence == kPrecedences)
    return parseUnary(depth);
  // Nearly every constant is one literal.
  Constant left = parseUnary(depth);
  cursor.skip();
  return isOperator(cursor.peek()) ? parseTail(left, precedence, depth) : left;
}

/// Operators of at least \p precedence that follow \p left.
Constant Parser::parseTail(Constant left, unsigned precedence, unsigned depth) {
  for (;;) {
    unsigned level = precedence;
    std::string_view op = operatorHere(level);
    if (op.empty())
      return left;
    cursor.step(op.size());
    Constant right = parseUnary(depth);
    cursor.skip();
    unsigned next = level + 1;
    if (!operatorHere(next).empty())
      right = parseTail(right, level + 1, depth);
    left = applyBinary(op, left, right);
  }
}

/// The operator at the cursor if it binds at least as strongly as \p level,
/// which becomes its precedence.
std::string_view Parser::operatorHere(unsigned &level) {
  cursor.skip();
  if (!isOperator(cursor.peek()))
    return {};
  const char two[2] = {cursor.peek(), cursor.peek(1)};
  auto find = [&](std::string_view text) -> std::string_view {
    for (unsigned p = 0; p < kPrecedences; ++p)
      for (std::string_view op : operators[p])
        if (!op.empty() && op == text) {
          if (p < level)
            return {};
          level = p;
          return op;
        }
    return {};
  };
  for (std::string_view op : {"||", "&&", "==", "!=", "<=", ">=", "<<", ">>"})
    if (op == std::string_view(two, 2))
      return find(op);
  return find(std::string_view(two, 1));
}

/// `op` of two numbers of one type, or nothing if it does not compare.
template <class T>
static std::optional<bool> compare(std::string_view op, T a, T b) {
  if (op == "==")
    return a == b;
  if (op == "!=")
    return a != b;
  if (op == "<")
    return a < b;
  if (op == ">")
    return a > b;
  if (op == "<=")
    return a <= b;
  if (op == ">=")
    return a >= b;
  return std::nullopt;
}

Constant Parser::applyFloating(std::string_view op, double a, double b) {
  if (std::optional<bool> result = compare(op, a, b))
    return integer(*result);
  if (op == "+")
    return floating(a + b);
  if (op == "-")
    return floating(a - b);
  if (op == "*")
    return floating(a * b);
  if (op == "/")
    return floating(a / b);
  fail("'" + std::string(op) + "' cannot be used with floats");
}

Constant Parser::applyBinary(std::string_view op, Constant left,
                             Constant right) {
  if (isFloating(left) || isFloating(right))
    return applyFloating(op, left.asDouble(), right.asDouble());
  bool isUnsigned = left.isUnsigned || right.isUnsigned;
  uint64_t a = left.bits, b = right.bits;
  int64_t x = static_cast<int64_t>(a), y = static_cast<int64_t>(b);
  if (auto result = isUnsigned ? compare(op, a, b) : compare(op, x, y))
    return integer(*result);
  if (op == "/" || op == "%") {
    if (!b)
      fail("division by zero in a constant expression");
    if (isUnsigned)
      return integer(op == "/" ? a / b : a % b, true);
    if (y == -1) // INT64_MIN / -1 wraps
      return integer(op == "/" ? uint64_t{0} - a : 0);
    return integer(static_cast<uint64_t>(op == "/" ? x / y : x % y));
  }
  if (op == "<<")
    return integer(b < 64 ? a << b : 0, left.isUnsigned);
  if (op == ">>") {
    uint64_t amount = b < 63 ? b : 63;
    if (left.isUnsigned)
      return integer(b < 64 ? a >> b : 0, true);
    return integer(static_cast<uint64_t>(x >> amount));
  }
  if (op == "||" || op == "&&")
    return integer(op == "||" ? a || b : a && b);
  switch (op[0]) {
  case '+':
    return integer(a + b, isUnsigned);
  case '-':
    return integer(a - b, isUnsigned);
  case '*':
    return integer(a * b, isUnsigned);
  case '|':
    return integer(a | b, isUnsigned);
  case '^':
    return integer(a ^ b, isUnsigned);
  default:
    return integer(a & b, isUnsigned);
  }
}

Constant Parser::parseUnary(unsigned depth) {
  cursor.skip();
  if (character::is(cursor.peek(), character::Digit))
    return parseNumber();
  if (depth >= limit::ExpressionDepth)
    fail("a constant expression is nested too deep");
  char c = cursor.peek();
  if (c != '-' && c != '+' && c != '~' && c != '!')
    return parsePrimary(depth);
  cursor.step();
  Constant value = parseUnary(depth + 1);
  if (c == '+')
    return value;
  if (c == '!')
    return integer(isFloating(value) ? value.asDouble() == 0 : !value.bits);
  if (c == '~') {
    if (isFloating(value))
      fail("'~' cannot be used with a float");
    value.bits = ~value.bits;
    return value;
  }
  // The sign bit of a float, so that NaNs keep their payload.
  if (value.kind == Constant::Kind::Single)
    value.bits ^= uint64_t{1} << 31;
  else if (value.kind == Constant::Kind::Double)
    value.bits ^= uint64_t{1} << 63;
  else
    value.bits = uint64_t{0} - value.bits;
  return value;
}

Constant Parser::parsePrimary(unsigned depth) {
  if (cursor.peek() == '.' && character::is(cursor.peek(1), character::Digit))
    return parseNumber();
  if (std::string_view name = Cursor(cursor).identifier(); name == "WARP_SZ") {
    cursor.step(name.size());
    return integer(kLanes);
  }
  if (cursor.peek() != '(')
    fail("expected an operand, found " + found());
  cursor.step();
  cursor.skip();
  for (std::string_view cast : {".s64", ".u64"}) {
    Cursor ahead = cursor;
    if (ahead.peek() != '.')
      break;
    ahead.step();
    if (ahead.identifier() != cast.substr(1))
      continue;
    cursor = ahead;
    expect(')', "behind the type of a cast");
    Constant value = parseUnary(depth + 1);
    if (isFloating(value))
      fail("a float cannot be cast in a constant expression");
    value.isUnsigned = cast == ".u64";
    return value;
  }
  Constant value = parseTernary(depth + 1);
  expect(')', "in a constant expression");
  return value;
}

Constant Parser::parseNumber() {
  if (cursor.peek() == '0') {
    switch (cursor.peek(1)) {
    case 'f':
    case 'F':
      return parseFloatBits(8);
    case 'd':
    case 'D':
      return parseFloatBits(16);
    default:
      break;
    }
  }
  Cursor start = cursor;
  while (character::is(cursor.peek(), character::Digit))
    cursor.step();
  char c = cursor.peek();
  if (c == '.' || c == 'e' || c == 'E') {
    cursor = start;
    return parseDecimalFraction();
  }
  cursor = start;
  return parseIntegerLiteral();
}

Constant Parser::parseIntegerLiteral() {
  unsigned base = 10;
  Cursor start = cursor;
  if (cursor.peek() == '0') {
    char kind = cursor.peek(1) | 32;
    if (kind == 'x' || kind == 'b') {
      base = kind == 'x' ? 16 : 2;
      cursor.step(2);
    } else {
      // `017` is octal; `08`, as the assembler reads it, is not.
      base = 8;
      for (Cursor ahead = cursor; character::is(ahead.peek(), character::Digit);
           ahead.step())
        if (ahead.peek() >= '8')
          base = 10;
    }
  }
  uint64_t value = 0;
  unsigned digits = 0;
  for (;; cursor.step(), ++digits) {
    int digit = hexDigit(cursor.peek());
    if (digit < 0 || static_cast<unsigned>(digit) >= base)
      break;
    uint64_t product;
    if (__builtin_mul_overflow(value, uint64_t{base}, &product) ||
        __builtin_add_overflow(product, static_cast<uint64_t>(digit), &value))
      failAt(start.position(), "an integer has more than 64 bits");
  }
  bool isUnsigned = value >> 63;
  if (cursor.peek() == 'U') {
    isUnsigned = true;
    cursor.step();
  }
  if (!digits || character::is(cursor.peek(), character::Inside))
    failAt(start.position(), "malformed number");
  return integer(value, isUnsigned);
}

/// `0f` and 8 or `0d` and 16 hexadecimal digits.
Constant Parser::parseFloatBits(unsigned digits) {
  Position position = cursor.position();
  cursor.step(2);
  uint64_t bits = 0;
  for (unsigned i = 0; i < digits; ++i, cursor.step()) {
    int digit = hexDigit(cursor.peek());
    if (digit < 0)
      failAt(position, "the bits of a float need " + std::to_string(digits) +
                           " hexadecimal digits");
    bits = bits << 4 | static_cast<unsigned>(digit);
  }
  if (character::is(cursor.peek(), character::Inside))
    failAt(position, "the bits of a float need " + std::to_string(digits) +
                         " hexadecimal digits");
  return {digits == 8 ? Constant::Kind::Single : Constant::Kind::Double, false,
          bits};
}

Constant Parser::parseDecimalFraction() {
  Cursor start = cursor;
  auto skipDigits = [&] {
    while (character::is(cursor.peek(), character::Digit))
      cursor.step();
  };
  skipDigits();
  if (cursor.peek() == '.') {
    cursor.step();
    skipDigits();
  }
  if (cursor.peek() == 'e' || cursor.peek() == 'E') {
    cursor.step();
    if (cursor.peek() == '+' || cursor.peek() == '-')
      cursor.step();
    if (!character::is(cursor.peek(), character::Digit))
      failAt(start.position(), "malformed number");
    skipDigits();
  }
  std::string_view text = cursor.since(start);
  if (text.size() > 400 || character::is(cursor.peek(), character::Inside))
    failAt(start.position(), "malformed number");
  double value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    failAt(start.position(), "malformed number, or one no double can hold");
  return floating(value);
}

Constant Parser::addSigned() {
  Constant sum;
  for (;;) {
    cursor.skip();
    char c = cursor.peek();
    if (c != '+' && c != '-')
      return sum;
    cursor.step();
    Constant term = parseBinary(kPrecedences - 1, 0);
    if (isFloating(term))
      fail("a float cannot be added to an address");
    sum.bits = c == '+' ? sum.bits + term.bits : sum.bits - term.bits;
  }
}
