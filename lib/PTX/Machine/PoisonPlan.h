// How undefined values spread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_POISONPLAN_H
#define PTX_MACHINE_POISONPLAN_H

#include "Machine/Program.h"

#include <cstdint>
#include <vector>

namespace ptx {

/// For each instruction, which masks of undefined lanes are read and written.
/// Built from operand lists alone: a result is undefined where any source is.
/// The exceptions are few (moves by word, selections, `x ^ x`), and handlers
/// that move data between lanes or memory do their own.
class PoisonPlan {
public:
  explicit PoisonPlan(const Program &program);

  enum class Kind : uint8_t {
    Generic, ///< every result word from every source word
    Words,   ///< result word i from source word i (mov, pack, unpack)
    Defined, ///< the results are defined
    Select,  ///< selp
    Handler, ///< the handler does it: memory, shuffles
    Branch,  ///< reports an undefined guard or source
  };
  /// Where a mask lies: byte offset into the frame's poison array, or, with
  /// the top bit, byte offset of a predicate's mask in the register file.
  using Place = uint32_t;
  static constexpr Place kInRegisters = 0x80000000u;

  struct Entry {
    uint32_t first = 0; ///< in `places`: results, then sources
    uint16_t results = 0, sources = 0;
    Kind kind = Kind::Generic;
  };

  const Entry &entry(const Program &program, const Instruction &in) const {
    return entries[&in - program.instructions.data()];
  }
  const Place *placesOf(const Entry &entry) const {
    return places.data() + entry.first;
  }

private:
  void addOperand(const Instruction &in, unsigned index);
  void compact(Entry &entry);
  std::vector<Entry> entries;
  std::vector<Place> places;
};

/// The poison masks of the words of an operand; see Instruction::width.
unsigned poisonWords(Width width);
/// Mask of word \p word of operand \p operand: undefined lanes. Constants are
/// defined. Only while poison is tracked.
LaneMask readPoison(const Warp &warp, const Instruction &in, unsigned operand,
                    unsigned word);
/// All words of the operand together.
LaneMask anyPoison(const Warp &warp, const Instruction &in, unsigned operand);
/// Sets the masks of all words of a result for \p lanes.
void writePoison(Warp &warp, const Instruction &in, unsigned operand,
                 LaneMask lanes, LaneMask undefined);
void writePoisonWord(Warp &warp, const Instruction &in, unsigned operand,
                     unsigned word, LaneMask lanes, LaneMask undefined);

} // namespace ptx

#endif // PTX_MACHINE_POISONPLAN_H
