// The extension module `moe_mlir._moe`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Module.h"

PYBIND11_MODULE(_moe, m) {
  m.doc() = "The compiler of moe_mlir. Private: use moe_mlir.";
  mlir::moe::python::bindModule(m);
  mlir::moe::python::bindExecutable(m);
  mlir::moe::python::bindGPU(m);
  mlir::moe::python::bindRouting(m);
}
