// Who watches a launch.
//
// Counters and checks derive from Observer. They are called only from the
// observed form of the interpreter loop; with none, the plain form runs.
// With several host threads each thread has an observer of its own (fork),
// joined when the launch ends.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_OBSERVER_H
#define PTX_MACHINE_OBSERVER_H

#include "Machine/Access.h"
#include "Machine/Instruction.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ptx {

struct Warp;
struct Block;
struct Grid;

/// Synchronisation that orders memory operations.
enum class SyncKind : uint8_t {
  BlockBarrier,   ///< object: barrier number
  WarpBarrier,    ///< bar.warp.sync; object: member mask
  ClusterBarrier, ///< object: 0
  Mbarrier,       ///< object: shared address
  AsyncGroup,     ///< cp.async / bulk / wgmma groups; object: group number
  Fence,          ///< fence, membar; scope
  ProxyFence,     ///< fence.proxy.*
  GridDependency, ///< griddepcontrol.wait
};
enum class SyncStep : uint8_t {
  Arrive,  ///< what the lanes did before is released to the object
  Release, ///< the lanes go on: they acquire what was released to the object
  Both,    ///< a fence
};
struct SyncEvent {
  SyncKind kind;
  SyncStep step;
  const Instruction *instruction = nullptr; ///< null for a release
  Warp *warp = nullptr;
  LaneMask lanes = 0;
  uint64_t object = 0;
  Block *block = nullptr; ///< whose object it is
  uint64_t phase = 0;     ///< completions of the object before this event
  Scope scope = Scope::Cta;
  Order order = Order::AcqRel;
};

/// Where an undefined value made itself felt.
enum class PoisonUse : uint8_t {
  Address,
  Guard, ///< of a branch or a side effect
  Store, ///< to global memory
  MemberMask,
  Barrier, ///< its number or thread count
  Trap,
};

/// Executions of the instructions of a program, as differences: by how many
/// more warps and lanes an instruction is executed than the one before it. What
/// the same lanes execute in a run takes two entries then.
struct RunCount {
  int64_t warps = 0, lanes = 0;
  int64_t off = 0; ///< lanes that the guard switched off; no difference

  /// This entry begins a run of \p running lanes, \p end is the one behind it.
  void add(RunCount &end, LaneMask running, int64_t times = 1) {
    int64_t count = times * __builtin_popcount(running);
    warps += times;
    lanes += count;
    end.warps -= times;
    end.lanes -= count;
  }
};

/// An ldmatrix: rows of 16 bytes of the block's own shared memory.
struct RowsAccess {
  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  LaneMask lanes = 0;
  const uint32_t *address = nullptr; ///< [32], to which `offset` is added
  uint32_t offset = 0;
};

/// A cp.async of all 32 lanes, each of which copies as much.
struct WholeCopy {
  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  uint32_t bytes = 0;               ///< a lane
  const uint32_t *shared = nullptr; ///< [32] offsets in the block
  const uint64_t *from = nullptr;   ///< [32] addresses of the host
};

struct AccessPattern;

/// The access that an instruction made last: what a WholeAccess must have in
/// common with it to be counted by adding one.
struct alignas(64) WholeMemo {
  AccessPattern *pattern = nullptr; ///< the counter's own; null: none yet
  uint64_t uses = 0;                ///< that the pattern does not know of yet
  uint64_t gap = 0; ///< from the first lane of a half to the other's
  uint32_t phase = 0, phaseMask = 0; ///< where the first address lies
  Space space = Space::Generic;
  bool one[2] = {};
  bool told = false;    ///< the observer must be told of repetitions
  bool ignored = false; ///< no access of the instruction counts
};

struct Observer {
  virtual ~Observer() = default;

  /// A copy for another host thread, and taking its results back.
  virtual std::unique_ptr<Observer> fork() { return nullptr; }
  virtual void join(Observer &) {}

