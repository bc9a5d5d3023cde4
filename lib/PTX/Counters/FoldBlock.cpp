// What ptxas folds into neighbours.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/FoldBlock.h"

#include "Isa/IsaTable.h"
#include "Machine/Memory.h"

#include <algorithm>

namespace ptx {

bool isOrderedLoad(const Instruction &in) {
  auto *info = static_cast<const MemoryInfo *>(in.extra);
  return info && info->order != Order::Weak;
}

FoldBlock::FoldBlock(const Program &program, const Function &function,
                     const ControlFlow &flow, size_t block,
                     std::vector<CodeFacts> &facts)
    : program(program), function(function), flow(flow),
      range(flow.blocks()[block]), begin(range.begin), end(range.end),
      facts(facts), values(end - begin), users(end - begin),
      makers(end - begin), absorbed(end - begin) {}

std::string_view FoldBlock::op(uint32_t pc) const {
  return at(pc).row ? std::string_view(at(pc).row->opcode) : "";
}

bool FoldBlock::has(uint32_t pc, std::string_view modifier) const {
  const Row *row = at(pc).row;
  return row && std::find(row->modifiers.begin(), row->modifiers.end(),
                          modifier) != row->modifiers.end();
}

bool FoldBlock::isConstant(uint32_t pc, unsigned source) const {
  const Instruction &in = at(pc);
  return in.resultCount + source < in.operandCount &&
         in.source(source) & kConstant && in.source(source) != kNoSlot;
}

uint32_t FoldBlock::maker(uint32_t pc, unsigned source) const {
  const std::vector<uint32_t> &list = makers[pc - begin];
  return source < list.size() ? list[source] : kNone;
}

void FoldBlock::findValues() {
  std::vector<uint32_t> last(flow.places(), kNone); // who made a place
  for (uint32_t pc = begin; pc < end; ++pc) {
    const Instruction &in = at(pc);
    auto use = [&](Slot slot) {
      uint32_t place = flow.placeOf(slot);
      uint32_t from = place == ControlFlow::kNoPlace ? kNone : last[place];
      if (from != kNone) {
        ++valueOf(from).uses;
        valueOf(from).user = pc;
        users[from - begin].push_back(pc);
      }
      return from;
    };
    for (unsigned i = in.resultCount; i < in.operandCount; ++i)
      makers[pc - begin].push_back(use(in.operand[i]));
    use(in.guard);
    flow.writes(in, [&](uint32_t place) { last[place] = pc; });
  }
  for (uint32_t place = 0; place < last.size(); ++place)
    if (last[place] != kNone && range.liveOut.has(place))
      valueOf(last[place]).leaves = true;
}

bool FoldBlock::usedOnceBy(uint32_t pc, std::string_view user) {
  Value &value = valueOf(pc);
  return value.uses == 1 && !value.leaves && op(value.user) == user;
}

bool FoldBlock::allUsersAre(uint32_t pc, std::string_view user) {
  if (valueOf(pc).leaves || users[pc - begin].empty())
    return false;
  for (uint32_t u : users[pc - begin])
    if (op(u) != user)
      return false;
  return true;
}

void FoldBlock::setCost(uint32_t pc, float instructions) {
  MachineCost &cost = facts[pc].cost;
  if (cost.instructions > 0)
    cost = cost.scaled(instructions / cost.instructions);
  else
    cost.instructions = instructions;
}

void FoldBlock::absorb(uint32_t pc, uint32_t user) {
  setCost(pc, 0);
  absorbed[user - begin] = true;
}

void FoldBlock::foldMove(uint32_t pc) {
  const Instruction &in = at(pc);
  if (in.operandCount != 2u) { // packs and unpacks
    setCost(pc, has(pc, ".b64") || has(pc, ".b128") ? 0 : 1);
    return;
  }
  if (isConstant(pc, 0)) {
    setCost(pc, valueOf(pc).leaves ? 0.5f : 0);
    return;
  }
  for (const FrameValue &value : function.frameValues)
    if (value.slot == in.source(0)) {
      bool special = value.kind <= FrameValueKind::TidZ ||
                     value.kind == FrameValueKind::LaneId;
      facts[pc].cost = {};
      facts[pc].cost.lsu = special ? 1 : 0;
      if (value.kind >= FrameValueKind::LocalSymbol)
        facts[pc].cost.instructions = 0.5f;
      return;
    }
  // Copies meet in one register, except where loops turn.
  setCost(pc, valueOf(pc).leaves ? 0.5f : 0);
}

void FoldBlock::foldConvert(uint32_t pc) {
  if (facts[pc].cost.xu > 0 || !at(pc).row)
    return;
  bool toWide = has(pc, ".s64") || has(pc, ".u64");
  bool floats = has(pc, ".f32") || has(pc, ".f16") || has(pc, ".bf16");
  if (floats)
    return;
  if (toWide) { // the high word of an index, or nothing
    setCost(pc, has(pc, ".s32") && valueOf(pc).leaves ? 1 : 0);
    return;
  }
  // A register holds a shorter value as it is; a longer one has to be made of
  // it, but loads do so by themselves.
  const std::vector<std::string> &types = at(pc).row->modifiers;
  bool shortens = bitWidth(typeNamed(types[types.size() - 2])) <
                  bitWidth(typeNamed(types.back()));
  uint32_t from = maker(pc, 0);
  if (shortens || (from != kNone && op(from) == "ld"))
    setCost(pc, 0);
}

/// Fields at constant places: a shift and an extension, a shift and logic.
void FoldBlock::foldField(uint32_t pc) {
  unsigned position = op(pc) == "bfi" ? 2 : 1;
  if (isConstant(pc, position) && isConstant(pc, position + 1))
    setCost(pc, op(pc) == "bfi" && !has(pc, ".b64") ? 1 : 2);
}

/// Does a source hold a widening product, of this block or an earlier one?
bool FoldBlock::sumsProduct(uint32_t pc) {
  for (unsigned s = 0; s < 2; ++s) {
    uint32_t from = maker(pc, s);
    uint32_t place = flow.placeOf(at(pc).source(s));
    if (from == kNone && place != ControlFlow::kNoPlace &&
        range.productsIn.has(place))
      return true;
    if (from == kNone || op(from) != "mul" || !has(from, ".wide"))
      continue;
    if (allUsersAre(from, "add"))
      setCost(from, 0);
    return true;
  }
  return false;
}

/// Address arithmetic: a product or shift and the sum are one or two.
void FoldBlock::foldWideSum(uint32_t pc) {
  bool narrow = !valueOf(pc).leaves && !users[pc - begin].empty();
  bool offset = narrow && isConstant(pc, 1);
  for (uint32_t user : users[pc - begin]) {
    Cost cost = at(user).row ? at(user).row->cost : Cost::Other;
    bool memory = op(user) == "ld" || op(user) == "st";
    // Addresses of these spaces have 32 bits.
    narrow &= memory && (cost == Cost::Local || cost == Cost::Shared ||
                         cost == Cost::Constant);
    offset &= memory; // the constant goes into the instruction
  }
  if (sumsProduct(pc) || narrow)
    facts[pc].cost = {1, 0, 1, 0, 0};
  if (offset)
    setCost(pc, 0);
  for (unsigned s = 0; s < 2; ++s)
    if (uint32_t from = maker(pc, s);
        from != kNone && op(from) == "shl" && allUsersAre(from, "add"))
      setCost(from, 0);
}

/// Three-input logic: an operation that only another one reads.
void FoldBlock::foldLogic(uint32_t pc) {
  if (has(pc, ".pred")) {
    // Compares combine two predicates by themselves.
    if (maker(pc, 0) != kNone && op(maker(pc, 0)) == "setp")
      setCost(pc, 0);
    return;
  }
  if (absorbed[pc - begin] && op(pc) != "not")
    return;
  for (const char *user : {"and", "or", "xor"})
    if (usedOnceBy(pc, user) && !has(valueOf(pc).user, ".b64") &&
        !absorbed[valueOf(pc).user - begin]) {
      absorb(pc, valueOf(pc).user);
      return;
    }
}

/// Sums of three, shifts and products that only a sum reads.
void FoldBlock::foldSum(uint32_t pc) {
  // Products and sums are one, unless they say how they round.
  bool fuses = op(pc) == "mul" && !has(pc, ".rn");
  if ((has(pc, ".f32") && !fuses) || has(pc, ".f64") || has(pc, ".f16x2"))
    return;
  bool shift = op(pc) == "shl" && isConstant(pc, 1);
  bool product = op(pc) == "mul" && (has(pc, ".lo") || has(pc, ".f32"));
  bool sum = op(pc) == "add" || op(pc) == "sub";
  if (!shift && !product && (!sum || absorbed[pc - begin]))
    return;
  for (const char *user : {"add", "sub"})
    if (usedOnceBy(pc, user) && !absorbed[valueOf(pc).user - begin]) {
      absorb(pc, valueOf(pc).user);
      return;
    }
}

/// Signs are modifiers of the arithmetic that reads them.
void FoldBlock::foldSign(uint32_t pc) {
  if (valueOf(pc).leaves)
    return;
  for (uint32_t user : users[pc - begin])
    if (!has(user, ".f32") || op(user) == "st" || op(user) == "selp")
      return;
  setCost(pc, 0);
}

void FoldBlock::foldCompare(uint32_t pc) {
  uint32_t from = maker(pc, 0);
  // Logic leaves behind whether its result is zero.
  if (from != kNone && op(from) == "and" && valueOf(from).uses == 1 &&
      !valueOf(from).leaves && isConstant(pc, 1) &&
      (has(pc, ".eq") || has(pc, ".ne")))
    setCost(pc, 0);
}

void FoldBlock::foldBranch(uint32_t pc) {
  const Instruction &in = at(pc);
  if (in.target == pc + 1)
    setCost(pc, 0);
}

/// ptxas unrolls loops of one short block that nvcc left alone: their control
/// is executed once in several rounds.
void FoldBlock::unroll() {
  uint32_t branch = end - 1;
  if (op(branch) != "bra" || at(branch).target != begin ||
      !(at(branch).flags & kGuarded))
    return;
  float body = 0;
  bool steps = false; // by a constant, so that ptxas can count the rounds
  for (uint32_t pc = begin; pc < end; ++pc) {
    body += facts[pc].cost.instructions;
    steps |= isCounter(pc);
  }
  if (!steps || body > 24)
    return;
  const float share = body > 12 ? 0.5f : 0.25f;
  setCost(branch, facts[branch].cost.instructions * share);
  for (uint32_t pc = begin; pc < branch; ++pc)
    if (isCounter(pc) || (op(pc) == "setp" && allUsersAre(pc, "bra")))
      setCost(pc, facts[pc].cost.instructions * share);
}

bool FoldBlock::isCounter(uint32_t pc) const {
  return (op(pc) == "add" || op(pc) == "sub") && isConstant(pc, 1) &&
         flow.placeOf(at(pc).operand[0]) == flow.placeOf(at(pc).source(0));
}

void FoldBlock::run() {
  findValues();
  for (uint32_t pc = begin; pc < end; ++pc) {
    std::string_view o = op(pc);
    bool wide = has(pc, ".s64") || has(pc, ".u64") || has(pc, ".b64");
    if (o == "mov")
      foldMove(pc);
    else if (o == "cvt")
      foldConvert(pc);
    else if (o == "add" && wide)
      foldWideSum(pc);
    else if (o == "and" && wide && isConstant(pc, 1))
      setCost(pc, 1); // one word: masks of indices are short
    else if (o == "and" || o == "or" || o == "xor" || o == "not")
      wide ? void() : foldLogic(pc);
    else if (!wide && (o == "shl" || o == "mul" || o == "add" || o == "sub"))
      foldSum(pc);
    else if (o == "bfe" || o == "bfi")
      foldField(pc);
    else if (o == "setp")
      foldCompare(pc);
    else if (o == "bra")
      foldBranch(pc);
    else if (o == "ld" && at(pc).row->cost == Cost::Constant &&
             has(pc, ".param"))
      setCost(pc, wide ? 1.0f : 0.5f);
    else if ((o == "neg" || o == "abs") && has(pc, ".f32"))
      foldSign(pc);
  }
  unroll();
}

} // namespace ptx
