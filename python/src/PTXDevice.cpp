// Memory of the modelled device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PTXBindings.h"

#include "ptx/Device.h"
#include "ptx/Error.h"
#include "ptx/Module.h"
#include "ptx/TensorMap.h"

#include <pybind11/stl.h>

#include <algorithm>

namespace py = pybind11;
using namespace ptx;

/// Sizes are innermost first; strides in bytes, of dimensions 1 and up.
static py::bytes encodeTensorMap(const std::string &type, uint64_t address,
                                 const std::vector<uint64_t> &dims,
                                 const std::vector<uint64_t> &strides,
                                 const std::vector<uint32_t> &box,
                                 const std::vector<uint32_t> &elementStrides,
                                 unsigned interleave, unsigned swizzle,
                                 unsigned atomicity, bool flips, bool nanFill) {
  TensorMap map;
  if (dims.empty() || dims.size() > map.size.size())
    throw Error("a tensor map has 1 to 5 dimensions, the array has " +
                std::to_string(dims.size()));
  map.element = tensorElementNamed(type);
  map.rank = static_cast<unsigned>(dims.size());
  map.address = address;
  std::copy(dims.begin(), dims.end(), map.size.begin());
  std::copy(strides.begin(), strides.end(), map.stride.begin());
  std::copy(box.begin(), box.end(), map.box.begin());
  std::copy(elementStrides.begin(), elementStrides.end(),
            map.elementStride.begin());
  map.interleave = interleave;
  map.swizzle = swizzle;
  map.atomicity = atomicity;
  map.flips = flips;
  map.nanFill = nanFill;
  map.validate();
  auto bytes = map.encode();
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

void ptx::python::bindDevice(py::module_ &m) {
  m.def("encode_tensor_map", &encodeTensorMap, py::arg("type"),
        py::arg("address"), py::arg("dims"), py::arg("strides"), py::arg("box"),
        py::arg("element_strides"), py::arg("interleave"), py::arg("swizzle"),
        py::arg("atomicity"), py::arg("flips"), py::arg("fill_nan"));
  py::class_<Device, std::shared_ptr<Device>>(m, "Device")
      .def(py::init<>())
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
      .def(
          "allocate_copy",
          [](Device &device, uint64_t from, uint64_t bytes,
             const std::string &name) {
            py::gil_scoped_release release;
            return device.allocateCopy(reinterpret_cast<const void *>(from),
                                       bytes, name);
          },
          py::arg("host_address"), py::arg("bytes"), py::arg("name") = "")
      .def("free", &Device::free, py::arg("address"))
      .def("set_writable", &Device::setWritable, py::arg("address"),
           py::arg("writable"))
      .def(
          "copy_out",
          [](Device &device, uint64_t to, uint64_t from, uint64_t bytes) {
            py::gil_scoped_release release;
            device.copyOut(reinterpret_cast<void *>(to), from, bytes);
          },
          py::arg("host_address"), py::arg("from_"), py::arg("bytes"))
      .def_property_readonly("bytes_allocated", &Device::bytesAllocated);
}
