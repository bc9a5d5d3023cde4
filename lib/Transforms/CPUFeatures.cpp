// CPU names and features, from LLVM's tables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Transforms/CPUFeatures.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace mlir::moe;
using llvm::StringRef;

llvm::Expected<CPUFeatures> CPUFeatures::get(StringRef spec) {
  CPUFeatures cpu;
  if (spec == "host") {
    cpu.name = llvm::sys::getHostCPUName().str();
    // What the machine reports, not what its model has: a hypervisor may hide
    // extensions.
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      if (feature.getValue())
        cpu.features.insert(feature.getKey());
    return cpu;
  }
  if (llvm::X86::parseArchX86(spec, /*Only64Bit=*/true) == llvm::X86::CK_None) {
    llvm::SmallVector<StringRef> accepted;
    llvm::X86::fillValidCPUArchList(accepted, /*Only64Bit=*/true);
    return llvm::createStringError("unknown CPU '" + spec +
                                   "'; accepted are host, " +
                                   llvm::join(accepted, ", "));
  }
  cpu.name = spec.str();
  llvm::SmallVector<StringRef> features;
  llvm::X86::getFeaturesForCPU(spec, features);
  // The table leaves out what a listed extension implies, as AVX512BW does F.
  llvm::StringMap<bool> implied;
  for (StringRef feature : features) {
    implied[feature] = true;
    llvm::X86::updateImpliedFeatures(feature, /*Enabled=*/true, implied);
  }
  for (StringRef feature : implied.keys())
    cpu.features.insert(feature);
  return cpu;
}

bool CPUFeatures::hasAVX512() const {
  return llvm::all_of(
      llvm::ArrayRef<StringRef>{"avx512f", "avx512bw", "avx512dq", "avx512vl"},
      [&](StringRef feature) { return has(feature); });
}
