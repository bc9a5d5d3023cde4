// How undefined values spread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/PoisonPlan.h"

#include "Isa/IsaTable.h"
#include "Machine/PoisonSpread.h"

#include <algorithm>
#include <string_view>

namespace ptx {

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

PoisonPlan::Entry PoisonPlan::makeEntry(const Instruction &in) {
  Entry entry;
  entry.kind = kindOf(in);
  entry.first = static_cast<uint32_t>(places.size());
  if (entry.kind == Kind::Handler || entry.kind == Kind::Branch)
    return entry;
  // Packing halves and bytes works on parts of words: all from all then.
  for (unsigned i = 0; i < in.operandCount; ++i)
    if (entry.kind == Kind::Words && in.operandCount > 2 &&
        in.width[i] == Width::Half)
      entry.kind = Kind::Generic;
  for (unsigned i = 0; i < in.resultCount; ++i)
    addOperand(in, i);
  entry.results = static_cast<uint16_t>(places.size() - entry.first);
  for (unsigned i = in.resultCount; i < in.operandCount; ++i)
    addOperand(in, i);
  entry.sources =
      static_cast<uint16_t>(places.size() - entry.first - entry.results);
  compact(entry);
  return entry;
}

PoisonPlan::PoisonPlan(const Program &program)
    : entries(program.instructions.size()) {
  for (const Function &function : program.functions)
    for (uint32_t pc = function.begin; pc < function.end; ++pc) {
      entries[pc] = makeEntry(program.instructions[pc]);
      shorten(entries[pc], function);
    }
}

/// Most entries need no loops.
void PoisonPlan::shorten(Entry &entry, const Function &function) {
  const bool words = entry.kind == Kind::Words;
  if ((!words && entry.kind != Kind::Generic && entry.kind != Kind::Defined) ||
      entry.results > 2 || entry.sources > (words ? 2 : 4) ||
      (words && entry.results > entry.sources))
    return;
  const auto last = static_cast<Place>(masksOf(function) * sizeof(LaneMask));
  const Place unread = last - sizeof(LaneMask),
              zero = unread - sizeof(LaneMask);
  auto place = [&](unsigned i, unsigned count, unsigned first, Place instead) {
    const Place found = i < count ? places[entry.first + first + i] : ~0u;
    return found == ~0u ? instead : found;
  };
  for (unsigned i = 0; i < 2; ++i)
    entry.few[i] = place(i, entry.results, 0, unread);
  for (unsigned i = 0; i < 4; ++i)
    entry.few[2 + i] = entry.kind == Kind::Defined
                           ? zero
                           : place(i, entry.sources, entry.results, zero);
  entry.kind = words ? Kind::FewWords : Kind::FewSources;
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

//===----------------------------------------------------------------------===//
// Lists of any length
//===----------------------------------------------------------------------===//

/// The last source is the predicate, the others the words of a and of b.
static LaneMask selectedPoison(const PoisonMasks &masks,
                               const PoisonPlan::Entry &entry,
                               const PoisonPlan::Place *source,
                               const Warp &warp, const Instruction &in) {
  const LaneMask p = warp.readPredicate(in, in.operandCount - 1u);
  const unsigned half = (entry.sources - 1u) / 2;
  LaneMask undefined = 0;
  for (unsigned i = 0; i < 2 * half; ++i)
    if (source[i] != ~0u)
      undefined |= masks.at(source[i]) & (i < half ? p : ~p);
  return source[2 * half] == ~0u ? undefined
                                 : undefined | masks.at(source[2 * half]);
}

void spreadLists(const PoisonPlan &plan, const PoisonPlan::Entry &entry,
                 Warp &warp, const Instruction &in) {
  const PoisonMasks masks(warp);
  const PoisonPlan::Place *place = plan.placesOf(entry);
  const PoisonPlan::Place *source = place + entry.results;
  const LaneMask guard = guardPoison(warp, in);
  const LaneMask lanes = warp.active | guard;
  if (entry.kind == Kind::Words) {
    LaneMask words[16];
    for (unsigned i = 0; i < entry.sources; ++i)
      words[i] = source[i] == ~0u ? 0 : masks.at(source[i]);
    for (unsigned i = 0; i < entry.results; ++i)
      if (place[i] != ~0u)
        masks.set(place[i], lanes, words[i] | guard);
    return;
  }
  LaneMask undefined = guard;
  if (entry.kind == Kind::Select)
    undefined |= selectedPoison(masks, entry, source, warp, in);
  for (unsigned i = 0; entry.kind == Kind::Generic && i < entry.sources; ++i)
    undefined |= masks.at(source[i]);
  for (unsigned i = 0; i < entry.results; ++i)
    if (place[i] != ~0u)
      masks.set(place[i], lanes, undefined);
}

} // namespace ptx
