// Buffers of compiled code that are mapped on their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MappedBuffers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Alignment.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Process.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <sys/mman.h>

using namespace mlir;
using namespace mlir::moe;

/// What fresh guarded memory holds.
static constexpr unsigned char kUnwritten = 0xFF;

static size_t pageSize() { return llvm::sys::Process::getPageSizeEstimate(); }

static char *mapPages(size_t bytes, int protection) {
  void *start =
      ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return start == MAP_FAILED ? nullptr : static_cast<char *>(start);
}

MappedBuffers &moe::mappedBuffers() {
  static auto *mapped = new MappedBuffers;
  return *mapped;
}

void MappedBuffers::remember(void *memory, const Mapping &mapping) {
  std::lock_guard<std::mutex> lock(mutex);
  mappings[memory] = mapping;
}

void *MappedBuffers::map(size_t size) {
  size_t whole = size + kHugePage;
  char *start =
      whole < size ? nullptr : mapPages(whole, PROT_READ | PROT_WRITE);
  if (!start)
    return nullptr;
  size_t before = llvm::offsetToAlignment(reinterpret_cast<uintptr_t>(start),
                                          llvm::Align(kHugePage));
  char *memory = start + before;
  if (before)
    ::munmap(start, before);
  ::munmap(memory + size, kHugePage - before);
  ::madvise(memory, size, MADV_HUGEPAGE);
  remember(memory, {memory, size, /*guarded=*/false, size});
  return memory;
}

void *MappedBuffers::mapGuarded(size_t alignment, size_t size, Guard guard) {
  size_t page = pageSize();
  assert(alignment <= page && "a page is not aligned enough");
  size_t inner = llvm::alignTo(std::max<size_t>(size, 1), page);
  size_t whole = inner + 2 * page;
  char *start = whole < size ? nullptr : mapPages(whole, PROT_NONE);
  if (!start)
    return nullptr;
  char *first = start + page;
  if (::mprotect(first, inner, PROT_READ | PROT_WRITE) != 0) {
    ::munmap(start, whole);
    return nullptr;
  }
  std::memset(first, kUnwritten, inner);
  size_t before = llvm::alignDown(inner - size, alignment);
  char *memory = guard == Guard::Start ? first : first + before;
  remember(memory, {start, whole, /*guarded=*/true, size});
  return memory;
}

bool MappedBuffers::unmap(void *memory) {
  std::unique_lock<std::mutex> lock(mutex);
  auto found = mappings.find(memory);
  if (found == mappings.end())
    return false;
  Mapping mapping = found->second;
  mappings.erase(found);
  lock.unlock();
  if (mapping.guarded) {
    auto *start = static_cast<unsigned char *>(mapping.start);
    auto *begin = static_cast<unsigned char *>(memory);
    auto isUnwritten = [](unsigned char *from, unsigned char *to) {
      return std::all_of(from, to,
                         [](auto byte) { return byte == kUnwritten; });
    };
    if (!isUnwritten(start + pageSize(), begin) ||
        !isUnwritten(begin + mapping.size, start + mapping.bytes - pageSize()))
      llvm::report_fatal_error("compiled code wrote beyond an end of a buffer "
                               "of " +
                                   llvm::Twine(mapping.size) + " bytes",
                               /*gen_crash_diag=*/false);
  }
  ::munmap(mapping.start, mapping.bytes);
  return true;
}
