// How errors of the compiler become Python exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Errors.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

namespace py = pybind11;
using namespace mlir;
using namespace mlir::moe;

void python::raise(const std::string &message, const std::string &where) {
  py::object type = py::module_::import("moe_mlir.errors").attr("MoEError");
  py::object value = type(message, py::arg("where") = where);
  PyErr_SetObject(type.ptr(), value.ptr());
  throw py::error_already_set();
}

void python::check(llvm::Error error) {
  if (error)
    raise(llvm::toString(std::move(error)));
}

/// "file:line:column", from the first such place in a location; else its text.
static std::string describe(Location location) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (auto place = location->findInstanceOf<FileLineColLoc>())
    stream << place.getFilename().getValue() << ":" << place.getLine() << ":"
           << place.getColumn();
  else if (!isa<UnknownLoc>(location))
    stream << location;
  return text;
}

python::DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return success();
        std::string place = describe(diagnostic.getLocation());
        if (where.empty())
          where = place;
        text += (text.empty() ? "" : "\n") +
                (place.empty() ? "" : place + ": ") + diagnostic.str();
        for (Diagnostic &note : diagnostic.getNotes()) {
          std::string at = describe(note.getLocation());
          text += "\n  note: " + (at.empty() || at == place ? "" : at + ": ") +
                  note.str();
        }
        return success();
      }) {}

void python::DiagnosticCollector::raise(const std::string &otherwise) const {
  python::raise(text.empty() ? otherwise : text, where);
}
