// Blocks, liveness and uniformity of a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_CONTROLFLOW_H
#define PTX_COUNTERS_CONTROLFLOW_H

#include "Machine/Program.h"

#include <cstdint>
#include <vector>

namespace ptx {

/// A set of register file places of one function.
class PlaceSet {
public:
  explicit PlaceSet(size_t places = 0) : words((places + 63) / 64) {}
  bool has(uint32_t place) const { return words[place / 64] >> place % 64 & 1; }
  void add(uint32_t place) { words[place / 64] |= uint64_t(1) << place % 64; }
  void remove(uint32_t place) {
    words[place / 64] &= ~(uint64_t(1) << place % 64);
  }
  /// True if this grew.
  bool unite(const PlaceSet &other);

private:
  std::vector<uint64_t> words;
};

/// Registers share places of the register file, so facts about a register are
/// facts about a place at an instruction.
class ControlFlow {
public:
  ControlFlow(const Program &program, const Function &function);

  struct Range {
    uint32_t begin, end; ///< instructions
    std::vector<uint32_t> successors;
    PlaceSet liveOut;    ///< places read later
    PlaceSet varyingIn;  ///< places whose lanes may differ
    PlaceSet productsIn; ///< places that may hold a widening product
  };
  const std::vector<Range> &blocks() const { return ranges; }

  /// The place of a register; kNoPlace for constants and sinks.
  static constexpr uint32_t kNoPlace = ~0u;
  uint32_t placeOf(Slot slot) const;
  size_t places() const { return placeCount; }

  /// Calls visit(place) for what an instruction reads: sources, its guard,
  /// and, where it is guarded, what it may leave as it was.
  template <class Visit> void reads(const Instruction &in, Visit visit) const {
    for (unsigned i = in.resultCount; i < in.operandCount; ++i)
      visitPlace(in.operand[i], visit);
    visitPlace(in.guard, visit);
    for (Slot slot : callReads(in))
      visitPlace(slot, visit);
  }
  template <class Visit> void writes(const Instruction &in, Visit visit) const {
    for (unsigned i = 0; i < in.resultCount; ++i)
      visitPlace(in.operand[i], visit);
    for (Slot slot : callWrites(in))
      visitPlace(slot, visit);
  }
  /// Updates what varies behind \p in.
  void stepVarying(const Instruction &in, PlaceSet &varying) const;
  void stepProducts(const Instruction &in, PlaceSet &products) const;
  /// May the lanes of a source of \p in differ, given what varies before it?
  bool anyVarying(const Instruction &in, const PlaceSet &varying) const;

private:
  template <class Visit> void visitPlace(Slot slot, Visit &visit) const {
    if (uint32_t place = placeOf(slot); place != kNoPlace)
      visit(place);
  }
  static std::vector<Slot> callReads(const Instruction &in);
  static std::vector<Slot> callWrites(const Instruction &in);
  void findBlocks();
  void findLiveness();
  void findVarying();
  /// Completes what holds where a block begins, from what holds there already:
  /// \p step says what an instruction makes of it.
  void spread(PlaceSet Range::*in,
              void (ControlFlow::*step)(const Instruction &, PlaceSet &) const);

  const Program &program;
  const Function &function;
  size_t placeCount;
  std::vector<Range> ranges;
};

} // namespace ptx

#endif // PTX_COUNTERS_CONTROLFLOW_H
