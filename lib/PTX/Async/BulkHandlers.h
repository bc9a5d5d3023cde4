// Cp.async.bulk.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_BULKHANDLERS_H
#define PTX_ASYNC_BULKHANDLERS_H

#include "Isa/IsaTable.h"

namespace ptx::async {

/// cp.async.bulk and cp.reduce.async.bulk
void decodeBulkCopy(DecodeContext &context, Instruction &in);
void handleBulkCopy(Warp &warp, const Instruction &in);
void handleBulkPrefetch(Warp &warp, const Instruction &in);
void handleBulkCommit(Warp &warp, const Instruction &in);
void decodeBulkWait(DecodeContext &context, Instruction &in);
void handleBulkWait(Warp &warp, const Instruction &in);

/// st.bulk
void decodeBulkFill(DecodeContext &context, Instruction &in);
void handleBulkFill(Warp &warp, const Instruction &in);

/// st.async and red.async
void decodeRemoteStore(DecodeContext &context, Instruction &in);
void handleRemoteStore(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_BULKHANDLERS_H
