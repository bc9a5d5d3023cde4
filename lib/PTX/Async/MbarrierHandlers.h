// Mbarrier.*.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_MBARRIERHANDLERS_H
#define PTX_ASYNC_MBARRIERHANDLERS_H

#include "Isa/IsaTable.h"

namespace ptx::async {

void decodeMbarrier(DecodeContext &context, Instruction &in);
void handleMbarrierInit(Warp &warp, const Instruction &in);
void handleMbarrierInval(Warp &warp, const Instruction &in);
/// expect_tx and complete_tx
void handleMbarrierTransaction(Warp &warp, const Instruction &in);
/// arrive and arrive_drop, with .expect_tx and .noComplete
void handleMbarrierArrive(Warp &warp, const Instruction &in);
/// test_wait and try_wait, with .parity
void handleMbarrierWait(Warp &warp, const Instruction &in);
void handleMbarrierPendingCount(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_MBARRIERHANDLERS_H
