// How errors of the compiler become Python exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_ERRORS_H
#define MOE_PYTHON_ERRORS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"

#include <pybind11/pybind11.h>
#include <string>

namespace mlir::moe::python {

/// Raises `moe_mlir.MoEError`. Needs the GIL.
[[noreturn]] void raise(const std::string &message,
                        const std::string &where = "");

/// Raises for a failed LLVM error; does nothing for success. Needs the GIL.
void check(llvm::Error error);

/// The value of an expected, or a raise. Needs the GIL.
template <typename T> T take(llvm::Expected<T> expected) {
  check(expected.takeError());
  return std::move(*expected);
}

/// Collects the errors and their notes that a context reports in its lifetime.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// Raises with what was collected, or with `otherwise` if nothing was. Needs
  /// the GIL.
  [[noreturn]] void raise(const std::string &otherwise) const;

private:
  std::string text, where;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace mlir::moe::python

#endif // MOE_PYTHON_ERRORS_H
