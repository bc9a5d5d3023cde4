// Parsed modules and their kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PTXBindings.h"

#include "ptx/Module.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace ptx;

static py::tuple tupleOf(const Dim3 &size) {
  return py::make_tuple(size.x, size.y, size.z);
}

/// Three sizes, or None where the kernel says nothing.
static py::object optionalTuple(const Dim3 &size) {
  return size.x == 0 ? py::object(py::none()) : py::object(tupleOf(size));
}

static std::string targetOf(unsigned sm, char suffix) {
  std::string target = "sm_" + std::to_string(sm);
  if (suffix)
    target += suffix;
  return target;
}

static py::dict describe(const ParamInfo &param) {
  py::dict result;
  result["name"] = param.name;
  result["type"] = std::string(typeName(param.type));
  result["size"] = param.size;
  result["align"] = param.alignment;
  result["offset"] = param.offset;
  result["is_array"] = param.isArray;
  result["is_pointer"] = param.isPointer;
  return result;
}

static py::dict describe(const KernelInfo &kernel) {
  py::list params;
  for (const ParamInfo &param : kernel.params)
    params.append(describe(param));
  py::dict result;
  result["name"] = kernel.name;
  result["params"] = params;
  result["param_bytes"] = kernel.paramBytes;
  result["maxntid"] = optionalTuple(kernel.maxntid);
  result["reqntid"] = optionalTuple(kernel.reqntid);
  result["cluster"] = optionalTuple(kernel.reqCluster);
  result["static_shared"] = kernel.staticShared;
  result["uses_dynamic_shared"] = kernel.usesDynamicShared;
  result["target"] = targetOf(kernel.sm, kernel.smSuffix);
  result["line"] = kernel.line;
  return result;
}

void ptx::python::bindModule(py::module_ &m) {
  py::class_<Module>(m, "Module")
      .def_static(
          "parse",
          [](const std::string &text, const std::string &name) {
            py::gil_scoped_release release;
            return Module::parse(text, name);
          },
          py::arg("text"), py::arg("name") = "ptx")
      .def("kernels",
           [](const Module &module) {
             py::dict result;
             for (const auto &[name, kernel] : module.kernels())
               result[py::str(name)] = describe(kernel);
             return result;
           })
      .def("variables",
           [](const Module &module) {
             py::dict result;
             for (const auto &[name, variable] : module.variables())
               result[py::str(name)] = variable.size;
             return result;
           })
      .def("line",
           [](const Module &module, uint32_t number) {
             return std::string(module.line(number));
           })
      .def_property_readonly("sm", &Module::sm)
      .def_property_readonly("target",
                             [](const Module &module) {
                               return targetOf(module.sm(), module.smSuffix());
                             })
      .def_property_readonly("version", &Module::ptxVersion)
      .def_property_readonly("name", &Module::name);
}
