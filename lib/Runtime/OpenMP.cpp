// The OpenMP run time of compiled code, loaded privately.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/OpenMP.h"

#include "llvm/ADT/StringExtras.h"

#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <optional>

using namespace mlir;
using namespace mlir::moe;

SmallVector<std::string> moe::openMPCandidates() {
  if (const char *path = std::getenv("MOE_LIBOMP"))
    return {path};
  return {MOE_LLVM_LIBRARY_DIR "/libomp.so.5",
          MOE_LLVM_LIBRARY_DIR "/libomp.so", "libomp.so.5", "libomp.so"};
}

llvm::Expected<OpenMP> OpenMP::load() {
  // A second copy of LLVM's run time, under another name (libiomp5), makes the
  // later one end the process. Ours has a pool of its own and is used by nobody
  // else, so both can live; a user's setting wins.
  ::setenv("KMP_DUPLICATE_LIB_OK", "TRUE", /*overwrite=*/0);
  SmallVector<std::string> candidates = openMPCandidates();
  for (const std::string &candidate : candidates) {
    OpenMP result;
    result.handle = ::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    result.path = candidate;
    if (result.handle)
      return result;
  }
  return llvm::createStringError(
      "compiled code needs LLVM's OpenMP run time, which was not found as " +
      llvm::join(candidates, ", ") +
      "; install it (package libomp-22-dev) or set MOE_LIBOMP to its file");
}

llvm::Expected<const OpenMP *> OpenMP::get() {
  static std::mutex mutex;
  static std::optional<OpenMP> instance;
  std::lock_guard<std::mutex> lock(mutex);
  if (!instance) {
    auto loaded = load();
    if (!loaded)
      return loaded.takeError();
    instance = std::move(*loaded);
  }
  return &*instance;
}

void *OpenMP::lookup(const char *name) const { return ::dlsym(handle, name); }

void OpenMP::setThreads(int count) const {
  using Setter = void (*)(int);
  if (auto set = reinterpret_cast<Setter>(lookup("omp_set_num_threads")))
    set(count);
  // Threads that spin after a region would steal the cores of the caller.
  if (auto set = reinterpret_cast<Setter>(lookup("kmp_set_blocktime")))
    set(0);
}
