// The CPU that code is generated for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_NATIVECPU_H
#define MOE_RUNTIME_NATIVECPU_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace mlir::moe {

/// An x86-64 CPU by its LLVM name, with the features that differ from the name
/// ("+avx512f,-sgx,..."; the host's, because a virtual machine may hide some).
struct NativeCPU {
  std::string name;
  std::string features;

  /// `name` is "host", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4" or an
  /// LLVM CPU name such as "znver4". Fails on another name.
  static llvm::Expected<NativeCPU> get(llvm::StringRef name);

  /// Fails, naming what is missing, unless this machine has every instruction
  /// set of the CPU. Called before code is loaded, because running it would end
  /// the process with an illegal instruction.
  llvm::Error checkRunsHere() const;

  /// Rounding is part of the routing contract: the machine never contracts a
  /// multiplication and an addition, whatever the flags of the process.
  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine() const;
};

} // namespace mlir::moe

#endif // MOE_RUNTIME_NATIVECPU_H
