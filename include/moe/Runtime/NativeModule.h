// A lowered module as LLVM IR, and its machine code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_NATIVEMODULE_H
#define MOE_RUNTIME_NATIVEMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "moe/Runtime/NativeCPU.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace mlir::moe {

/// The C interface of public function `f` is `_mlir_ciface_f`; the caller that
/// `addPackedCallers` makes for it is `_moe_call_f`.
inline constexpr llvm::StringLiteral kInterfacePrefix = "_mlir_ciface_";
inline constexpr llvm::StringLiteral kCallerPrefix = "_moe_call_";

class NativeModule {
public:
  /// Translates a module of the LLVM dialect. Fails on any other operation,
  /// naming it.
  static llvm::Expected<NativeModule> translate(ModuleOp module,
                                                const NativeCPU &cpu);
  NativeModule(NativeModule &&);
  NativeModule &operator=(NativeModule &&);
  ~NativeModule();

  /// Adds `void _moe_call_f(void **arguments)` for every `_mlir_ciface_f` that
  /// takes pointers only, so that one type of function pointer calls them all.
  void addPackedCallers();

  /// Runs LLVM's optimiser at a level from 1 to 3; 0 leaves the IR alone.
  void optimize(unsigned level);

  /// LLVM IR text.
  std::string print() const;

  /// An ELF relocatable object, position independent.
  llvm::Expected<llvm::SmallVector<char, 0>> emitObject();

private:
  NativeModule();
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
};

/// The undefined symbols of an object, sorted.
llvm::Expected<std::vector<std::string>>
undefinedSymbols(llvm::StringRef object);

/// Fails, naming the symbol, if an object needs one that is neither in the C
/// library's part that we allow (memory only) nor an OpenMP entry that the CPU
/// pipeline makes. Generated code calls no library for arithmetic.
llvm::Error checkUndefinedSymbols(llvm::StringRef object);

/// True if the object calls the OpenMP run time.
llvm::Expected<bool> needsOpenMP(llvm::StringRef object);

} // namespace mlir::moe

#endif // MOE_RUNTIME_NATIVEMODULE_H
