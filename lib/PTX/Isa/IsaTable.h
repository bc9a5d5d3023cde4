// The table of instruction forms.
//
// One Row per form of an opcode. The rows are written by the group that
// executes them, in Isa/Rows<Group>.cpp, which defines
//
//   void ptx::register<Group>Rows(IsaTable &table);
//
// The build collects these files by name and calls every one of them, so that
// adding a group touches no shared list.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ISA_ISATABLE_H
#define PTX_ISA_ISATABLE_H

#include "ptx/Types.h"

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ptx {

struct Warp;
struct Instruction;
class DecodeContext;

/// Executes one decoded instruction for the lanes in `warp.active`, which is
/// never empty: the guard is applied. Other lanes keep their registers.
using Handler = void (*)(Warp &, const Instruction &);

/// One handler per CPU level; null at a level means: use the next lower one.
struct HandlerSet {
  Handler baseline = nullptr, avx2 = nullptr, avx512 = nullptr;

  HandlerSet() = default;
  HandlerSet(Handler all) : baseline(all) {}
  HandlerSet(Handler baseline, Handler avx2, Handler avx512)
      : baseline(baseline), avx2(avx2), avx512(avx512) {}
};

/// What an operand of a form may be.
enum class OperandKind : uint8_t {
  Register,          ///< a register only (results; sources that need one)
  Source,            ///< a register, an immediate, a special register, WARP_SZ
  SourceOrAddressOf, ///< Source, or the name of a variable or function (mov)
  Predicate, ///< a predicate register, or an immediate 0/1 where a source
  Immediate, ///< a constant expression within [minimum, maximum]
  Vector,    ///< `{a, b, ...}` of `count` elements; count 1 takes a bare one
  Address,   ///< `[register+n]`, `[variable+n]`, `[n]`
  TensorAddress, ///< `[map, {c0, ...}]`: one address, then `count` coordinates
  Label,         ///< a label of this function
  LabelTable,    ///< a `.branchtargets` label (brx.idx)
  CallResults,   ///< `(r, ...)` of a call; takes no operand positions
  Callee,        ///< a function's name, or a register (indirect call)
  CallArguments, ///< `(a, ...)` of a call; takes no operand positions
  CallPrototype, ///< `.callprototype`/`.calltargets` label of indirect calls
};

namespace operand {
enum Flags : uint16_t {
  None = 0,
  Sink = 1,     ///< may be `_` (the position then holds kNoSlot)
  Negate = 2,   ///< a predicate source may be written `!p`
  Optional = 4, ///< may be absent (kNoSlot); only results after `|` and
                ///< trailing operands can be
  Pair = 8,     ///< written `previous|this`
  Wider = 16,   ///< the register may be wider than the type (ld, st, cvt)
  Integer = 32, ///< any integer register of the width, floats too (untyped)
  Part = 64,    ///< may be followed by a choice of its parts: `r.b0`, `r.h10`
  Minus = 128,  ///< may be written `-r`
  PartNeeded = 256 | Part, ///< a part of the register must be chosen
};
} // namespace operand

/// One operand of a form. Build them with the functions below.
struct OperandSpec {
  OperandKind kind = OperandKind::Source;
  Type type = Type::B32;
  uint16_t count = 1; ///< elements of a Vector; coordinates of a TensorAddress
  uint16_t flags = operand::None;
  int64_t minimum = INT64_MIN, maximum = INT64_MAX; ///< of an Immediate

  bool has(operand::Flags flag) const { return (flags & flag) == flag; }
  OperandSpec with(unsigned more) const {
    OperandSpec copy = *this;
    copy.flags |= static_cast<uint16_t>(more);
    return copy;
  }
  OperandSpec optional() const { return with(operand::Optional); }
  OperandSpec sink() const { return with(operand::Sink); }
  OperandSpec pair() const { return with(operand::Pair); }
  OperandSpec part() const { return with(operand::Part); }
  OperandSpec wider() const { return with(operand::Wider); }
};

namespace operand {
inline OperandSpec reg(Type type) { return {OperandKind::Register, type}; }
inline OperandSpec source(Type type) { return {OperandKind::Source, type}; }
inline OperandSpec predicate(unsigned flags = 0) {
  return {OperandKind::Predicate, Type::Pred, 1, static_cast<uint16_t>(flags)};
}
inline OperandSpec immediate(int64_t minimum, int64_t maximum,
                             Type type = Type::S64) {
  return {OperandKind::Immediate, type, 1, 0, minimum, maximum};
}
inline OperandSpec vector(unsigned count, Type type) {
  return {OperandKind::Vector, type, static_cast<uint16_t>(count)};
}
inline OperandSpec address() { return {OperandKind::Address, Type::B64}; }
inline OperandSpec tensorAddress(unsigned coordinates) {
  return {OperandKind::TensorAddress, Type::B64,
          static_cast<uint16_t>(coordinates)};
}
inline OperandSpec label() { return {OperandKind::Label, Type::None}; }
} // namespace operand

/// What an instruction occupies, for the counters and the time model.
enum class Cost : uint8_t {
  Alu,     // 32-bit integer, logic, moves, compares
  Fma,     // f32 add, mul, fma; integer mad
  Half,    // packed and scalar 16-bit floats
  Double,  // f64
  Special, // ex2, lg2, rcp, sqrt, sin, cos, tanh
  Convert,
  Shared, // ld/st of shared memory
  Global, // ld/st of global and generic memory
  Local,
  Constant, // ld of const and param space
  Atomic,   // atom, red
  Matrix,   // ldmatrix, stmatrix, movmatrix
  Tensor,   // mma, wmma.mma, wgmma
  Barrier,  // bar, barrier, fence, membar
  Mbarrier,
  Control, // bra, call, ret, exit
  Warp,    // shfl, vote, match, redux, elect
  Async,   // cp.async, bulk and tensor copies, their groups
  Other,   // nanosleep, prefetch, discard, setmaxnreg ...
};
std::string_view costName(Cost cost);

/// Modifiers of which at most one may be written, in any order with the
/// others, and which change nothing about the operands' types: cache hints,
/// orders, scopes. Row::decode asks which one was (DecodeContext::option).
struct OptionGroup {
  std::string name;                 // "cache"
  std::vector<std::string> choices; // ".ca", ".cg", ...
  unsigned minSm = 0, minPtx = 0;   // when one is written
};

/// One form of an opcode.
struct Row {
  std::string opcode; // "fma"
  /// The modifiers that must be written: {".rn", ".ftz", ".f32"}. They are
  /// looked up in any order, except that types, state spaces, `.row`/`.col`
  /// and the policies `.L2::evict_...` keep theirs.
  std::vector<std::string> modifiers;
  std::vector<OperandSpec> operands; // results first
  unsigned resultCount = 1;          // of `operands`, before flattening
  unsigned minSm = 0;                // 75, 80, 90 ...
  unsigned minPtx = 0;               // 63 is PTX ISA 6.3
  bool needsA = false; // only on the sm_XYa (or family) target of minSm
  Cost cost = Cost::Alu;
  bool laterFamilies = false; // with needsA: on such targets of later ones too
  bool onlyA = false;         // with needsA: a family's target has it not
  float machineWeight = 1;    // machine instructions it becomes on an H100
  bool aligned = false;       // all live lanes must execute it together
  int memberMask = -1;        // flattened position of the member mask (.sync)
  HandlerSet handlers;
  /// Further checks, and extras the handler needs (Instruction::extra); may
  /// replace Instruction::run. Throws through DecodeContext::fail.
  void (*decode)(DecodeContext &, Instruction &) = nullptr;
  std::vector<OptionGroup> options;

  /// The form as the group wrote it: "fma.rn.ftz.f32".
  std::string name() const;

  /// Set by IsaTable::add, which sorts `modifiers` for look-ups: their order
  /// as written.
  std::vector<std::string> written;
};

/// What a look-up found: the forms with these modifiers (they differ in their
/// operands) and the options that were written.
struct Match {
  std::vector<const Row *> rows;
  std::vector<std::string> options; // of all groups, as written: ".cg"
  std::string problem;              // why rows is empty, in words for the user
};

class IsaTable {
public:
  /// The table with the rows of every group. Built once; immutable.
  static const IsaTable &get();

  /// Adds a form. Two rows may share opcode and modifiers if their operands
  /// differ; the decoder takes the first whose operands fit. Throws Error for
  /// a row that contradicts itself (a duplicate, a type no one knows).
  const Row &add(Row row);

  /// The forms of \p opcode with \p modifiers, each with its dot. Never fails:
  /// see Match::problem.
  Match find(std::string_view opcode,
             std::span<const std::string_view> modifiers) const;
  /// The same for "fma.rn.f32" in one piece.
  Match find(std::string_view text) const;

  const std::vector<std::unique_ptr<Row>> &rows() const { return all; }

  /// One line a form: name, operands, minimum PTX and sm, cost.
  void print(std::ostream &out) const;

private:
  std::vector<std::unique_ptr<Row>> all;
  std::unordered_map<std::string, std::vector<const Row *>> byOpcode;
};

} // namespace ptx

#endif // PTX_ISA_ISATABLE_H
