// Atom and red.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_ATOMIC_H
#define PTX_MACHINE_ATOMIC_H

#include "Machine/Access.h"
#include "Machine/Instruction.h"

#include <cstdint>

namespace ptx {

enum class AtomicOp : uint8_t {
  Add,
  Inc,
  Dec,
  Min,
  Max,
  And,
  Or,
  Xor,
  Exchange,
  CompareAndSwap,
};

/// The new value of a memory word, from its old one and the operand; both in
/// the low bits. Vectors of 16-bit floats of up to 32 bits are one word.
using Combine = uint64_t (*)(uint64_t old, uint64_t operand);

/// Null where the combination does not exist. \p inGlobal: f32 adds to global
/// memory flush subnormals, f64 adds return NaNs as they are; shared memory
/// differs, as hardware does.
Combine combineOf(AtomicOp op, Type type, bool inGlobal);

/// Instruction::extra of atom and red.
struct AtomicInfo {
  AtomicOp op = AtomicOp::Add;
  Type type = Type::U32;
  Space space = Space::Generic;
  uint8_t bytes = 4;   ///< of an element: what is atomic
  uint8_t count = 1;   ///< elements
  uint8_t address = 0; ///< operand indices
  uint8_t data = 0;
  uint8_t swap = 0; ///< of cas: the new value
  bool returns = false;
  Order order = Order::Relaxed;
  Scope scope = Scope::Gpu;
  Combine global = nullptr, shared = nullptr;
};

void handleAtomic(Warp &, const Instruction &);
/// 128-bit exchange and compare-and-swap.
void handleWideAtomic(Warp &, const Instruction &);

} // namespace ptx

#endif // PTX_MACHINE_ATOMIC_H
