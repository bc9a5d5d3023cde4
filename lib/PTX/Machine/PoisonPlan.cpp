// How undefined values spread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/PoisonPlan.h"

#include "Isa/IsaTable.h"
#include "Machine/Warp.h"

#include <algorithm>
#include <string_view>

namespace ptx {

unsigned poisonWords(Width width) {
  switch (width) {
  case Width::Double:
    return 2;
  case Width::Quad:
    return 4;
  case Width::None:
    return 0;
  default:
    return 1;
  }
}

static LaneMask *poisonAt(const Warp &warp, const Instruction &in,
                          unsigned operand, unsigned word) {
  Slot slot = in.operand[operand];
  if (slot & kConstant) // kNoSlot too
    return nullptr;
  if (in.width[operand] == Width::Predicate)
    return &warp.predicate(slot) + 1;
  return warp.poison ? warp.poison + slot / 128 + word : nullptr;
}

LaneMask readPoison(const Warp &warp, const Instruction &in, unsigned operand,
                    unsigned word) {
  const LaneMask *mask = poisonAt(warp, in, operand, word);
  return mask ? *mask : 0;
}

LaneMask anyPoison(const Warp &warp, const Instruction &in, unsigned operand) {
  LaneMask any = 0;
  for (unsigned w = 0; w < poisonWords(in.width[operand]); ++w)
    any |= readPoison(warp, in, operand, w);
  return any;
}

void writePoisonWord(Warp &warp, const Instruction &in, unsigned operand,
                     unsigned word, LaneMask lanes, LaneMask undefined) {
  if (LaneMask *mask = poisonAt(warp, in, operand, word))
    *mask = (*mask & ~lanes) | (undefined & lanes);
}

void writePoison(Warp &warp, const Instruction &in, unsigned operand,
                 LaneMask lanes, LaneMask undefined) {
  for (unsigned w = 0; w < poisonWords(in.width[operand]); ++w)
    writePoisonWord(warp, in, operand, w, lanes, undefined);
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

using Kind = PoisonPlan::Kind;

/// `x ^ x` and `x - x` are zero whatever x is; compilers use neither, people
/// do.
static bool isZeroIdiom(const Instruction &in) {
  return in.row->opcode == "xor" && in.operandCount == 3 &&
         in.operand[1] == in.operand[2];
}

static Kind kindOf(const Instruction &in) {
  if (!in.row)
    return Kind::Handler;
  if (in.flags & kBranches)
    return Kind::Branch;
  const std::string &opcode = in.row->opcode;
  if (opcode == "mov")
    return Kind::Words;
  if (opcode == "selp")
    return Kind::Select;
  if (opcode == "activemask" || isZeroIdiom(in))
    return Kind::Defined;
  switch (in.row->cost) {
  case Cost::Shared:
  case Cost::Global:
  case Cost::Local:
  case Cost::Constant:
  case Cost::Atomic:
  case Cost::Warp:
  case Cost::Barrier:
  case Cost::Mbarrier:
  case Cost::Async:
  case Cost::Control:
  case Cost::Matrix: // these move data between lanes
  case Cost::Tensor:
    return Kind::Handler;
  default:
    return Kind::Generic;
  }
}

void PoisonPlan::addOperand(const Instruction &in, unsigned index) {
  Slot slot = in.operand[index];
  Width width = in.width[index];
  for (unsigned word = 0; word < poisonWords(width); ++word) {
    if (slot & kConstant)
      places.push_back(~0u);
    else if (width == Width::Predicate)
      places.push_back(kInRegisters | (slot + 4));
    else
      places.push_back((slot / 128 + word) * sizeof(LaneMask));
  }
}

PoisonPlan::PoisonPlan(const Program &program) {
  entries.reserve(program.instructions.size());
  for (const Instruction &in : program.instructions) {
    Entry entry;
    entry.kind = kindOf(in);
    entry.first = static_cast<uint32_t>(places.size());
    // Packing halves and bytes works on parts of words: all from all then.
    auto partial = [&](unsigned i) { return in.width[i] == Width::Half; };
    for (unsigned i = 0; i < in.operandCount; ++i)
      if (entry.kind == Kind::Words && in.operandCount > 2 && partial(i))
        entry.kind = Kind::Generic;
    if (entry.kind != Kind::Handler && entry.kind != Kind::Branch) {
      for (unsigned i = 0; i < in.resultCount; ++i)
        addOperand(in, i);
      entry.results = static_cast<uint16_t>(places.size() - entry.first);
      for (unsigned i = in.resultCount; i < in.operandCount; ++i)
        addOperand(in, i);
      entry.sources =
          static_cast<uint16_t>(places.size() - entry.first - entry.results);
      compact(entry);
    }
    entries.push_back(entry);
  }
}

/// Generic entries need no places of constants and sinks.
void PoisonPlan::compact(Entry &entry) {
  if (entry.kind == Kind::Words || entry.kind == Kind::Select)
    return;
  auto drop = [&](uint32_t begin, uint16_t &count) {
    auto first = places.begin() + begin;
    auto last = std::remove(first, first + count, ~0u);
    uint16_t kept = static_cast<uint16_t>(last - first);
    places.erase(last, first + count);
    count = kept;
  };
  uint32_t sources = entry.first + entry.results;
  drop(sources, entry.sources);
  drop(entry.first, entry.results);
}

} // namespace ptx
