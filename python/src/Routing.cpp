// The routing rule of lib/Routing in Python.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Errors.h"
#include "Module.h"

#include "moe/Routing/Route.h"

#include <cmath>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

namespace py = pybind11;
namespace routing = ::moe::routing;

namespace {

routing::ElementType elementType(const std::string &dtype) {
  if (dtype == "bf16")
    return routing::ElementType::BF16;
  return dtype == "f16" ? routing::ElementType::F16 : routing::ElementType::F32;
}

/// A choice by its spelling, which the package has checked.
template <typename T>
T choice(const py::dict &options, const char *name,
         std::optional<T> (*parse)(std::string_view)) {
  auto text = options[name].cast<std::string>();
  if (auto value = parse(text))
    return *value;
  mlir::moe::python::raise(std::string(name) + " has no value '" + text + "'");
}

routing::RouteOptions readOptions(const py::dict &options) {
  routing::RouteOptions result;
  result.k = options["k"].cast<int64_t>();
  result.scope = choice(options, "scope", routing::parseScope);
  result.score = choice(options, "score", routing::parseScore);
  result.normalize = choice(options, "normalize", routing::parseNormalize);
  result.scale = options["scale"].cast<double>();
  result.eps = options["eps"].cast<double>();
  result.normMin = options["norm_min"].cast<double>();
  result.nGroup = options["n_group"].cast<int64_t>();
  result.topkGroup = options["topk_group"].cast<int64_t>();
  result.groupScore = choice(options, "group_score", routing::parseGroupScore);
  result.floor = options["floor"].cast<int64_t>();
  if (!options["cap"].is_none())
    result.cap = options["cap"].cast<int64_t>();
  result.rankLogits = options["rank_logits"].cast<bool>();
  return result;
}

/// Logits [S, T, E], dense; `dtype` names their element type.
routing::RouteInputs readInputs(const py::array &logits,
                                const std::string &dtype,
                                const std::optional<py::array> &bias,
                                const std::optional<py::array> &valid) {
  routing::RouteInputs inputs;
  inputs.logits = logits.data();
  inputs.logitsType = elementType(dtype);
  inputs.sequences = logits.shape(0);
  inputs.tokens = logits.shape(1);
  inputs.experts = logits.shape(2);
  if (bias)
    inputs.choiceBias = static_cast<const float *>(bias->data());
  if (valid)
    inputs.valid = static_cast<const uint8_t *>(valid->data());
  return inputs;
}

template <typename T> py::array toArray(std::vector<T> values) {
  auto *owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned,
                    [](void *p) { delete static_cast<std::vector<T> *>(p); });
  return py::array_t<T>(owned->size(), owned->data(), owner);
}

py::tuple referenceRoute(const py::dict &options, const py::array &logits,
                         const std::string &dtype,
                         const std::optional<py::array> &bias,
                         const std::optional<py::array> &valid) {
  routing::RouteOptions chosen = readOptions(options);
  routing::RouteInputs inputs = readInputs(logits, dtype, bias, valid);
  routing::Plan plan;
  std::optional<std::string> problem;
  {
    py::gil_scoped_release release;
    problem = routing::route(chosen, inputs, plan);
  }
  if (problem)
    mlir::moe::python::raise(*problem);
  return py::make_tuple(
      toArray(std::move(plan.expertOffsets)), toArray(std::move(plan.rowToken)),
      toArray(std::move(plan.tokenOffsets)), toArray(std::move(plan.tokenRow)),
      toArray(std::move(plan.gates)));
}

/// Valid tokens with a NaN among their logits. A NaN is told by its bits, which
/// is the same test for every float type.
template <typename T>
int64_t countNaNTokens(const routing::RouteInputs &inputs, T infinity) {
  const T *row = static_cast<const T *>(inputs.logits);
  const T magnitude = static_cast<T>(~T(0)) >> 1;
  int64_t count = 0;
  for (int64_t token = 0, end = inputs.sequences * inputs.tokens; token < end;
       ++token, row += inputs.experts) {
    T largest = 0;
    for (int64_t e = 0; e < inputs.experts; ++e) {
      T bits = row[e] & magnitude;
      largest = bits > largest ? bits : largest;
    }
    count += largest > infinity && (!inputs.valid || inputs.valid[token]);
  }
  return count;
}

int64_t nanTokens(const py::array &logits, const std::string &dtype,
                  const std::optional<py::array> &valid) {
  routing::RouteInputs inputs = readInputs(logits, dtype, std::nullopt, valid);
  py::gil_scoped_release release;
  switch (inputs.logitsType) {
  case routing::ElementType::F32:
    return countNaNTokens<uint32_t>(inputs, 0x7F800000);
  case routing::ElementType::BF16:
    return countNaNTokens<uint16_t>(inputs, 0x7F80);
  case routing::ElementType::F16:
    return countNaNTokens<uint16_t>(inputs, 0x7C00);
  }
  return 0;
}

} // namespace

void mlir::moe::python::bindRouting(py::module_ &m) {
  m.def("reference_route", &referenceRoute, py::arg("options"),
        py::arg("logits"), py::arg("dtype"), py::arg("choice_bias"),
        py::arg("valid"));
  m.def("nan_tokens", &nanTokens, py::arg("logits"), py::arg("dtype"),
        py::arg("valid"));
  m.def(
      "check_options",
      [](const py::dict &options, int64_t experts) {
        return routing::checkOptions(readOptions(options), experts);
      },
      py::arg("options"), py::arg("experts"));
  m.def("check_sizes", &routing::checkSizes, py::arg("sequences"),
        py::arg("tokens"), py::arg("experts"), py::arg("k"));
}
