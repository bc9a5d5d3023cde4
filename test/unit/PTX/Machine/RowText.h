// Writing instructions from rows of the instruction table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_MACHINE_ROWTEXT_H
#define PTX_TEST_MACHINE_ROWTEXT_H

#include "Isa/IsaTable.h"

#include <algorithm>
#include <string>

namespace ptx::test {

inline bool has(const Row &row, const std::string &modifier) {
  return std::find(row.modifiers.begin(), row.modifiers.end(), modifier) !=
         row.modifiers.end();
}

/// An operand of \p count registers: `{%x0, %x1}`, of one: `%x0`.
inline std::string registersText(const std::string &name, unsigned count) {
  if (count == 1)
    return name + "0";
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + name + std::to_string(i);
  return text + "}";
}

} // namespace ptx::test

#endif // PTX_TEST_MACHINE_ROWTEXT_H
