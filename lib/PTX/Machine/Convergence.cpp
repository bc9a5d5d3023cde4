// Instructions that lanes execute together.
//
// `.aligned` needs all live lanes of the warp at the same instruction;
// `.sync` with a member mask needs the lanes of the mask, at the same
// instruction or at equal ones elsewhere. Lanes that come early wait, whatever
// the layout of the code. What never meets is found as a deadlock.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "Machine/Machine.h"

#include <cstring>
#include <vector>

namespace ptx {

static uint32_t memberMaskOf(const Warp &warp, const Instruction &in,
                             unsigned lane) {
  return warp.lanes<uint32_t>(in.operand[in.memberMask])[lane];
}

/// Executes for \p lanes only; an instruction that has to be repeated parks.
static void executeLanes(Machine &machine, Warp &warp, const Instruction &in,
                         LaneMask lanes) {
  warp.active = lanes;
  executeOne(machine, warp, in);
}

static void refuseOutsider(Warp &warp, const Instruction &in, LaneMask lanes,
                           uint32_t members) {
  warp.fail(FindingKind::Divergence, in, lanes,
            "executed by " + lanesText(lanes) + ", which the member mask " +
                lanesText(members) + " does not name");
}

namespace {
/// Lanes of a collective that stand at one instruction in one activation.
struct Party {
  const Instruction *instruction;
  Frame *frame;
  LaneMask lanes;
  uint32_t pc;
};
} // namespace

/// The waiting splits that execute the same form with the same members.
static std::vector<Party> findParties(Warp &warp, const Instruction &in,
                                      uint32_t members) {
  const auto &code = warp.block->grid->program->instructions;
  std::vector<Party> parties;
  std::byte *registers = warp.base[0];
  for (const Split &split : warp.others) {
    if (split.wait != WaitReason::Members)
      continue;
    const Instruction &other = code[split.pc];
    if (other.row != in.row)
      continue;
    warp.base[0] = split.frame->registers.data;
    LaneMask lanes = 0;
    forEachLane(split.mask & members, [&](unsigned lane) {
      if (memberMaskOf(warp, other, lane) == members)
        lanes |= 1u << lane;
    });
    if (lanes)
      parties.push_back({&other, split.frame, lanes, split.pc});
  }
  warp.base[0] = registers;
  return parties;
}

/// Copies operand \p index of a party's lanes between its own registers and a
/// scratch slot.
static void copyOperand(std::byte *scratch, std::byte *own, Width width,
                        LaneMask lanes, bool toScratch) {
  if (width == Width::Predicate) {
    auto *to = reinterpret_cast<LaneMask *>(toScratch ? scratch : own);
    auto *from = reinterpret_cast<LaneMask *>(toScratch ? own : scratch);
    for (unsigned i = 0; i < 2; ++i)
      to[i] = (to[i] & ~lanes) | (from[i] & lanes);
    return;
  }
  unsigned bytes = width == Width::Double ? 8 : 4;
  forEachLane(lanes, [&](unsigned lane) {
    std::byte *a = scratch + lane * bytes, *b = own + lane * bytes;
    std::memcpy(toScratch ? a : b, toScratch ? b : a, bytes);
  });
}

/// One collective whose lanes stand at several instructions: operands are
/// gathered into a scratch register file, results spread from it.
static void executeJoint(Machine &machine, Warp &warp,
                         const std::vector<Party> &parties, LaneMask all) {
  constexpr unsigned kMost = 12;
  alignas(64) std::byte scratch[kMost * 512] = {};
  Slot slots[kMost];
  Instruction joint = *parties[0].instruction;
  LaneMask negated = joint.negatedPredicates;
  for (unsigned i = 0; i < joint.operandCount && i < kMost; ++i)
    slots[i] = joint.operand[i] == kNoSlot ? kNoSlot : i * 512;
  auto each = [&](const Party &party, bool toScratch) {
    const Instruction &in = *party.instruction;
    warp.base[0] = party.frame->registers.data;
    for (unsigned i = 0; i < in.operandCount && i < kMost; ++i) {
      Slot slot = in.operand[i];
      if (slot == kNoSlot || slots[i] == kNoSlot ||
          (!toScratch && i >= in.resultCount))
        continue;
      bool flip = in.width[i] == Width::Predicate && toScratch &&
                  ((in.negatedPredicates ^ negated) >> i & 1);
      copyOperand(scratch + slots[i], warp.lanes<std::byte>(slot), in.width[i],
                  party.lanes, toScratch);
      if (flip)
        *reinterpret_cast<LaneMask *>(scratch + slots[i]) ^= party.lanes;
    }
  };
  for (const Party &party : parties)
    each(party, true);
  joint.operand = slots;
  Frame *frame = warp.frame;
  LaneMask *poison = warp.poison;
  warp.base[0] = scratch;
  warp.poison = nullptr;
  warp.active = all;
  joint.run(warp, joint);
  for (const Party &party : parties)
    each(party, false);
  enterFrame(warp, frame);
  warp.poison = poison;
  for (const Party &party : parties) {
    if (machine.observer) {
      warp.active = party.lanes;
      enterFrame(warp, party.frame);
      tellInstruction(machine, warp, *party.instruction);
      if (machine.poison)
        for (unsigned i = 0; i < party.instruction->resultCount; ++i)
          writePoison(warp, *party.instruction, i, party.lanes, 0);
    }
  }
  enterFrame(warp, frame);
}

/// Lets the lanes of \p party that waited go on behind their instruction.
static void releaseParty(Warp &warp, const Party &party) {
  for (size_t i = 0; i < warp.others.size(); ++i) {
    Split &split = warp.others[i];
    if (split.wait != WaitReason::Members || split.pc != party.pc ||
        split.frame != party.frame || !(split.mask & party.lanes))
      continue;
    Split released = split;
    released.mask = split.mask & party.lanes;
    released.pc = party.pc + 1;
    released.wait = WaitReason::None;
    split.mask &= ~party.lanes;
    if (!split.mask) {
      split = released;
    } else {
      ++released.frame->references;
      warp.others.push_back(released);
    }
    warp.mergePc = 0;
    return;
  }
}

/// Lanes of one member mask. True if they executed; else they must wait.
static bool executeGroup(Machine &machine, Warp &warp, const Instruction &in,
                         LaneMask lanes, uint32_t members) {
  if (LaneMask outside = lanes & ~members)
    refuseOutsider(warp, in, outside, members);
  LaneMask required = members & warp.live;
  if ((lanes & required) == required) {
    executeLanes(machine, warp, in, lanes);
    return true;
  }
  if (warp.others.empty())
    return false;
  std::vector<Party> parties = findParties(warp, in, members);
  LaneMask all = lanes;
  for (const Party &party : parties)
    all |= party.lanes;
  if ((all & required) != required)
    return false;
  parties.insert(parties.begin(), {&in, warp.frame, lanes, warp.pc - 1});
  executeJoint(machine, warp, parties, all);
  for (size_t i = 1; i < parties.size(); ++i)
    releaseParty(warp, parties[i]);
  return true;
}

static void executeMembers(Machine &machine, Warp &warp,
                           const Instruction &in) {
  LaneMask active = warp.active, waiting = 0;
  if (warp.poison) {
    LaneMask undefined = anyPoison(warp, in, in.memberMask) & active;
    if (undefined)
      machine.observer->onPoisonUse(warp, in, undefined, PoisonUse::MemberMask);
  }
  for (LaneMask rest = active; rest;) {
    uint32_t members = memberMaskOf(warp, in, __builtin_ctz(rest));
    LaneMask lanes = 0;
    forEachLane(rest, [&](unsigned lane) {
      if (memberMaskOf(warp, in, lane) == members)
        lanes |= 1u << lane;
    });
    rest &= ~lanes;
    if (!executeGroup(machine, warp, in, lanes, members))
      waiting |= lanes;
    if (warp.event != Event::None) // a whole warp that must repeat it
      return;
  }
  warp.active = active & ~waiting;
  if (waiting)
    park(warp, waiting, warp.pc - 1, WaitReason::Members);
}

/// True if the member mask of every active lane is the same and names them.
static bool allName(const Warp &warp, const Instruction &in) {
  const uint32_t *mask = warp.lanes<uint32_t>(in.operand[in.memberMask]);
  uint32_t first = mask[__builtin_ctz(warp.active)];
  if ((first & warp.active) != warp.active)
    return false;
  if (in.operand[in.memberMask] & kConstant)
    return true;
  uint32_t different = 0;
  for (unsigned l = 0; l < kLanes; ++l)
    different |= (mask[l] ^ first) & -(warp.active >> l & 1);
  return !different;
}

/// Matrix instructions take a part of the matrix from every lane; one that has
/// exited has none to give. Barriers do not wait for such lanes.
static void checkExited(Machine &machine, Warp &warp, const Instruction &in) {
  if (in.row->cost != Cost::Matrix && in.row->cost != Cost::Tensor)
    return;
  const uint64_t left =
      machine.grid.block.count() - uint64_t{warp.index} * kLanes;
  const LaneMask started = left >= kLanes ? kAllLanes : (1u << left) - 1;
  const LaneMask exited = started & ~warp.live;
  if (!exited)
    return;
  Finding finding;
  finding.kind = FindingKind::Divergence;
  finding.place = placeOf(warp, in, warp.active);
  finding.message = "executed without " + lanesText(exited) +
                    ", which have exited: all lanes of the warp must execute "
                    "it together";
  machine.journal.add(std::move(finding));
}

void executeTogether(Machine &machine, Warp &warp, const Instruction &in) {
  LaneMask active = warp.active;
  if (in.flags & kMemberMask) {
    // The usual case: all lanes, and the mask names them all.
    bool defined = !warp.poison || (in.operand[in.memberMask] & kConstant);
    if (active == warp.live && defined && allName(warp, in)) {
      executeOne(machine, warp, in);
      return;
    }
    if (!(in.flags & kAligned)) {
      executeMembers(machine, warp, in);
      return;
    }
  }
  if (active == warp.live) {
    if (active != kAllLanes) [[unlikely]]
      checkExited(machine, warp, in);
    executeOne(machine, warp, in);
    return;
  }
  park(warp, active, warp.pc - 1, WaitReason::Members);
}

} // namespace ptx
