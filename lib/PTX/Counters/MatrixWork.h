// Matrix products issued, and how much was useful.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_MATRIXWORK_H
#define PTX_COUNTERS_MATRIXWORK_H

#include "Machine/Warp.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx {

struct Row;
struct AccessRules;

struct MatrixShape {
  unsigned m = 0, n = 0, k = 0;
  unsigned aBits = 16; ///< of an element of A
  bool group = false;  ///< wgmma: four warps together
  /// Registers of A and B are operands [a, b) and [b, end); a is `end` where
  /// their layout is not known (wmma).
  unsigned a = 0, b = 0, end = 0;
  bool wide = false; ///< those registers have 64 bits
  double flop = 0;
};

/// The shape that each tensor instruction of a program names; m is 0 if it
/// multiplies nothing.
class MatrixShapes {
public:
  explicit MatrixShapes(const Program &program);
  const MatrixShape &operator[](size_t pc) const { return shapes[pc]; }
  /// By instruction: 1 for those that MatrixWork counts.
  const uint8_t *counted() const { return ofOneWarp.data(); }

private:
  std::vector<MatrixShape> shapes; ///< by instruction
  std::vector<uint8_t> ofOneWarp;
};

/// FLOP of mma.sync. A product whose row of A or column of B is all zero was
/// issued for nothing: padding of a ragged tile.
class MatrixWork {
public:
  void count(const Warp &warp, const Instruction &in, const MatrixShape &shape,
             const AccessRules &rules);
  void operator+=(const MatrixWork &other) {
    issued += other.issued;
    useful += other.useful;
  }
  double issued = 0, useful = 0;
};

} // namespace ptx

#endif // PTX_COUNTERS_MATRIXWORK_H
