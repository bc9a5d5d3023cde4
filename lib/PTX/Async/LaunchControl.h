// Clusterlaunchcontrol: blocks that take over work not yet begun.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_LAUNCHCONTROL_H
#define PTX_ASYNC_LAUNCHCONTROL_H

#include "Isa/IsaTable.h"

namespace ptx::async {

void decodeTryCancel(DecodeContext &context, Instruction &in);
void handleTryCancel(Warp &warp, const Instruction &in);
void handleIsCanceled(Warp &warp, const Instruction &in);
/// All components, or the one that a modifier chooses.
void decodeFirstBlock(DecodeContext &context, Instruction &in);
void handleFirstBlock(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_LAUNCHCONTROL_H
