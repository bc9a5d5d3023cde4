// Tensors of other frameworks, by the DLPack protocol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_DLPACK_H
#define MOE_PYTHON_DLPACK_H

#include <pybind11/pybind11.h>

namespace mlir::moe::python {

/// Adds `read_dlpack(capsule)`, which gives pointer, shape, strides (None where
/// dense), element type (code, bits) and device (type, number) of a tensor that
/// stays the capsule's; and `make_dlpack`, a capsule that keeps `owner` alive.
void bindDLPack(pybind11::module_ &m);

} // namespace mlir::moe::python

#endif // MOE_PYTHON_DLPACK_H
