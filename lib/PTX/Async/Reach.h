// Memory that bulk operations reach.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_REACH_H
#define PTX_ASYNC_REACH_H

#include "Async/AsyncEngine.h"

namespace ptx::async {

/// The bulk operation of one lane: where it reaches, and who is told.
struct Reach {
  Warp &warp;
  const Instruction &in;
  unsigned lane;

  LaneMask lanes() const { return 1u << lane; }
  [[noreturn]] void fail(FindingKind kind, std::string message) const {
    warp.fail(kind, in, lanes(), std::move(message));
  }

  /// Host memory of \p bytes bytes; fails the launch where there is none.
  std::byte *global(uint64_t address, uint64_t bytes, bool writes) const;
  /// \p address in Access form; \p owner gets the block it lies in.
  std::byte *shared(uint64_t address, uint64_t bytes, Block *&owner) const;
  /// Fails for an address that is no multiple of \p align.
  void aligned(uint64_t address, uint64_t align, const char *what) const;
  /// Lets observers see the access of this lane; false if they refuse it.
  bool tell(Space space, AccessKind kind, uint64_t address,
            uint64_t bytes) const;

  /// An operation of this lane.
  std::unique_ptr<Operation> operation() const;
  /// The signal to an initialised mbarrier.
  Signal signalTo(uint64_t address, int64_t bytes) const;
  /// The blocks that \p mask of a multicast names, by rank.
  std::vector<Block *> receivers(uint16_t mask) const;
  /// The address of the same offset in \p block's shared memory.
  static uint64_t sameOffset(uint64_t address, const Block &block) {
    return sharedOffset(address) | uint64_t{block.rank + 1} << kRankShift;
  }
};

/// "0x7f...".
std::string hexText(uint64_t value);

} // namespace ptx::async

#endif // PTX_ASYNC_REACH_H
