// Memory of the modelled device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PTXBindings.h"

#include "ptx/Device.h"
#include "ptx/Error.h"
#include "ptx/Module.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace ptx;

void ptx::python::bindDevice(py::module_ &m) {
  py::class_<Device, std::shared_ptr<Device>>(m, "Device")
      .def(py::init<>())
      .def("allocate", &Device::allocate, py::arg("bytes"),
           py::arg("name") = "")
      // Addresses, not buffers: the caller keeps the arrays alive and has
      // checked them; see moe_mlir/ptx.py.
      .def(
          "adopt",
          [](Device &device, uint64_t address, uint64_t bytes,
             const std::string &name, bool writable) {
            return device.adopt(reinterpret_cast<void *>(address), bytes, name,
                                writable);
          },
          py::arg("address"), py::arg("bytes"), py::arg("name") = "",
          py::arg("writable") = true)
      .def("free", &Device::free, py::arg("address"))
      .def(
          "copy_in",
          [](Device &device, uint64_t to, uint64_t from, uint64_t bytes) {
            py::gil_scoped_release release;
            device.copyIn(to, reinterpret_cast<const void *>(from), bytes);
          },
          py::arg("to"), py::arg("host_address"), py::arg("bytes"))
      .def(
          "copy_out",
          [](Device &device, uint64_t to, uint64_t from, uint64_t bytes) {
            py::gil_scoped_release release;
            device.copyOut(reinterpret_cast<void *>(to), from, bytes);
          },
          py::arg("host_address"), py::arg("from_"), py::arg("bytes"))
      .def_property_readonly("bytes_allocated", &Device::bytesAllocated);
}
