// Machine code in this process.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_LOADEDCODE_H
#define MOE_RUNTIME_LOADEDCODE_H

#include "moe/Runtime/CallMemory.h"
#include "moe/Runtime/NativeCPU.h"

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace mlir::moe {

class OpenMP;

/// The functions of one object, linked into this process. They are unloaded
/// with the last owner.
class LoadedCode {
public:
  /// Takes `void **arguments`, one pointer for each argument of the function's
  /// C interface.
  using PackedFunction = void (*)(void **);

  /// Links an object that was made with `addPackedCallers`. Fails before the
  /// first instruction if this machine lacks an instruction set of `cpu`, or if
  /// the object needs a symbol that compiled code may not call. A guard is for
  /// tests.
  static llvm::Expected<std::unique_ptr<LoadedCode>>
  load(llvm::ArrayRef<char> object, const NativeCPU &cpu,
       Guard guard = Guard::None);
  ~LoadedCode();

  /// The packed caller of a public function. Fails if there is none.
  llvm::Expected<PackedFunction> lookup(llvm::StringRef function);

  /// Calls a function with so many threads at most. Fails if memory runs out.
  llvm::Error call(PackedFunction function, void **arguments, int threads);

private:
  LoadedCode();
  std::unique_ptr<llvm::orc::LLJIT> jit;
  const OpenMP *openMP = nullptr;
};

} // namespace mlir::moe

#endif // MOE_RUNTIME_LOADEDCODE_H
