// The memory of one call of compiled code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/CallMemory.h"
#include "MappedBuffers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <utility>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// From how many bytes on a buffer asks for huge pages. Packed weights are
/// streamed: with small pages each 4 KiB of them costs a walk of the page
/// tables, which is a quarter of the memory's bandwidth.
constexpr size_t kLeastHuge = 2 * kHugePage;

/// Compiled code that wants memory of an alignment asks malloc for so many
/// bytes more, and starts at the first multiple: MLIR's lowering of
/// memref.alloc, whose alignment is this one everywhere.
constexpr size_t kAlignment = 64;

/// The most bytes that are kept for the next call.
constexpr size_t kMostKept = 192 << 20;

void release(void *memory) {
  if (!mappedBuffers().unmap(memory))
    std::free(memory);
}

/// The bytes that a buffer of `size` is allocated with: whole huge pages, from
/// where it asks for them, so that calls of nearly the same size share it.
size_t roundUp(size_t size) {
  return size < kLeastHuge ? size : llvm::alignTo(size, kHugePage);
}

/// Large buffers that calls have freed. A fresh one would be cleared by the
/// system, page by page, in each call.
class KeptBuffers {
public:
  /// A kept buffer of exactly `size` bytes, or null.
  void *take(size_t size) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = llvm::find_if(
        buffers, [&](const Buffer &buffer) { return buffer.size == size; });
    if (found == buffers.end())
      return nullptr;
    void *memory = found->memory;
    buffers.erase(found);
    bytes -= size;
    return memory;
  }

  /// Keeps a buffer, and frees those kept longest where it is too much.
  void keep(void *memory, size_t size) {
    std::lock_guard<std::mutex> lock(mutex);
    buffers.push_back({memory, size, calls});
    bytes += size;
    while (bytes > kMostKept)
      freeFirst();
  }

  /// The number of a call that begins.
  size_t beginCall() {
    std::lock_guard<std::mutex> lock(mutex);
    return ++calls;
  }

  /// Frees what was kept before this call, which had no use for it.
  void endCall(size_t call) {
    std::lock_guard<std::mutex> lock(mutex);
    while (!buffers.empty() && buffers.front().call < call)
      freeFirst();
  }

private:
  struct Buffer {
    void *memory;
    size_t size;
    /// The number of the last call that had begun when it was kept.
    size_t call;
  };

  void freeFirst() {
    release(buffers.front().memory);
    bytes -= buffers.front().size;
    buffers.erase(buffers.begin());
  }

  std::mutex mutex;
  /// In the order in which they were kept.
  llvm::SmallVector<Buffer> buffers;
  size_t bytes = 0, calls = 0;
};

/// Never destroyed: threads may still call while the process ends.
KeptBuffers &keptBuffers() {
  static auto *kept = new KeptBuffers;
  return *kept;
}

struct CallMemory {
  std::jmp_buf start;
  /// What the call has allocated and not freed, and the bytes of each.
  llvm::SmallVector<std::pair<void *, size_t>> live;
  size_t refused = 0;
};

/// The call that runs on this thread; null on a worker of a parallel loop,
/// where the lowering allocates nothing large.
thread_local CallMemory *current = nullptr;

void *allocateFresh(size_t alignment, size_t size) {
  if (size >= kLeastHuge && alignment <= kHugePage)
    return mappedBuffers().map(size);
  void *memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

/// A large buffer is one that was kept, if one of its size was.
void *allocate(size_t alignment, size_t size) {
  if (size >= kLeastHuge && alignment <= kHugePage)
    if (void *memory = keptBuffers().take(size))
      return memory;
  return allocateFresh(alignment, size);
}

/// Hands `memory` to compiled code; leaves the call where there is none. A
/// buffer of `kept` bytes may be kept for the next call when it is freed.
void *track(void *memory, size_t wanted, size_t kept) {
  if (!memory && wanted != 0) {
    if (!current)
      llvm::report_fatal_error("compiled code is out of memory");
    current->refused = wanted;
    std::longjmp(current->start, 1);
  }
  if (current && memory)
    current->live.push_back({memory, kept});
  return memory;
}

void *allocateTracked(size_t alignment, size_t wanted) {
  size_t size = roundUp(wanted);
  // Rounded up, the number of bytes may be none.
  return track(size < wanted ? nullptr : allocate(alignment, size), wanted,
               size);
}

/// The buffer without the bytes for its alignment, so that what compiled code
/// uses begins and ends where the buffer does.
template <Guard guard> void *allocateGuarded(size_t size) {
  size_t used = size < kAlignment ? size : size - kAlignment;
  return track(mappedBuffers().mapGuarded(kAlignment, used, guard), size,
               /*kept=*/0);
}

template <Guard guard>
void *allocateAlignedGuarded(size_t alignment, size_t size) {
  return track(mappedBuffers().mapGuarded(alignment, size, guard), size,
               /*kept=*/0);
}

void *allocateForCall(size_t size) {
  return allocateTracked(alignof(std::max_align_t), size);
}

void *allocateAlignedForCall(size_t alignment, size_t size) {
  return allocateTracked(std::max(alignment, sizeof(void *)), size);
}

} // namespace

MemoryFunctions moe::memoryFunctions(Guard guard) {
  switch (guard) {
  case Guard::None:
    return {allocateForCall, allocateAlignedForCall};
  case Guard::Start:
    return {allocateGuarded<Guard::Start>,
            allocateAlignedGuarded<Guard::Start>};
  case Guard::End:
    return {allocateGuarded<Guard::End>, allocateAlignedGuarded<Guard::End>};
  }
  llvm_unreachable("a guard without a name");
}

void moe::freeForCall(void *memory) {
  if (current && memory) {
    // The latest is freed first, mostly.
    auto &live = current->live;
    auto found = llvm::find_if(llvm::reverse(live), [&](const auto &buffer) {
      return buffer.first == memory;
    });
    if (found != live.rend()) {
      size_t size = found->second;
      live.erase(std::prev(found.base()));
      if (size >= kLeastHuge)
        return keptBuffers().keep(memory, size);
    }
  }
  release(memory);
}

void moe::freeResult(void *memory) { release(memory); }

llvm::Error moe::runWithMemory(llvm::function_ref<void()> call) {
  CallMemory memory;
  CallMemory *outer = current;
  current = &memory;
  size_t number = keptBuffers().beginCall();
  // No frame between here and the allocation has anything to destroy: they are
  // frames of compiled code.
  if (setjmp(memory.start) == 0)
    call();
  current = outer;
  keptBuffers().endCall(number);
  if (memory.refused == 0)
    return llvm::Error::success();
  for (auto [live, size] : memory.live)
    release(live);
  return llvm::createStringError(
      "out of memory: the call needs " + llvm::Twine(memory.refused) +
      " bytes in one piece, and the system has not so many; pass fewer tokens "
      "in one call");
}
