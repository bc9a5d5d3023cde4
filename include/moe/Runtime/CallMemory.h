// The memory of one call of compiled code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_CALLMEMORY_H
#define MOE_RUNTIME_CALLMEMORY_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <cstddef>

namespace mlir::moe {

/// Runs `call`, which runs compiled code on this thread. Compiled code does not
/// check an allocation; so where one fails, the call is left at once, what it
/// had allocated is freed, and the failure is returned. Results belong to the
/// caller, who frees them with `freeResult`.
llvm::Error runWithMemory(llvm::function_ref<void()> call);

/// What compiled code allocates and frees with, on any thread.
void *allocateForCall(size_t size);
void *allocateAlignedForCall(size_t alignment, size_t size);
void freeForCall(void *memory);

/// Frees a buffer that a call has returned; on any thread, at any time.
void freeResult(void *memory);

} // namespace mlir::moe

#endif // MOE_RUNTIME_CALLMEMORY_H
