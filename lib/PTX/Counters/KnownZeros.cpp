// How many low bits of each register are known to be zero.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/KnownZeros.h"

#include "Isa/IsaTable.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ptx {

static constexpr uint8_t kAllZero = 64;
/// Dynamic shared memory begins at a multiple of 16 bytes.
static constexpr uint8_t kDynamicShared = 4;

KnownZeros::KnownZeros(const Program &program, const Function &function,
                       const ControlFlow &flow)
    : program(program), flow(flow),
      starts(flow.blocks().size(), State(flow.places(), kAllZero)) {
  if (starts.empty())
    return;
  starts[0].assign(flow.places(), 0);
  for (const FrameValue &value : function.frameValues)
    if (uint32_t place = flow.placeOf(value.slot);
        place != ControlFlow::kNoPlace &&
        value.kind == FrameValueKind::DynamicShared)
      starts[0][place] = kDynamicShared;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t b = 0; b < starts.size(); ++b) {
      State state = starts[b];
      const ControlFlow::Range &range = flow.blocks()[b];
      for (uint32_t pc = range.begin; pc < range.end; ++pc)
        step(program.instructions[pc], state);
      for (uint32_t next : range.successors)
        for (size_t place = 0; place < state.size(); ++place)
          if (state[place] < starts[next][place]) {
            starts[next][place] = state[place];
            changed = true;
          }
    }
  }
}

unsigned KnownZeros::of(const Instruction &in, unsigned operand,
                        const State &state) const {
  Slot slot = in.operand[operand];
  if (slot == kNoSlot)
    return kAllZero;
  if (!(slot & kConstant)) {
    uint32_t place = flow.placeOf(slot);
    return place == ControlFlow::kNoPlace ? 0 : state[place];
  }
  const std::byte *constant = program.constants.data + (slot & ~kConstant);
  uint64_t value = 0;
  std::memcpy(&value, constant, in.width[operand] == Width::Double ? 8 : 4);
  return value ? unsigned(__builtin_ctzll(value)) : kAllZero;
}

static bool hasFloats(const Row &row) {
  return std::any_of(
      row.modifiers.begin(), row.modifiers.end(),
      [](const std::string &m) { return isFloat(typeNamed(m)); });
}

unsigned KnownZeros::resultOf(const Instruction &in, const State &state) const {
  if (!in.row || in.resultCount != 1 || hasFloats(*in.row))
    return 0;
  std::string_view op = in.row->opcode;
  unsigned sources = in.operandCount - in.resultCount;
  auto zeros = [&](unsigned source) {
    return source < sources ? of(in, in.resultCount + source, state) : 0u;
  };
  if ((op == "mov" || op == "cvt" || op == "cvta" || op == "neg") &&
      sources == 1)
    return zeros(0);
  if (op == "add" || op == "sub" || op == "or" || op == "xor" || op == "min" ||
      op == "max" || op == "selp")
    return std::min(zeros(0), zeros(1));
  if (op == "and")
    return std::max(zeros(0), zeros(1));
  bool high = in.row->name().find(".hi") != std::string::npos;
  if (op == "mul" && !high)
    return zeros(0) + zeros(1);
  if (op == "mad" && !high)
    return std::min(zeros(0) + zeros(1), zeros(2));
  if (op == "shl" && in.operand[in.resultCount + 1u] & kConstant) {
    uint32_t count;
    Slot slot = in.operand[in.resultCount + 1u];
    std::memcpy(&count, program.constants.data + (slot & ~kConstant), 4);
    return zeros(0) + std::min(count, 64u);
  }
  return 0;
}

void KnownZeros::step(const Instruction &in, State &state) const {
  unsigned zeros = std::min<unsigned>(resultOf(in, state), kAllZero);
  flow.writes(in, [&](uint32_t place) {
    // A guarded instruction may leave what was there.
    bool kept = in.flags & kGuarded;
    state[place] =
        uint8_t(kept ? std::min<unsigned>(zeros, state[place]) : zeros);
  });
}

} // namespace ptx
