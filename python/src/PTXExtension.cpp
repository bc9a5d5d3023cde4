// The extension module `moe_mlir._ptx`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PTXBindings.h"

#include "ptx/Error.h"
#include "ptx/Isa.h"

#include <sstream>

namespace py = pybind11;

/// An exception class made here, so that the module needs no Python beside it.
static py::object makeErrorClass() {
  py::object type = py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
      "moe_mlir.ptx.PtxError",
      "PTX text, a launch or a request that cannot be honoured.\n\n"
      "Attributes:\n"
      "    line: Line of the PTX text, from 1; 0 if the error is not about "
      "text.\n"
      "    column: Byte of the line, from 1; 0 like the line.\n"
      "    statement: The statement as written; may be empty.\n"
      "    why: What is wrong, and what to do about it.\n",
      PyExc_ValueError, nullptr));
  if (!type)
    throw py::error_already_set();
  type.attr("line") = 0;
  type.attr("column") = 0;
  type.attr("statement") = "";
  type.attr("why") = "";
  return type;
}

void ptx::python::bindError(py::module_ &m) {
  static py::object type;
  type = makeErrorClass();
  m.attr("PtxError") = type;
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown)
        std::rethrow_exception(thrown);
    } catch (const ptx::Error &error) {
      py::object value = type(error.what());
      value.attr("line") = error.line;
      value.attr("column") = error.column;
      value.attr("statement") = error.statement;
      value.attr("why") = error.why;
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

PYBIND11_MODULE(_ptx, m) {
  m.doc() = "The PTX emulator of moe_mlir. Private: use moe_mlir.ptx.";
  ptx::python::bindError(m);
  ptx::python::bindModule(m);
  ptx::python::bindDevice(m);
  ptx::python::bindLaunch(m);
  m.def("print_isa", [](bool markdown) {
    std::ostringstream out;
    markdown ? ptx::printIsaMarkdown(out) : ptx::printIsa(out);
    return out.str();
  });
}
