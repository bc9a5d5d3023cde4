// What the decoder makes of a module.
//
// Filled by lib/PTX/Decode, executed by lib/PTX/Machine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_PROGRAM_H
#define PTX_MACHINE_PROGRAM_H

#include "Machine/Instruction.h"

#include "ptx/Types.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace ptx {

/// Values that are fixed while an activation of a function lives. They lie in
/// registers of the function's frame which the machine fills when it makes
/// the frame, so that any operand may name them.
enum class FrameValueKind : uint8_t {
  TidX,
  TidY,
  TidZ,
  NTidX,
  NTidY,
  NTidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NCtaidX,
  NCtaidY,
  NCtaidZ,
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  GridId,
  LaneMaskEq,
  LaneMaskLe,
  LaneMaskLt,
  LaneMaskGe,
  LaneMaskGt,
  ClusterIdX,
  ClusterIdY,
  ClusterIdZ,
  NClusterIdX,
  NClusterIdY,
  NClusterIdZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNCtaidX,
  ClusterNCtaidY,
  ClusterNCtaidZ,
  ClusterCtaRank,
  ClusterNCtaRank,
  IsExplicitCluster,
  DynamicSharedSize,
  TotalSharedSize,
  AggregateSharedSize,
  ReservedSharedBegin,
  ReservedSharedEnd,
  ReservedSharedCap,
  ReservedSharedOffset,
  CurrentGraphExec,
  EnvReg,        ///< value: number of the register
  LocalSymbol,   ///< value: offset in the function's local frame
  DynamicShared, ///< address of the `.extern .shared` array; value: align
};
/// %clock, %clock_hi, %clock64, %globaltimer*, %pm*: read at each use, only as
/// the source of a mov (the decoder refuses them elsewhere), which becomes the
/// row `%clock`: one result; Instruction::extra is the ClockKind as a number.
enum class ClockKind : uint8_t {
  Clock,
  ClockHi,
  Clock64,
  Timer,
  TimerLo,
  TimerHi,
  Pm
};

struct FrameValue {
  FrameValueKind kind;
  Width width; ///< Word or Double
  Slot slot;   ///< in the function's frame
  uint64_t value = 0;
};

/// A parameter or result of a device function: in `.param` space of the
/// function's own frame, or in a register (`.func (.reg .b32 r) f(.reg ..)`).
struct Formal {
  bool inRegister = false;
  Slot slot = kNoSlot; ///< register
  Width width = Width::None;
  uint32_t offset = 0, size = 0; ///< in the function's param frame
};

/// The actual to a Formal, in the caller. A register, constant, or a `.param`
/// variable (offset in the caller's param frame).
using Actual = Formal;

/// Instruction::extra of call. Direct: `function`; indirect: the address is
/// the instruction's only source operand.
struct CallSite {
  int32_t function = -1;
  std::vector<Actual> results, arguments;
  /// Names of functions the runtime provides: vprintf, __assertfail, malloc,
  /// free (empty: an ordinary one).
  std::string system;
};

/// Instruction::extra of brx.idx.
struct BranchTable {
  std::vector<uint32_t> targets;
};

struct Function {
  std::string name;
  bool isEntry = false;
  uint32_t begin = 0, end = 0; ///< instructions; the last one never falls out
  uint32_t line = 0;
  uint32_t frameBytes = 0; ///< register file, a multiple of 64
  /// The first bytes of the frame hold the predicates (8 bytes each);
  /// other registers follow from here on, each at a multiple of 128.
  uint32_t predicateBytes = 0; ///< a multiple of 128
  uint32_t paramBytes = 0;     ///< own formals and `.param` variables, a lane
  uint32_t localBytes = 0;     ///< `.local` variables, a lane
  uint32_t localAlign = 1;
  std::vector<Formal> results, parameters; ///< of device functions
  std::vector<FrameValue> frameValues;
};

/// A `.global` or `.const` variable. The machine gives it memory when the
/// module is loaded, and its address to whoever names it.
struct GlobalVariable {
  /// An address inside the initial value.
  struct Pointer {
    uint64_t offset = 0; ///< in the variable, of the `bytes` that are stored
    uint32_t bytes = 8;
    int32_t variable = -1; ///< index in Program::variables, or -1:
    uint64_t address = 0;  ///< this address (a function, a shared variable)
    int64_t addend = 0;
    uint64_t mask = ~uint64_t{0}; ///< of the address, moved down to bit 0
  };
  std::string name;
  Space space = Space::Global; ///< or Constant
  uint64_t size = 0;
  uint32_t alignment = 1;
  bool isExtern = false; ///< defined by no one here: the host must
  bool isManaged = false;
  uint32_t line = 0;
  std::vector<std::byte> initial; ///< zeros follow up to `size`
  std::vector<Pointer> pointers;  ///< inside `initial`
};

/// A constant whose value is the address of a GlobalVariable plus `addend`,
/// broadcast to 32 lanes: to be filled in when the module is loaded.
struct AddressConstant {
  Slot slot = kNoSlot; ///< with kConstant
  Width width = Width::Double;
  uint32_t variable = 0;
  int64_t addend = 0;
};

/// 64-byte aligned bytes, zero at first.
struct AlignedBytes {
  std::byte *data = nullptr;
  size_t size = 0;
  AlignedBytes() = default;
  explicit AlignedBytes(size_t bytes);
  AlignedBytes(AlignedBytes &&other) noexcept;
  AlignedBytes &operator=(AlignedBytes &&other) noexcept;
  ~AlignedBytes();
};

/// All functions of a module in one instruction array.
struct Program {
  std::vector<Instruction> instructions;
  std::vector<Function> functions;
  AlignedBytes constants;
  /// Pools that Instruction points into; deques: addresses stay.
  std::deque<std::vector<Slot>> operands;
  std::deque<std::vector<Width>> widths;
  std::vector<std::shared_ptr<const void>> extras;
  uint32_t basicBlocks = 0;
  std::vector<GlobalVariable> variables;
  std::vector<AddressConstant> addressConstants;
};

} // namespace ptx

#endif // PTX_MACHINE_PROGRAM_H
