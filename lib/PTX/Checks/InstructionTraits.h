// What checks know beforehand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_INSTRUCTIONTRAITS_H
#define PTX_CHECKS_INSTRUCTIONTRAITS_H

#include <cstdint>
#include <vector>

namespace ptx {
struct Program;
}

namespace ptx::checks {

enum InstructionTrait : uint8_t {
  kDivides = 1,     ///< integers; the divisor is operand 2
  kBulkGroup = 2,   ///< completes with a bulk group, or commits, or waits
  kMatrixGroup = 4, ///< wgmma
  kCopies = 8,      ///< cp.async and others: what it writes is in flight
  /// Adds to its destination: a relaxed operation of gpu scope.
  kReduces = 16,
  /// A load whose value is only compared by an `atom.cas`: compilers begin
  /// their loops around compare-and-swap with a plain load.
  kOptimistic = 32,
  /// A load of a word of which one bit field is replaced and which is stored
  /// back: its other bits may be undefined.
  kBitField = 64,
};

/// By instruction of a program.
struct ProgramTraits {
  explicit ProgramTraits(const Program &program);

  std::vector<uint8_t> traits; ///< InstructionTrait
  /// 1 for those that the checker must be told of before they are executed:
  /// divisions, and all that may begin a copy or set up an mbarrier.
  std::vector<uint8_t> wanted;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_INSTRUCTIONTRAITS_H
