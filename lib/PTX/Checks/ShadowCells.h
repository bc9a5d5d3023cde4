// Last writer and readers of each word.
//
// Cells come in pages made when first touched, writers and readers apart, so
// that memory which is only read or only written costs its own size. A page
// begins with a cell for each 4 bytes and is refined once smaller accesses
// touch it: neighbouring 16-bit elements of several threads are no conflict.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_SHADOWCELLS_H
#define PTX_CHECKS_SHADOWCELLS_H

#include "Checks/EventTable.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace ptx::checks {

class ShadowCells {
public:
  static constexpr unsigned kPageBits = 12;
  static constexpr uint64_t kPageBytes = uint64_t{1} << kPageBits;

  struct Page {
    uint8_t shift = 2; ///< log2 of the bytes of a cell
    std::unique_ptr<Cell[]> writers;
    /// All first readers, then all second ones.
    std::unique_ptr<Cell[]> readers;
    uint64_t cells() const { return kPageBytes >> shift; }
    /// The readers number \p slot of all cells, or null.
    Cell *readersOf(unsigned slot) const {
      return readers ? readers.get() + slot * cells() : nullptr;
    }
  };

  /// \p slots: concurrent readers remembered for each cell.
  explicit ShadowCells(uint64_t bytes = 0, unsigned slots = 1)
      : slots(slots), pages((bytes + kPageBytes - 1) >> kPageBits) {}

  /// The page of \p offset, fine enough for an access at it of \p bytes.
  Page &page(uint64_t offset, uint64_t bytes) {
    Page &result = pages[offset >> kPageBits];
    uint64_t both = offset | bytes;
    unsigned wanted = (both & 1) ? 0 : (both & 2) ? 1 : 2;
    if (wanted < result.shift)
      refine(result, wanted);
    return result;
  }
  Cell *writers(Page &page) {
    if (!page.writers)
      page.writers = std::make_unique<Cell[]>(page.cells());
    return page.writers.get();
  }
  void makeReaders(Page &page) {
    if (!page.readers)
      page.readers = std::make_unique<Cell[]>(page.cells() * slots);
  }
  template <class Body> void visit(Body body) {
    for (Page &page : pages) {
      if (page.writers)
        body(page.writers.get(), page.cells());
      if (page.readers)
        body(page.readers.get(), page.cells() * slots);
    }
  }
  uint64_t size() const { return pages.size() << kPageBits; }

  unsigned slots;

private:
  void refine(Page &page, unsigned shift);
  std::vector<Page> pages;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_SHADOWCELLS_H
