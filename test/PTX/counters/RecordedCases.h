// Reads test/PTX/counters/cases.txt.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_RECORDEDCASES_H
#define PTX_TEST_RECORDEDCASES_H

#include "ptx/Counters.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ptx::test {

/// A scalar, or a buffer with its fill.
struct CaseArgument {
  bool isBuffer = false, isOutput = false;
  int32_t value = 0;
  uint64_t bytes = 0;
  std::string fill;
  uint32_t a = 0, b = 0, c = 0;
  std::vector<uint32_t> list;
};

struct RecordedCase {
  std::string name;
  std::vector<CaseArgument> arguments;
  std::vector<uint64_t> hashes; ///< of the output buffers
  /// What the hardware counted, and the chains known from the source.
  CounterValues counters;
  double seconds = 0;
};

inline std::vector<std::string> splitAt(const std::string &text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text + at);
  for (std::string part; std::getline(stream, part, at);)
    parts.push_back(part);
  return parts;
}

inline Dim3 readDim(const std::string &text) {
  Dim3 dim;
  std::sscanf(text.c_str(), "%u,%u,%u", &dim.x, &dim.y, &dim.z);
  return dim;
}

inline void readValues(const std::string &text, CounterValues &counters) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    size_t equals = word.find('=');
    counters.values[word.substr(0, equals)] =
        std::stod(word.substr(equals + 1));
  }
}

inline CaseArgument readArgument(const std::string &text) {
  std::vector<std::string> parts = splitAt(text, ':');
  CaseArgument argument;
  if (parts[0] == "i32") {
    argument.value = int32_t(std::stol(parts[1]));
    return argument;
  }
  argument.isBuffer = true;
  argument.bytes = std::stoull(parts[1]);
  argument.fill = parts[2];
  if (argument.fill == "list") {
    for (const std::string &value : splitAt(parts[3], ','))
      argument.list.push_back(uint32_t(std::stoul(value)));
    return argument;
  }
  argument.a = uint32_t(std::stoul(parts[3]));
  argument.b = uint32_t(std::stoul(parts[4]));
  argument.c = uint32_t(std::stoul(parts[5]));
  argument.isOutput = parts.size() > 6;
  return argument;
}

inline RecordedCase readCase(const std::string &line) {
  std::vector<std::string> fields = splitAt(line, '|');
  RecordedCase c;
  c.name = fields.at(0);
  LaunchShape &shape = c.counters.shape;
  shape.kernel = fields.at(1);
  shape.grid = readDim(fields.at(2));
  shape.block = readDim(fields.at(3));
  shape.dynamicShared = uint32_t(std::stoul(fields.at(4)));
  shape.blocksPerSm = unsigned(std::stoul(fields.at(5)));
  std::istringstream arguments(fields.at(6)), hashes(fields.at(7));
  for (std::string word; arguments >> word;)
    c.arguments.push_back(readArgument(word));
  for (uint64_t hash; hashes >> hash;)
    c.hashes.push_back(hash);
  readValues(fields.at(8), c.counters);
  readValues(fields.at(9), c.counters);
  // One tensor instruction of these kernels is a bf16 m16n8k16.
  c.counters.values["mma_work"] = 4096 * c.counters["pipe_tensor"];
  c.counters.cacheModel = true;
  c.seconds = c.counters["ns"] * 1e-9;
  return c;
}

inline std::vector<RecordedCase> readRecordedCases(const std::string &path) {
  std::ifstream file(path);
  std::vector<RecordedCase> cases;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#')
      cases.push_back(readCase(line));
  return cases;
}

} // namespace ptx::test

#endif // PTX_TEST_RECORDEDCASES_H
