// What is wrong with a running kernel.
//
// The observer behind LaunchOptions::checks: shadow memory for undefined bytes
// and bytes that a copy in flight will write, and the race detector.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_CHECKS_H
#define PTX_CHECKS_CHECKS_H

#include "Machine/Observer.h"

#include <memory>

namespace ptx {

struct Grid;
class Journal;

/// Checks a launch and reports to \p journal; null if \p grid's options ask for
/// nothing that an observer finds. With races, all blocks must be executed by
/// one host thread.
std::unique_ptr<Observer> makeChecks(Grid &grid, Journal &journal);

} // namespace ptx

#endif // PTX_CHECKS_CHECKS_H
