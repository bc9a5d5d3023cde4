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

/// A mode for tests: which end of each buffer that compiled code allocates lies
/// against a page that nobody may read or write. An access beyond this end ends
/// the process by a signal. It is for code of the CPU pipeline, whose buffers
/// all start at multiples of 64 bytes; so up to 63 may lie between its end and
/// the page; they, like fresh memory, hold the bytes 0xFF, which are NaN in
/// every type of floats, and one that has changed when the buffer is freed ends
/// the process with a message.
enum class Guard { None, Start, End };

/// malloc and aligned_alloc of compiled code, on any thread.
struct MemoryFunctions {
  void *(*allocate)(size_t size);
  void *(*allocateAligned)(size_t alignment, size_t size);
};
MemoryFunctions memoryFunctions(Guard guard);

/// free of compiled code, on any thread.
void freeForCall(void *memory);

/// Frees a buffer that a call has returned; on any thread, at any time.
void freeResult(void *memory);

} // namespace mlir::moe

#endif // MOE_RUNTIME_CALLMEMORY_H
