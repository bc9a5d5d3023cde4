// Runs a recorded case on the emulator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_CASERUNNER_H
#define PTX_TEST_CASERUNNER_H

#include "RecordedCases.h"

#include "ptx/Launch.h"
#include "ptx/Module.h"

#include <optional>
#include <string>
#include <vector>

namespace ptx::test {

struct CaseResult {
  std::shared_ptr<CounterValues> counters;
  std::vector<uint64_t> hashes;
  std::vector<Finding> findings;
  double hostSeconds = 0; ///< of the launch alone
};

CaseResult runCase(const Module &module, const RecordedCase &c,
                   const LaunchOptions &options);

} // namespace ptx::test

#endif // PTX_TEST_CASERUNNER_H
