// The extension module `moe_mlir._ptx`: the emulator alone, no LLVM.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_PTXBINDINGS_H
#define MOE_PYTHON_PTXBINDINGS_H

#include <pybind11/pybind11.h>

namespace ptx::python {

/// ptx.PtxError, raised for every ptx::Error.
void bindError(pybind11::module_ &m);
/// Module: parsed text, its kernels.
void bindModule(pybind11::module_ &m);
/// Device: memory of the modelled device; TensorMap encoding.
void bindDevice(pybind11::module_ &m);
/// launch and its result.
void bindLaunch(pybind11::module_ &m);

} // namespace ptx::python

#endif // MOE_PYTHON_PTXBINDINGS_H
