// From the tree of a text to a program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_MODULEDECODER_H
#define PTX_DECODE_MODULEDECODER_H

#include "Decode/ConstantPool.h"
#include "Decode/FormLookup.h"
#include "Decode/NameTable.h"
#include "Machine/Program.h"
#include "Syntax/Ast.h"
#include "ptx/Module.h"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx {

/// A function name of the module: defined, or only declared.
struct FunctionName {
  std::string_view name;
  const syntax::Function *declaration = nullptr; ///< any, for its parameters
  const syntax::Function *definition = nullptr;
  int32_t index = -1; ///< in Program::functions; -1: no body here
};

/// A `.shared` variable, of the module or of a function.
struct SharedVariable {
  std::string_view name;
  uint64_t size = 0;
  uint32_t alignment = 1;
  bool dynamic = false; ///< `.extern` or unsized: begins behind the others
};

/// What the layout of shared memory needs to know of a function.
struct FunctionUses {
  std::set<uint32_t> shared;  ///< static shared variables it names
  std::set<uint32_t> dynamic; ///< dynamic ones
  std::set<int32_t> callees;
  bool callsIndirectly = false;
};

/// A constant that holds the address of a shared variable.
struct SharedConstant {
  Slot slot;
  Width width;
  uint32_t variable;
  uint64_t base; ///< added: addend, window of generic addresses
  uint32_t function;
};

/// What the decoders of all bodies share.
struct ModuleContext {
  ModuleContext(const syntax::Module &ast, const IsaTable &table);

  const syntax::Module &ast;
  FormLookup forms;
  ConstantPool constants;
  Program program;
  std::unordered_map<std::string_view, Symbol> names;
  std::vector<FunctionName> functions;
  std::vector<SharedVariable> shared;
  std::vector<SharedConstant> sharedConstants;
  std::vector<FunctionUses> uses; ///< by index in Program::functions
  std::set<uint32_t> named;       ///< variables whose address is taken

  /// The constant slot of the address of `.global`/`.const` \p variable.
  Slot addressOf(uint32_t variable, int64_t addend, Width width);
  /// Room for \p count operands that stay where they are.
  Slot *newOperands(size_t count);
  Width *newWidths(size_t count);

  uint32_t addGlobal(const syntax::Variable &variable);
  /// Gives a variable its initial value; all names of the module are known.
  void initialise(const syntax::Variable &variable, uint32_t index);
  uint32_t addShared(const syntax::Variable &variable, bool dynamic);

  [[noreturn]] void fail(syntax::Position position, size_t statement,
                         std::string why) const;
  /// Fails at the line of \p position.
  [[noreturn]] void fail(syntax::Position position, std::string why) const;

private:
  struct AddressKey {
    uint32_t variable;
    int64_t addend;
    Width width;
    auto operator<=>(const AddressKey &) const = default;
  };
  std::map<AddressKey, Slot> addresses;
};

/// Decodes a whole module.
class ModuleDecoder {
public:
  ModuleDecoder(const syntax::Module &ast, const IsaTable &table)
      : context(ast, table) {}

  void decode();

  Program takeProgram() { return std::move(context.program); }
  std::map<std::string, KernelInfo, std::less<>> kernels;

private:
  void declareNames();
  void declareFunctions();
  void initialise();
  void describeKernels();
  void layOutShared();
  void reachable(uint32_t function, std::set<uint32_t> &seen) const;

  ModuleContext context;
  friend class Module;
};

/// Lays the parameters of an entry out; returns the bytes they take.
uint32_t layOutParameters(const std::vector<syntax::Variable> &parameters,
                          std::vector<ParamInfo> &result);

inline uint64_t alignTo(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

} // namespace ptx

#endif // PTX_DECODE_MODULEDECODER_H
