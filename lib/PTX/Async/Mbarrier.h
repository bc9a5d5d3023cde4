// The state of an mbarrier.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_MBARRIER_H
#define PTX_ASYNC_MBARRIER_H

#include <cstdint>

namespace ptx {
struct Instruction;
}

namespace ptx::async {

/// An mbarrier object. A phase is complete when nothing is pending and the
/// transactions add up; both may happen in any order.
struct Mbarrier {
  static constexpr uint32_t kMostArrivals = (1u << 20) - 1;

  uint32_t expected = 0;    ///< arrivals of the next phase
  uint32_t pending = 0;     ///< arrivals of this phase still to come
  int64_t transactions = 0; ///< bytes announced and not yet moved
  uint64_t phase = 0;       ///< completed phases
  bool polled = false;      ///< someone waits for the phase
  const Instruction *initialised = nullptr;

  void init(uint32_t count);
  /// All return true if the phase completed.
  bool arrive(uint32_t count);
  bool expect(int64_t bytes);
  bool complete(int64_t bytes) { return expect(-bytes); }

  /// The opaque state an arrival returns: phase parity in bit 63, arrivals
  /// still pending before it, negated, in bits 62 to 43.
  uint64_t token() const;
  static uint32_t pendingOf(uint64_t token);
  bool completed(uint64_t token) const { return parity() != token >> 63; }
  /// True once the phase of that parity is over; at first the one before it.
  bool completedParity(uint32_t p) const { return parity() != (p & 1); }
  uint64_t parity() const { return phase & 1; }

private:
  bool settle();
};

} // namespace ptx::async

#endif // PTX_ASYNC_MBARRIER_H
