// How many low bits of each register are known to be zero.
//
// What an assembler can prove about alignment: products and shifts by
// constants, sums of such, masks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_KNOWNZEROS_H
#define PTX_COUNTERS_KNOWNZEROS_H

#include "Counters/ControlFlow.h"

#include <cstdint>
#include <vector>

namespace ptx {

class KnownZeros {
public:
  KnownZeros(const Program &program, const Function &function,
             const ControlFlow &flow);

  /// Low zero bits of each place, at some point of the code.
  using State = std::vector<uint8_t>;
  const State &atStart(size_t block) const { return starts[block]; }
  /// From before \p in to behind it.
  void step(const Instruction &in, State &state) const;
  /// Of a source; an absent one is 0, which has all.
  unsigned of(const Instruction &in, unsigned operand,
              const State &state) const;

private:
  unsigned resultOf(const Instruction &in, const State &state) const;

  const Program &program;
  const ControlFlow &flow;
  std::vector<State> starts; ///< by block
};

} // namespace ptx

#endif // PTX_COUNTERS_KNOWNZEROS_H
