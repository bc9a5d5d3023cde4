// Loads of shared memory that ptxas makes one of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_MERGEDLOADS_H
#define PTX_COUNTERS_MERGEDLOADS_H

#include "Counters/KnownZeros.h"
#include "Counters/MachineCode.h"

#include <cstdint>
#include <vector>

namespace ptx {

/// May shared memory hold something else behind \p in?
bool mayChangeShared(const Instruction &in);

/// Loads of neighbouring words from one base, with no write or barrier in
/// between, become a load of 8 or 16 bytes where the base is known to be
/// aligned; loads of the same word become one. Marks them in the facts.
class MergedLoads {
public:
  MergedLoads(const Program &program, const ControlFlow &flow,
              const KnownZeros &zeros, std::vector<CodeFacts> &facts)
      : program(program), flow(flow), zeros(zeros), facts(facts) {}
  void run();

private:
  /// Loads from what one register holds at the time.
  struct Loads {
    uint32_t place; ///< of the base; kNoPlace: no register
    unsigned zeros; ///< of the base
    struct One {
      int64_t offset;
      uint32_t bytes;
      uint32_t pc;
    };
    std::vector<One> list;
  };
  void addLoad(const Instruction &in, uint32_t pc,
               const KnownZeros::State &state);
  void finish(Loads &loads);
  /// The width of a load that starts with list[first], and how many it takes.
  uint32_t widthAt(const Loads &loads, size_t first, size_t &count) const;
  void finishAll();

  const Program &program;
  const ControlFlow &flow;
  const KnownZeros &zeros;
  std::vector<CodeFacts> &facts;
  std::vector<Loads> open;
};

} // namespace ptx

#endif // PTX_COUNTERS_MERGEDLOADS_H
