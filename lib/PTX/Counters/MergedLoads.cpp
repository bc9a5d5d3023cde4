// Loads of shared memory that ptxas makes one of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MergedLoads.h"

#include "Counters/FoldBlock.h"
#include "Isa/IsaTable.h"
#include "Machine/Memory.h"

#include <algorithm>
#include <string_view>

namespace ptx {

static constexpr uint32_t kWidest = 16;

bool mayChangeShared(const Instruction &in) {
  if (!in.row)
    return true;
  std::string_view op = in.row->opcode;
  switch (in.row->cost) {
  case Cost::Global:
  case Cost::Local:
  case Cost::Constant:
    return false;
  case Cost::Shared:
    return op != "ld" || isOrderedLoad(in);
  case Cost::Matrix:
    return op != "ldmatrix";
  case Cost::Atomic:
  case Cost::Barrier:
  case Cost::Async:
  case Cost::Mbarrier:
  case Cost::Tensor:
    return op != "mma";
  default:
    return op == "call" || op == "membar" || op == "fence" || op == "st";
  }
}

static bool isPlainLoad(const Instruction &in) {
  if (!in.row || in.row->opcode != "ld" || in.row->cost != Cost::Shared ||
      in.flags & kGuarded)
    return false;
  auto *info = static_cast<const MemoryInfo *>(in.extra);
  return info && info->space == Space::Shared && info->order == Order::Weak &&
         (info->total() == 4 || info->total() == 8) && info->bytes >= 4;
}

void MergedLoads::addLoad(const Instruction &in, uint32_t pc,
                          const KnownZeros::State &state) {
  auto *info = static_cast<const MemoryInfo *>(in.extra);
  Slot slot = in.operand[info->address];
  uint32_t place = flow.placeOf(slot);
  // A symbol: its address counts as part of the offset.
  int64_t offset = in.offset[0];
  unsigned known = 64;
  if (place != ControlFlow::kNoPlace)
    known = zeros.of(in, info->address, state);
  else if (slot != kNoSlot)
    offset += *reinterpret_cast<const uint32_t *>(program.constants.data +
                                                  (slot & ~kConstant));
  auto same = std::find_if(open.begin(), open.end(),
                           [&](const Loads &l) { return l.place == place; });
  if (same == open.end())
    same = open.insert(open.end(), {place, known, {}});
  same->list.push_back({offset, info->total(), pc});
}

uint32_t MergedLoads::widthAt(const Loads &loads, size_t first,
                              size_t &count) const {
  const Loads::One &start = loads.list[first];
  count = 1;
  for (uint32_t width = kWidest; width > start.bytes; width /= 2) {
    bool aligned = (uint64_t(1) << std::min(loads.zeros, 32u)) % width == 0 &&
                   start.offset % width == 0;
    if (!aligned)
      continue;
    uint32_t bytes = 0;
    size_t i = first;
    while (i < loads.list.size() && bytes < width &&
           loads.list[i].offset == start.offset + bytes)
      bytes += loads.list[i++].bytes;
    if (bytes != width)
      continue;
    count = i - first;
    return width;
  }
  return start.bytes;
}

void MergedLoads::finish(Loads &loads) {
  auto &list = loads.list;
  std::sort(list.begin(), list.end(),
            [](const Loads::One &a, const Loads::One &b) {
              return a.offset != b.offset ? a.offset < b.offset : a.pc < b.pc;
            });
  // The same word twice.
  size_t kept = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (kept && list[kept - 1].offset == list[i].offset &&
        list[kept - 1].bytes == list[i].bytes)
      facts[list[i].pc].merged = true;
    else
      list[kept++] = list[i];
  }
  list.resize(kept);
  for (size_t i = 0, count; i < list.size(); i += count) {
    uint32_t width = widthAt(loads, i, count);
    if (count == 1)
      continue;
    facts[list[i].pc].mergedBytes = width;
    for (size_t j = i + 1; j < i + count; ++j)
      facts[list[j].pc].merged = true;
  }
}

void MergedLoads::finishAll() {
  for (Loads &loads : open)
    finish(loads);
  open.clear();
}

void MergedLoads::run() {
  for (size_t b = 0; b < flow.blocks().size(); ++b) {
    const ControlFlow::Range &range = flow.blocks()[b];
    KnownZeros::State state = zeros.atStart(b);
    for (uint32_t pc = range.begin; pc < range.end; ++pc) {
      const Instruction &in = program.instructions[pc];
      if (isPlainLoad(in))
        addLoad(in, pc, state);
      else if (mayChangeShared(in))
        finishAll();
      zeros.step(in, state);
      // What is loaded from a register that changes is another base.
      flow.writes(in, [&](uint32_t place) {
        for (size_t i = 0; i < open.size(); ++i)
          if (open[i].place == place) {
            finish(open[i]);
            open.erase(open.begin() + i--);
          }
      });
    }
    finishAll();
  }
  for (CodeFacts &fact : facts)
    if (fact.merged)
      fact.cost = {0, 0, 0, 0, 0};
}

} // namespace ptx
