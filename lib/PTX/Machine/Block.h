// Blocks, clusters and the grid.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_BLOCK_H
#define PTX_MACHINE_BLOCK_H

#include "Machine/AsyncHooks.h"
#include "Machine/Program.h"
#include "Machine/Warp.h"
#include "ptx/Launch.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ptx {

struct Machine;
struct Cluster;
struct Grid;

/// An activation of a function: its registers, its parameters and where it
/// goes on in the caller. Splits of one activation share it.
struct Frame {
  const Function *function = nullptr;
  Frame *parent = nullptr;
  const Instruction *call = nullptr; ///< in the parent; null for the kernel
  unsigned references = 0;           ///< splits and callee frames
  unsigned depth = 0;
  LaneMask lanes = 0;     ///< in it
  uint32_t localBase = 0; ///< of its `.local` variables in local memory
  uint32_t stackTop = 0;  ///< end of alloca'd memory
  AlignedBytes registers;
  AlignedBytes params;          ///< [32][function->paramBytes]
  std::vector<LaneMask> poison; ///< beside registers
};

/// One of the 16 named barriers of a block.
struct Barrier {
  uint32_t expected = 0; ///< threads named by a count; 0: all of the block
  uint32_t arrived = 0;  ///< threads
  uint32_t rounded = 0;  ///< the same, lanes that a warp lacks included
  uint64_t phase = 0;    ///< completions so far
  uint32_t popc = 0;     ///< bar.red of the current phase
  bool all = true, any = false;
  const Instruction *first = nullptr; ///< who arrived first; null: nobody
  unsigned firstWarp = 0;
};

struct Block {
  Grid *grid = nullptr;
  Cluster *cluster = nullptr;
  Machine *machine = nullptr; ///< of the host thread that runs it
  Dim3 id;                    ///< %ctaid
  uint64_t linear = 0;        ///< x fastest
  unsigned rank = 0;          ///< %cluster_ctarank
  unsigned sm = 0;            ///< %smid it is placed on
  AlignedBytes shared;        ///< static, then dynamic
  std::vector<std::unique_ptr<Warp>> warps;
  unsigned liveWarps = 0;
  unsigned liveThreads = 0;
  Barrier barriers[16];
  std::unique_ptr<AsyncBlockState> async;
};

struct Cluster {
  Grid *grid = nullptr;
  Dim3 id;                                    ///< %clusterid
  std::vector<std::unique_ptr<Block>> blocks; ///< by rank
  uint32_t arrived = 0;                       ///< threads at barrier.cluster
  uint64_t phase = 0; ///< completions of barrier.cluster
  unsigned liveThreads() const;
};

/// One launch; shared by all host threads.
struct Grid {
  const LaunchOptions *options = nullptr;
  const Module *module = nullptr;
  const Program *program = nullptr;
  /// The constant area with the addresses of variables filled in.
  std::byte *constants = nullptr;
  const Function *kernel = nullptr;
  Device *device = nullptr;
  std::vector<std::byte> params; ///< as laid out by the kernel
  Dim3 size, block, cluster;
  uint32_t staticShared = 0, dynamicShared = 0;
  unsigned sm = 0;      ///< 90: the architecture that is modelled
  unsigned smCount = 0; ///< multiprocessors
  unsigned perSm = 0;   ///< resident blocks a multiprocessor
  uint64_t id = 0;      ///< %gridid
  bool explicitCluster = false;
  std::atomic<uint64_t> executed{0}; ///< counted against the budget
  /// Of all host threads, for what they must find out together.
  std::vector<Machine *> machines;
  std::atomic<bool> stopped{false};
  /// Device address of what a cooperative grid synchronises by: a word with
  /// its size, then the counter of cooperative groups' barrier. 0 without.
  uint64_t workspace = 0;
  uint32_t sharedBytes() const { return staticShared + dynamicShared; }
};

/// Memory of the modelled machine as the host sees it. Null where the bytes
/// are not inside (the caller reports it).
std::byte *sharedPointer(Block &block, uint64_t address, uint64_t bytes);
std::byte *localPointer(Warp &warp, unsigned lane, uint64_t address,
                        uint64_t bytes);
std::byte *globalPointer(Block &block, uint64_t address, uint64_t bytes);
/// The block whose shared memory an address of Access form names; null if the
/// rank does not exist.
Block *sharedOwner(Block &block, uint64_t address);

/// The byte addresses [32] of address operand \p which (0 or 1) of \p in, whose
/// register is operand \p position: register + immediate for each lane.
void readAddresses(const Warp &warp, const Instruction &in, unsigned position,
                   unsigned which, uint64_t *address);

} // namespace ptx

#endif // PTX_MACHINE_BLOCK_H
