// What names mean, block by block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_NAMETABLE_H
#define PTX_DECODE_NAMETABLE_H

#include "Syntax/Ast.h"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ptx {

/// What a name of a body stands for.
struct Symbol {
  enum class Kind : uint8_t {
    Register,      ///< id: first of `vector` registers
    KernelParam,   ///< offset in the parameter buffer
    FrameParam,    ///< offset in the function's `.param` frame
    Local,         ///< offset in the function's local frame
    Shared,        ///< id: shared variable of the module
    DynamicShared, ///< id: the same, an `.extern` or unsized array
    Global,        ///< id: Program::variables (.global and .const)
    Function,      ///< id: function of the module
    Table,         ///< id: of the function's tables
  };
  Kind kind = Kind::Register;
  Type type = Type::None; ///< element type
  uint8_t vector = 1;
  uint32_t id = 0;
  uint64_t offset = 0;
  uint64_t size = 0; ///< bytes
};

/// The registers `%r<100>` of one declaration; they exist when first named.
struct RegisterRange {
  Type type = Type::None;
  uint8_t vector = 1;
  uint32_t count = 0;
  std::vector<uint32_t> ids; ///< by number; ~0: not named yet
};

/// Names of a body: inner blocks hide outer ones.
class NameTable {
public:
  void open();
  void close();
  unsigned depth() const { return static_cast<unsigned>(marks.size()); }

  /// False if the name is declared in this block already.
  bool declare(std::string_view name, const Symbol &symbol);
  bool declareRange(std::string_view prefix, const RegisterRange &range);

  const Symbol *find(std::string_view name) const;
  /// The range and the number in it that \p name denotes, if no plain
  /// declaration of an inner block hides it.
  struct Numbered {
    RegisterRange *range = nullptr;
    uint32_t number = 0;
    unsigned depth = 0;
  };
  Numbered findNumbered(std::string_view name);

private:
  template <class Value> struct Binding {
    std::string_view name;
    Value value;
    unsigned depth;
    int64_t hidden; ///< the binding this one hides, or -1
  };
  template <class Value> struct Scope {
    std::unordered_map<std::string_view, int64_t> current;
    std::vector<Binding<Value>> bindings;

    bool add(std::string_view name, const Value &value, unsigned depth);
    void truncate(size_t size);
  };
  struct Mark {
    size_t names, ranges;
  };
  Scope<Symbol> names;
  Scope<RegisterRange> ranges;
  std::vector<Mark> marks;
};

} // namespace ptx

#endif // PTX_DECODE_NAMETABLE_H
