// Tensors of other frameworks, by the DLPack protocol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DLPack.h"
#include "Errors.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir::moe::python;

namespace {
// Layouts of a public interface (version 0, which all frameworks speak).
struct Device {
  int32_t type, number;
};
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct Tensor {
  void *data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t *shape, *strides;
  uint64_t byteOffset;
};
struct ManagedTensor {
  Tensor tensor;
  void *context;
  void (*deleter)(ManagedTensor *);
};

/// A tensor of ours and what keeps its memory.
struct Exported {
  ManagedTensor managed;
  std::vector<int64_t> shape;
  PyObject *owner;
};
} // namespace

static constexpr const char *kName = "dltensor";

static py::tuple readDLPack(const py::object &object) {
  auto *managed =
      static_cast<ManagedTensor *>(PyCapsule_GetPointer(object.ptr(), kName));
  if (!managed)
    throw py::error_already_set();
  const Tensor &tensor = managed->tensor;
  if (tensor.dtype.lanes != 1)
    raise("an element of a DLPack tensor is a vector of " +
          std::to_string(tensor.dtype.lanes) + "; pass one of scalars");
  auto sizes = [&](const int64_t *values) -> py::object {
    if (!values)
      return py::none();
    return py::cast(std::vector<int64_t>(values, values + tensor.rank));
  };
  return py::make_tuple(
      reinterpret_cast<uintptr_t>(tensor.data) + tensor.byteOffset,
      py::cast(std::vector<int64_t>(tensor.shape, tensor.shape + tensor.rank)),
      sizes(tensor.strides),
      py::make_tuple(tensor.dtype.code, tensor.dtype.bits),
      py::make_tuple(tensor.device.type, tensor.device.number));
}

/// May be called from any thread, by whoever took the tensor over.
static void drop(ManagedTensor *managed) {
  auto *exported = static_cast<Exported *>(managed->context);
  py::gil_scoped_acquire acquire;
  Py_DECREF(exported->owner);
  delete exported;
}

/// A capsule that nobody took the tensor from.
static void dropUnused(PyObject *capsule) {
  if (!PyCapsule_IsValid(capsule, kName))
    return;
  auto *managed =
      static_cast<ManagedTensor *>(PyCapsule_GetPointer(capsule, kName));
  managed->deleter(managed);
}

static py::object makeDLPack(const py::object &owner, uintptr_t pointer,
                             std::vector<int64_t> shape,
                             std::pair<uint8_t, uint8_t> dtype,
                             std::pair<int32_t, int32_t> device) {
  auto *exported = new Exported{{}, std::move(shape), owner.ptr()};
  Py_INCREF(exported->owner);
  exported->managed = {{reinterpret_cast<void *>(pointer),
                        {device.first, device.second},
                        static_cast<int32_t>(exported->shape.size()),
                        {dtype.first, dtype.second, 1},
                        exported->shape.data(),
                        /*strides=*/nullptr,
                        /*byteOffset=*/0},
                       exported,
                       &drop};
  PyObject *capsule = PyCapsule_New(&exported->managed, kName, &dropUnused);
  if (!capsule) {
    drop(&exported->managed);
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(capsule);
}

void mlir::moe::python::bindDLPack(py::module_ &m) {
  m.def("read_dlpack", &readDLPack, py::arg("capsule"));
  m.def("make_dlpack", &makeDLPack, py::arg("owner"), py::arg("pointer"),
        py::arg("shape"), py::arg("dtype"), py::arg("device"));
}
