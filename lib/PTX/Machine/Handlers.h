// Handlers of the machine's own instructions.
//
// Named here for the rows (Isa/Rows*.cpp), with what their decoding leaves in
// Instruction::extra.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_HANDLERS_H
#define PTX_MACHINE_HANDLERS_H

#include "Machine/Access.h"
#include "Machine/Block.h"
#include "Machine/Instruction.h"

namespace ptx {

//===----------------------------------------------------------------------===//
// Barriers and fences
//===----------------------------------------------------------------------===//

enum class Reduction : uint8_t { None, Popc, And, Or };
struct BarrierInfo {
  Reduction reduction = Reduction::None;
  bool arriveOnly = false;
  bool relaxed = false; ///< barrier.cluster.arrive.relaxed
  uint8_t number = 0;   ///< operand index
  int8_t count = -1;    ///< operand index, -1: absent
  uint8_t predicate = 0;
};
struct FenceInfo {
  Order order = Order::AcqRel;
  Scope scope = Scope::Gpu;
  bool proxy = false;
};
void handleBarrier(Warp &, const Instruction &);
void handleClusterArrive(Warp &, const Instruction &);
void handleClusterWait(Warp &, const Instruction &);
void handleWarpBarrier(Warp &, const Instruction &);
void handleFence(Warp &, const Instruction &);
/// After threads exited: barriers that waited for them may be complete.
void recheckBarriers(Block &block);
void recheckClusterBarrier(Cluster &cluster);

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void handleBranch(Warp &, const Instruction &);
void handleIndexedBranch(Warp &, const Instruction &);
void handleCall(Warp &, const Instruction &);
void handleReturn(Warp &, const Instruction &);
void handleExit(Warp &, const Instruction &);
void handleTrap(Warp &, const Instruction &);
void handleNothing(Warp &, const Instruction &);
void handleNanosleep(Warp &, const Instruction &);
void handleGridDependency(Warp &, const Instruction &);
void handleClock(Warp &, const Instruction &);
void handleAlloca(Warp &, const Instruction &);
void handleStackSave(Warp &, const Instruction &);
void handleStackRestore(Warp &, const Instruction &);
/// What a call of a function of the runtime does; see SystemCalls.cpp.
void callSystem(Warp &, const Instruction &, const CallSite &);

//===----------------------------------------------------------------------===//
// Warp-wide
//===----------------------------------------------------------------------===//

void handleVoteAll(Warp &, const Instruction &);
void handleVoteAny(Warp &, const Instruction &);
void handleVoteUniform(Warp &, const Instruction &);
void handleVoteBallot(Warp &, const Instruction &);
void handleActiveMask(Warp &, const Instruction &);
void handleMatchAny(Warp &, const Instruction &);
void handleMatchAll(Warp &, const Instruction &);
void handleElect(Warp &, const Instruction &);

enum class ReduxOp : uint8_t { Add, MinU, MaxU, MinS, MaxS, And, Or, Xor };
template <ReduxOp> void handleRedux(Warp &, const Instruction &);
/// redux.sync.{min,max}{.abs}{.NaN}.f32
struct ReduxFloatInfo {
  bool maximum = false, absolute = false, nan = false;
};
void handleReduxFloat(Warp &, const Instruction &);

} // namespace ptx

#endif // PTX_MACHINE_HANDLERS_H
