// Undefined elements in products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_MATRIXPOISON_H
#define PTX_TENSOR_MATRIXPOISON_H

#include "Machine/Instruction.h"
#include "Tensor/Fragment.h"

#include <bitset>

namespace ptx::tensor {

/// Rows of A and columns of B that hold something undefined: each makes a row
/// or a column of D undefined.
struct UndefinedLines {
  std::bitset<64> rows;
  std::bitset<256> columns;

  bool any() const { return rows.any() || columns.any(); }
  /// Lane 4 r + t of a register of A holds a part of row first + r.
  void addRows(LaneMask lanes, unsigned first);
  void addColumns(LaneMask lanes, unsigned first);
  /// The undefined lanes of register \p reg of D, whose rows begin at \p row.
  /// \p groups: of eight rows; \p packed: an f16 pair.
  LaneMask lanesOf(unsigned reg, unsigned groups, bool packed,
                   unsigned row = 0) const;
};

} // namespace ptx::tensor

#endif // PTX_TENSOR_MATRIXPOISON_H
