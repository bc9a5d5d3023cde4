// Machine code in this process.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/LoadedCode.h"
#include "moe/Runtime/GPUProgram.h"
#include "moe/Runtime/NativeModule.h"
#include "moe/Runtime/OpenMP.h"

#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Host.h"

#include <cstring>

using namespace mlir;
using namespace mlir::moe;

LoadedCode::LoadedCode() = default;
LoadedCode::~LoadedCode() = default;

/// The address of what an object may call, or null.
static void *resolve(StringRef name, const MemoryFunctions &functions,
                     const OpenMP *openMP) {
  const llvm::StringMap<void *> memory{
      {"malloc", reinterpret_cast<void *>(functions.allocate)},
      {"aligned_alloc", reinterpret_cast<void *>(functions.allocateAligned)},
      {"free", reinterpret_cast<void *>(&freeForCall)},
      {"memcpy", reinterpret_cast<void *>(&std::memcpy)},
      {"memmove", reinterpret_cast<void *>(&std::memmove)},
      {"memset", reinterpret_cast<void *>(&std::memset)}};
  if (auto found = memory.find(name); found != memory.end())
    return found->second;
  if (void *function = lookupGPURuntime(name))
    return function;
  return openMP ? openMP->lookup(name.str().c_str()) : nullptr;
}

llvm::Expected<std::unique_ptr<LoadedCode>>
LoadedCode::load(ArrayRef<char> object, const NativeCPU &cpu, Guard guard) {
  StringRef bytes(object.data(), object.size());
  if (llvm::Error error = cpu.checkRunsHere())
    return error;
  if (llvm::Error error = checkUndefinedSymbols(bytes))
    return error;
  std::unique_ptr<LoadedCode> result(new LoadedCode());
  auto parallel = needsOpenMP(bytes);
  if (!parallel)
    return parallel.takeError();
  if (*parallel) {
    auto openMP = OpenMP::get();
    if (!openMP)
      return openMP.takeError();
    result->openMP = *openMP;
  }

  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(llvm::orc::JITTargetMachineBuilder(
                     llvm::Triple(llvm::sys::getProcessTriple())))
                 .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                 .setLinkProcessSymbolsByDefault(false)
                 .create();
  if (!jit)
    return jit.takeError();
  result->jit = std::move(*jit);

  auto names = undefinedSymbols(bytes);
  if (!names)
    return names.takeError();
  llvm::orc::SymbolMap symbols;
  for (const std::string &name : *names) {
    void *address = resolve(name, memoryFunctions(guard), result->openMP);
    if (!address)
      return llvm::createStringError("the OpenMP run time " +
                                     result->openMP->getPath() + " has no '" +
                                     name + "'; it is older than LLVM 22");
    symbols[result->jit->mangleAndIntern(name)] = {
        llvm::orc::ExecutorAddr::fromPtr(address),
        llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
  }
  if (llvm::Error error = result->jit->getMainJITDylib().define(
          llvm::orc::absoluteSymbols(std::move(symbols))))
    return error;
  if (llvm::Error error = result->jit->addObjectFile(
          llvm::MemoryBuffer::getMemBufferCopy(bytes, "moe")))
    return error;
  return result;
}

llvm::Expected<LoadedCode::PackedFunction>
LoadedCode::lookup(StringRef function) {
  auto address = jit->lookup((kCallerPrefix + function).str());
  if (address)
    return address->toPtr<PackedFunction>();
  llvm::consumeError(address.takeError());
  return llvm::createStringError(
      "no compiled function '" + function +
      "' that takes and returns tensors only; a function that is called from "
      "outside is public and has a C interface (llvm.emit_c_interface)");
}

llvm::Error LoadedCode::call(PackedFunction function, void **arguments,
                             int threads) {
  if (openMP)
    openMP->setThreads(threads);
  return runWithMemory([&] { function(arguments); });
}
