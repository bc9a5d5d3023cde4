// Counters and modelled times as JSON.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Counters.h"
#include "ptx/Model.h"

#include <cstdio>
#include <sstream>

namespace ptx {

static std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      result += code;
    } else {
      result += c;
    }
  }
  return result + "\"";
}

static std::string number(double value) {
  char text[32];
  // Whole numbers as such: the counters are counts.
  bool whole = value == static_cast<double>(static_cast<int64_t>(value));
  std::snprintf(text, sizeof text, whole ? "%.0f" : "%.9g", value);
  return text;
}

static std::string list(Dim3 d) {
  return "[" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " +
         std::to_string(d.z) + "]";
}

std::string CounterValues::json() const {
  std::ostringstream out;
  out << "{\"kernel\": " << quoted(shape.kernel)
      << ", \"grid\": " << list(shape.grid)
      << ", \"block\": " << list(shape.block)
      << ", \"cluster\": " << list(shape.cluster)
      << ", \"static_shared\": " << shape.staticShared
      << ", \"dynamic_shared\": " << shape.dynamicShared
      << ", \"registers\": " << shape.registers
      << ", \"blocks_per_sm\": " << shape.blocksPerSm
      << ", \"cache_model\": " << (cacheModel ? "true" : "false")
      << ",\n \"counters\": {";
  const char *comma = "";
  for (const auto &[name, value] : values) {
    out << comma << "\n  " << quoted(name) << ": " << number(value);
    comma = ",";
  }
  out << "},\n \"blocks\": [";
  comma = "";
  for (const BlockCounters &b : blocks) {
    out << comma << "\n  {\"function\": " << quoted(b.function)
        << ", \"first_line\": " << b.firstLine
        << ", \"last_line\": " << b.lastLine
        << ", \"source_line\": " << b.sourceLine
        << ", \"executions\": " << b.executions
        << ", \"warp_inst\": " << number(b.machineInstructions)
        << ", \"ptx_warp_inst\": " << b.warpInstructions
        << ", \"ptx_lane_inst\": " << b.laneInstructions
        << ", \"sectors\": " << b.sectors
        << ", \"ideal_sectors\": " << b.idealSectors
        << ", \"wavefronts\": " << b.wavefronts
        << ", \"ideal_wavefronts\": " << b.idealWavefronts << "}";
    comma = ",";
  }
  out << "],\n \"lines\": [";
  comma = "";
  for (const LineCounters &l : lines) {
    out << comma << "\n  {\"line\": " << l.line << ", \"warps\": " << l.warps
        << ", \"sectors\": " << l.sectors
        << ", \"ideal_sectors\": " << l.idealSectors
        << ", \"wavefronts\": " << l.wavefronts
        << ", \"ideal_wavefronts\": " << l.idealWavefronts << "}";
    comma = ",";
  }
  out << "]}\n";
  return out.str();
}

std::string TimeEstimate::json() const {
  std::ostringstream out;
  out << "{\"lower\": " << number(lower) << ", \"upper\": " << number(upper)
      << ", \"point\": " << number(point)
      << ", \"latency\": " << number(latency)
      << ", \"limit\": " << quoted(std::string(limit)) << ", \"terms\": {";
  const char *comma = "";
  for (const TimeTerm &term : terms) {
    out << comma << quoted(std::string(term.name))
        << ": {\"what\": " << quoted(std::string(term.what))
        << ", \"best\": " << number(term.best)
        << ", \"usual\": " << number(term.usual) << "}";
    comma = ", ";
  }
  out << "}}";
  return out.str();
}

} // namespace ptx
