// What ptxas would make of a program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_MACHINECODE_H
#define PTX_COUNTERS_MACHINECODE_H

#include "Counters/ControlFlow.h"
#include "Counters/MachineCost.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx {

/// What the counters must know of an instruction before it runs.
struct CodeFacts {
  MachineCost cost;
  bool resultUnused = false;   ///< nobody reads what it returns
  bool uniformAddress = false; ///< one address for all lanes, known by ptxas
  bool chained = false; ///< a load whose address comes from its own last result
  /// Back edge of a loop that does nothing but wait for another CTA.
  bool spins = false;
  uint32_t spinBegin = 0; ///< with `spins`: where the loop begins
  /// A load of shared memory that another one does too, or that does what this
  /// and others ask for: 8 or 16 bytes.
  bool merged = false;
  uint32_t mergedBytes = 0; ///< 0: it loads for itself
  /// A load that gives the same in each round of the loop [liftedFrom,
  /// liftedTo], and is taken out of it.
  bool lifted = false;
  uint32_t liftedFrom = 0, liftedTo = 0;
};

/// An estimate: single instructions weigh what MachineCost says, less what
/// ptxas is known to fold into a neighbour of the same block. Within 20 % of
/// the executed machine instructions on three of four kernels.
class MachineCode {
public:
  explicit MachineCode(const Program &program);

  const CodeFacts &at(uint32_t pc) const { return facts[pc]; }
  /// 32-bit registers a thread of \p kernel needs: the most that are alive
  /// at once, and a few.
  unsigned registersOf(const Function &kernel) const {
    return registers[size_t(&kernel - program.functions.data())];
  }

private:
  class Folder;
  void findLoops(const ControlFlow &flow);
  void findUses(const ControlFlow &flow);
  bool isChained(const ControlFlow &flow, uint32_t begin, uint32_t end,
                 uint32_t load) const;
  bool onlyWaits(uint32_t begin, uint32_t end) const;
  void findLifted(const ControlFlow &flow, uint32_t begin, uint32_t last);

  const Program &program;
  std::vector<CodeFacts> facts;    ///< by instruction
  std::vector<unsigned> registers; ///< by function
};

} // namespace ptx

#endif // PTX_COUNTERS_MACHINECODE_H
