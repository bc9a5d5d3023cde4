// Registers of a body to offsets.
//
// Compilers number registers as if they cost nothing: a kernel of a few
// hundred live values names thousands, and its register file would not fit a
// CPU's cache. Registers whose lifetimes do not meet share an offset.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_REGISTERALLOCATION_H
#define PTX_DECODE_REGISTERALLOCATION_H

#include "Machine/Program.h"

#include <functional>
#include <span>
#include <vector>

namespace ptx {

struct VirtualRegister {
  Type type = Type::None;
  Width width = Width::Word;
  /// Keeps an offset of its own: filled by the machine, or written later than
  /// the instruction that names it.
  bool pinned = false;
};

/// A straight run of instructions, numbered from the function's begin.
struct BlockRange {
  uint32_t begin = 0, end = 0;
  std::vector<uint32_t> successors;
};

/// The registers an instruction reads and writes, by number.
struct RegisterUses {
  std::vector<uint32_t> reads, writes;
  bool mayNotWrite = false; ///< guarded: the old value may survive
};

struct RegisterPlacement {
  std::vector<Slot> slots; ///< by register; kNoSlot: never named
  uint32_t predicateBytes = 0, frameBytes = 0;
};

/// Finds offsets. \p uses(i, result) describes instruction i. Without \p
/// reuse every register gets an offset of its own.
RegisterPlacement
placeRegisters(std::span<const VirtualRegister> registers,
               std::span<const BlockRange> blocks, uint32_t instructions,
               const std::function<void(uint32_t, RegisterUses &)> &uses,
               bool reuse);

} // namespace ptx

#endif // PTX_DECODE_REGISTERALLOCATION_H
