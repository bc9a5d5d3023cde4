// The memory of one call of compiled code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/CallMemory.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/ErrorHandling.h"

#include <csetjmp>
#include <cstdlib>

using namespace mlir;

namespace {

struct CallMemory {
  std::jmp_buf start;
  llvm::SmallVector<void *> live;
  size_t refused = 0;
};

/// The call that runs on this thread; null on a worker of a parallel loop,
/// where the lowering allocates nothing.
thread_local CallMemory *current = nullptr;

void *track(void *memory, size_t size) {
  if (!memory && size != 0) {
    if (!current)
      llvm::report_fatal_error("compiled code is out of memory");
    current->refused = size;
    std::longjmp(current->start, 1);
  }
  if (current && memory)
    current->live.push_back(memory);
  return memory;
}

} // namespace

void *moe::allocateForCall(size_t size) {
  return track(std::malloc(size), size);
}

void *moe::allocateAlignedForCall(size_t alignment, size_t size) {
  return track(std::aligned_alloc(alignment, size), size);
}

void moe::freeForCall(void *memory) {
  if (current && memory) {
    // The latest is freed first, mostly.
    auto &live = current->live;
    auto found = llvm::find(llvm::reverse(live), memory);
    if (found != live.rend())
      live.erase(std::prev(found.base()));
  }
  std::free(memory);
}

llvm::Error moe::runWithMemory(llvm::function_ref<void()> call) {
  CallMemory memory;
  CallMemory *outer = current;
  current = &memory;
  // No frame between here and the allocation has anything to destroy: they are
  // frames of compiled code.
  if (setjmp(memory.start) == 0)
    call();
  current = outer;
  if (memory.refused == 0)
    return llvm::Error::success();
  for (void *live : memory.live)
    std::free(live);
  return llvm::createStringError(
      "out of memory: the call needs " + llvm::Twine(memory.refused) +
      " bytes in one piece, and the system has not so many; pass fewer tokens "
      "in one call");
}
