// Counts what a launch does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/CounterObserver.h"
#include "Counters/Counting.h"

#include "Isa/IsaTable.h"
#include "Machine/ProgramFacts.h"
#include "ptx/Launch.h"
#include "ptx/Module.h"

#include <algorithm>

namespace ptx {

static const MachineCode &codeOf(const Grid &grid) {
  return grid.module->facts().of<MachineCode>();
}

static LaunchShape shapeOf(const Grid &grid) {
  LaunchShape shape;
  shape.kernel = grid.kernel->name;
  shape.grid = grid.size;
  shape.block = grid.block;
  shape.cluster = grid.cluster;
  shape.staticShared = grid.staticShared;
  shape.dynamicShared = grid.dynamicShared;
  unsigned asked = grid.module->kernel(grid.kernel->name).maxRegisters;
  shape.registers = codeOf(grid).registersOf(*grid.kernel);
  if (asked)
    shape.registers = std::min(shape.registers, asked);
  shape.blocksPerSm =
      std::max(1u, occupancy(grid.sm, unsigned(grid.block.count()),
                             grid.sharedBytes(), shape.registers));
  shape.multiprocessors = grid.smCount;
  return shape;
}

/// The chip whose caches are modelled.
static const Chip &chipOf(const Grid &grid) {
  return chipNamed(grid.sm >= 90 ? "h100" : "a100");
}

CountingShared::CountingShared(const Grid &grid)
    : program(*grid.program), code(codeOf(grid)),
      matrices(grid.module->facts().of<MatrixShapes>()), shape(shapeOf(grid)),
      chip(chipOf(grid)), blockWork(grid.size.count()) {
  if (grid.options->cacheModel)
    replay =
        std::make_unique<ChipReplay>(chip, shape, program.instructions.size());
}

CounterObserver::CounterObserver(std::shared_ptr<CountingShared> shared)
    : shared(std::move(shared)), rules(accessRules()),
      runs(this->shared->program.instructions.size() + 1),
      instructions(runs.size() - 1), patterns(instructions.size()),
      memos(instructions.size()), sites(instructions.size()),
      sliceClocks(size_t(this->shared->chip.best(ChipConstant::Slices))) {
  countsSuffice = true;
  wantedInstructions = this->shared->matrices.counted();
  for (size_t pc = 0; pc < memos.size(); ++pc)
    memos[pc].ignored = this->shared->code.at(uint32_t(pc)).merged;
}

std::unique_ptr<Observer> CounterObserver::fork() {
  return std::make_unique<CounterObserver>(shared);
}

void CounterObserver::join(Observer &worker) {
  auto &other = static_cast<CounterObserver &>(worker);
  other.foldPatterns();
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].warps += other.runs[i].warps;
    runs[i].lanes += other.runs[i].lanes;
    runs[i].off += other.runs[i].off;
  }
  for (size_t i = 0; i < sites.size(); ++i) {
    sites[i].sectors += other.sites[i].sectors;
    sites[i].ideal += other.sites[i].ideal;
    sites[i].wavefronts += other.sites[i].wavefronts;
    sites[i].idealWavefronts += other.sites[i].idealWavefronts;
  }
  for (size_t c = 0; c < classes.size(); ++c)
    classes[c].add(other.classes[c]);
  for (size_t s = 0; s < sliceClocks.size(); ++s)
    sliceClocks[s] += other.sliceClocks[s];
  divergent += other.divergent;
  polls += other.polls;
  atomicRequests += other.atomicRequests;
  reductionRequests += other.reductionRequests;
  extraInstructions += other.extraInstructions;
  busiestWarp = std::max(busiestWarp, other.busiestWarp);
  matrix += other.matrix;
  loaded.unite(other.loaded);
  stored.unite(other.stored);
}

void CounterObserver::foldPatterns() {
  for (WholeMemo &memo : memos)
    settle(memo);
  for (uint32_t site = 0; site < patterns.size(); ++site)
    if (patterns[site])
      for (AccessPattern &pattern : patterns[site]->all())
        fold(pattern, site);
}

/// From differences between neighbours to the executions of each instruction.
void CounterObserver::foldRuns() {
  RunCount sum;
  for (size_t pc = 0; pc < instructions.size(); ++pc) {
    sum.warps += runs[pc].warps;
    sum.lanes += runs[pc].lanes;
    instructions[pc] = {uint64_t(sum.warps), uint64_t(sum.lanes),
                        uint64_t(sum.lanes - runs[pc].off)};
  }
}

