// An MLIR module in Python.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_MODULE_H
#define MOE_PYTHON_MODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <pybind11/pybind11.h>
#include <string>

namespace mlir::moe::python {

/// An MLIR module and its context, which its copies share. Parsing, passes and
/// code generation run without the GIL, one at a time for each context.
class Module {
public:
  /// With `allowUnregistered`, operations of dialects that are not known here
  /// are read too, in their generic form: what a front end leaves to
  /// moe-import-residual.
  static std::unique_ptr<Module> parse(const std::string &text,
                                       const std::string &name,
                                       bool allowUnregistered);
  std::unique_ptr<Module> clone() const;
  ~Module();

  /// Runs a textual pipeline. A failed pipeline leaves the module as it was.
  void run(const std::string &pipeline);

  std::string print(bool generic, bool locations) const;

  /// One dictionary for each function with a body: `name`, `public`, and
  /// `arguments` and `results` with `dtype`, `shape` (None for a dynamic size)
  /// and `attributes`.
  pybind11::list signatures() const;

  /// One dictionary for each operation of a name, in order: `attributes`,
  /// `operands` and `results` (types as text).
  pybind11::list find(const std::string &name) const;

  /// Number of operations by full name, e.g. "moe.route".
  pybind11::dict operations() const;

  /// Takes the kernels out of a module that moe-gpu-pipeline made, so that the
  /// host's part is left: `kernels` (names by number), `format` ("isa", "bin"
  /// or "fatbin"; None without kernels) and `image`.
  pybind11::dict takeKernels();

  std::string llvmIR(const std::string &cpu, unsigned optimize) const;
  pybind11::bytes object(const std::string &cpu, unsigned optimize,
                         bool callers) const;

private:
  struct State;
  Module(std::shared_ptr<State> state,
         mlir::OwningOpRef<mlir::ModuleOp> module);
  std::shared_ptr<State> state;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

void bindModule(pybind11::module_ &m);
void bindExecutable(pybind11::module_ &m);
void bindGPU(pybind11::module_ &m);
void bindRouting(pybind11::module_ &m);

} // namespace mlir::moe::python

#endif // MOE_PYTHON_MODULE_H
