// Wgmma in flight.
//
// A wgmma is one operation of four warps. Its sums live here, not in the
// registers, from the issue until a wait: the registers hold garbage then.
// The operation is carried out, for all four warps, when the first of them
// waits for it and all of them have issued it; each gets its registers back
// at its own wait.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_GROUPMMA_H
#define PTX_ASYNC_GROUPMMA_H

#include "Async/AsyncEngine.h"
#include "Tensor/Wgmma.h"

#include <array>
#include <deque>
#include <memory>
#include <vector>

namespace ptx::async {

/// Instruction::extra of wgmma.mma_async.
struct GroupMmaInfo {
  tensor::WgmmaShape shape;
  /// Operand indices; metadata of sparse ones.
  uint16_t a = 0, b = 0, accumulate = 0, metadata = 0;
  unsigned selector = 0; ///< of the lanes with metadata
};

/// The sums of a chain of operations on the same registers.
struct GroupSums {
  Slot first = kNoSlot; ///< of the registers
  tensor::WgmmaShape shape;
  const Instruction *instruction = nullptr;
  std::vector<uint32_t> words; ///< [4][n][16]
  struct Part {
    std::byte *file = nullptr; ///< register file of the warp, once taken
    std::array<LaneMask, 128> undefined{}; ///< of each register
  };
  std::array<Part, tensor::kGroupWarps> parts;
};

struct GroupOperation {
  const Instruction *instruction = nullptr;
  uint64_t descriptorA = 0, descriptorB = 0;
  bool accumulate = true;
  bool done = false;
  std::shared_ptr<GroupSums> sums;
  struct Part {
    bool issued = false, returned = false;
    uint64_t group = 0;
    std::byte *file = nullptr;
  };
  std::array<Part, tensor::kGroupWarps> parts;

  bool complete() const {
    for (const Part &part : parts)
      if (!part.issued)
        return false;
    return true;
  }
};

struct GroupMmaState {
  const tensor::Kernels *kernels = nullptr; ///< of the CPU level in use
  std::deque<GroupOperation> operations;
  uint64_t first = 0; ///< sequence number of operations.front()
  struct Member {
    uint64_t next = 0;   ///< sequence number of its next operation
    uint64_t groups = 0; ///< committed
    bool fenced = false; ///< wgmma.fence since its registers came back
    /// What was written back last, to see whether registers were changed.
    Slot returnedSlot = kNoSlot;
    uint64_t returnedHash = 0;
  };
  std::array<Member, tensor::kGroupWarps> members;
};

void decodeGroupMma(DecodeContext &context, Instruction &in);
HandlerSet groupMmaHandlers();
void handleGroupFence(Warp &warp, const Instruction &in);
void handleGroupCommit(Warp &warp, const Instruction &in);
void handleGroupWait(Warp &warp, const Instruction &in);

} // namespace ptx::async

#endif // PTX_ASYNC_GROUPMMA_H
