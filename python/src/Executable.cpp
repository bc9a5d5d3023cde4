// Compiled functions on numpy arrays.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BuildIdentity.h"
#include "Errors.h"
#include "Module.h"

#include "moe/Runtime/CallMemory.h"
#include "moe/Runtime/LoadedCode.h"
#include "moe/Runtime/NativeModule.h"
#include "moe/Runtime/OpenMP.h"

#include "llvm/ADT/StringSwitch.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir::moe;
using namespace mlir::moe::python;

namespace {

/// A memref descriptor as 64-bit words: allocated pointer, aligned pointer,
/// offset, sizes, strides (in elements).
size_t descriptorWords(size_t rank) { return 3 + 2 * rank; }

/// The allocated pointer of a buffer that is a constant of the module. MLIR's
/// lowering of memref.get_global stores this number.
constexpr uint64_t kConstantMark = 0xdeadbeef;

void appendDescriptor(const py::array &array, std::vector<uint64_t> &words) {
  auto data = reinterpret_cast<uint64_t>(array.data());
  words.insert(words.end(), {data, data, 0});
  for (py::ssize_t i = 0; i < array.ndim(); ++i)
    words.push_back(array.shape(i));
  for (py::ssize_t i = 0; i < array.ndim(); ++i)
    words.push_back(array.strides(i) / array.itemsize());
}

Guard parseGuard(const std::string &name) {
  auto guard = llvm::StringSwitch<std::optional<Guard>>(name)
                   .Case("none", Guard::None)
                   .Case("start", Guard::Start)
                   .Case("end", Guard::End)
                   .Default(std::nullopt);
  if (!guard)
    check(llvm::createStringError("guard is '" + name +
                                  "'; use none, start or end"));
  return *guard;
}

class Executable {
public:
  Executable(const py::bytes &object, const std::string &cpu, int threads,
             const std::string &guard)
      : threads(threads) {
    auto target = take(mlir::moe::NativeCPU::get(cpu));
    Guard guarded = parseGuard(guard);
    std::string_view bytes = object;
    auto loaded = [&] {
      py::gil_scoped_release release;
      return LoadedCode::load(llvm::ArrayRef<char>(bytes.data(), bytes.size()),
                              target, guarded);
    }();
    code = take(std::move(loaded));
  }

  py::list call(const std::string &function, const py::sequence &arguments,
                const std::vector<std::pair<py::dtype, size_t>> &results,
                std::optional<int> threads);

private:
  LoadedCode::PackedFunction lookup(const std::string &function) {
    auto [entry, isNew] = functions.try_emplace(function, nullptr);
    if (isNew) {
      auto address = code->lookup(function);
      if (!address)
        functions.erase(entry);
      check(address.takeError());
      entry->second = *address;
    }
    return entry->second;
  }

  std::unique_ptr<LoadedCode> code;
  std::map<std::string, LoadedCode::PackedFunction> functions;
  int threads;
};

/// Turns the descriptors that a call returned into arrays. A result owns its
/// memory; views of one allocation share it; what belongs to an argument or to
/// the code is copied, because its life is not the result's.
class ResultReader {
public:
  explicit ResultReader(const std::vector<py::array> &arguments)
      : arguments(arguments) {}

  py::array read(const uint64_t *words, const py::dtype &dtype, size_t rank) {
    std::vector<py::ssize_t> shape, strides;
    py::ssize_t size = dtype.itemsize();
    for (size_t i = 0; i < rank; ++i) {
      shape.push_back(words[3 + i]);
      strides.push_back(words[3 + rank + i] * size);
    }
    auto *data = reinterpret_cast<char *>(words[1]) + words[2] * size;
    if (words[0] == kConstantMark || belongsToArgument(words[0])) {
      py::capsule nobody(data, [](void *) {});
      return py::array(dtype, shape, strides, data, nobody)
          .attr("copy")()
          .cast<py::array>();
    }
    return py::array(dtype, shape, strides, data, owner(words[0]));
  }

private:
  bool belongsToArgument(uint64_t pointer) const {
    for (const py::array &argument : arguments) {
      auto begin = reinterpret_cast<uint64_t>(argument.data());
      // The first byte counts for an empty argument too: its memory is
      // numpy's, however little of it is used.
      if (pointer == begin ||
          (pointer > begin && pointer < begin + argument.nbytes()))
        return true;
    }
    return false;
  }

  py::capsule owner(uint64_t allocated) {
    for (auto &[pointer, capsule] : owners)
      if (pointer == allocated)
        return capsule;
    // A capsule does not take a null pointer, which malloc(0) may give.
    auto *memory = reinterpret_cast<void *>(allocated);
    py::capsule capsule =
        memory ? py::capsule(memory, [](void *p) { freeResult(p); })
               : py::capsule(&owners, [](void *) {});
    owners.emplace_back(allocated, capsule);
    return capsule;
  }

  const std::vector<py::array> &arguments;
  std::vector<std::pair<uint64_t, py::capsule>> owners;
};

py::list
Executable::call(const std::string &function, const py::sequence &arguments,
                 const std::vector<std::pair<py::dtype, size_t>> &results,
                 std::optional<int> threadsOfCall) {
  auto address = lookup(function);
  std::vector<py::array> arrays;
  std::vector<uint64_t> words;
  size_t resultWords = 0;
  for (const auto &[dtype, rank] : results)
    resultWords += descriptorWords(rank);
  words.resize(resultWords);
  std::vector<size_t> starts;
  for (py::handle argument : arguments) {
    arrays.push_back(py::reinterpret_borrow<py::array>(argument));
    starts.push_back(words.size());
    appendDescriptor(arrays.back(), words);
  }
  std::vector<void *> pointers;
  if (!results.empty())
    pointers.push_back(words.data());
  for (size_t start : starts)
    pointers.push_back(words.data() + start);
  check([&] {
    py::gil_scoped_release release;
    return code->call(address, pointers.data(),
                      threadsOfCall.value_or(threads));
  }());
  py::list values;
  ResultReader reader(arrays);
  const uint64_t *next = words.data();
  for (const auto &[dtype, rank] : results) {
    values.append(reader.read(next, dtype, rank));
    next += descriptorWords(rank);
  }
  return values;
}

} // namespace

void python::bindExecutable(py::module_ &m) {
  py::class_<Executable>(m, "Executable",
                         "Compiled functions, loaded into this process.")
      .def(py::init<const py::bytes &, const std::string &, int,
                    const std::string &>(),
           py::arg("object"), py::arg("cpu") = "host", py::arg("threads") = 1,
           py::arg("guard") = "none")
      .def("call", &Executable::call, py::arg("function"), py::arg("arguments"),
           py::arg("results"), py::arg("threads") = py::none());
  m.def("build_identity", &buildIdentity);
  m.def(
      "undefined_symbols",
      [](const py::bytes &object) {
        return take(mlir::moe::undefinedSymbols(std::string_view(object)));
      },
      py::arg("object"));
  m.def(
      "check_symbols",
      [](const py::bytes &object) {
        check(mlir::moe::checkUndefinedSymbols(std::string_view(object)));
      },
      py::arg("object"));
  m.def("openmp_path", [] { return take(OpenMP::get())->getPath().str(); });
  m.def(
      "check_cpu",
      [](const std::string &cpu, bool here) {
        auto target = take(mlir::moe::NativeCPU::get(cpu));
        if (here)
          check(target.checkRunsHere());
        return std::make_pair(target.name, target.features);
      },
      py::arg("cpu"), py::arg("runs_here") = false);
}
