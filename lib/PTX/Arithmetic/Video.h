// Video instructions of one lane: arithmetic on parts of 32-bit registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETIC_VIDEO_H
#define PTX_ARITHMETIC_VIDEO_H

#include <cstdint>

namespace ptx::video {

enum class Op : uint8_t {
  Add,
  Sub,
  Difference, ///< of absolute value
  Average,    ///< halves away from minus infinity
  Min,
  Max,
  ShiftLeft,
  ShiftRight,
  Set,
  Multiply
};
enum class Relation : uint8_t { Equal, NotEqual, Less, AtMost, More, AtLeast };

/// What becomes of the result and operand c.
enum class Second : uint8_t {
  None,
  Merge, ///< the result replaces parts of c
  Add,   ///< of several parts: those that the mask names
  Min,
  Max
};

/// Instruction::extra of a video instruction.
struct Form {
  Op op = Op::Add;
  Relation relation = Relation::Equal;
  Second second = Second::None;
  unsigned parts = 1; ///< 2 and 4: the results of as many parts at once
  bool signedResult = false, signedA = false, signedB = false;
  bool saturates = false;
  bool wraps = false; ///< the amount of a shift, instead of its clamp to 32
  /// The bits of a part of a, b and the result.
  unsigned bitsA = 32, bitsB = 32, bitsResult = 32;
  /// Which part each element is. With several parts, a is the lower and b the
  /// upper half of one string, from which either operand's are chosen.
  uint8_t partA[4] = {}, partB[4] = {};
  uint8_t partResult = 0; ///< of one part
  uint8_t mask = 1;       ///< of several: those that are written
  // Multiply: a * b + c, scaled.
  bool negatesProduct = false, negatesC = false, addsOne = false;
  unsigned scale = 0; ///< the result is shifted right by it
};

/// The result for operands a, b and c (0 where there is none).
uint32_t evaluate(const Form &form, uint32_t a, uint32_t b, uint32_t c);

} // namespace ptx::video

#endif // PTX_ARITHMETIC_VIDEO_H
