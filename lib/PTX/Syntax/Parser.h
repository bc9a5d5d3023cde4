// Reads PTX text.
//
// A hand-written recursive descent over the bytes of the text. It checks the
// grammar and the limits below, looks no name up, and knows no instruction:
// opcodes, modifiers and operand kinds are the decoder's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_SYNTAX_PARSER_H
#define PTX_SYNTAX_PARSER_H

#include "Syntax/Ast.h"
#include "Syntax/Cursor.h"

#include <optional>

namespace ptx::syntax {

/// What a text may hold, so that no input exhausts memory or stack. Generous
/// for what compilers emit.
namespace limit {
inline constexpr size_t TextBytes = size_t{1} << 28;
inline constexpr size_t Items = size_t{1} << 22;    // statements of a module
inline constexpr size_t Operands = size_t{1} << 24; // of a module
inline constexpr unsigned BlockDepth = 256;         // nested `{` of a body
inline constexpr unsigned ExpressionDepth = 64;     // nested parentheses
inline constexpr unsigned OperandCount = 1024;      // of one instruction
inline constexpr unsigned ParameterCount = 4096;    // of one function
inline constexpr unsigned RegisterRange = 1u << 22; // `%r<n>`
inline constexpr uint64_t VariableBytes = uint64_t{1} << 34;
inline constexpr unsigned Dimensions = 16;
inline constexpr size_t Initialisers = size_t{1} << 24; // of a module
inline constexpr unsigned ModifierBytes = 512;          // of one opcode
} // namespace limit

class Parser {
public:
  /// \p text must stay where it is as long as the result is used.
  explicit Parser(std::string_view text);

  /// Throws Error at the first thing that is wrong.
  Module parse();

private:
  // Module level (ParseModule.cpp).
  void parseHeader();
  void parseVersion();
  void parseTarget();
  void parseModuleDirective(std::string_view directive);
  void parseLinked(Linkage linkage);
  void parseFile();
  void parseAlias();
  void skipSection();
  void skipPragma();
  std::string_view parseString();

  // Functions (ParseFunction.cpp).
  void parseFunction(bool isEntry, Linkage linkage);
  void parseSignature(Function &function);
  void parsePerformance(Function &function);
  bool parsePerformanceDirective(Function &function, std::string_view name);
  Dim3 parseDim3();
  std::vector<Variable> parseParameters();
  Variable parseParameter();
  void parsePointerAttributes(Variable &variable);

  // Variables (ParseVariable.cpp).
  template <class Sink>
  void parseVariables(Space space, Linkage linkage, Sink &&sink);
  void parseVariableSpecifiers(Variable &base);
  Type parseType(bool allowPredicate);
  void parseAttribute(Variable &base);
  void parseDeclarator(Variable &variable);
  void parseDimensions(Variable &variable);
  void parseInitialiser(Variable &variable);
  void parseInitialiserList(Variable &variable, unsigned depth);
  Initialiser parseInitialiserValue();
  void checkVariable(const Variable &variable);

  // Bodies (ParseBody.cpp).
  void parseBody(Function &function);
  void parseStatement(Function &function);
  void append(Function &function, Item::Kind kind, size_t index);
  void parseBodyDirective(Function &function, std::string_view directive);
  void parseLocation(Function &function);
  void parseTable(Function &function, std::string_view label);
  void parseInstruction(Function &function, const Cursor &start);
  std::string_view parseOpcode();

  // Operands (ParseOperand.cpp).
  void parseOperands(Function &function, Instruction &instruction);
  Operand parseOperand(Function &function, bool lists);
  void parseName(Operand &operand);
  void parseAddress(Function &function, Operand &operand);
  void parseChildren(Function &function, Operand &operand, char close);

  // Constants (ParseConstant.cpp).
  Constant parseConstant();
  Constant parseTernary(unsigned depth);
  Constant parseBinary(unsigned precedence, unsigned depth);
  Constant parseTail(Constant left, unsigned precedence, unsigned depth);
  std::string_view operatorHere(unsigned &level);
  Constant parseUnary(unsigned depth);
  Constant parsePrimary(unsigned depth);
  Constant parseNumber();
  Constant parseIntegerLiteral();
  Constant parseFloatBits(unsigned digits);
  Constant parseDecimalFraction();
  Constant applyBinary(std::string_view op, Constant left, Constant right);
  Constant applyFloating(std::string_view op, double a, double b);
  Constant addSigned(); ///< `+ n`, `- n` sums behind a name
  int64_t parseInteger(int64_t minimum, int64_t maximum, std::string_view what);

  // Errors.
  [[noreturn]] void fail(std::string why) const;
  [[noreturn]] void failAt(Position position, std::string why) const;
  void expect(char c, std::string_view where);
  std::string_view expectIdentifier(std::string_view what);
  /// `.name` as a view with the dot; fails if there is none.
  std::string_view expectDirective(std::string_view where);
  std::string found() const; ///< what is at the cursor, in words

  Cursor cursor;
  uint32_t statementBegin = 0; ///< for messages
  Position statementPosition;
  unsigned blockDepth = 0;
  size_t itemCount = 0, operandCount = 0, initialiserCount = 0;
  std::vector<Operand> pending; ///< top-level operands of one instruction
  Module module;
};

/// The statement of \p text that begins at \p begin, on one line and cut when
/// long, for messages.
std::string statementAt(std::string_view text, size_t begin);

} // namespace ptx::syntax

#endif // PTX_SYNTAX_PARSER_H