void CounterObserver::onGridEnd(Grid &) {
  foldPatterns();
  foldRuns();
  if (shared->replay)
    shared->replay->finish();
}

CounterObserver::Running &CounterObserver::running(Block &block) {
  if (&block != lastBlock) {
    lastBlock = &block;
    lastRunning = &blocks[&block];
  }
  return *lastRunning;
}

void CounterObserver::onBlockStart(Block &block) {
  if (!shared->replay)
    return;
  Running &state = running(block);
  state.trace = std::make_unique<BlockTrace>();
  state.trace->block = block.linear;
  state.trace->warps = uint32_t(block.warps.size());
}

void CounterObserver::onBlockEnd(Block &block) {
  uint64_t work = 0, most = 0;
  for (const auto &warp : block.warps) {
    work += warp->executed;
    most = std::max(most, warp->executed);
  }
  busiestWarp = std::max(busiestWarp, most);
  shared->blockWork[block.linear] = float(work);
  if (!shared->replay)
    return;
  Running &state = running(block);
  state.trace->duration = uint32_t(most);
  {
    std::lock_guard<std::mutex> guard(shared->lock);
    shared->replay->feed(std::move(state.trace));
  }
  blocks.erase(&block);
  lastBlock = nullptr;
}

void CounterObserver::onInstruction(Warp &warp, const Instruction &in) {
  size_t pc = size_t(&in - shared->program.instructions.data());
  if (shared->matrices.counted()[pc])
    matrix.count(warp, in, shared->matrices[pc], rules);
}

/// Instructions that several splits execute together are copies.
uint32_t CounterObserver::siteOf(const Access &access) const {
  const Instruction *first = shared->program.instructions.data();
  size_t site = size_t(access.instruction - first);
  return uint32_t(access.instruction >= first && site < sites.size()
                      ? site
                      : access.warp->pc - 1);
}

LaneMask CounterObserver::onAccess(const Access &access) {
  if (!access.lanes)
    return access.lanes;
  uint32_t site = siteOf(access);
  if (memos[site].ignored)
    return access.lanes; // counted with another one
  PatternSet *set = patterns[site].get();
  AccessPattern *pattern = set ? set->recent(access, rules) : nullptr;
  if (!pattern)
    return countNew(access, site);
  ++pattern->uses;
  reach(access, site, *pattern);
  return access.lanes;
}

LaneMask CounterObserver::countNew(const Access &access, uint32_t site) {
  using K = AccessKind;
  switch (access.kind) {
  case K::CopySource:
  case K::CopyDestination:
    countCopy(access, site);
    return access.lanes;
  case K::BulkSource:
  case K::BulkDestination:
  case K::TensorSource:
  case K::TensorDestination:
    countBulk(access, site);
    return access.lanes;
  case K::Load:
  case K::Store:
  case K::Atomic:
  case K::Reduction:
  case K::LoadMatrix:
  case K::StoreMatrix:
    break;
  default:
    return access.lanes;
  }
  bool atomic = access.kind == K::Atomic || access.kind == K::Reduction;
  switch (access.space) {
  case Space::Global:
    if (atomic)
      countAtomic(access, site);
    else
      countShape(access, site,
                 access.kind == K::Load ? AccessClass::GlobalLoad
                                        : AccessClass::GlobalStore);
    break;
  case Space::Local:
    countShape(access, site,
               access.kind == K::Load ? AccessClass::LocalLoad
                                      : AccessClass::LocalStore);
    break;
  case Space::Shared:
    if (atomic)
      countSharedAtomic(access, site);
    else
      countShape(access, site,
                 access.kind == K::Load         ? AccessClass::SharedLoad
                 : access.kind == K::Store      ? AccessClass::SharedStore
                 : access.kind == K::LoadMatrix ? AccessClass::LoadMatrix
                                                : AccessClass::StoreMatrix);
    break;
  case Space::Constant:
    countShape(access, site, AccessClass::Constant);
    break;
  default:
    break;
  }
  return access.lanes;
}

std::unique_ptr<Observer>
makeCounting(Grid &grid, std::function<void(LaunchResult &)> &finish) {
  auto observer =
      std::make_unique<CounterObserver>(std::make_shared<CountingShared>(grid));
  finish = [before = finish, raw = observer.get()](LaunchResult &result) {
    before(result);
    result.counters = raw->summarize();
  };
  return observer;
}

} // namespace ptx
