// What the machine code of a module may call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUProgram.h"
#include "moe/Runtime/NativeModule.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

bool isMemoryFunction(StringRef name) {
  static const llvm::StringSet<> names{"malloc", "free",    "aligned_alloc",
                                       "memcpy", "memmove", "memset"};
  return names.contains(name);
}

bool isOpenMPFunction(StringRef name) {
  static const llvm::StringSet<> names{
      "omp_get_thread_num", "omp_get_num_threads", "omp_get_max_threads",
      "omp_in_parallel"};
  return name.starts_with("__kmpc_") || names.contains(name);
}

} // namespace

llvm::Expected<std::vector<std::string>>
moe::undefinedSymbols(StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(object, "object"));
  if (!file)
    return file.takeError();
  std::vector<std::string> names;
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (!(*flags & llvm::object::SymbolRef::SF_Undefined))
      continue;
    auto name = symbol.getName();
    if (!name)
      return name.takeError();
    // The linker defines this one where position independent code uses it.
    if (!name->empty() && *name != "_GLOBAL_OFFSET_TABLE_")
      names.push_back(name->str());
  }
  llvm::sort(names);
  return names;
}

llvm::Error moe::checkUndefinedSymbols(StringRef object) {
  auto names = undefinedSymbols(object);
  if (!names)
    return names.takeError();
  for (const std::string &name : *names)
    if (!isMemoryFunction(name) && !isOpenMPFunction(name) &&
        !lookupGPURuntime(name))
      return llvm::createStringError(
          "the generated code calls '" + name +
          "', which is not part of what compiled code may call (memory "
          "functions of C, the OpenMP run time and the runtime of GPUs); an "
          "operation of the module "
          "was lowered to a library call, or the module declares a function "
          "without a body");
  return llvm::Error::success();
}

llvm::Expected<bool> moe::needsOpenMP(StringRef object) {
  auto names = undefinedSymbols(object);
  if (!names)
    return names.takeError();
  return llvm::any_of(*names, isOpenMPFunction);
}
