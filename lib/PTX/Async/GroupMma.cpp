// Wgmma in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/GroupMma.h"

#include "Async/GroupOperands.h"

#include "Decode/DecodeContext.h"
#include "Machine/Memory.h"

#include <cstring>

namespace ptx::async {
namespace {

using K = FindingKind;
using namespace tensor;

constexpr uint32_t kGarbageWord = kGarbage * 0x01010101u;

unsigned memberOf(const Warp &warp) { return warp.index % kGroupWarps; }

GroupMmaState &groupOf(Warp &warp, const Instruction &in) {
  Block &block = *warp.block;
  auto &groups = stateOf(block).groups;
  const unsigned index = warp.index / kGroupWarps;
  if ((index + 1) * kGroupWarps > block.warps.size())
    warp.fail(K::Divergence, in, warp.active,
              "wgmma needs four warps; warp " + std::to_string(warp.index) +
                  " belongs to an incomplete warpgroup");
  if (groups.size() <= index)
    groups.resize(index + 1);
  if (!groups[index])
    groups[index] = std::make_unique<GroupMmaState>();
  return *groups[index];
}

uint32_t *registerAt(std::byte *file, Slot slot) {
  return reinterpret_cast<uint32_t *>(file + slot);
}

/// The registers of D in the layout of scatterD and gatherC.
struct DRegisters {
  uint32_t *lanes[128];
  const uint32_t *constLanes[128];
  DRegisters(const Instruction &in, std::byte *file) {
    for (unsigned i = 0; i < in.resultCount; ++i)
      constLanes[i] = lanes[i] = registerAt(file, in.operand[i]);
  }
};

uint64_t hashRegisters(const Instruction &in, std::byte *file) {
  uint64_t hash = 0;
  for (unsigned i = 0; i < in.resultCount; ++i)
    for (unsigned l = 0; l < kLanes; ++l)
      hash = (hash ^ registerAt(file, in.operand[i])[l]) * 0x9e3779b97f4a7c15u;
  return hash;
}

/// A value all lanes must agree on.
uint64_t uniform(Warp &warp, const Instruction &in, unsigned operand,
                 const char *what) {
  checkPoison(warp, in, operand, PoisonUse::Address);
  const auto *lanes = warp.lanes<uint64_t>(in.operand[operand]);
  const uint64_t value = lanes[__builtin_ctz(warp.active)];
  forEachLane(warp.active, [&](unsigned l) {
    if (lanes[l] != value)
      warp.fail(K::Divergence, in, 1u << l,
                std::string("lanes have different ") + what);
  });
  return value;
}

/// The rows of A of all four warps, as they are stored.
void readStoredA(Block &block, const GroupOperation &operation,
                 const GroupMmaInfo &info, const Kernels &kernels,
                 uint32_t *out, Warp &warp) {
  const WgmmaShape &shape = info.shape;
  const unsigned words = shape.wordsOfA();
  const Instruction &in = *operation.instruction;
  if (shape.aInRegisters) {
    for (unsigned w = 0; w < kGroupWarps; ++w) {
      const uint32_t *registers[4];
      for (unsigned i = 0; i < 4; ++i) {
        const Slot slot = in.operand[info.a + i];
        registers[i] = slot & kConstant
                           ? warp.lanes<uint32_t>(slot)
                           : registerAt(operation.parts[w].file, slot);
      }
      gatherA(kernels, kRows, words, registers, out + w * words * kRows);
    }
    return;
  }
  alignas(64) uint32_t rows[kMaxWordsOfGroupA];
  uint32_t outside;
  if (!readTile(shape.tileOf(false, operation.descriptorA), block.shared.data,
                block.shared.size, kGroupRows, words, rows, outside))
    warp.fail(K::OutOfBounds, in, warp.active,
              "matrix A reaches offset " + std::to_string(outside) +
                  " of the " + std::to_string(block.shared.size) +
                  " bytes of shared memory");
  groupRowsToVectors(rows, words, out);
}

/// The rows of A of all four warps, with the zeros of sparse ones.
void readA(Block &block, const GroupOperation &operation,
           const GroupMmaInfo &info, const Kernels &kernels, uint32_t *out,
           Warp &warp) {
  const WgmmaShape &shape = info.shape;
  if (!shape.sparse)
    return readStoredA(block, operation, info, kernels, out, warp);
  alignas(64) uint32_t stored[kMaxWordsOfGroupA / 2];
  readStoredA(block, operation, info, kernels, stored, warp);
  // The metadata of each warp's rows is laid out as that of mma.sp.
  const Slot slot = operation.instruction->operand[info.metadata];
  for (unsigned w = 0; w < kGroupWarps; ++w)
    spreadSparse(shape.a, shape.words(), stored + w * shape.wordsOfA() * kRows,
                 registerAt(operation.parts[w].file, slot), info.selector,
                 out + w * shape.words() * kRows);
}

/// Carries out one operation; its predecessors are done.
void execute(Warp &warp, const Kernels &kernels, GroupOperation &operation) {
  const Instruction &in = *operation.instruction;
  const auto &info = *static_cast<const GroupMmaInfo *>(in.extra);
  const WgmmaShape &shape = info.shape;
  Block &block = *warp.block;
  const unsigned words = shape.words();
  alignas(64) uint32_t a[kMaxWordsOfGroupA];
  alignas(64) uint32_t b[kMaxWordsOfGroupB];
  uint32_t outside;
  readA(block, operation, info, kernels, a, warp);
  if (!readTile(shape.tileOf(true, operation.descriptorB), block.shared.data,
                block.shared.size, shape.n, words, b, outside))
    warp.fail(K::OutOfBounds, in, warp.active,
              "matrix B reaches offset " + std::to_string(outside) +
                  " of the " + std::to_string(block.shared.size) +
                  " bytes of shared memory");
  GroupSums &sums = *operation.sums;
  if (!operation.accumulate)
    std::memset(sums.words.data(), 0, sums.words.size() * sizeof(uint32_t));
  const Grid &grid = *block.grid;
  multiplyGroup(
      kernels, shape, ruleFor(Family::Wgmma, grid.sm, shape.a, shape.sparse),
      grid.options->tensor == TensorMode::Exact, a, b, sums.words.data());
  operation.done = true;
}

/// The registers of D go into the sums, unless an operation in flight has
/// them already.
void takeRegisters(Warp &warp, const Instruction &in, const Kernels &kernels,
                   GroupSums &sums, bool accumulate) {
  const unsigned member = memberOf(warp);
  GroupSums::Part &part = sums.parts[member];
  if (part.file)
    return;
  part.file = warp.base[0];
  part.undefined.fill(0);
  const DRegisters registers(in, part.file);
  gatherC(kernels, kRows, sums.shape.n, sums.shape.d, registers.constLanes,
          sums.words.data() + member * sums.shape.wordsOfWarp());
  for (unsigned i = 0; i < in.resultCount; ++i) {
    if (warp.poison) {
      part.undefined[i] = accumulate ? readPoison(warp, in, i, 0) : 0;
      writePoison(warp, in, i, kAllLanes, kAllLanes);
    }
    for (unsigned l = 0; l < kLanes; ++l)
      registers.lanes[i][l] = kGarbageWord;
  }
}

/// Gives the warp its registers back.
void returnRegisters(Warp &warp, const Kernels &kernels, GroupMmaState &group,
                     GroupSums &sums) {
  const unsigned member = memberOf(warp);
  GroupSums::Part &part = sums.parts[member];
  const Instruction &in = *sums.instruction;
  const DRegisters registers(in, part.file);
  scatterD(kernels, kRows, sums.shape.n, sums.shape.d,
           sums.words.data() + member * sums.shape.wordsOfWarp(),
           registers.lanes);
  if (warp.poison && warp.base[0] == part.file)
    for (unsigned i = 0; i < in.resultCount; ++i)
      writePoison(warp, in, i, kAllLanes, part.undefined[i]);
  GroupMmaState::Member &m = group.members[member];
  m.fenced = false;
  if (warp.block->grid->options->checks.async) {
    m.returnedSlot = sums.first;
    m.returnedHash = hashRegisters(in, part.file);
  }
  part.file = nullptr;
}

/// True if a later operation of the warp has the sums.
bool usedLater(const GroupMmaState &group, unsigned member, size_t after,
               const GroupSums &sums) {
  for (size_t i = after + 1; i < group.operations.size(); ++i) {
    const GroupOperation &operation = group.operations[i];
    if (operation.sums.get() == &sums && operation.parts[member].issued)
      return true;
  }
  return false;
}

void dropReturned(GroupMmaState &group) {
  auto finished = [](const GroupOperation &operation) {
    for (const auto &part : operation.parts)
      if (!part.returned)
        return false;
    return true;
  };
  while (!group.operations.empty() && finished(group.operations.front())) {
    group.operations.pop_front();
    ++group.first;
  }
}

/// Operations [0, end) are carried out and \p warp gets its registers.
void settle(Warp &warp, const Kernels &kernels, GroupMmaState &group,
            size_t end) {
  const unsigned member = memberOf(warp);
  for (size_t i = 0; i < end; ++i)
    if (!group.operations[i].done)
      execute(warp, kernels, group.operations[i]);
  for (size_t i = 0; i < end; ++i) {
    GroupOperation &operation = group.operations[i];
    if (operation.parts[member].returned)
      continue;
    operation.parts[member].returned = true;
    if (operation.sums->parts[member].file &&
        !usedLater(group, member, i, *operation.sums))
      returnRegisters(warp, kernels, group, *operation.sums);
  }
}

void checkFence(Warp &warp, const Instruction &in,
                const GroupMmaState::Member &member, Slot first) {
  if (member.fenced || !warp.block->grid->options->checks.async)
    return;
  if (member.returnedSlot == first &&
      member.returnedHash == hashRegisters(in, warp.base[0]))
    return;
  warp.report(K::AsyncMisuse, in, warp.active,
              "the accumulators were written since the last wgmma, and there "
              "was no wgmma.fence since");
}

/// The sums a new operation works on: those of one in flight with the same
/// registers, or new ones.
std::shared_ptr<GroupSums> sumsFor(const GroupMmaState &group,
                                   const Instruction &in,
                                   const WgmmaShape &shape, size_t before) {
  for (size_t i = before; i-- > 0;) {
    const GroupOperation &operation = group.operations[i];
    bool inFlight = false;
    for (const auto &part : operation.parts)
      inFlight |= !part.returned;
    if (inFlight && operation.sums->first == in.operand[0] &&
        operation.sums->shape.n == shape.n &&
        operation.sums->shape.d == shape.d)
      return operation.sums;
  }
  auto sums = std::make_shared<GroupSums>();
  sums->first = in.operand[0];
  sums->shape = shape;
  sums->instruction = &in;
  sums->words.resize(shape.wordsOfGroup());
  return sums;
}

/// The place of this warp in its next operation, which the first warp to come
/// makes.
GroupOperation &join(Warp &warp, const Instruction &in, GroupMmaState &group,
                     const WgmmaShape &shape, uint64_t a, uint64_t b,
                     bool accumulate) {
  const unsigned member = memberOf(warp);
  const size_t index =
      static_cast<size_t>(group.members[member].next++ - group.first);
  if (index == group.operations.size()) {
    GroupOperation operation;
    operation.instruction = &in;
    operation.descriptorA = a;
    operation.descriptorB = b;
    operation.accumulate = accumulate;
    operation.sums = sumsFor(group, in, shape, index);
    group.operations.push_back(std::move(operation));
  }
  GroupOperation &operation = group.operations[index];
  if (operation.instruction != &in)
    warp.fail(K::Divergence, in, warp.active,
              "the warps of a warpgroup execute different wgmma: another one "
              "is at line " +
                  std::to_string(operation.instruction->line));
  if (operation.descriptorA != a || operation.descriptorB != b ||
      operation.accumulate != accumulate)
    warp.fail(K::Divergence, in, warp.active,
              "the warps of a warpgroup have different matrix descriptors or "
              "scale-d");
  GroupOperation::Part &part = operation.parts[member];
  part.issued = true;
  part.group = group.members[member].groups;
  part.file = warp.base[0];
  return operation;
}

template <const Kernels &kernels>
void handleGroupMma(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const GroupMmaInfo *>(in.extra);
  const WgmmaShape &shape = info.shape;
  GroupMmaState &group = groupOf(warp, in);
  group.kernels = &kernels;
  const unsigned member = memberOf(warp);
  const uint64_t a =
      shape.aInRegisters ? 0 : uniform(warp, in, info.a, "descriptors of A");
  const uint64_t b = uniform(warp, in, info.b, "descriptors of B");
  const LaneMask flags = warp.readPredicate(in, info.accumulate) & warp.active;
  if (flags && flags != warp.active)
    warp.fail(K::Divergence, in, warp.active, "lanes have different scale-d");
  const UndefinedLines lines = readGroupOperands(warp, in, info, a, b);
  GroupOperation &operation = join(warp, in, group, shape, a, b, flags != 0);
  GroupSums &sums = *operation.sums;
  if (!sums.parts[member].file)
    checkFence(warp, in, group.members[member], in.operand[0]);
  takeRegisters(warp, in, kernels, sums, operation.accumulate);
  GroupSums::Part &part = sums.parts[member];
  if (!operation.accumulate)
    part.undefined.fill(0);
  if (lines.any())
    for (unsigned i = 0; i < in.resultCount; ++i)
      part.undefined[i] |= lines.lanesOf(i, 2, shape.d == Accumulator::F16);
  if (!engineOf(warp).earliest() || !operation.complete())
    return;
  // A warp may be ahead: those behind it have not issued what comes next.
  size_t end = 0;
  while (end < group.operations.size() && group.operations[end].complete())
    ++end;
  const unsigned firstWarp = warp.index - member;
  for (unsigned w = 0; w < kGroupWarps; ++w)
    settle(*warp.block->warps[firstWarp + w], kernels, group, end);
  dropReturned(group);
}

} // namespace

void decodeGroupMma(DecodeContext &context, Instruction &in) {
  GroupMmaInfo info;
  WgmmaShape &shape = info.shape;
  shape = wgmmaShapeOf(*in.row);
  unsigned next = in.resultCount;
  info.a = static_cast<uint16_t>(next);
  shape.aInRegisters = in.row->operands[1].kind == OperandKind::Vector;
  next += shape.aInRegisters ? 4 : 1;
  info.b = static_cast<uint16_t>(next++);
  if (shape.sparse) {
    info.metadata = static_cast<uint16_t>(next++);
    info.selector = static_cast<unsigned>(context.constant(next++).value_or(0));
  }
  info.accumulate = static_cast<uint16_t>(next++);
  auto immediate = [&] {
    return static_cast<int32_t>(context.constant(next++).value_or(0));
  };
  if (!isInteger(shape.a)) {
    const int32_t a = immediate(), b = immediate();
    if ((a != 1 && a != -1) || (b != 1 && b != -1))
      context.fail("imm-scale-a and imm-scale-b must be 1 or -1");
    shape.negate = a != b;
  }
  if (bitsOf(shape.a) == 16) {
    if (!shape.aInRegisters)
      shape.transposedA = immediate() != 0;
    shape.transposedB = immediate() != 0;
  }
  in.extra = context.keep(info);
}

HandlerSet groupMmaHandlers() {
  return {handleGroupMma<kBaselineKernels>, handleGroupMma<kAvx2Kernels>,
          handleGroupMma<kAvx512Kernels>};
}

void handleGroupFence(Warp &warp, const Instruction &in) {
  groupOf(warp, in).members[memberOf(warp)].fenced = true;
}

void handleGroupCommit(Warp &warp, const Instruction &in) {
  ++groupOf(warp, in).members[memberOf(warp)].groups;
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Arrive, *warp.block, 0, 0);
}

void handleGroupWait(Warp &warp, const Instruction &in) {
  GroupMmaState &group = groupOf(warp, in);
  const unsigned member = memberOf(warp);
  const uint32_t keep = warp.lanes<uint32_t>(in.operand[0])[0];
  size_t end = 0;
  for (size_t i = 0; i < group.operations.size(); ++i) {
    const GroupOperation::Part &part = group.operations[i].parts[member];
    if (part.issued && part.group + keep < group.members[member].groups)
      end = i + 1;
  }
  if (end && !group.operations[end - 1].complete())
    return warp.retry(WaitReason::AsyncGroup);
  if (end)
    settle(warp, *group.kernels, group, end);
  dropReturned(group);
  engineOf(warp).tellSync(warp, in, warp.active, SyncKind::AsyncGroup,
                          SyncStep::Release, *warp.block, keep, 0);
}

} // namespace ptx::async
