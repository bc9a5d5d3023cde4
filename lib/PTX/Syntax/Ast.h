// PTX text as a tree.
//
// What the parser makes of a text before any name is looked up. Names and
// statements are views into the text, which must outlive the tree; operands
// and items of a function lie in pools, so that parsing allocates little.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_SYNTAX_AST_H
#define PTX_SYNTAX_AST_H

#include "ptx/Types.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ptx::syntax {

struct Position {
  uint32_t line = 0, column = 0; // from 1; columns count bytes
};

/// The value of a constant expression: an integer of 64 bits or a float.
struct Constant {
  enum class Kind : uint8_t {
    Integer,
    Single, ///< `0f3f800000`: the bits of an f32
    Double, ///< `0d...` or a decimal fraction: the bits of an f64
  };
  Kind kind = Kind::Integer;
  bool isUnsigned = false;
  uint64_t bits = 0;

  double asDouble() const;
  /// The bits in an f32, rounded to nearest even.
  uint32_t asSingleBits() const;
};

struct Operand {
  enum class Kind : uint8_t {
    Name,     ///< register, variable, label, function; `name+constant`
    Constant, ///< a constant expression
    Sink,     ///< `_`
    Vector,   ///< `{a, b}`: children
    Address,  ///< `[name+constant]`, `[constant]`; children: `{c0, ...}`
    List,     ///< `(a, b)` of a call: children
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< `!p`
  bool minus = false;   ///< `-r`
  bool paired = false;  ///< follows `|`
  bool indexed = false; ///< `name[constant]`: counts elements, not bytes
  bool unified = false; ///< `[address].unified`
  Position position;
  std::string_view name; ///< Name, Address (empty: absolute)
  Constant constant;     ///< value, or what is added to the name
  uint32_t firstChild = 0, childCount = 0; ///< in Function::operands
};

struct Instruction {
  Position position;
  std::string_view opcode; ///< with modifiers: "ld.global.v4.b32"
  std::string_view guard;  ///< name, or "0"/"1"
  bool guardNegated = false;
  bool hasGuard = false;
  uint32_t firstOperand = 0, operandCount = 0; ///< top-level, consecutive
  uint32_t textBegin = 0; ///< offset of the statement in the text
};

/// One value of an initialiser.
struct Initialiser {
  Constant constant;       ///< value, or what is added to the symbol
  std::string_view symbol; ///< a variable or function; empty: a plain value
  bool isGeneric = false;  ///< `generic(symbol)`
  uint64_t mask = ~uint64_t{0}; ///< `0xff00(symbol)`: one byte of an address
  Position position;
};

enum class Linkage : uint8_t { None, Extern, Visible, Weak, Common };

struct Variable {
  Position position;
  std::string_view name;
  Space space = Space::Register;
  Type type = Type::None;
  Linkage linkage = Linkage::None;
  uint8_t vector = 1;      ///< `.v2`: 2
  bool isRange = false;    ///< `%r<10>`
  bool isArray = false;    ///< `[..]`
  bool isUnsized = false;  ///< `[]`
  bool isPointer = false;  ///< `.ptr`
  bool isManaged = false;  ///< `.attribute(.managed)`
  uint32_t rangeCount = 0; ///< `<10>`: 10
  uint32_t alignment = 0;  ///< 0: natural
  uint64_t elements = 1;   ///< product of the dimensions
  Space pointerSpace = Space::Generic;
  uint32_t pointerAlignment = 0;
  std::vector<Initialiser> initialisers; ///< missing ones are zero
  bool hasInitialiser = false;

  uint64_t elementSize() const { return uint64_t{byteSize(type)} * vector; }
  uint64_t size() const { return elementSize() * elements; }
  uint32_t naturalAlignment() const {
    return alignment ? alignment
                     : static_cast<uint32_t>(elementSize() ? elementSize() : 1);
  }
};

/// `name: .branchtargets a, b;`, `.calltargets`, `.callprototype`.
struct Table {
  enum class Kind : uint8_t { BranchTargets, CallTargets, CallPrototype };
  Kind kind = Kind::BranchTargets;
  Position position;
  std::string_view name;
  std::vector<std::string_view> targets;
  std::vector<Variable> results, parameters;
};

struct Label {
  Position position;
  std::string_view name;
};

/// `.loc file line column`: holds for the instructions that follow.
struct Location {
  uint32_t file = 0, line = 0, column = 0;
};

/// One element of a body, in order; `index` counts within its kind.
struct Item {
  enum class Kind : uint8_t {
    Instruction,
    Label,
    Variable,
    Table,
    Location,
    Open,  ///< `{`
    Close, ///< `}`
  };
  Kind kind;
  uint32_t index;
};

struct Function {
  Position position;
  std::string_view name;
  Linkage linkage = Linkage::None;
  bool isEntry = false;
  bool hasBody = false;
  bool noReturn = false;
  std::vector<Variable> results, parameters;
  bool hasMaxntid = false, hasReqntid = false, hasReqCluster = false;
  Dim3 maxntid, reqntid, reqCluster;
  uint32_t minnctapersm = 0, maxnreg = 0, maxClusterRank = 0;
  bool explicitCluster = false;
  bool blocksAreClusters = false;

  std::vector<Item> items;
  std::vector<Instruction> instructions;
  std::vector<Operand> operands;
  std::vector<Label> labels;
  std::vector<Variable> variables;
  std::vector<Table> tables;
  std::vector<Location> locations;
};

struct Alias {
  Position position;
  std::string_view name, target;
};

struct SourceFile {
  uint32_t number = 0;
  std::string_view name;
};

struct Module {
  std::string_view text;
  unsigned version = 0; ///< 87 is 8.7
  unsigned sm = 0;      ///< 90
  char smSuffix = 0;    ///< 'a', 'f' or 0
  unsigned addressSize = 64;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::vector<Alias> aliases;
  std::vector<SourceFile> files;
  /// Opcodes written with blanks inside, put together.
  std::deque<std::string> composed;
};

} // namespace ptx::syntax

#endif // PTX_SYNTAX_AST_H
