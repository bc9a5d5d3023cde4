// How rows of cvt are written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ISA_CONVERTROWS_H
#define PTX_ISA_CONVERTROWS_H

#include "Isa/LaneRows.h"

#include <algorithm>
#include <array>

namespace ptx {

/// Whether the registers of `cvt<name>` may be wider than its types: those of
/// conversions among integers, f16, f16x2, f32 and f64.
inline bool takesWiderRegisters(std::string_view name) {
  constexpr std::array<std::string_view, 6> narrow = {".bf16", ".tf32", "m0x",
                                                      "m1x",   "m2x",   "m3x"};
  return std::none_of(narrow.begin(), narrow.end(), [&](std::string_view type) {
    return name.find(type) != std::string_view::npos;
  });
}

/// Adds `cvt<name>` of one result.
inline void addConvert(IsaTable &table, const std::string &name, Type to,
                       std::vector<OperandSpec> from,
                       const HandlerSet &handlers, Since since = {},
                       float instructions = 1) {
  from.insert(from.begin(), operand::reg(to));
  // Random bits (the third source) and vectors never come in wider ones.
  if (takesWiderRegisters(name))
    for (size_t i = 0; i < from.size() && i < 3; ++i)
      from[i] = from[i].wider();
  addForm(table, "cvt" + name, std::move(from), handlers,
          {Cost::Convert, instructions}, since);
}

} // namespace ptx

#endif // PTX_ISA_CONVERTROWS_H
