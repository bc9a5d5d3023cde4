// Virtual registers that share a place when never live together.
//
// Linear scan over closed intervals: from the first to the last instruction
// at which the register is named or lives. Results never share an offset with
// a source of the same instruction, so that handlers may write early.
//
// Lifetimes are those of one thread. That is enough: each lane only uses its
// own part of an offset, and lanes that exchange registers are at the same
// instruction. A register that may be read before it is written lives from
// the beginning, so that nothing else is ever read in its place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/RegisterAllocation.h"

#include "ptx/Error.h"

#include <algorithm>
#include <map>
#include <queue>

using namespace ptx;

namespace {
constexpr uint32_t kNever = ~0u;

struct Interval {
  uint32_t begin = kNever, end = 0;
  void include(uint32_t at) {
    begin = std::min(begin, at);
    end = std::max(end, at);
  }
  bool used() const { return begin != kNever; }
};

/// Liveness by blocks: bit sets over the registers that live across blocks.
class Liveness {
public:
  Liveness(std::span<const BlockRange> blocks, size_t registers)
      : blocks(blocks), words((registers + 63) / 64) {
    upward.resize(blocks.size() * words);
    written.resize(blocks.size() * words);
    liveIn.resize(blocks.size() * words);
  }
  uint64_t *row(std::vector<uint64_t> &set, size_t block) {
    return set.data() + block * words;
  }
  void read(size_t block, uint32_t id) {
    if (!test(written, block, id))
      row(upward, block)[id / 64] |= uint64_t{1} << id % 64;
  }
  void write(size_t block, uint32_t id) {
    row(written, block)[id / 64] |= uint64_t{1} << id % 64;
  }
  bool test(std::vector<uint64_t> &set, size_t block, uint32_t id) {
    return row(set, block)[id / 64] >> id % 64 & 1;
  }

  /// Backwards to a fixed point, by a work list.
  void solve() {
    std::vector<std::vector<uint32_t>> predecessors(blocks.size());
    for (uint32_t b = 0; b < blocks.size(); ++b)
      for (uint32_t next : blocks[b].successors)
        predecessors[next].push_back(b);
    std::vector<uint32_t> work(blocks.size());
    std::vector<bool> queued(blocks.size(), true);
    for (uint32_t b = 0; b < blocks.size(); ++b)
      work[b] = b; // the last block is looked at first
    while (!work.empty()) {
      uint32_t b = work.back();
      work.pop_back();
      queued[b] = false;
      if (!update(b))
        continue;
      for (uint32_t previous : predecessors[b])
        if (!queued[previous]) {
          queued[previous] = true;
          work.push_back(previous);
        }
    }
  }

  template <class Visit> void visitLiveIn(size_t block, Visit visit) {
    for (size_t w = 0; w < words; ++w)
      for (uint64_t bits = row(liveIn, block)[w]; bits; bits &= bits - 1)
        visit(static_cast<uint32_t>(64 * w) +
              static_cast<uint32_t>(__builtin_ctzll(bits)));
  }

private:
  bool update(uint32_t b) {
    bool changed = false;
    for (size_t w = 0; w < words; ++w) {
      uint64_t out = 0;
      for (uint32_t next : blocks[b].successors)
        out |= row(liveIn, next)[w];
      uint64_t in = row(upward, b)[w] | (out & ~row(written, b)[w]);
      changed |= in != row(liveIn, b)[w];
      row(liveIn, b)[w] = in;
    }
    return changed;
  }

  std::span<const BlockRange> blocks;
  size_t words;
  std::vector<uint64_t> upward, written, liveIn;
};

/// Gives offsets out, one list of free ones for each size.
class Offsets {
public:
  explicit Offsets(uint32_t unit) : unit(unit) {}
  uint32_t take(uint32_t bytes) {
    std::vector<uint32_t> &list = free[bytes];
    if (!list.empty()) {
      uint32_t offset = list.back();
      list.pop_back();
      return offset;
    }
    uint32_t offset = size;
    size += (bytes + unit - 1) / unit * unit;
    if (size > 1u << 28)
      throw Error("a function uses more registers than fit 256 MiB a warp");
    return offset;
  }
  void give(uint32_t offset, uint32_t bytes) { free[bytes].push_back(offset); }
  uint32_t size = 0;

private:
  uint32_t unit;
  std::map<uint32_t, std::vector<uint32_t>> free;
};
} // namespace

