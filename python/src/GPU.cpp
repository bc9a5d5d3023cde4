// Devices, their memory, and compiled code on them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DLPack.h"
#include "Errors.h"
#include "Module.h"

#include "moe/Routing/GPUChip.h"
#include "moe/Runtime/GPUProgram.h"

#include "llvm/ADT/STLExtras.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir::moe;
using namespace mlir::moe::python;

/// Calls `run` without the GIL; raises what it returns.
template <typename Run> static auto released(Run run) {
  auto result = [&] {
    py::gil_scoped_release release;
    return run();
  }();
  if constexpr (std::is_same_v<decltype(result), llvm::Error>)
    return check(std::move(result));
  else
    return take(std::move(result));
}

static DriverStream streamOf(uintptr_t handle) {
  return reinterpret_cast<DriverStream>(handle);
}

static std::shared_ptr<GPUDevice> openDevice(const std::string &library,
                                             int ordinal) {
  return released([&]() -> llvm::Expected<std::shared_ptr<GPUDevice>> {
    auto driver = GPUDriver::get(library);
    if (!driver)
      return driver.takeError();
    return GPUDevice::open(**driver, ordinal);
  });
}

static void bindDevice(py::module_ &m) {
  py::class_<GPUDevice, std::shared_ptr<GPUDevice>>(m, "GPUDevice")
      .def_static("open", &openDevice, py::arg("library"),
                  py::arg("ordinal") = 0)
      .def_readonly("name", &GPUDevice::name)
      .def_readonly("ordinal", &GPUDevice::ordinal)
      .def_readonly("capability", &GPUDevice::capability)
      .def_property_readonly(
          "driver_version",
          [](const GPUDevice &device) { return device.driver.getVersion(); })
      .def("synchronize",
           [](const GPUDevice &device, uintptr_t stream) {
             released([&] { return synchronize(device, streamOf(stream)); });
           })
      .def("copy", [](const GPUDevice &device, DevicePointer to,
                      DevicePointer from, size_t bytes, uintptr_t stream) {
        released([&] {
          return copyOnDevice(device, to, from, bytes, streamOf(stream));
        });
      });
  py::class_<GPUBuffer, std::shared_ptr<GPUBuffer>>(m, "GPUBuffer")
      .def_static("allocate",
                  [](std::shared_ptr<GPUDevice> device, size_t bytes) {
                    return released(
                        [&] { return GPUBuffer::allocate(device, bytes); });
                  })
      .def_readonly("pointer", &GPUBuffer::pointer)
      .def_readonly("bytes", &GPUBuffer::bytes);
  m.def("gpu_upload", [](const GPUDevice &device, DevicePointer to,
                         const py::array &from, uintptr_t stream) {
    const void *data = from.data();
    size_t bytes = from.nbytes();
    released([&] {
      return copyToDevice(device, to, data, bytes, streamOf(stream));
    });
  });
  m.def("gpu_download", [](const GPUDevice &device, py::array &to,
                           DevicePointer from, uintptr_t stream) {
    void *data = to.mutable_data();
    size_t bytes = to.nbytes();
    released([&] {
      return copyFromDevice(device, data, from, bytes, streamOf(stream));
    });
  });
  m.def("gpu_chips", [] {
    py::list chips;
    for (const auto &chip : ::moe::routing::gpuChips())
      chips.append(py::make_tuple(std::string(chip.name), chip.capability,
                                  chip.ptx, chip.driver));
    return chips;
  });
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

using Shape = std::vector<int64_t>;

static std::unique_ptr<GPUProgram>
loadProgram(std::shared_ptr<GPUDevice> device, const py::bytes &object,
            const py::bytes &image, const std::vector<std::string> &kernels) {
  std::string_view code = object, text = image;
  return released([&] {
    return GPUProgram::load(device, llvm::ArrayRef(code.data(), code.size()),
                            llvm::StringRef(text), kernels);
  });
}

/// Results as (pointer, shape, owner); the owner is None where the memory is
/// the caller's or an argument's.
static py::list
callProgram(GPUProgram &program, const std::string &function,
            const std::vector<std::pair<DevicePointer, Shape>> &arguments,
            const std::vector<size_t> &ranks, uintptr_t stream,
            const std::vector<std::pair<DevicePointer, size_t>> &given) {
  std::vector<GPUProgram::Tensor> tensors;
  for (const auto &[pointer, shape] : arguments)
    tensors.push_back({pointer, shape});
  std::vector<GPUResult> results;
  for (auto [pointer, bytes] : given)
    results.push_back({pointer, bytes, nullptr});
  auto outputs = released([&] {
    return program.call(function, tensors, ranks, streamOf(stream),
                        std::move(results));
  });
  py::list list;
  for (GPUProgram::Output &output : outputs)
    list.append(py::make_tuple(output.tensor.pointer, output.tensor.shape,
                               output.owner));
  return list;
}

/// (space, number, offset) of an address in a recording.
static py::tuple placeOf(DevicePointer address) {
  static constexpr const char *kNames[] = {"argument", "result", "arena",
                                           "kept"};
  GPURecording::Place place = GPURecording::place(address);
  return py::make_tuple(kNames[static_cast<int>(place.space)], place.number,
                        place.offset);
}

static py::dict
recordProgram(GPUProgram &program, const std::string &function,
              const std::vector<Shape> &shapes,
              const std::vector<size_t> &ranks,
              const std::vector<std::vector<size_t>> &parameterBytes) {
  using py::literals::operator""_a;
  GPURecording recording(parameterBytes);
  auto results = released(
      [&] { return program.record(function, shapes, ranks, recording); });
  py::list launches, memory, tensors;
  for (const auto &[launch, arguments] : recording.launches) {
    py::list values;
    for (auto [bytes, value] :
         llvm::zip_equal(parameterBytes[launch.kernel], arguments))
      if (bytes == sizeof(DevicePointer))
        values.append(placeOf(value));
      else
        values.append(static_cast<int32_t>(value));
    launches.append(py::dict(
        "kernel"_a = launch.kernel,
        "grid"_a =
            py::make_tuple(launch.grid[0], launch.grid[1], launch.grid[2]),
        "threads"_a = launch.threads, "shared_bytes"_a = launch.sharedBytes,
        "cluster"_a = launch.cluster, "cooperative"_a = launch.cooperative != 0,
        "arguments"_a = values));
  }
  for (const auto &[place, bytes] : recording.bytes)
    memory.append(py::make_tuple(
        placeOf(GPURecording::address(place.first, place.second)), bytes));
  for (const GPUProgram::Tensor &tensor : results)
    tensors.append(py::make_tuple(placeOf(tensor.pointer), tensor.shape));
  return py::dict("launches"_a = launches, "memory"_a = memory,
                  "results"_a = tensors);
}

void python::bindGPU(py::module_ &m) {
  bindDevice(m);
  bindDLPack(m);
  py::class_<GPUProgram>(m, "GPUProgram")
      .def(py::init(&loadProgram), py::arg("device"), py::arg("object"),
           py::arg("image"), py::arg("kernels"))
      .def("call", &callProgram, py::arg("function"), py::arg("arguments"),
           py::arg("ranks"), py::arg("stream") = 0,
           py::arg("given") = py::list())
      .def("record", &recordProgram)
      .def_property_readonly(
          "kept_bytes", [](GPUProgram &program) { return program.keptBytes(); })
      .def("release", &GPUProgram::release,
           py::call_guard<py::gil_scoped_release>());
}
