// Buffers of compiled code that are mapped on their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_RUNTIME_MAPPEDBUFFERS_H
#define MOE_LIB_RUNTIME_MAPPEDBUFFERS_H

#include "moe/Runtime/CallMemory.h"

#include "llvm/ADT/DenseMap.h"

#include <mutex>

namespace mlir::moe {

/// Bytes of a huge page.
inline constexpr size_t kHugePage = 2 << 20;

/// Buffers that are mapped on their own. The C library would hold up to twice
/// its largest freed block back when a buffer is freed.
class MappedBuffers {
public:
  /// `size` bytes of fresh huge pages, or null. Where the system has none,
  /// small ones serve.
  void *map(size_t size);

  /// `size` bytes at a multiple of `alignment`, at most a page, between two
  /// pages that nobody may touch: against the first (Start) or the last (End).
  /// Null where the system has no memory.
  void *mapGuarded(size_t alignment, size_t size, Guard guard);

  /// Gives a buffer back. Returns false where it is none of these. Ends the
  /// process where something has written around a guarded one.
  bool unmap(void *memory);

private:
  /// What is mapped for a buffer, and for a guarded one the bytes of it.
  struct Mapping {
    void *start;
    size_t bytes;
    bool guarded;
    size_t size;
  };

  void remember(void *memory, const Mapping &mapping);

  std::mutex mutex;
  llvm::DenseMap<void *, Mapping> mappings;
};

/// Never destroyed: a result may outlive every static object.
MappedBuffers &mappedBuffers();

} // namespace mlir::moe

#endif // MOE_LIB_RUNTIME_MAPPEDBUFFERS_H
