//===- RecordedCases.h - Reads test/PTX/counters/cases.txt ------*- C++ -*-===//

#ifndef PTX_TEST_RECORDEDCASES_H
#define PTX_TEST_RECORDEDCASES_H

#include "ptx/Counters.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ptx::test {

struct RecordedCase {
  std::string name;
  /// What the hardware counted, and the chains known from the source.
  CounterValues counters;
  double seconds = 0;
};

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

inline std::vector<RecordedCase> readRecordedCases() {
  std::ifstream file(PTX_TEST_DATA "/counters/cases.txt");
  std::vector<RecordedCase> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    std::vector<std::string> fields;
    std::istringstream parts(line + "|");
    for (std::string field; std::getline(parts, field, '|');)
      fields.push_back(field);
    RecordedCase c;
    c.name = fields.at(0);
    LaunchShape &shape = c.counters.shape;
    shape.kernel = fields.at(1);
    shape.grid = readDim(fields.at(2));
    shape.block = readDim(fields.at(3));
    shape.dynamicShared = uint32_t(std::stoul(fields.at(4)));
    shape.blocksPerSm = unsigned(std::stoul(fields.at(5)));
    readValues(fields.at(8), c.counters);
    readValues(fields.at(9), c.counters);
    // One tensor instruction of these kernels is a bf16 m16n8k16.
    c.counters.values["mma_flop"] = 4096 * c.counters["pipe_tensor"];
    c.counters.cacheModel = true;
    c.seconds = c.counters["ns"] * 1e-9;
    cases.push_back(std::move(c));
  }
  return cases;
}

} // namespace ptx::test

#endif // PTX_TEST_RECORDEDCASES_H
