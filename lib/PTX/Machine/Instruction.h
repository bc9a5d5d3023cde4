// A decoded PTX instruction.
//
// What the decoder hands to the machine: one record per PTX instruction, whose
// operands are byte offsets into the register file of a warp or into the
// program's constant area. Nothing is looked up by name when a kernel runs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_INSTRUCTION_H
#define PTX_MACHINE_INSTRUCTION_H

#include "ptx/Types.h"

#include <cstdint>

namespace ptx {

struct Row;
struct Warp;
struct Instruction;

/// Executes one decoded instruction for the lanes in `warp.active` (never
/// empty; the guard is already applied). Other lanes keep their registers.
using Handler = void (*)(Warp &, const Instruction &);

/// Where an operand lies: the byte offset of a register in the register file
/// of the running function, or (bit kConstant set) in the program's constant
/// area, where immediates, symbol addresses and uniform values lie broadcast
/// to 32 lanes in the layout of a register of the operand's width.
using Slot = uint32_t;
inline constexpr Slot kConstant = 0x80000000u;
/// The sink `_`, or an optional operand that is absent.
inline constexpr Slot kNoSlot = 0xffffffffu;

/// The register an operand names, which need not be as wide as the type of
/// the instruction (`ld.global.s8 %rd1, [..]` extends into 64 bits).
/// Registers are untyped containers:
///   Word   8-, 16- and 32-bit ones: 32 x uint32_t, upper bits zero (128 B)
///   Double 64-bit ones: 32 x uint64_t (256 B)
///   Quad   128-bit ones: 32 low halves, then 32 high halves (512 B)
///   Predicate: { LaneMask value; LaneMask poison; } (8 B)
enum class Width : uint8_t { None, Predicate, Half, Word, Double, Quad };

/// Bytes of a register of this width a lane; 0 for predicates.
constexpr unsigned bytesOf(Width width) {
  constexpr unsigned bytes[] = {0, 0, 2, 4, 8, 16};
  return bytes[static_cast<unsigned>(width)];
}

/// Bytes which a register of this width takes in the register file.
constexpr unsigned fileBytesOf(Width width) {
  constexpr unsigned bytes[] = {0, 8, 128, 128, 256, 512};
  return bytes[static_cast<unsigned>(width)];
}

/// What the interpreter loop must do before it calls the handler.
enum InstructionFlags : uint8_t {
  kGuarded = 1,    ///< has a guard predicate
  kAligned = 2,    ///< all live lanes of the warp must execute it together
  kMemberMask = 4, ///< `.sync` with a member mask: waits for its lanes
  kBranches = 8,   ///< may change the pc, the splits or the frame
};

struct Instruction {
  Handler run = nullptr;
  /// All operands, flattened: results first, then sources. `{a, b}` counts as
  /// its elements; an address `[reg+imm]` as the slot of its register (a
  /// constant slot for a symbol), with the immediate in `offset`.
  const Slot *operand = nullptr;
  Slot guard = kNoSlot;
  uint32_t target = 0; ///< branch: instruction index; call: function index
  uint8_t flags = 0;   ///< InstructionFlags
  bool guardNegated = false;
  uint16_t resultCount = 0;
  uint16_t operandCount = 0;
  uint16_t memberMask = 0; ///< operand index of the mask, with kMemberMask
  uint32_t negatedPredicates = 0; ///< bit i: operand[i] is written `!p`
  uint32_t block = 0;             ///< basic block
  int64_t offset[3] = {0, 0, 0};  ///< immediates of the address operands
  /// Owned by the program, made by Row::decode: branch table, call site,
  /// shape of an mma and so on.
  const void *extra = nullptr;
  const Row *row = nullptr;
  const Width *width = nullptr; ///< register width of each operand
  uint32_t line = 0;            ///< in the PTX text, 1-based
  uint32_t column = 0;
  uint32_t sourceLine = 0; ///< of the `.loc` in force, 0 = none
  uint32_t sourceFile = 0;

  /// The i-th source operand.
  Slot source(unsigned i) const { return operand[resultCount + i]; }
};

} // namespace ptx

#endif // PTX_MACHINE_INSTRUCTION_H
