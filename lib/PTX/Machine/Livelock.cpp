// Warps that spin for ever.
//
// Two signs. Every warp came back to a state it had been in while nothing in
// memory changed: this needs no common period. Or, where spinning warps write,
// too: the state of everything at once, registers, shared and writable global
// memory, barriers, came back; what follows it then follows again. That is
// looked for by Brent's method, seldom enough to cost little, and only while
// warps poll.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "Machine/Machine.h"

#include <algorithm>
#include <cstring>

namespace ptx {

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

static uint64_t hashBytes(uint64_t hash, const std::byte *data, size_t size) {
  uint64_t word;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::memcpy(&word, data + i, 8);
    hash = mix(hash, word);
  }
  if (i == size)
    return hash;
  word = 0;
  std::memcpy(&word, data + i, size - i);
  return mix(hash, word);
}

static uint64_t hashFrames(uint64_t hash, const Frame *frame) {
  for (; frame; frame = frame->parent) {
    hash = mix(hash, reinterpret_cast<uintptr_t>(frame->call));
    hash = hashBytes(hash, frame->registers.data, frame->registers.size);
    hash = hashBytes(hash, frame->params.data, frame->params.size);
  }
  return hash;
}

/// Everything a warp's future depends on, other than memory of others. The
/// split that ran least recently may be the next: their order matters.
static uint64_t hashWarp(const Warp &warp) {
  uint64_t hash = mix(warp.running, warp.pc);
  if (warp.running)
    hash = hashFrames(hash, warp.frame);
  std::vector<const Split *> splits;
  for (const Split &split : warp.others)
    splits.push_back(&split);
  std::sort(splits.begin(), splits.end(), [](const Split *a, const Split *b) {
    return a->since != b->since ? a->since < b->since : a->pc < b->pc;
  });
  for (const Split *split : splits) {
    hash = mix(mix(hash, split->pc), split->mask);
    hash = mix(hash, static_cast<uint64_t>(split->wait == WaitReason::Barrier));
    hash = hashFrames(hash, split->frame);
  }
  return hashBytes(mix(hash, warp.carry), warp.local.data, warp.local.size);
}

/// True once every live warp came back to a state it had been in while nothing
/// in memory changed: it will do so for ever.
bool Machine::livelocked() {
  uint64_t now = totalChanges();
  if (now != statesAt) {
    statesAt = now;
    states.clear();
    return false;
  }
  bool fresh = states.empty();
  bool all = true;
  size_t i = 0;
  for (auto &cluster : clusters)
    for (auto &block : cluster->blocks)
      for (auto &warp : block->warps) {
        if (!warp->live)
          continue;
        uint64_t hash = hashWarp(*warp);
        if (fresh) {
          states.push_back(hash);
          returned.resize(states.size());
          returned.back() = 0;
        } else if (states[i] == hash) {
          returned[i] = 1;
        }
        all = all && !fresh && returned[i];
        ++i;
      }
  return all && i;
}

//===----------------------------------------------------------------------===//
// The state of everything
//===----------------------------------------------------------------------===//

static uint64_t hashBlock(uint64_t hash, const Block &block) {
  for (const auto &warp : block.warps) {
    hash = mix(hash, warp->live);
    if (!warp->live)
      continue;
    hash = mix(hash, hashWarp(*warp));
    hash = mix(hash, warp->clusterArrived | uint64_t{warp->asleep} << 32 |
                         uint64_t{warp->spins} << 33 |
                         uint64_t{warp->insists} << 34);
    hash = mix(hash, warp->partedTurns);
  }
  for (const Barrier &barrier : block.barriers) {
    hash = mix(hash, barrier.arrived | uint64_t{barrier.rounded} << 32);
    hash = mix(hash, barrier.expected | uint64_t{barrier.popc} << 32);
    hash = mix(hash, barrier.all + 2u * barrier.any);
  }
  return hashBytes(hash, block.shared.data, block.shared.size);
}

/// All that the future of the launch depends on. What asynchronous operations
/// and the clock have in store is not part of it.
uint64_t Machine::fingerprint() const {
  uint64_t hash = polls & 3;
  for (const auto &cluster : clusters) {
    hash = mix(hash, cluster->arrived);
    for (const auto &block : cluster->blocks)
      hash = hashBlock(mix(hash, block->linear), *block);
  }
  for (const auto &[address, allocation] : grid.device->allocations())
    if (allocation.writable)
      hash = hashBytes(hash, reinterpret_cast<const std::byte *>(address),
                       allocation.bytes);
  return hash;
}

uint64_t Machine::fingerprintBytes() const {
  uint64_t bytes = 0;
  for (const auto &cluster : clusters)
    for (const auto &block : cluster->blocks)
      bytes += block->shared.size +
               block->warps.size() * uint64_t{grid.kernel->frameBytes};
  for (const auto &[address, allocation] : grid.device->allocations())
    bytes += allocation.writable ? allocation.bytes : 0;
  return bytes;
}

/// Whether the kernel does what fingerprint() does not see.
static bool hasHiddenState(const Program &program) {
  for (const Instruction &in : program.instructions)
    if (in.row &&
        (in.row->cost == Cost::Async || in.row->cost == Cost::Mbarrier ||
         in.row->opcode == "wgmma" || in.row->opcode == "%clock"))
      return true;
  return false;
}

bool Machine::repeats() {
  if (shuffled || grid.machines.size() > 1 || polls == repetition.polls)
    return false;
  // A hash of a word costs less than an instruction.
  if (executed - repetition.executed < fingerprintBytes() / 4)
    return false;
  if (repetition.power == 0) {
    repetition.power = 1;
    repetition.hidden = hasHiddenState(*grid.program);
  }
  repetition.polls = polls;
  repetition.executed = executed;
  if (repetition.hidden)
    return false;
  const uint64_t now = fingerprint();
  if (repetition.steps && now == repetition.saved)
    return true;
  if (repetition.steps++ == 0 || repetition.steps > repetition.power) {
    repetition.saved = now;
    repetition.power *= 2;
    repetition.steps = 1;
  }
  return false;
}

} // namespace ptx