  virtual void onGridStart(Grid &) {}
  virtual void onGridEnd(Grid &) {}
  virtual void onBlockStart(Block &) {}
  virtual void onBlockEnd(Block &) {}
  virtual void onWarpExit(Warp &, const Instruction &, LaneMask) {}

  /// Before the handler. `warp.active` executes, `warp.running` is the split;
  /// also called with active == 0 when the guard is off for all lanes. With
  /// `countsSuffice` only for the wanted instructions that are kAligned.
  virtual void onInstruction(Warp &, const Instruction &) {}
  /// A branch by which lanes part: \p taken of \p lanes.
  virtual void onBranch(Warp &, const Instruction &, LaneMask lanes,
                        LaneMask taken) {}
  /// True if a load of these bytes by all \p lanes would change nothing here,
  /// and finds all of them defined: onAccess need not be called.
  virtual bool passes(Warp &, Space, const uint64_t *address, LaneMask lanes,
                      uint32_t bytes) {
    return false;
  }
  /// True for a load of defined bytes that would change nothing here, and for a
  /// store of defined bytes, which were noted: onAccess need not be called.
  virtual bool passesWhole(const WholeAccess &) { return false; }
  /// Returns the lanes that may be carried out.
  virtual LaneMask onAccess(const Access &access) { return access.lanes; }
  /// With `countsSuffice`, short forms of onAccess for plain accesses. False
  /// where the observer wants to be told by onAccess.
  virtual bool onWholeAccess(const WholeAccess &) { return false; }
  virtual bool onRows(const RowsAccess &) { return false; }
  virtual bool onWholeCopy(const WholeCopy &) { return false; }
  virtual void onSync(const SyncEvent &) {}
  virtual void onPoisonUse(Warp &, const Instruction &, LaneMask lanes,
                           PoisonUse) {}
  /// A polling instruction (mbarrier.try_wait, nanosleep) did not get on.
  virtual void onPoll(Warp &, const Instruction &) {}

  /// Bytes whose content is undefined from now on (a copy in flight will
  /// write them), or defined. Global addresses are host pointers; shared ones
  /// as in Access, seen from \p block.
  virtual void onUndefined(Block *, Space, uint64_t address, uint64_t bytes) {}
  virtual void onDefined(Block *, Space, uint64_t address, uint64_t bytes) {}
  /// The same for lanes of a warp: \p bytes at address[lane] each.
  virtual void onUndefinedLanes(Block *block, Space space,
                                const uint64_t *address, LaneMask lanes,
                                uint64_t bytes, bool undefined) {
    for (; lanes; lanes &= lanes - 1) {
      const uint64_t at = address[__builtin_ctz(lanes)];
      if (undefined)
        onUndefined(block, space, at, bytes);
      else
        onDefined(block, space, at, bytes);
    }
  }
  /// Shared memory that a copy, now complete, left undefined between others.
  virtual void onPadding(Block &, uint64_t address, uint64_t bytes) {}
  virtual void onAllocate(uint64_t address, uint64_t bytes) {}
  virtual void onFree(uint64_t address, uint64_t bytes) {}

  /// Where the interpreter counts executions, an entry an instruction and one
  /// more, or null.
  virtual RunCount *runCounts() { return nullptr; }
  /// With `countsSuffice`: by instruction, which accesses need not be told.
  virtual WholeMemo *wholeMemos() { return nullptr; }

  /// By instruction: whether onInstruction is to be told of it; null: of all,
  /// which it must not be with `countsSuffice`.
  const uint8_t *wantedInstructions = nullptr;
  bool tracksPoison = false;  ///< wants masks of undefined register words
  bool wantsValues = false;   ///< wants Access::value
  bool passesWholes = false;  ///< passesWhole may be true
  bool countsSuffice = false; ///< runs, accesses and some instructions
};

} // namespace ptx

#endif // PTX_MACHINE_OBSERVER_H
