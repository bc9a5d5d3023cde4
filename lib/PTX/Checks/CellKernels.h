// Loops over cells of shadow memory.
//
// Most accesses are ordered after all that is remembered of their words, and
// one look at the numbers of the events tells. These loops make that look, for
// as many cells at once as the CPU compares; what they cannot tell goes the
// long way through the table of events (RaceDetector::touch).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_CELLKERNELS_H
#define PTX_CHECKS_CELLKERNELS_H

#include "Checks/EventTable.h"

#include <cstdint>

namespace ptx::checks {

/// What is known of events without a look at them, for one access of a warp.
struct Verdicts {
  static constexpr uint32_t kNone = ~0u;
  /// Cells below come before all its lanes.
  Cell before = makeCell(1, 0);
  /// Those from here on are of the warp's present tick or come before none of
  /// its lanes.
  Cell apart = ~Cell{0};
  /// Single events: before all lanes; before none; of the warp itself and
  /// before the same lane only.
  uint32_t ordered[2] = {kNone, kNone};
  uint32_t unordered[2] = {kNone, kNone};
  uint32_t own[2] = {kNone, kNone};
};

/// Cells next to each other that lanes next to each other touch, all of one
/// page.
struct CellRun {
  uint32_t count = 0;
  Cell first = kNobody;      ///< what the first cell is to hold
  uint32_t shift = kOneLane; ///< log2 of the cells a lane; or kOneLane
  uint64_t offset = 0;       ///< of the first cell, bytes
  uint32_t cellShift = 2;    ///< log2 of the bytes of a cell
  static constexpr uint32_t kOneLane = 31;
};

/// A number that decides which of several concurrent readers is forgotten. With
/// one place a word, 32 bytes share their fate: memory that many blocks read
/// stays in order.
inline uint32_t readerChoice(uint64_t offset, Cell reader, unsigned slots) {
  const auto at = static_cast<uint32_t>(offset >> (slots == 1 ? 5 : 2));
  const Cell who = slots == 1 ? reader >> kLaneBits : reader;
  return (at * 2654435761u + who * 40503u) >> 16;
}

/// All begin at cell \p from of the run and stop, with its number, at the first
/// ones of which they cannot tell; run.count: they came to the end.
struct CellKernels {
  /// Looks for a cell that is not known to come before its lane.
  uint32_t (*firstOpen)(const Cell *cells, const CellRun &run, uint32_t from,
                        const Verdicts &verdicts);
  /// Looks for a cell of which nothing is known. What the access itself put
  /// there is known.
  uint32_t (*firstUnknown)(const Cell *cells, const CellRun &run, uint32_t from,
                           const Verdicts &verdicts);
  /// Makes the lanes readers, with one place for readers or two. \p writers of
  /// the two may be null; they stop the loop unless they are known to come
  /// before.
  uint32_t (*rememberOne)(Cell *readers, const CellRun &run, uint32_t from,
                          const Verdicts &verdicts);
  uint32_t (*rememberTwo)(const Cell *writers, Cell *first, Cell *second,
                          const CellRun &run, uint32_t from,
                          const Verdicts &verdicts);
  /// Makes the lanes writers of cells that are below Verdicts::before, and
  /// clears those of \p readers (null: there are none).
  uint32_t (*write)(Cell *writers, Cell *const *readers, const CellRun &run,
                    uint32_t from, const Verdicts &verdicts);

  /// Lanes whose address[lane] - base is at most \p last; these differences
  /// to \p offset, unless it is null. Both arrays have 32 elements.
  uint32_t (*inside)(const uint64_t *address, uint64_t base, uint64_t last,
                     uint64_t *offset);
  /// Lanes whose successor is at the same offset, or \p bytes farther.
  void (*neighbours)(const uint64_t *offset, uint64_t bytes, uint32_t &same,
                     uint32_t &next);
  /// Those of \p lanes with a set flag among the \p bytes from their offset on;
  /// all of them if an offset is no multiple of \p bytes, a power of two up to
  /// 64. A flag a byte.
  uint32_t (*flagged)(const uint64_t *flags, const uint64_t *offset,
                      uint32_t lanes, uint32_t bytes);
  /// Whether the offsets of \p lanes are at most \p last, and `flagged` finds
  /// none.
  bool (*allDefined)(const uint64_t *flags, const uint64_t *offset,
                     uint32_t lanes, uint32_t bytes, uint64_t last);
};

enum class KernelLevel : uint8_t { Baseline, Avx2, Avx512 };
/// Those compiled for \p level, or null where this CPU lacks it.
const CellKernels *cellKernelsAt(KernelLevel level);
/// The best that this CPU has.
const CellKernels &cellKernels();

} // namespace ptx::checks

#endif // PTX_CHECKS_CELLKERNELS_H
