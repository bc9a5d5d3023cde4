// Cp.async.bulk.tensor, tensormap.*.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_TENSORHANDLERS_H
#define PTX_ASYNC_TENSORHANDLERS_H

#include "Isa/IsaTable.h"

namespace ptx::async {

/// cp.async.bulk.tensor, cp.reduce.async.bulk.tensor and the prefetch
void decodeTensorCopy(DecodeContext &context, Instruction &in);
void handleTensorCopy(Warp &warp, const Instruction &in);

void decodeMapReplace(DecodeContext &context, Instruction &in);
void handleMapReplace(Warp &warp, const Instruction &in);
/// tensormap.cp_fenceproxy
void handleMapCopy(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_TENSORHANDLERS_H
