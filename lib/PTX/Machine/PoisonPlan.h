// How undefined values spread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_POISONPLAN_H
#define PTX_MACHINE_POISONPLAN_H

#include "Machine/Warp.h"

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
    /// Generic and Words with at most two results and four sources (two).
    FewSources,
    FewWords,
  };
  /// Where a mask lies: byte offset into the frame's poison array, or, with
  /// the top bit, byte offset of a predicate's mask in the register file.
  using Place = uint32_t;
  static constexpr Place kInRegisters = 0x80000000u;

  struct Entry {
    Kind kind = Kind::Generic;
    uint16_t results = 0, sources = 0;
    uint32_t first = 0; ///< in `places`: results, then sources
    /// The short kinds: two results, then the sources, filled up with the
    /// masks that all frames have for this.
    Place few[6] = {};
    bool spreads() const {
      return kind != Kind::Handler && kind != Kind::Branch && results != 0;
    }
  };

  /// Of the instruction number \p pc.
  const Entry &entry(size_t pc) const { return entries[pc]; }
  const Place *placesOf(const Entry &entry) const {
    return places.data() + entry.first;
  }

  /// Masks of a frame of \p function: one a 128 bytes of its registers, then
  /// one that is always 0 and one that no one reads.
  static size_t masksOf(const Function &function) {
    return (function.frameBytes + 127) / 128 + 2;
  }

private:
  Entry makeEntry(const Instruction &in);
  void addOperand(const Instruction &in, unsigned index);
  void compact(Entry &entry);
  void shorten(Entry &entry, const Function &function);
  std::vector<Entry> entries;
  std::vector<Place> places;
};

/// The poison masks of the words of an operand; see Instruction::width.
constexpr unsigned poisonWords(Width width) {
  constexpr unsigned words[] = {0, 1, 1, 1, 2, 4};
  return words[static_cast<unsigned>(width)];
}
/// Where the mask of word \p word of operand \p operand lies; null for
/// constants, and while poison is not tracked.
inline LaneMask *poisonAt(const Warp &warp, const Instruction &in,
                          unsigned operand, unsigned word) {
  const Slot slot = in.operand[operand];
  if (slot & kConstant) // kNoSlot too
    return nullptr;
  if (in.width[operand] == Width::Predicate)
    return &warp.predicate(slot) + 1;
  return warp.poison ? warp.poison + slot / 128 + word : nullptr;
}
/// The undefined lanes of a word of an operand. Constants are defined. Only
/// while poison is tracked.
inline LaneMask readPoison(const Warp &warp, const Instruction &in,
                           unsigned operand, unsigned word) {
  const LaneMask *mask = poisonAt(warp, in, operand, word);
  return mask ? *mask : 0;
}
/// All words of the operand together.
inline LaneMask anyPoison(const Warp &warp, const Instruction &in,
                          unsigned operand) {
  LaneMask any = 0;
  for (unsigned w = 0; w < poisonWords(in.width[operand]); ++w)
    any |= readPoison(warp, in, operand, w);
  return any;
}
/// Sets the masks of one word, or of all words, of a result for \p lanes.
inline void writePoisonWord(Warp &warp, const Instruction &in, unsigned operand,
                            unsigned word, LaneMask lanes, LaneMask undefined) {
  if (LaneMask *mask = poisonAt(warp, in, operand, word))
    *mask = (*mask & ~lanes) | (undefined & lanes);
}
inline void writePoison(Warp &warp, const Instruction &in, unsigned operand,
                        LaneMask lanes, LaneMask undefined) {
  for (unsigned w = 0; w < poisonWords(in.width[operand]); ++w)
    writePoisonWord(warp, in, operand, w, lanes, undefined);
}

} // namespace ptx

#endif // PTX_MACHINE_POISONPLAN_H