static void
findIntervals(std::span<const BlockRange> blocks,
              const std::function<void(uint32_t, RegisterUses &)> &uses,
              std::vector<Interval> &intervals) {
  Liveness liveness(blocks, intervals.size());
  RegisterUses found;
  for (size_t b = 0; b < blocks.size(); ++b)
    for (uint32_t i = blocks[b].begin; i < blocks[b].end; ++i) {
      found.reads.clear();
      found.writes.clear();
      uses(i, found);
      for (uint32_t id : found.reads) {
        liveness.read(b, id);
        intervals[id].include(i);
      }
      for (uint32_t id : found.writes) {
        // The old value survives where the guard is off.
        if (found.mayNotWrite)
          liveness.read(b, id);
        liveness.write(b, id);
        intervals[id].include(i);
      }
    }
  liveness.solve();
  for (size_t b = 0; b < blocks.size(); ++b)
    liveness.visitLiveIn(
        b, [&](uint32_t id) { intervals[id].include(blocks[b].begin); });
  for (size_t b = 0; b < blocks.size(); ++b)
    for (uint32_t next : blocks[b].successors)
      liveness.visitLiveIn(
          next, [&](uint32_t id) { intervals[id].include(blocks[b].end - 1); });
}

/// Without the flow of control: from the first use in the text to the last.
static void
findExtents(uint32_t instructions,
            const std::function<void(uint32_t, RegisterUses &)> &uses,
            std::vector<Interval> &intervals) {
  RegisterUses found;
  for (uint32_t i = 0; i < instructions; ++i) {
    found.reads.clear();
    found.writes.clear();
    uses(i, found);
    for (uint32_t id : found.reads)
      intervals[id].include(i);
    for (uint32_t id : found.writes)
      intervals[id].include(i);
  }
}

RegisterPlacement
ptx::placeRegisters(std::span<const VirtualRegister> registers,
                    std::span<const BlockRange> blocks, uint32_t instructions,
                    const std::function<void(uint32_t, RegisterUses &)> &uses,
                    bool reuse) {
  std::vector<Interval> intervals(registers.size());
  // The sets of a hostile body would be larger than what they save.
  constexpr uint64_t mostBits = uint64_t{1} << 30;
  reuse &= uint64_t{registers.size()} * blocks.size() <= mostBits;
  if (reuse)
    findIntervals(blocks, uses, intervals);
  else
    findExtents(instructions, uses, intervals);
  std::vector<uint32_t> order;
  for (uint32_t id = 0; id < registers.size(); ++id) {
    if (registers[id].pinned || (!reuse && intervals[id].used()))
      intervals[id] = {0, instructions};
    if (intervals[id].used())
      order.push_back(id);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].begin != intervals[b].begin
               ? intervals[a].begin < intervals[b].begin
               : a < b;
  });

  RegisterPlacement placement;
  placement.slots.assign(registers.size(), kNoSlot);
  Offsets predicates(8), others(128);
  using Active = std::pair<uint32_t, uint32_t>; // end, register
  std::priority_queue<Active, std::vector<Active>, std::greater<>> active;
  auto pool = [&](uint32_t id) -> Offsets & {
    return registers[id].width == Width::Predicate ? predicates : others;
  };
  for (uint32_t id : order) {
    while (!active.empty() && active.top().first < intervals[id].begin) {
      uint32_t old = active.top().second;
      active.pop();
      pool(old).give(placement.slots[old], fileBytesOf(registers[old].width));
    }
    placement.slots[id] = pool(id).take(fileBytesOf(registers[id].width));
    active.emplace(intervals[id].end, id);
  }
  // Predicates come first.
  placement.predicateBytes = (predicates.size + 127) / 128 * 128;
  for (uint32_t id : order)
    if (registers[id].width != Width::Predicate)
      placement.slots[id] += placement.predicateBytes;
  placement.frameBytes = placement.predicateBytes + others.size;
  return placement;
}
