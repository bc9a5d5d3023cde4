// How a launch gets its counters.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_COUNTING_H
#define PTX_COUNTERS_COUNTING_H

#include "Machine/Observer.h"

#include <functional>
#include <memory>

namespace ptx {

struct LaunchResult;

/// An observer that counts; \p finish is made to put the counters into the
/// result of the launch.
std::unique_ptr<Observer>
makeCounting(Grid &grid, std::function<void(LaunchResult &)> &finish);

} // namespace ptx

#endif // PTX_COUNTERS_COUNTING_H
