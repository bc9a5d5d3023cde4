// Named counters from what was seen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_COUNTERSUMMARY_H
#define PTX_COUNTERS_COUNTERSUMMARY_H

#include "Counters/CounterObserver.h"
#include "ptx/Counters.h"

#include <memory>
#include <vector>

namespace ptx {

class CounterSummary {
public:
  explicit CounterSummary(const CounterObserver &observer);
  std::shared_ptr<CounterValues> take() { return std::move(result); }

private:
  void findSpins();
  void findLifted();
  void addInstructions();
  void addOperations();
  void addSectors();
  void addShared();
  void addMatrix();
  void addChains();
  void addCaches();
  void addBlocks();
  void addLines();
  void addWork();

  const AccessSums &sums(AccessClass c) const {
    return seen.classes[size_t(c)];
  }
  const Instruction &at(size_t pc) const {
    return seen.shared->program.instructions[pc];
  }
  double &set(const char *name) { return result->values[name]; }

  const CounterObserver &seen;
  std::shared_ptr<CounterValues> result;
  /// Executions that count: those of a loop that only waits count once an
  /// entry.
  std::vector<double> kept;
  /// Shares of the rounds in which a load stays; see CodeFacts::lifted.
  std::vector<double> stays;
  double warps = 0;
};

} // namespace ptx

#endif // PTX_COUNTERS_COUNTERSUMMARY_H
