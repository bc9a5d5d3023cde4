// Blocks, liveness and uniformity of a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/ControlFlow.h"

#include "Isa/IsaTable.h"

#include <map>
#include <string_view>

namespace ptx {

bool PlaceSet::unite(const PlaceSet &other) {
  bool grew = false;
  for (size_t i = 0; i < words.size(); ++i) {
    grew |= (other.words[i] & ~words[i]) != 0;
    words[i] |= other.words[i];
  }
  return grew;
}

ControlFlow::ControlFlow(const Program &program, const Function &function)
    : program(program), function(function),
      placeCount(function.predicateBytes / 8 +
                 (function.frameBytes - function.predicateBytes) / 128 + 1) {
  findBlocks();
  findLiveness();
  findVarying();
  spread(&Range::productsIn, &ControlFlow::stepProducts);
}

uint32_t ControlFlow::placeOf(Slot slot) const {
  if (slot == kNoSlot || slot & kConstant)
    return kNoPlace;
  uint32_t predicates = function.predicateBytes;
  uint32_t place =
      slot < predicates ? slot / 8 : predicates / 8 + (slot - predicates) / 128;
  return place < placeCount ? place : kNoPlace;
}

static std::string_view opcodeOf(const Instruction &in) {
  return in.row ? std::string_view(in.row->opcode) : std::string_view();
}

static const CallSite *callSite(const Instruction &in) {
  if (!in.row || in.row->opcode != "call")
    return nullptr;
  return static_cast<const CallSite *>(in.extra);
}

std::vector<Slot> ControlFlow::callReads(const Instruction &in) {
  std::vector<Slot> slots;
  if (const CallSite *site = callSite(in))
    for (const Actual &actual : site->arguments)
      if (actual.inRegister)
        slots.push_back(actual.slot);
  return slots;
}

std::vector<Slot> ControlFlow::callWrites(const Instruction &in) {
  std::vector<Slot> slots;
  if (const CallSite *site = callSite(in))
    for (const Actual &actual : site->results)
      if (actual.inRegister)
        slots.push_back(actual.slot);
  return slots;
}

void ControlFlow::findBlocks() {
  std::map<uint32_t, uint32_t> starts; // instruction -> range
  for (uint32_t pc = function.begin; pc < function.end; ++pc) {
    const Instruction &in = program.instructions[pc];
    if (pc == function.begin ||
        in.block != program.instructions[pc - 1].block) {
      starts[pc] = uint32_t(ranges.size());
      ranges.push_back({pc,
                        pc,
                        {},
                        PlaceSet(placeCount),
                        PlaceSet(placeCount),
                        PlaceSet(placeCount)});
    }
    ranges.back().end = pc + 1;
  }
  for (Range &range : ranges) {
    const Instruction &last = program.instructions[range.end - 1];
    std::string_view op = opcodeOf(last);
    auto link = [&](uint32_t pc) {
      if (auto at = starts.find(pc); at != starts.end())
        range.successors.push_back(at->second);
    };
    bool ends = op == "bra" || op == "brx" || op == "ret" || op == "exit" ||
                op == "trap";
    if (op == "bra")
      link(last.target);
    if (op == "brx" && last.extra)
      for (uint32_t target :
           static_cast<const BranchTable *>(last.extra)->targets)
        link(target);
    if (!ends || last.flags & kGuarded)
      link(range.end);
  }
}

void ControlFlow::findLiveness() {
  std::vector<PlaceSet> liveIn(ranges.size(), PlaceSet(placeCount));
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t b = ranges.size(); b-- > 0;) {
      Range &range = ranges[b];
      for (uint32_t next : range.successors)
        range.liveOut.unite(liveIn[next]);
      PlaceSet live = range.liveOut;
      for (uint32_t pc = range.end; pc-- > range.begin;) {
        const Instruction &in = program.instructions[pc];
        if (!(in.flags & kGuarded))
          writes(in, [&](uint32_t place) { live.remove(place); });
        reads(in, [&](uint32_t place) { live.add(place); });
      }
      changed |= liveIn[b].unite(live);
    }
  }
}

static bool variesByItself(const Instruction &in) {
  std::string_view op = opcodeOf(in);
  switch (in.row ? in.row->cost : Cost::Other) {
  case Cost::Shared:
  case Cost::Global:
  case Cost::Local:
  case Cost::Atomic:
  case Cost::Matrix:
  case Cost::Tensor:
  case Cost::Async:
  case Cost::Mbarrier:
    return true;
  case Cost::Warp:
    return op != "vote" && op != "redux" && op != "activemask";
  default:
    return op == "call" || op == "ld" || op == "%clock";
  }
}

bool ControlFlow::anyVarying(const Instruction &in,
                             const PlaceSet &varying) const {
  bool any = false;
  for (unsigned i = in.resultCount; i < in.operandCount; ++i)
    if (uint32_t place = placeOf(in.operand[i]); place != kNoPlace)
      any |= varying.has(place);
  return any;
}

void ControlFlow::stepVarying(const Instruction &in, PlaceSet &varying) const {
  bool guardVaries = false;
  if (uint32_t place = placeOf(in.guard); place != kNoPlace)
    guardVaries = varying.has(place);
  // Loads of parameters and constants are as uniform as their address.
  bool constantLoad = in.row && in.row->cost == Cost::Constant;
  bool varies = guardVaries || anyVarying(in, varying) ||
                (!constantLoad && variesByItself(in));
  writes(in, [&](uint32_t place) {
    if (varies)
      varying.add(place);
    else if (!(in.flags & kGuarded))
      varying.remove(place);
  });
}

void ControlFlow::stepProducts(const Instruction &in,
                               PlaceSet &products) const {
  bool product = in.row && in.row->opcode == "mul" &&
                 in.row->name().find(".wide") != std::string::npos;
  writes(in, [&](uint32_t place) {
    product ? products.add(place) : products.remove(place);
  });
}

void ControlFlow::spread(PlaceSet Range::*in,
                         void (ControlFlow::*step)(const Instruction &,
                                                   PlaceSet &) const) {
  for (bool changed = true; changed;) {
    changed = false;
    for (Range &range : ranges) {
      PlaceSet places = range.*in;
      for (uint32_t pc = range.begin; pc < range.end; ++pc)
        (this->*step)(program.instructions[pc], places);
      for (uint32_t next : range.successors)
        changed |= (ranges[next].*in).unite(places);
    }
  }
}

void ControlFlow::findVarying() {
  if (ranges.empty())
    return;
  for (const FrameValue &value : function.frameValues) {
    uint32_t place = placeOf(value.slot);
    if (place == kNoPlace)
      continue;
    using K = FrameValueKind;
    if (value.kind <= K::TidZ ||
        (value.kind >= K::LaneId && value.kind <= K::WarpId) ||
        (value.kind >= K::LaneMaskEq && value.kind <= K::LaneMaskGt))
      ranges[0].varyingIn.add(place);
  }
  spread(&Range::varyingIn, &ControlFlow::stepVarying);
}

} // namespace ptx
