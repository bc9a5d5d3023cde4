// The OpenMP run time of compiled code, loaded privately.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_OPENMP_H
#define MOE_RUNTIME_OPENMP_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::moe {

/// LLVM's OpenMP run time. It is loaded when code first needs it, with its
/// symbols hidden from the process, because frameworks bring their own (PyTorch
/// brings libgomp) and one must not answer for the other.
class OpenMP {
public:
  /// The run time of this process. `MOE_LIBOMP` names another file.
  static llvm::Expected<const OpenMP *> get();

  /// The file it was loaded from.
  llvm::StringRef getPath() const { return path; }

  /// The address of a function, or null.
  void *lookup(const char *name) const;

  /// Calls of this thread run with so many threads, which sleep between calls.
  void setThreads(int count) const;

private:
  OpenMP() = default;
  static llvm::Expected<OpenMP> load();
  std::string path;
  void *handle = nullptr;
};

/// Where the run time is looked for, in order.
llvm::SmallVector<std::string> openMPCandidates();

} // namespace mlir::moe

#endif // MOE_RUNTIME_OPENMP_H
