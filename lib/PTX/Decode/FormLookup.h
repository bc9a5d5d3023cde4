// From the text of an opcode to its forms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_FORMLOOKUP_H
#define PTX_DECODE_FORMLOOKUP_H

#include "Isa/IsaTable.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ptx {

/// The architecture and version a module is written for.
struct ModuleTarget {
  unsigned sm = 0;
  char suffix = 0;
  unsigned version = 0;
};

/// An opcode with its modifiers, looked up and checked against the target.
struct Form {
  std::vector<const Row *> rows; ///< they differ in their operands
  std::vector<std::string> options;
  std::vector<std::string_view> modifiers; ///< all, as written
  std::vector<Space> spaces;               ///< named by modifiers, in order
  std::string_view opcode;                 ///< "ld"
  std::string problem;                     ///< why rows is empty
};

/// Looks every distinct text of a module up once.
class FormLookup {
public:
  FormLookup(const IsaTable &table, ModuleTarget target)
      : table(table), target(target) {}

  /// \p text ("ld.global.b32") must live as long as the module's text.
  const Form &find(std::string_view text);

private:
  std::unique_ptr<Form> make(std::string_view text) const;
  std::string gate(const Row &row, const Form &form) const;

  const IsaTable &table;
  ModuleTarget target;
  std::unordered_map<std::string_view, std::unique_ptr<Form>> known;
};

} // namespace ptx

#endif // PTX_DECODE_FORMLOOKUP_H
