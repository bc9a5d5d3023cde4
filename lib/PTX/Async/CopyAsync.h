// Cp.async of single threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_COPYASYNC_H
#define PTX_ASYNC_COPYASYNC_H

#include "Isa/IsaTable.h"

namespace ptx::async {

void decodeCopyAsync(DecodeContext &context, Instruction &in);
HandlerSet copyAsyncHandlers();
void handleCopyCommit(Warp &warp, const Instruction &in);
void handleCopyWaitGroup(Warp &warp, const Instruction &in);
void handleCopyWaitAll(Warp &warp, const Instruction &in);
void decodeCopyArrive(DecodeContext &context, Instruction &in);
/// cp.async.mbarrier.arrive
void handleCopyArrive(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_COPYASYNC_H
