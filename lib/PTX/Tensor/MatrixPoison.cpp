// Undefined elements in products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/MatrixPoison.h"

namespace ptx::tensor {

void UndefinedLines::addRows(LaneMask lanes, unsigned first) {
  for (unsigned r = 0; r < 8; ++r)
    if (lanes >> 4 * r & 15)
      rows.set(first + r);
}

void UndefinedLines::addColumns(LaneMask lanes, unsigned first) {
  for (unsigned n = 0; n < 8; ++n)
    if (lanes >> 4 * n & 15)
      columns.set(first + n);
}

LaneMask UndefinedLines::lanesOf(unsigned reg, unsigned groups, bool packed,
                                 unsigned row) const {
  const unsigned at = packed ? reg : reg / 2;
  const unsigned firstRow = row + 8 * (at % groups);
  const unsigned firstColumn = 8 * (at / groups) + (packed ? 0 : reg % 2);
  LaneMask lanes = 0;
  for (unsigned l = 0; l < kLanes; ++l) {
    const unsigned column = firstColumn + 2 * (l % 4);
    bool undefined = rows[firstRow + l / 4] || columns[column] ||
                     (packed && columns[column + 1]);
    lanes |= LaneMask{undefined} << l;
  }
  return lanes;
}

} // namespace ptx::tensor
