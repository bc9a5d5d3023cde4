// Which build of the compiler this is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_BUILDIDENTITY_H
#define MOE_PYTHON_BUILDIDENTITY_H

#include <string>

namespace mlir::moe::python {

/// A text that differs between builds of this extension, of MLIR or of LLVM, as
/// they are loaded in this process: code that another build made is not taken
/// for this one's.
std::string buildIdentity();

} // namespace mlir::moe::python

#endif // MOE_PYTHON_BUILDIDENTITY_H
