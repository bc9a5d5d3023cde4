// What a handler sees of a running warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_WARP_H
#define PTX_MACHINE_WARP_H

#include "Machine/Access.h"
#include "Machine/Instruction.h"
#include "Machine/Program.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ptx {

struct Block;
struct Frame;
struct Observer;
struct AsyncWarpState;
enum class FindingKind : uint8_t;

/// Why lanes stand still; printed when nothing can go on any more.
enum class WaitReason : uint8_t {
  None,
  Members,        ///< `.sync` or `.aligned`: other lanes of the warp
  Barrier,        ///< bar.sync, barrier.sync
  ClusterBarrier, ///< barrier.cluster.wait
  Mbarrier,
  AsyncGroup, ///< the warps of a warpgroup, a bulk group ...
  Allocation, ///< setmaxnreg
};

/// Lanes of a warp that go on together: same pc, same activation.
struct Split {
  uint32_t pc = 0;
  LaneMask mask = 0;
  Frame *frame = nullptr;
  WaitReason wait = WaitReason::None;
  /// The barrier it waits at, with WaitReason::Barrier: number and
  /// instruction, whose result it gets when the barrier completes.
  uint32_t barrier = 0;
  const Instruction *instruction = nullptr;
  uint64_t since = 0; ///< instruction count of the warp when it last ran
};

/// Sets what happens after a handler returned; see Interpreter.cpp.
enum class Event : uint8_t {
  None,
  Yield,  ///< end of the turn; the instruction is done
  Retry,  ///< the lanes in `active` execute this instruction again later
  Exit,   ///< the lanes in `active` are gone
  Switch, ///< the splits changed: choose again
};

struct Warp {
  std::byte *base[2] = {nullptr, nullptr}; ///< register file, constant area
  LaneMask active = 0;  ///< lanes that execute now (guard applied)
  LaneMask live = 0;    ///< not exited
  LaneMask running = 0; ///< lanes of the running split, guarded off ones too
  uint32_t pc = 0;      ///< of the running split, already the next instruction
  uint32_t mergePc = 0; ///< where the running split may meet another one
  Event event = Event::None;
  WaitReason waitReason = WaitReason::None; ///< with Event::Retry
  bool observed = false;    ///< observers and poison masks are on
  bool checked = false;     ///< by observers that do more than count
  bool insists = false;     ///< keeps its split though a lower one could run
  bool asleep = false;      ///< all splits wait for another warp
  bool spins = false;       ///< its last turn only polled
  uint32_t partedTurns = 0; ///< turns since its splits were last one
  unsigned index = 0;       ///< in its block
  uint32_t carry = 0;       ///< CC.CF, a bit a lane
  Block *block = nullptr;
  /// Poison of the running frame: one mask for each 128 bytes of its register
  /// file, the low word's first (null unless poison is tracked). A
  /// predicate's mask lies beside its value instead.
  LaneMask *poison = nullptr;
  Frame *frame = nullptr;    ///< activation of the running split
  std::vector<Split> others; ///< the splits that do not run now
  uint64_t executed = 0;     ///< warp instructions so far
  /// Completions of barrier.cluster when the lane arrived at it.
  uint64_t clusterPhase[kLanes] = {};
  LaneMask clusterArrived = 0;           ///< arrived, not waited yet
  AlignedBytes local;                    ///< local memory, [32][localBytes]
  uint32_t localBytes = 0;               ///< a lane
  std::unique_ptr<AsyncWarpState> async; ///< owned by the async engine

  Warp();
  ~Warp();
  Warp(const Warp &) = delete;

  template <class T> T *lanes(Slot slot) const {
    return reinterpret_cast<T *>(base[slot >> 31] + (slot & ~kConstant));
  }
  /// A constant predicate is 0 or ~0.
  LaneMask &predicate(Slot slot) const {
    return *reinterpret_cast<LaneMask *>(base[slot >> 31] +
                                         (slot & ~kConstant));
  }
  /// The value of a predicate source, `!p` applied.
  LaneMask readPredicate(const Instruction &in, unsigned operand) const {
    LaneMask value = predicate(in.operand[operand]);
    // Only the first 32 operands can be negated.
    bool negated = operand < 32 && (in.negatedPredicates >> operand & 1);
    return negated ? ~value : value;
  }
  /// Writes a predicate result for the active lanes; nothing for a sink.
  void writePredicate(Slot slot, LaneMask value) {
    if (slot == kNoSlot)
      return;
    LaneMask &p = predicate(slot);
    p = (p & ~active) | (value & active);
  }

  /// The lanes in `active` cannot go on: they execute this instruction again
  /// in a later turn. Nothing may have been changed.
  void retry(WaitReason reason) {
    event = Event::Retry;
    waitReason = reason;
  }
  /// Ends the turn of this warp after the instruction.
  void yield() {
    if (event == Event::None)
      event = Event::Yield;
  }
  /// Reports what these lanes do wrong. Recoverable kinds return (the caller
  /// leaves the lanes out), others throw.
  void report(FindingKind kind, const Instruction &in, LaneMask lanes,
              std::string message);
  /// Reports and ends the launch.
  [[noreturn]] void fail(FindingKind kind, const Instruction &in,
                         LaneMask lanes, std::string message);

  /// Tells the observers, which may refuse lanes; returns those to carry out.
  LaneMask access(const Access &access) {
    return observed ? observeAccess(access) : access.lanes;
  }
  LaneMask observeAccess(const Access &access);
};

/// Calls \p body(lane) for each set bit, ascending.
template <class Body> inline void forEachLane(LaneMask mask, Body body) {
  for (; mask; mask &= mask - 1)
    body(static_cast<unsigned>(__builtin_ctz(mask)));
}

} // namespace ptx

#endif // PTX_MACHINE_WARP_H
