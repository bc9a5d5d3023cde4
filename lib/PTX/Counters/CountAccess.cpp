// One access, by the rules of its memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/CounterObserver.h"
#include "Counters/FoldBlock.h"
#include "Counters/LineList.h"

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

void CounterObserver::touch(Footprint &footprint, const Access &access) {
  if (isRun(access)) {
    footprint.touchRun(access.address[0] / 32,
                       (access.address[0] + kLanes * access.bytes - 1) / 32);
    return;
  }
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    uint64_t first = access.address[__builtin_ctz(rest)];
    footprint.touchRun(first / 32, (first + access.bytes - 1) / 32);
  }
}

void CounterObserver::trace(const Access &access, uint32_t site, Request kind,
                            bool local) {
  Running &state = running(*access.warp->block);
  if (!state.trace)
    return;
  LineList lines(access, kind == Request::Store);
  state.trace->add(uint32_t(access.warp->executed), access.warp->index, kind,
                   local, site, lines.data(), lines.size());
}

/// Loads that L1 may not answer.
static bool passesL1(const Access &access) {
  if (access.order != Order::Weak)
    return true;
  auto *info = static_cast<const MemoryInfo *>(access.instruction->extra);
  return access.instruction->row->opcode == "ld" && info && info->pastL1;
}

void CounterObserver::countGlobal(const Access &access, uint32_t site,
                                  AccessClass c) {
  addSectors(c, site, rules.global(access.address, access.lanes, access.bytes),
             access);
  bool load = c == AccessClass::GlobalLoad;
  touch(load ? loaded : stored, access);
  if (shared->replay)
    trace(access, site,
          !load              ? Request::Store
          : passesL1(access) ? Request::Bypass
                             : Request::Load,
          false);
}

void CounterObserver::countLocal(const Access &access, uint32_t site) {
  bool load = access.kind == AccessKind::Load;
  addSectors(load ? AccessClass::LocalLoad : AccessClass::LocalStore, site,
             rules.local(access.address, access.lanes, access.bytes), access);
  if (shared->replay)
    trace(access, site, load ? Request::Load : Request::Store, true);
}

void CounterObserver::countConstant(const Access &access) {
  AccessSums &sum = sums(AccessClass::Constant);
  ++sum.requests;
  sum.sectors += rules.constant(access.address, access.lanes);
}

void CounterObserver::countBulk(const Access &access, uint32_t site) {
  if (access.space != Space::Global)
    return;
  bool reads = access.reads();
  addSectors(reads ? AccessClass::BulkRead : AccessClass::BulkWrite, site,
             rules.global(access.address, access.lanes, access.bytes), access);
  touch(reads ? loaded : stored, access);
  if (!shared->replay)
    return;
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
      trace(piece, site, reads ? Request::Bypass : Request::Store, false);
    }
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
  touch(stored, access);
  if (shared->replay)
    trace(access, site, Request::Atomic, false);
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
// Shared memory and asynchronous copies
//===----------------------------------------------------------------------===//

void CounterObserver::countShared(const Access &access, uint32_t site) {
  switch (access.kind) {
  case AccessKind::Load:
    addWaves(AccessClass::SharedLoad, site,
             rules.sharedLoad(access.address, access.lanes, access.bytes));
    break;
  case AccessKind::Store:
    addWaves(AccessClass::SharedStore, site,
             rules.sharedStore(access.address, access.lanes, access.bytes));
    break;
  default: {
    bool load = access.kind == AccessKind::LoadMatrix;
    unsigned matrices = (countLanes(access.lanes) + 7) / 8;
    addWaves(load ? AccessClass::LoadMatrix : AccessClass::StoreMatrix, site,
             rules.matrix(access.address, matrices));
  }
  }
}

/// The destination comes first, then the sources (several accesses where lanes
/// take different numbers of bytes, none where they take no byte).
void CounterObserver::countCopy(const Access &access, uint32_t site) {
  const std::vector<std::string> &modifiers =
      access.instruction->row->modifiers;
  bool bypass =
      std::find(modifiers.begin(), modifiers.end(), ".cg") != modifiers.end();
  AccessClass c = bypass ? AccessClass::CopyBypass : AccessClass::CopyCached;
  if (access.kind == AccessKind::CopyDestination) {
    ++sums(c).requests;
    copying = access.instruction;
    std::copy_n(access.address, kLanes, copyDestination.begin());
    return;
  }
  if (copying != access.instruction)
    return;
  RequestCount count = rules.global(access.address, access.lanes, access.bytes);
  if (bypass)
    count.sectors =
        rules.asyncBypass(copyDestination.data(), access.address, access.lanes);
  else
    sums(c).wavefronts += rules.asyncCached(
        copyDestination.data(), access.address, access.lanes, access.bytes);
  addSectors(c, site, count, access);
  --sums(c).requests; // counted with the destination
  touch(loaded, access);
  if (shared->replay)
    trace(access, site, bypass ? Request::Bypass : Request::Load, false);
}

} // namespace ptx
