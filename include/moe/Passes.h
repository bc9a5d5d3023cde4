// Declarations, constructors and registration of every pass.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PASSES_H
#define MOE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir::moe {
/// Where the logits of a routing on a GPU are computed: in the routing's launch
/// or in one before it.
enum class RouterLaunch { Auto, Joined, Apart };

#define GEN_PASS_DECL
#include "moe/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "moe/Passes.h.inc"
} // namespace mlir::moe

#endif // MOE_PASSES_H
