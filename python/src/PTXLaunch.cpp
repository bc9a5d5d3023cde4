// Launches: options in, findings and counters out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PTXBindings.h"

#include "ptx/Counters.h"
#include "ptx/Launch.h"
#include "ptx/Model.h"
#include "ptx/Module.h"

#include <pybind11/stl.h>

#include <sstream>

namespace py = pybind11;
using namespace ptx;

namespace {
using Size = std::array<uint32_t, 3>;
Dim3 dim(const Size &size) { return {size[0], size[1], size[2]}; }

template <class T> T get(const py::dict &options, const char *name) {
  return options[name].cast<T>();
}

CheckSet checksOf(const std::vector<std::string> &names) {
  CheckSet set;
  for (const std::string &name : names) {
    set.bounds |= name == "bounds";
    set.race |= name == "race";
    set.poison |= name == "poison";
    set.async |= name == "async";
    set.sameValueRaces |= name == "same-value-race";
  }
  return set;
}

/// moe_mlir/ptx.py has checked names and ranges.
LaunchOptions optionsOf(const py::dict &given) {
  LaunchOptions options;
  options.grid = dim(get<Size>(given, "grid"));
  options.block = dim(get<Size>(given, "block"));
  options.cluster = dim(get<Size>(given, "cluster"));
  options.dynamicShared = get<uint32_t>(given, "shared");
  options.cooperative = get<bool>(given, "cooperative");
  options.checks = checksOf(get<std::vector<std::string>>(given, "check"));
  options.counters = get<bool>(given, "counters");
  options.cacheModel = get<bool>(given, "cache_model");
  if (get<std::string>(given, "order") == "random")
    options.order = ScheduleOrder::Random;
  options.seed = get<uint64_t>(given, "seed");
  options.resident = get<std::optional<unsigned>>(given, "resident");
  options.threads = get<unsigned>(given, "threads");
  options.sm = get<std::optional<unsigned>>(given, "sm");
  if (get<std::string>(given, "tensor") == "fast")
    options.tensor = TensorMode::Fast;
  if (get<std::string>(given, "completion") == "earliest")
    options.completion = Completion::Earliest;
  options.instructionBudget = get<uint64_t>(given, "budget");
  return options;
}

py::dict describe(const FindingPlace &place) {
  py::list lanes;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (place.lanes >> lane & 1)
      lanes.append(lane);
  py::dict result;
  result["line"] = place.line;
  result["column"] = place.column;
  result["source_line"] = place.sourceLine;
  result["source_file"] = place.sourceFile;
  result["instruction"] = place.instruction;
  result["block"] = py::make_tuple(place.block.x, place.block.y, place.block.z);
  result["warp"] = place.warp;
  result["lanes"] = lanes;
  return result;
}

py::dict describe(const Finding &finding) {
  py::dict result;
  result["kind"] = std::string(findingName(finding.kind));
  result["place"] = describe(finding.place);
  result["other"] = finding.other ? py::object(describe(*finding.other))
                                  : py::object(py::none());
  result["message"] = finding.message;
  result["fatal"] = finding.fatal;
  result["count"] = finding.count;
  result["text"] = finding.text();
  return result;
}

py::list describeBlocks(const CounterValues &counters) {
  py::list result;
  for (const BlockCounters &block : counters.blocks) {
    py::dict entry;
    entry["function"] = block.function;
    entry["first_line"] = block.firstLine;
    entry["last_line"] = block.lastLine;
    entry["source_line"] = block.sourceLine;
    entry["executions"] = block.executions;
    entry["warp_inst"] = block.warpInstructions;
    entry["lane_inst"] = block.laneInstructions;
    entry["sectors"] = block.sectors;
    entry["ideal_sectors"] = block.idealSectors;
    entry["wavefronts"] = block.wavefronts;
    entry["ideal_wavefronts"] = block.idealWavefronts;
    result.append(entry);
  }
  return result;
}

py::dict describe(const TimeEstimate &time) {
  py::dict terms;
  for (const TimeTerm &term : time.terms) {
    py::dict entry;
    entry["what"] = std::string(term.what);
    entry["best"] = term.best;
    entry["usual"] = term.usual;
    terms[py::str(std::string(term.name))] = entry;
  }
  py::dict result;
  result["lower"] = time.lower;
  result["upper"] = time.upper;
  result["point"] = time.point;
  result["latency"] = time.latency;
  result["limit"] = std::string(time.limit);
  result["terms"] = terms;
  return result;
}
} // namespace

void ptx::python::bindLaunch(py::module_ &m) {
  py::class_<CounterValues, std::shared_ptr<CounterValues>>(m, "CounterValues")
      .def("values",
           [](const CounterValues &counters) { return counters.values; })
      .def("blocks", &describeBlocks)
      .def("block_work",
           [](const CounterValues &counters) { return counters.blockWork; })
      .def("json", &CounterValues::json)
      .def("scaled",
           [](const CounterValues &counters, double factor, const Size &grid) {
             return std::make_shared<CounterValues>(
                 counters.scaled(factor, dim(grid)));
           })
      .def("estimate",
           [](const CounterValues &counters, const std::string &chip) {
             return describe(estimateTime(counters, chipNamed(chip)));
           })
      .def("report", [](const CounterValues &counters, const std::string &chip,
                        const std::string &text) {
        std::ostringstream out;
        printReport(out, counters, chipNamed(chip), text);
        return out.str();
      });
  py::class_<LaunchResult>(m, "LaunchResult")
      .def("findings",
           [](const LaunchResult &result) {
             py::list list;
             for (const Finding &finding : result.findings)
               list.append(describe(finding));
             return list;
           })
      .def_readonly("counters", &LaunchResult::counters)
      .def_property_readonly(
          // What a kernel prints need not be UTF-8.
          "log",
          [](const LaunchResult &result) { return py::bytes(result.log); })
      .def_readonly("completed", &LaunchResult::completed)
      .def_readonly("warp_instructions", &LaunchResult::warpInstructions);
  m.def(
      "launch",
      [](Device &device, const Module &module, const std::string &kernel,
         const py::dict &given, const std::string &params) {
        LaunchOptions options = optionsOf(given);
        py::gil_scoped_release release;
        return launch(device, module, kernel, options,
                      std::as_bytes(std::span(params)));
      },
      py::arg("device"), py::arg("module"), py::arg("kernel"),
      py::arg("options"), py::arg("params"));
}
