// The CPU that code is generated for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/NativeCPU.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <mutex>

using namespace mlir;
using namespace mlir::moe;

namespace {

llvm::Expected<const llvm::Target *> lookupHostTarget(llvm::Triple &triple) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  triple = llvm::Triple(llvm::sys::getProcessTriple());
  if (triple.getArch() != llvm::Triple::x86_64)
    return llvm::createStringError(
        "CPU code is generated for x86-64 only, and this process is " +
        triple.getArchName());
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return llvm::createStringError(message);
  return target;
}

/// "+a,-b": what the host has and lacks, in a fixed order.
std::string hostFeatures() {
  std::vector<std::string> features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    features.push_back((feature.second ? "+" : "-") + feature.first().str());
  llvm::sort(features);
  return llvm::join(features, ",");
}

} // namespace

llvm::Expected<NativeCPU> NativeCPU::get(StringRef name) {
  llvm::Triple triple;
  if (auto target = lookupHostTarget(triple); !target)
    return target.takeError();
  if (name.empty() || name == "host")
    return NativeCPU{llvm::sys::getHostCPUName().str(), hostFeatures()};
  if (llvm::X86::parseArchX86(name, /*Only64Bit=*/true) == llvm::X86::CK_None)
    return llvm::createStringError(
        "unknown CPU '" + name +
        "'; use \"host\", \"x86-64\", \"x86-64-v2\", \"x86-64-v3\", "
        "\"x86-64-v4\" or an LLVM name of a 64-bit x86 CPU such as \"znver4\"");
  return NativeCPU{name.str(), ""};
}

llvm::Error NativeCPU::checkRunsHere() const {
  if (!features.empty()) // "host"
    return llvm::Error::success();
  SmallVector<StringRef> needed;
  llvm::X86::getFeaturesForCPU(name, needed);
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  SmallVector<StringRef> missing;
  for (StringRef feature : needed)
    if (auto found = host.find(feature); found != host.end() && !found->second)
      missing.push_back(feature);
  if (missing.empty())
    return llvm::Error::success();
  return llvm::createStringError(
      "code for CPU '" + name + "' does not run here: this machine (" +
      llvm::sys::getHostCPUName() + ") lacks " + llvm::join(missing, ", ") +
      "; compile for \"host\", or emit an object file instead");
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
NativeCPU::createMachine() const {
  llvm::Triple triple;
  auto target = lookupHostTarget(triple);
  if (!target)
    return target.takeError();
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine((*target)->createTargetMachine(
      triple, name, features, options, llvm::Reloc::PIC_));
  if (!machine)
    return llvm::createStringError("LLVM has no code generator for " + name);
  return machine;
}
