// What is known of the CPU that code is made for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_TRANSFORMS_CPUFEATURES_H
#define MOE_TRANSFORMS_CPUFEATURES_H

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir::moe {

/// A CPU and its instruction set extensions, by LLVM's names.
struct CPUFeatures {
  std::string name;
  llvm::StringSet<> features;

  /// `spec` is "host" (this machine), or a name that LLVM has for an x86-64
  /// CPU, such as "x86-64-v3" or "znver4". An unknown name is an error that
  /// lists the accepted ones.
  static llvm::Expected<CPUFeatures> get(llvm::StringRef spec);

  bool has(llvm::StringRef feature) const { return features.contains(feature); }
  /// Full-width AVX-512, as x86-64-v4 has it.
  bool hasAVX512() const;
  /// 256-bit vectors with fused multiply-add, as x86-64-v3 has them.
  bool hasAVX2() const { return has("avx2") && has("fma"); }
  /// Whether math.fma is one instruction; elsewhere it is a library call.
  bool hasFMA() const { return has("fma") || has("neon"); }
};

} // namespace mlir::moe

#endif // MOE_TRANSFORMS_CPUFEATURES_H
