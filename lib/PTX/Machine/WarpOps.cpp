// Instructions between the lanes of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Handlers.h"
#include "Machine/Machine.h"
#include "Machine/Shuffle.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace ptx {

void spreadShuffledPoison(Warp &warp, const Instruction &in,
                          const uint32_t *from) {
  LaneMask undefined = readPoison(warp, in, in.resultCount, 0), moved = 0;
  forEachLane(warp.active, [&](unsigned l) {
    // A lane that does not take part has no defined value to give.
    bool absent = !(warp.active >> from[l] & 1);
    moved |= LaneMask{absent || (undefined >> from[l] & 1)} << l;
  });
  writePoison(warp, in, 0, warp.active, moved);
  if (in.resultCount > 1)
    writePoison(warp, in, 1, warp.active, 0);
}

//===----------------------------------------------------------------------===//
// Votes, matches, elections
//===----------------------------------------------------------------------===//

/// What one lane gets is undefined if any lane's predicate is.
static void spreadToAll(Warp &warp, const Instruction &in, unsigned operand) {
  if (!warp.poison)
    return;
  LaneMask undefined = anyPoison(warp, in, operand) & warp.active;
  for (unsigned i = 0; i < in.resultCount; ++i)
    writePoison(warp, in, i, warp.active, undefined ? kAllLanes : 0);
}

static void writeWord(Warp &warp, Slot slot, uint32_t value) {
  if (slot == kNoSlot)
    return;
  uint32_t *d = warp.lanes<uint32_t>(slot);
  forEachLane(warp.active, [&](unsigned l) { d[l] = value; });
}

void handleVoteAll(Warp &warp, const Instruction &in) {
  LaneMask value = warp.readPredicate(in, in.resultCount) & warp.active;
  spreadToAll(warp, in, in.resultCount);
  warp.writePredicate(in.operand[0], value == warp.active ? kAllLanes : 0);
}
void handleVoteAny(Warp &warp, const Instruction &in) {
  LaneMask value = warp.readPredicate(in, in.resultCount) & warp.active;
  spreadToAll(warp, in, in.resultCount);
  warp.writePredicate(in.operand[0], value ? kAllLanes : 0);
}
void handleVoteUniform(Warp &warp, const Instruction &in) {
  LaneMask value = warp.readPredicate(in, in.resultCount) & warp.active;
  spreadToAll(warp, in, in.resultCount);
  bool uniform = value == 0 || value == warp.active;
  warp.writePredicate(in.operand[0], uniform ? kAllLanes : 0);
}
void handleVoteBallot(Warp &warp, const Instruction &in) {
  LaneMask value = warp.readPredicate(in, in.resultCount) & warp.active;
  spreadToAll(warp, in, in.resultCount);
  writeWord(warp, in.operand[0], value);
}

void handleActiveMask(Warp &warp, const Instruction &in) {
  writeWord(warp, in.operand[0], warp.active);
}

static uint64_t keyOf(const Warp &warp, const Instruction &in, unsigned lane) {
  unsigned operand = in.resultCount;
  return in.width[operand] == Width::Double
             ? warp.lanes<uint64_t>(in.operand[operand])[lane]
             : warp.lanes<uint32_t>(in.operand[operand])[lane];
}

void handleMatchAny(Warp &warp, const Instruction &in) {
  spreadToAll(warp, in, in.resultCount);
  uint32_t result[kLanes] = {};
  for (LaneMask rest = warp.active; rest;) {
    uint64_t key = keyOf(warp, in, __builtin_ctz(rest));
    LaneMask same = 0;
    forEachLane(rest, [&](unsigned l) {
      same |= LaneMask{keyOf(warp, in, l) == key} << l;
    });
    forEachLane(same, [&](unsigned l) { result[l] = same; });
    rest &= ~same;
  }
  if (in.operand[0] == kNoSlot)
    return;
  uint32_t *d = warp.lanes<uint32_t>(in.operand[0]);
  forEachLane(warp.active, [&](unsigned l) { d[l] = result[l]; });
}

void handleMatchAll(Warp &warp, const Instruction &in) {
  spreadToAll(warp, in, in.resultCount);
  uint64_t key = keyOf(warp, in, __builtin_ctz(warp.active));
  bool same = true;
  forEachLane(warp.active,
              [&](unsigned l) { same &= keyOf(warp, in, l) == key; });
  writeWord(warp, in.operand[0], same ? warp.active : 0);
  if (in.resultCount > 1)
    warp.writePredicate(in.operand[1], same ? kAllLanes : 0);
}

void handleElect(Warp &warp, const Instruction &in) {
  unsigned leader = __builtin_ctz(warp.active);
  for (unsigned i = 0; warp.poison && i < in.resultCount; ++i)
    writePoison(warp, in, i, warp.active, 0);
  writeWord(warp, in.operand[0], leader);
  if (in.resultCount > 1)
    warp.writePredicate(in.operand[1], 1u << leader);
}

//===----------------------------------------------------------------------===//
// redux.sync
//===----------------------------------------------------------------------===//

template <ReduxOp op> static uint32_t reduceTwo(uint32_t a, uint32_t b) {
  auto s = [](uint32_t v) { return static_cast<int32_t>(v); };
  switch (op) {
  case ReduxOp::Add:
    return a + b;
  case ReduxOp::MinU:
    return std::min(a, b);
  case ReduxOp::MaxU:
    return std::max(a, b);
  case ReduxOp::MinS:
    return s(a) < s(b) ? a : b;
  case ReduxOp::MaxS:
    return s(a) > s(b) ? a : b;
  case ReduxOp::And:
    return a & b;
  case ReduxOp::Or:
    return a | b;
  case ReduxOp::Xor:
    return a ^ b;
  }
}

template <ReduxOp op> void handleRedux(Warp &warp, const Instruction &in) {
  spreadToAll(warp, in, 1);
  const uint32_t *a = warp.lanes<uint32_t>(in.source(0));
  unsigned first = __builtin_ctz(warp.active);
  uint32_t value = a[first];
  forEachLane(warp.active & ~(1u << first),
              [&](unsigned l) { value = reduceTwo<op>(value, a[l]); });
  writeWord(warp, in.operand[0], value);
}
template void handleRedux<ReduxOp::Add>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::MinU>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::MaxU>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::MinS>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::MaxS>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::And>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::Or>(Warp &, const Instruction &);
template void handleRedux<ReduxOp::Xor>(Warp &, const Instruction &);

/// A key that orders floats as numbers, -0 below +0.
static uint32_t orderedKey(uint32_t bits) {
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

void handleReduxFloat(Warp &warp, const Instruction &in) {
  spreadToAll(warp, in, 1);
  const auto &info = *static_cast<const ReduxFloatInfo *>(in.extra);
  const uint32_t *a = warp.lanes<uint32_t>(in.source(0));
  bool any = false, nan = false;
  uint32_t best = 0;
  forEachLane(warp.active, [&](unsigned l) {
    uint32_t bits = info.absolute ? a[l] & 0x7fffffffu : a[l];
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
      nan = true;
      return;
    }
    bool better = info.maximum ? orderedKey(bits) > orderedKey(best)
                               : orderedKey(bits) < orderedKey(best);
    if (!any || better)
      best = bits;
    any = true;
  });
  if (!any || (nan && info.nan))
    best = 0x7fffffffu;
  writeWord(warp, in.operand[0], best);
}

} // namespace ptx
