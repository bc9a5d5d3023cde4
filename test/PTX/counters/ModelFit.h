// How far the time model depends on the cases its constants were chosen by.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_MODELFIT_H
#define PTX_TEST_MODELFIT_H

#include "ptx/Counters.h"

#include <memory>
#include <string>
#include <vector>

namespace ptx::test {

/// A kernel with its measured time.
struct TimedCase {
  std::string family; ///< cases of one family go to the same half
  double seconds = 0;
  std::shared_ptr<const CounterValues> counters;
};

/// The family of a recorded case: the first word of its name.
std::string familyOf(const std::string &caseName);

/// Chooses the constants that the table marks as fit anew on one half of the
/// cases, by families, tests them on the other, and prints both, over several
/// divisions into halves.
void printCrossValidation(const std::vector<TimedCase> &cases);

} // namespace ptx::test

#endif // PTX_TEST_MODELFIT_H
