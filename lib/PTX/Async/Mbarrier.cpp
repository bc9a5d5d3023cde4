// The state of an mbarrier.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Mbarrier.h"

namespace ptx::async {

static constexpr unsigned kCountShift = 43;

void Mbarrier::init(uint32_t count) {
  const Instruction *by = initialised;
  *this = Mbarrier();
  initialised = by;
  expected = pending = count;
}

bool Mbarrier::settle() {
  if (pending || transactions)
    return false;
  ++phase;
  pending = expected;
  return true;
}

bool Mbarrier::arrive(uint32_t count) {
  pending -= count;
  return settle();
}

bool Mbarrier::expect(int64_t bytes) {
  transactions += bytes;
  return settle();
}

uint64_t Mbarrier::token() const {
  const uint64_t count = -static_cast<uint64_t>(pending) & kMostArrivals;
  return parity() << 63 | count << kCountShift;
}

uint32_t Mbarrier::pendingOf(uint64_t token) {
  return static_cast<uint32_t>(-(token >> kCountShift)) & kMostArrivals;
}

} // namespace ptx::async
