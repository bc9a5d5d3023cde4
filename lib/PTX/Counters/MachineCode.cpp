// What ptxas would make of a program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MachineCode.h"
#include "Counters/FoldBlock.h"
#include "Counters/KnownZeros.h"
#include "Counters/MergedLoads.h"

#include "Isa/IsaTable.h"

#include <algorithm>
#include <string_view>

namespace ptx {

static std::string_view opcode(const Instruction &in) {
  return in.row ? std::string_view(in.row->opcode) : std::string_view();
}

/// Words of 32 bits in each place; what the machine fills in is no register of
/// the hardware's.
static std::vector<uint8_t> wordsOfPlaces(const Program &program,
                                          const Function &function,
                                          const ControlFlow &flow) {
  std::vector<uint8_t> words(flow.places());
  for (uint32_t pc = function.begin; pc < function.end; ++pc) {
    const Instruction &in = program.instructions[pc];
    for (unsigned i = 0; i < in.operandCount; ++i)
      if (uint32_t place = flow.placeOf(in.operand[i]);
          place != ControlFlow::kNoPlace && in.width[i] != Width::Predicate)
        words[place] = in.width[i] == Width::Double ? 2 : 1;
  }
  for (const FrameValue &value : function.frameValues)
    if (uint32_t place = flow.placeOf(value.slot);
        place != ControlFlow::kNoPlace)
      words[place] = 0;
  return words;
}

static unsigned registersOf(const Program &program, const Function &kernel,
                            const ControlFlow &flow) {
  constexpr unsigned kFew = 4; // the stack, addresses on their way
  std::vector<uint8_t> words = wordsOfPlaces(program, kernel, flow);
  unsigned most = 0;
  for (const ControlFlow::Range &range : flow.blocks()) {
    PlaceSet live = range.liveOut;
    unsigned count = 0;
    for (uint32_t place = 0; place < words.size(); ++place)
      count += live.has(place) ? words[place] : 0;
    most = std::max(most, count);
    for (uint32_t pc = range.end; pc-- > range.begin;) {
      const Instruction &in = program.instructions[pc];
      if (!(in.flags & kGuarded))
        flow.writes(in, [&](uint32_t place) {
          count -= live.has(place) ? words[place] : 0;
          live.remove(place);
        });
      flow.reads(in, [&](uint32_t place) {
        count += live.has(place) ? 0 : words[place];
        live.add(place);
      });
      most = std::max(most, count);
    }
  }
  return std::clamp((most + kFew + 7) / 8 * 8, 16u, 255u);
}

MachineCode::MachineCode(const Program &program)
    : program(program), facts(program.instructions.size()) {
  for (size_t pc = 0; pc < facts.size(); ++pc)
    if (const Row *row = program.instructions[pc].row)
      facts[pc].cost = machineCost(*row);
  for (const Function &function : program.functions) {
    ControlFlow flow(program, function);
    findUses(flow);
    for (size_t b = 0; b < flow.blocks().size(); ++b)
      FoldBlock(program, function, flow, b, facts).run();
    findLoops(flow);
    MergedLoads(program, flow, KnownZeros(program, function, flow), facts)
        .run();
    registers.push_back(ptx::registersOf(program, function, flow));
  }
}

void MachineCode::findUses(const ControlFlow &flow) {
  for (const ControlFlow::Range &range : flow.blocks()) {
    PlaceSet live = range.liveOut;
    for (uint32_t pc = range.end; pc-- > range.begin;) {
      const Instruction &in = program.instructions[pc];
      bool used = false;
      flow.writes(in, [&](uint32_t place) { used |= live.has(place); });
      facts[pc].resultUnused = !used;
      if (!(in.flags & kGuarded))
        flow.writes(in, [&](uint32_t place) { live.remove(place); });
      flow.reads(in, [&](uint32_t place) { live.add(place); });
    }
    PlaceSet varying = range.varyingIn;
    for (uint32_t pc = range.begin; pc < range.end; ++pc) {
      const Instruction &in = program.instructions[pc];
      uint32_t address = in.operandCount > in.resultCount
                             ? flow.placeOf(in.source(0))
                             : ControlFlow::kNoPlace;
      facts[pc].uniformAddress =
          address == ControlFlow::kNoPlace || !varying.has(address);
      flow.stepVarying(in, varying);
    }
  }
}

/// Does the address of \p load depend on what it loaded one round earlier?
bool MachineCode::isChained(const ControlFlow &flow, uint32_t begin,
                            uint32_t end, uint32_t load) const {
  PlaceSet tainted(flow.places());
  for (unsigned round = 0; round < 2; ++round)
    for (uint32_t pc = begin; pc < end; ++pc) {
      const Instruction &in = program.instructions[pc];
      if (pc == load) {
        uint32_t address = flow.placeOf(in.source(0));
        if (round && address != ControlFlow::kNoPlace && tainted.has(address))
          return true;
        flow.writes(in, [&](uint32_t place) { tainted.add(place); });
        continue;
      }
      bool from = flow.anyVarying(in, tainted);
      flow.writes(in, [&](uint32_t place) {
        if (from)
          tainted.add(place);
        else if (!(in.flags & kGuarded))
          tainted.remove(place);
      });
    }
  return false;
}

/// A loop that looks at memory and changes nothing.
bool MachineCode::onlyWaits(uint32_t begin, uint32_t end) const {
  bool looks = false;
  for (uint32_t pc = begin; pc < end; ++pc) {
    const Instruction &in = program.instructions[pc];
    std::string_view op = opcode(in);
    if (op == "st" || op == "red" || op == "call" || op == "mma" ||
        op == "wgmma" || op == "cp" || op == "bar" || op == "barrier" ||
        op == "mbarrier" || op == "stmatrix" || op == "ldmatrix")
      return false;
    // Ordered and volatile loads; a compare-and-swap that tries again.
    bool ordered =
        op == "atom" && in.row->name().find(".cas") != std::string::npos;
    if (op == "ld" && in.row->cost == Cost::Global)
      ordered = isOrderedLoad(in);
    if (op == "atom" && !ordered)
      return false;
    looks |= ordered;
  }
  return looks;
}

void MachineCode::findLifted(const ControlFlow &flow, uint32_t begin,
                             uint32_t last) {
  PlaceSet written(flow.places());
  for (uint32_t pc = begin; pc <= last; ++pc) {
    const Instruction &in = program.instructions[pc];
    if (mayChangeShared(in))
      return;
    flow.writes(in, [&](uint32_t place) { written.add(place); });
  }
  for (uint32_t pc = begin; pc < last; ++pc) {
    const Instruction &in = program.instructions[pc];
    std::string_view op = opcode(in);
    bool load =
        (op == "ld" && in.row->cost == Cost::Shared) || op == "ldmatrix";
    if (!load || in.flags & kGuarded || facts[pc].lifted)
      continue;
    uint32_t place = flow.placeOf(in.source(0));
    if (place != ControlFlow::kNoPlace && written.has(place))
      continue;
    facts[pc].lifted = true;
    facts[pc].liftedFrom = begin;
    facts[pc].liftedTo = last;
  }
}

void MachineCode::findLoops(const ControlFlow &flow) {
  for (const ControlFlow::Range &range : flow.blocks()) {
    uint32_t last = range.end - 1;
    const Instruction &branch = program.instructions[last];
    if (opcode(branch) != "bra" || branch.target > last)
      continue;
    uint32_t begin = branch.target;
    for (uint32_t pc = begin; pc < last; ++pc) {
      const Instruction &in = program.instructions[pc];
      if (opcode(in) == "ld" && in.row->cost == Cost::Global &&
          !facts[pc].chained)
        facts[pc].chained = isChained(flow, begin, last, pc);
    }
    findLifted(flow, begin, last);
    if (onlyWaits(begin, last)) {
      facts[last].spins = true;
      facts[last].spinBegin = begin;
    }
  }
}

} // namespace ptx
