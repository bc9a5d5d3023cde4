// Last writer and readers of each word.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/ShadowCells.h"

#include <algorithm>

using namespace ptx::checks;

namespace {
std::unique_ptr<Cell[]> spread(const Cell *old, uint64_t cells, unsigned group,
                               unsigned copies) {
  auto result = std::make_unique<Cell[]>(cells * copies * group);
  for (uint64_t cell = 0; cell < cells; ++cell)
    for (unsigned copy = 0; copy < copies; ++copy)
      for (unsigned i = 0; i < group; ++i)
        result[(cell * copies + copy) * group + i] = old[cell * group + i];
  return result;
}
} // namespace

void ShadowCells::refine(Page &page, unsigned shift) {
  unsigned copies = 1u << (page.shift - shift);
  uint64_t cells = kPageBytes >> page.shift;
  if (page.writers)
    page.writers = spread(page.writers.get(), cells, 1, copies);
  if (page.readers)
    page.readers = spread(page.readers.get(), cells, slots, copies);
  page.shift = static_cast<uint8_t>(shift);
}

void ShadowCells::clear(uint64_t offset, uint64_t bytes) {
  while (bytes > 0) {
    uint64_t inPage = offset & (kPageBytes - 1);
    uint64_t part = std::min(bytes, kPageBytes - inPage);
    Page &at = pages[offset >> kPageBits];
    uint64_t first = inPage >> at.shift;
    uint64_t last = (inPage + part - 1) >> at.shift;
    for (uint64_t cell = first; cell <= last; ++cell) {
      if (at.writers)
        at.writers[cell] = kNobody;
      for (unsigned i = 0; at.readers && i < slots; ++i)
        at.readers[cell * slots + i] = kNobody;
    }
    offset += part;
    bytes -= part;
  }
}
