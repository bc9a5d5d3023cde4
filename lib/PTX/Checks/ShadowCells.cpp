// Last writer and readers of each word.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/ShadowCells.h"

#include <algorithm>

using namespace ptx::checks;

static std::unique_ptr<Cell[]> spread(const Cell *old, uint64_t cells,
                                      unsigned copies) {
  auto result = std::make_unique<Cell[]>(cells * copies);
  for (uint64_t cell = 0; cell < cells; ++cell)
    std::fill_n(result.get() + cell * copies, copies, old[cell]);
  return result;
}

void ShadowCells::refine(Page &page, unsigned shift) {
  const unsigned copies = 1u << (page.shift - shift);
  if (page.writers)
    page.writers = spread(page.writers.get(), page.cells(), copies);
  if (page.readers)
    page.readers = spread(page.readers.get(), page.cells() * slots, copies);
  page.shift = static_cast<uint8_t>(shift);
}
