// One access, by the rules of its memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/CounterObserver.h"
#include "Counters/FoldBlock.h"

#include "Isa/IsaTable.h"
#include "Machine/Atomic.h"
#include "Machine/Memory.h"

#include <algorithm>

namespace ptx {

static unsigned countLanes(LaneMask lanes) {
  return unsigned(__builtin_popcount(lanes));
}

void CounterObserver::addSectors(AccessClass c, uint32_t site,
                                 RequestCount count, const Access &access) {
  AccessSums &sum = sums(c);
  uint64_t bytes = uint64_t(countLanes(access.lanes)) * access.bytes;
  // Lanes that share a word can need less than their bytes would.
  uint64_t ideal = std::min<uint64_t>(count.sectors, (bytes + 31) / 32);
  ++sum.requests;
  sum.sectors += count.sectors;
  sum.lines += count.lines;
  sum.ideal += ideal;
  sum.bytes += bytes;
  sites[site].sectors += count.sectors;
  sites[site].ideal += ideal;
}

void CounterObserver::addWaves(AccessClass c, uint32_t site, WaveCount count) {
  AccessSums &sum = sums(c);
  ++sum.requests;
  sum.wavefronts += count.wavefronts;
  sum.conflicts += count.conflicts;
  sites[site].wavefronts += count.wavefronts;
  sites[site].idealWavefronts += count.wavefronts - count.conflicts;
}

/// The number of the line an address lies in: of all memory, or of the warp's
/// local memory, where a word of 32 lanes is a line.
static uint64_t lineOf(Space space, uint64_t address) {
  return space == Space::Local ? address / 4 : address / 128;
}

/// Loads that L1 may not answer.
static bool passesL1(const Access &access) {
  if (access.order != Order::Weak)
    return true;
  auto *info = static_cast<const MemoryInfo *>(access.instruction->extra);
  return access.instruction->row->opcode == "ld" && info && info->pastL1;
}

void CounterObserver::reach(const Warp &warp, Space space, uint32_t site,
                            Request kind, std::span<const LineAccess> lines,
                            uint64_t base) {
  bool local = space == Space::Local;
  if (!local) {
    bool loads = kind == Request::Load || kind == Request::Bypass;
    (loads ? loaded : stored).touchLines(lines, base);
  }
  if (shared->replay)
    running(*warp.block)
        .trace->add(uint32_t(warp.executed), warp.index, kind, local, site,
                    lines, base);
}

void CounterObserver::reach(const Access &access, uint32_t site, Request kind) {
  lineList.assign(access, kind == Request::Store);
  reach(*access.warp, access.space, site, kind,
        {lineList.begin(), lineList.end()}, 0);
}

void CounterObserver::countBulk(const Access &access, uint32_t site) {
  if (access.space != Space::Global)
    return;
  bool reads = access.reads();
  addSectors(reads ? AccessClass::BulkRead : AccessClass::BulkWrite, site,
             rules.global(access.address, access.lanes, access.bytes), access);
  // Long runs, in pieces that a list of lines can hold.
  constexpr uint32_t kPiece = 4096;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    for (uint32_t done = 0; done < access.bytes; done += kPiece) {
      std::array<uint64_t, kLanes> address{access.address[__builtin_ctz(rest)] +
                                           done};
      Access piece = access;
      piece.address = address.data();
      piece.lanes = 1;
      piece.bytes = std::min(kPiece, access.bytes - done);
      reach(piece, site, reads ? Request::Bypass : Request::Store);
    }
}

//===----------------------------------------------------------------------===//
// Accesses that cost what their shape costs
//===----------------------------------------------------------------------===//

/// A load that stands for its neighbours takes their bytes too.
uint32_t CounterObserver::loadedBytes(const Access &access,
                                      uint32_t site) const {
  uint32_t merged = shared->code.at(site).mergedBytes;
  return merged ? merged : access.bytes;
}

AccessSums CounterObserver::costOf(const Access &access, uint32_t site,
                                   AccessClass kind) const {
  AccessSums cost;
  cost.requests = 1;
  auto addRequest = [&](RequestCount count) {
    cost.bytes = uint64_t(countLanes(access.lanes)) * access.bytes;
    cost.sectors = count.sectors;
    cost.lines = count.lines;
    // Lanes that share a word can need less than their bytes would.
    cost.ideal = std::min<uint64_t>(count.sectors, (cost.bytes + 31) / 32);
  };
  auto addWaves = [&](WaveCount count) {
    cost.wavefronts = count.wavefronts;
    cost.conflicts = count.conflicts;
  };
  const uint64_t *address = access.address;
  LaneMask lanes = access.lanes;
  switch (kind) {
  case AccessClass::GlobalLoad:
  case AccessClass::GlobalStore:
    addRequest(rules.global(address, lanes, access.bytes));
    break;
  case AccessClass::LocalLoad:
  case AccessClass::LocalStore:
    addRequest(rules.local(address, lanes, access.bytes));
    break;
  case AccessClass::SharedLoad:
    addWaves(rules.sharedLoad(address, lanes, loadedBytes(access, site)));
    break;
  case AccessClass::SharedStore:
    addWaves(rules.sharedStore(address, lanes, access.bytes));
    break;
  case AccessClass::LoadMatrix:
  case AccessClass::StoreMatrix:
    addWaves(rules.matrix(address, (countLanes(lanes) + 7) / 8));
    break;
  case AccessClass::CopyCached:
  case AccessClass::CopyBypass: {
    if (access.kind == AccessKind::CopyDestination)
      break;
    cost.requests = 0; // counted with the destination
    RequestCount count = rules.global(address, lanes, access.bytes);
    const uint64_t *to = copyDestination.data();
    if (kind == AccessClass::CopyBypass)
      count.sectors = rules.asyncBypass(to, address, lanes);
    else
      cost.wavefronts = rules.asyncCached(to, address, lanes, access.bytes);
    addRequest(count);
    break;
  }
  case AccessClass::Constant:
    cost.sectors = rules.constant(address, lanes);
    break;
  default:
    break;
  }
  return cost;
}

static Request requestOf(const Access &access, AccessClass kind) {
  if (access.kind == AccessKind::Store)
    return Request::Store;
  bool bypass = kind == AccessClass::CopyBypass ||
                (kind == AccessClass::GlobalLoad && passesL1(access));
  return bypass ? Request::Bypass : Request::Load;
}

/// Do the lanes of each half lie side by side, or at one place?
static void findHalves(AccessPattern &pattern) {
  pattern.whole = pattern.lanes == kAllLanes && !pattern.partner;
  pattern.gap = pattern.distance[kLanes / 2];
  for (unsigned half = 0; half < 2; ++half) {
    const uint64_t *distance = &pattern.distance[half * kLanes / 2];
    bool run = true, one = true;
    for (unsigned l = 0; l < kLanes / 2; ++l) {
      run &= distance[l] - distance[0] == uint64_t(l) * pattern.bytes;
      one &= distance[l] == distance[0];
    }
    pattern.whole &= run || one;
    pattern.one[half] = one;
  }
}

void CounterObserver::learn(AccessPattern &pattern, const Access &access,
                            uint32_t site, AccessClass kind, uint32_t partner) {
  uint64_t first = access.address[__builtin_ctz(access.lanes)];
  for (unsigned l = 0; l < kLanes; ++l) {
    pattern.distance[l] = access.address[l] - first;
    pattern.shortDistance[l] = uint32_t(pattern.distance[l]);
  }
  pattern.lanes = access.lanes;
  pattern.bytes = access.bytes;
  const uint32_t bytes = kind == AccessClass::SharedLoad
                             ? loadedBytes(access, site)
                             : access.bytes;
  pattern.phaseMask = PatternSet::phaseMaskOf(kind, bytes);
  pattern.phase = uint32_t(first) & pattern.phaseMask;
  pattern.partner = partner;
  pattern.kind = kind;
  pattern.access = access.kind;
  pattern.space = access.space;
  pattern.request = requestOf(access, kind);
  pattern.number = ++patternsMade;
  findHalves(pattern);
  pattern.cost = costOf(access, site, kind);
  pattern.lines.clear();
  pattern.sectors = 0;
  bool local = access.space == Space::Local;
  if (local ? !shared->replay : access.space != Space::Global)
    return;
  lineList.assign(access, access.kind == AccessKind::Store);
  for (LineAccess line : lineList) {
    line.line -= lineOf(access.space, first);
    pattern.lines.push_back(line);
  }
  bool few = !local;
  for (const LineAccess &line : pattern.lines)
    few &= line.line < 16;
  for (const LineAccess &line : pattern.lines)
    pattern.sectors |= few ? uint64_t(line.sectors) << 4 * line.line : 0;
}

void CounterObserver::fold(AccessPattern &pattern, uint32_t site) {
  if (!pattern.uses)
    return;
  const AccessSums &cost = pattern.cost;
  sums(pattern.kind).add(cost, pattern.uses);
  if (pattern.kind != AccessClass::Constant) {
    sites[site].sectors += pattern.uses * cost.sectors;
    sites[site].ideal += pattern.uses * cost.ideal;
    sites[site].wavefronts += pattern.uses * cost.wavefronts;
    sites[site].idealWavefronts +=
        pattern.uses * (cost.wavefronts - cost.conflicts);
  }
  pattern.uses = 0;
}

AccessPattern &CounterObserver::patternOf(const Access &access, uint32_t site,
                                          AccessClass kind, uint32_t partner) {
  std::unique_ptr<PatternSet> &set = patterns[site];
  if (!set) [[unlikely]]
    set = std::make_unique<PatternSet>();
  AccessPattern *pattern = set->find(access, kind, partner, rules);
  if (!pattern) {
    pattern = &set->toForget();
    if (memos[site].pattern == pattern) {
      settle(memos[site]);
      memos[site].pattern = nullptr;
    }
    fold(*pattern, site);
    learn(*pattern, access, site, kind, partner);
  }
  ++pattern->uses;
  return *pattern;
}

void CounterObserver::countShape(const Access &access, uint32_t site,
                                 AccessClass kind, uint32_t partner) {
  reach(access, site, patternOf(access, site, kind, partner));
}

void CounterObserver::reach(const Access &access, uint32_t site,
                            const AccessPattern &pattern) {
  if (pattern.lines.empty())
    return;
  uint64_t first = access.address[__builtin_ctz(access.lanes)];
  reach(*access.warp, access.space, site, pattern.request, pattern.lines,
        lineOf(access.space, first));
}

/// The uses that a memo counted are those of its pattern.
void CounterObserver::settle(WholeMemo &memo) {
  if (memo.pattern)
    memo.pattern->uses += memo.uses;
  memo.uses = 0;
}

static bool isRepeated(const WholeMemo &memo, const WholeAccess &access) {
  return memo.pattern && access.first[1] - access.first[0] == memo.gap &&
         !((access.first[0] ^ memo.phase) & memo.phaseMask) &&
         access.space == memo.space && access.one[0] == memo.one[0] &&
         access.one[1] == memo.one[1];
}

bool CounterObserver::onWholeAccess(const WholeAccess &access) {
  if (access.space == Space::Param)
    return true; // in the constant bank, and no counter's
  const auto site =
      uint32_t(access.instruction - shared->program.instructions.data());
  WholeMemo &memo = memos[site];
  if (memo.ignored)
    return true;
  if (!isRepeated(memo, access)) {
    PatternSet *set = patterns[site].get();
    AccessPattern *pattern = set ? set->find(access) : nullptr;
    if (!pattern)
      return false;
    settle(memo);
    memo = {pattern,
            0,
            pattern->gap,
            pattern->phase,
            pattern->phaseMask,
            access.space,
            {access.one[0], access.one[1]},
            !pattern->lines.empty()};
  }
  ++memo.uses;
  if (!memo.told)
    return true;
  const uint64_t line = lineOf(access.space, access.first[0]);
  const AccessPattern &pattern = *memo.pattern;
  if (pattern.sectors && !shared->replay)
    (access.kind == AccessKind::Load ? loaded : stored)
        .touchSectors(line, pattern.sectors);
  else
    reach(*access.warp, access.space, site, pattern.request, pattern.lines,
          line);
  return true;
}

bool CounterObserver::onRows(const RowsAccess &access) {
  const size_t site =
      size_t(access.instruction - shared->program.instructions.data());
  WholeMemo &memo = memos[site];
  if (memo.ignored)
    return true;
  if (!memo.pattern || !memo.pattern->isOf(access, rules)) {
    PatternSet *set = patterns[site].get();
    AccessPattern *pattern = set ? set->find(access, rules) : nullptr;
    if (!pattern)
      return false;
    settle(memo);
    memo.pattern = pattern;
  }
  ++memo.uses;
  return true;
}

bool CounterObserver::onWholeCopy(const WholeCopy &copy) {
  const size_t site =
      size_t(copy.instruction - shared->program.instructions.data());
  PatternSet *set = patterns[site].get();
  const PatternSet::CopyPatterns found =
      set ? set->find(copy, rules) : PatternSet::CopyPatterns();
  if (!found.source)
    return false;
  ++found.destination->uses;
  ++found.source->uses;
  reach(*copy.warp, Space::Global, uint32_t(site), found.source->request,
        found.source->lines, lineOf(Space::Global, copy.from[0]));
  return true;
}

//===----------------------------------------------------------------------===//
// Atomics
//===----------------------------------------------------------------------===//

static const AtomicInfo *atomicInfo(const Access &access) {
  std::string_view op = access.instruction->row->opcode;
  return op == "atom" || op == "red"
             ? static_cast<const AtomicInfo *>(access.instruction->extra)
             : nullptr;
}

static bool isFloatAtomic(const AtomicInfo *info) {
  return info && isFloat(info->type);
}

/// Work of the L2 slices that hold the addresses.
void CounterObserver::addSliceClocks(const Access &access, uint32_t sectors,
                                     bool floats) {
  const Chip &chip = shared->chip;
  uint64_t stride = uint64_t(chip.best(ChipConstant::SliceStride));
  unsigned lanes = countLanes(access.lanes);
  // Lanes on one address follow each other; floats take longer for it.
  bool crowded = sectors > 1 && sectors == lanes;
  double clocks =
      sectors * (floats && crowded ? chip.best(ChipConstant::SliceFloat)
                                   : chip.best(ChipConstant::SliceInteger));
  auto slice = [&](uint64_t address) -> double & {
    return sliceClocks[hashLine(Line(address / stride)) % sliceClocks.size()];
  };
  uint64_t first = access.address[__builtin_ctz(access.lanes)] / stride;
  bool together = true;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    together &= access.address[__builtin_ctz(rest)] / stride == first;
  if (together) {
    slice(first * stride) += clocks;
    return;
  }
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    slice(access.address[__builtin_ctz(rest)]) += clocks / lanes;
}

void CounterObserver::countAtomic(const Access &access, uint32_t site) {
  const CodeFacts &facts = shared->code.at(site);
  bool returns = access.kind == AccessKind::Atomic && !facts.resultUnused;
  const AtomicInfo *info = atomicInfo(access);
  AtomicCount count = rules.globalAtomic(access.address, access.lanes);
  // Lanes that add integers to one address ptxas knows to be one are summed
  // first, and one of them goes.
  if (!returns && facts.uniformAddress && info && !isFloatAtomic(info)) {
    count = {1, 1};
    extraInstructions += 5; // vote, count, choose a lane
  }
  addSectors(returns ? AccessClass::GlobalAtomic : AccessClass::GlobalReduction,
             site, {count.sectors, count.requests}, access);
  (returns ? atomicRequests : reductionRequests) += count.requests;
  addSliceClocks(access, count.sectors, isFloatAtomic(info));
  reach(access, site, Request::Atomic);
}

/// Is the operand the constant 1, and nobody asks for the old value?
static bool countsUp(const Access &access, const CodeFacts &facts,
                     const Program &program) {
  const AtomicInfo *info = atomicInfo(access);
  if (!info || info->op != AtomicOp::Add || isFloat(info->type) ||
      (info->returns && !facts.resultUnused))
    return false;
  Slot slot = access.instruction->operand[info->data];
  if (slot == kNoSlot || !(slot & kConstant))
    return false;
  const std::byte *constant = program.constants.data + (slot & ~kConstant);
  return *reinterpret_cast<const uint32_t *>(constant) == 1;
}

void CounterObserver::countSharedAtomic(const Access &access, uint32_t site) {
  const AtomicInfo *info = atomicInfo(access);
  bool floatSum =
      isFloatAtomic(info) && info->op == AtomicOp::Add && info->bytes == 4;
  WaveCount count = rules.sharedAtomic(
      access.address, access.lanes, access.bytes,
      countsUp(access, shared->code.at(site), shared->program));
  if (!floatSum) {
    addWaves(AccessClass::SharedAtomic, site, count);
    return;
  }
  // A loop of loads and compare-and-swaps, in which each bank serves one lane
  // a round.
  uint32_t rounds = count.wavefronts;
  addWaves(AccessClass::SharedAtomic, site, {2 * rounds, rounds - 1});
  extraInstructions += 6 * rounds - 1;
  for (LaneMask left = access.lanes; left;) {
    WaveCount load = rules.sharedLoad(access.address, left, access.bytes);
    sums(AccessClass::SharedLoad).wavefronts += load.wavefronts;
    sums(AccessClass::SharedLoad).conflicts += load.conflicts;
    uint32_t served = 0;
    for (LaneMask rest = left; rest; rest &= rest - 1) {
      unsigned l = unsigned(__builtin_ctz(rest));
      uint32_t bank = 1u << (access.address[l] / 4 % 32);
      if (!(served & bank))
        left &= ~(1u << l);
      served |= bank;
    }
  }
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

/// The destination comes first, then the sources (several accesses where lanes
/// take different numbers of bytes, none where they take no byte).
void CounterObserver::countCopy(const Access &access, uint32_t site) {
  const std::vector<std::string> &modifiers =
      access.instruction->row->modifiers;
  bool bypass =
      std::find(modifiers.begin(), modifiers.end(), ".cg") != modifiers.end();
  AccessClass kind = bypass ? AccessClass::CopyBypass : AccessClass::CopyCached;
  if (access.kind == AccessKind::CopyDestination) {
    copying = access.instruction;
    copyShape = patternOf(access, site, kind, PatternSet::kDestination).number;
    std::copy_n(access.address, kLanes, copyDestination.begin());
    return;
  }
  if (copying == access.instruction)
    countShape(access, site, kind, copyShape);
}

} // namespace ptx
