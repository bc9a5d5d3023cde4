// Running a kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Launch.h"
#include "Machine/Image.h"
#include "Machine/Limits.h"
#include "Machine/Machine.h"
#include "Machine/Parts.h"
#include "Machine/ProgramFacts.h"
#include "Machine/UndefinedBytes.h"
#include "ptx/Error.h"
#include "ptx/Module.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace ptx {

//===----------------------------------------------------------------------===//
// Checking the request
//===----------------------------------------------------------------------===//

static std::string dimText(const Dim3 &d) {
  return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " +
         std::to_string(d.z);
}

[[noreturn]] static void refuse(const std::string &kernel, std::string why) {
  throw Error("cannot launch '" + kernel + "': " + std::move(why));
}

static void checkGridAndBlock(const KernelInfo &kernel,
                              const LaunchOptions &options) {
  const Dim3 &grid = options.grid, &block = options.block;
  if (!grid.count() || !block.count())
    refuse(kernel.name, "the grid (" + dimText(grid) + ") and the block (" +
                            dimText(block) + ") must not be empty");
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    refuse(kernel.name, "a grid of " + dimText(grid) +
                            " exceeds 2147483647 x 65535 x 65535");
  if (block.x > 1024 || block.y > 1024 || block.z > 64 ||
      block.count() > kThreadsPerBlock)
    refuse(kernel.name, "a block of " + dimText(block) +
                            " exceeds 1024 x 1024 x 64 and 1024 threads");
  if (kernel.reqntid.count() && !(kernel.reqntid == block))
    refuse(kernel.name, "the kernel requires blocks of " +
                            dimText(kernel.reqntid) + " (.reqntid), not " +
                            dimText(block));
  if (kernel.maxntid.count() && block.count() > kernel.maxntid.count())
    refuse(kernel.name, "a block of " + std::to_string(block.count()) +
                            " threads exceeds the kernel's .maxntid of " +
                            std::to_string(kernel.maxntid.count()));
}

/// The `.extern .shared` array begins at a multiple of its alignment.
static uint32_t staticShared(const KernelInfo &kernel) {
  uint32_t align = kernel.usesDynamicShared
                       ? std::max(1u, kernel.dynamicSharedAlignment)
                       : 1;
  return (kernel.staticShared + align - 1) / align * align;
}

static void checkShared(const KernelInfo &kernel, const LaunchOptions &options,
                        const Limits &limits) {
  if (kernel.staticShared > kStaticSharedLimit)
    refuse(kernel.name,
           "the kernel has " + std::to_string(kernel.staticShared) +
               " bytes of static shared memory; at most " +
               std::to_string(kStaticSharedLimit) + " are possible");
  uint64_t total = uint64_t{staticShared(kernel)} + options.dynamicShared;
  if (total > limits.sharedPerBlock)
    refuse(kernel.name, std::to_string(total) + " bytes of shared memory (" +
                            std::to_string(kernel.staticShared) + " static, " +
                            std::to_string(options.dynamicShared) +
                            " dynamic) exceed the " +
                            std::to_string(limits.sharedPerBlock) +
                            " bytes that a block of sm_" +
                            std::to_string(limits.sm) + " can have");
}

static Dim3 clusterShape(const KernelInfo &kernel, const LaunchOptions &options,
                         const Limits &limits) {
  Dim3 shape = options.cluster;
  if (!shape.count())
    shape = kernel.reqCluster.count() ? kernel.reqCluster : Dim3{1, 1, 1};
  if (kernel.reqCluster.count() && !(shape == kernel.reqCluster))
    refuse(kernel.name, "the kernel requires clusters of " +
                            dimText(kernel.reqCluster) + ", not " +
                            dimText(shape));
  if (shape.count() == 1)
    return shape;
  if (!limits.clusters)
    refuse(kernel.name, "sm_" + std::to_string(limits.sm) +
                            " has no clusters; they need sm_90");
  if (shape.count() > kClusterLimitNonPortable)
    refuse(kernel.name, "a cluster of " + dimText(shape) + " exceeds " +
                            std::to_string(kClusterLimitNonPortable) +
                            " blocks");
  if (kernel.maxClusterRank && shape.count() > kernel.maxClusterRank)
    refuse(kernel.name, "a cluster of " + std::to_string(shape.count()) +
                            " blocks exceeds the kernel's .maxclusterrank of " +
                            std::to_string(kernel.maxClusterRank));
  if (options.grid.x % shape.x || options.grid.y % shape.y ||
      options.grid.z % shape.z)
    refuse(kernel.name, "the grid (" + dimText(options.grid) +
                            ") is no multiple of the cluster (" +
                            dimText(shape) + ")");
  return shape;
}

static void checkCooperative(const KernelInfo &kernel,
                             const LaunchOptions &options, const Grid &grid) {
  if (!grid.perSm)
    refuse(kernel.name, "not even one block fits on a multiprocessor of sm_" +
                            std::to_string(grid.sm));
  if (!options.cooperative)
    return;
  uint64_t resident = uint64_t{grid.perSm} * grid.smCount;
  if (options.resident)
    resident = std::min<uint64_t>(resident, *options.resident);
  if (grid.size.count() > resident)
    refuse(kernel.name,
           "the cooperative grid has " + std::to_string(grid.size.count()) +
               " blocks, but only " + std::to_string(resident) +
               " can be resident at once (" + std::to_string(grid.smCount) +
               " multiprocessors x " + std::to_string(grid.perSm) + " blocks)");
}

static void prepareGrid(Grid &grid, const Module &module,
                        const KernelInfo &kernel, const LaunchOptions &options,
                        std::span<const std::byte> params) {
  unsigned sm = options.sm.value_or(kernel.sm);
  if (sm < kernel.sm)
    refuse(kernel.name, "its code is for sm_" + std::to_string(kernel.sm) +
                            " and newer, not for sm_" + std::to_string(sm));
  const Limits &limits = limitsOf(sm);
  checkGridAndBlock(kernel, options);
  checkShared(kernel, options, limits);
  if (params.size() != kernel.paramBytes)
    refuse(kernel.name, "its parameters take " +
                            std::to_string(kernel.paramBytes) + " bytes, not " +
                            std::to_string(params.size()));
  if (!options.threads)
    refuse(kernel.name, "it needs at least one host thread");
  grid.options = &options;
  grid.module = &module;
  grid.program = &module.program();
  grid.kernel = &grid.program->functions[kernel.function];
  grid.params.assign(params.begin(), params.end());
  grid.size = options.grid;
  grid.block = options.block;
  grid.cluster = clusterShape(kernel, options, limits);
  grid.explicitCluster = grid.cluster.count() > 1 || kernel.explicitCluster;
  grid.staticShared = staticShared(kernel);
  grid.dynamicShared = options.dynamicShared;
  grid.sm = sm;
  grid.smCount = limits.multiprocessors;
  grid.perSm = occupancy(sm, static_cast<unsigned>(options.block.count()),
                         grid.sharedBytes(), kernel.maxRegisters);
  checkCooperative(kernel, options, grid);
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

namespace {
/// What the host threads of a launch share, and what each has of its own.
struct Run {
  Grid &grid;
  Journal journal;
  WorkList work;
  std::vector<std::unique_ptr<Machine>> machines;
  std::vector<std::unique_ptr<Observer>> owned;
  const PoisonPlan *poison = nullptr; ///< null: not tracked
  std::exception_ptr error;
  std::atomic<bool> failed{false};

  Run(Grid &grid, unsigned findings) : grid(grid), journal(findings) {}
};
} // namespace

namespace {
/// Memory by which a cooperative grid synchronises, for one launch.
class Workspace {
public:
  explicit Workspace(Device &device) : device(device) {
    words[0] = sizeof words;
    at = device.adopt(words, sizeof words, "workspace of the grid");
  }
  ~Workspace() { device.free(at); }
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;
  uint64_t address() const { return at; }

private:
  Device &device;
  uint64_t at = 0;
  alignas(256) uint32_t words[64] = {};
};
} // namespace

static unsigned residentClusters(const Grid &grid, unsigned threads) {
  const LaunchOptions &options = *grid.options;
  uint64_t perCluster = grid.cluster.count();
  uint64_t most =
      std::max<uint64_t>(1, uint64_t{grid.perSm} * grid.smCount / perCluster);
  uint64_t warps = (grid.block.count() + 31) / 32;
  uint64_t clusters;
  if (options.resident)
    clusters = *options.resident / perCluster;
  else if (options.cooperative)
    clusters = grid.size.count() / perCluster;
  else // enough to interleave, few enough for the host's caches
    clusters = std::clamp<uint64_t>(16 / warps, 2, 8) / perCluster;
  return static_cast<unsigned>(std::clamp<uint64_t>(clusters, 1, most));
}

static void setUpMachine(Run &run, Machine &machine, unsigned threads) {
  Grid &grid = run.grid;
  const LaunchOptions &options = *grid.options;
  machine.residentLimit = residentClusters(grid, threads);
  machine.residentMost = static_cast<unsigned>(std::max<uint64_t>(
      machine.residentLimit,
      uint64_t{grid.perSm} * grid.smCount / grid.cluster.count()));
  if (options.resident)
    machine.residentMost = machine.residentLimit;
  machine.quantum = options.quantum.value_or(256);
  machine.quantum = std::max(1u, machine.quantum);
  machine.shuffled = options.order == ScheduleOrder::Random;
  machine.poison = run.poison;
}

/// The observers of one host thread: the first has the originals, the others
/// forks of them.
static Observer *
observersOf(Run &run, const std::vector<Observer *> &originals, bool first,
            std::vector<std::pair<Observer *, Observer *>> &forks) {
  std::vector<Observer *> mine;
  for (Observer *original : originals) {
    if (first) {
      mine.push_back(original);
      continue;
    }
    std::unique_ptr<Observer> fork = original->fork();
    if (!fork)
      refuse(run.grid.kernel->name,
             "an observer of this launch works on one host thread only");
    forks.push_back({original, fork.get()});
    mine.push_back(fork.get());
    run.owned.push_back(std::move(fork));
  }
  if (mine.empty())
    return nullptr;
  if (mine.size() == 1)
    return mine[0];
  run.owned.push_back(std::make_unique<ObserverList>(mine));
  return run.owned.back().get();
}

static void runMachine(Run &run, Machine &machine) {
  try {
    machine.run();
  } catch (const LaunchStopped &) {
    run.failed = true;
    run.grid.stopped = true;
  } catch (...) {
    if (!run.failed.exchange(true))
      run.error = std::current_exception();
    run.grid.stopped = true;
  }
  machine.quietAt = Machine::kFinished;
}

static void runAll(Run &run) {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < run.machines.size(); ++i)
    threads.emplace_back([&run, i] { runMachine(run, *run.machines[i]); });
  runMachine(run, *run.machines[0]);
  for (std::thread &thread : threads)
    thread.join();
  if (run.error)
    std::rethrow_exception(run.error);
}

using Forks = std::vector<std::pair<Observer *, Observer *>>;

/// One machine a host thread, each with observers of its own where they fork.
static Forks makeMachines(Run &run, Grid &grid, const LaunchOptions &options,
                          const std::vector<Observer *> &originals,
                          unsigned threads) {
  Forks forks;
  for (unsigned i = 0; i < threads; ++i) {
    auto machine = std::make_unique<Machine>(grid, run.journal, run.work,
                                             options.seed * 1000003 + i);
    machine->observer = observersOf(run, originals, i == 0, forks);
    if (Observer *observer = machine->observer) {
      machine->counts = observer->runCounts();
      machine->countsOnly = observer->countsSuffice;
      if (machine->countsOnly)
        machine->wholeMemos = observer->wholeMemos();
    }
    machine->engine = makeEngine(grid);
    setUpMachine(run, *machine, threads);
    grid.machines.push_back(machine.get());
    run.machines.push_back(std::move(machine));
  }
  return forks;
}

/// The options with a grid of blocks, also where clusters are counted.
static LaunchOptions inBlocks(const KernelInfo &kernel,
                              const LaunchOptions &given) {
  LaunchOptions options = given;
  if (!kernel.blocksAreClusters)
    return options;
  auto scale = [&](uint32_t &extent, uint32_t by) {
    if (uint64_t{extent} * by > UINT32_MAX)
      refuse(kernel.name, "the grid has more blocks than can be counted");
    extent *= by;
  };
  scale(options.grid.x, kernel.reqCluster.x);
  scale(options.grid.y, kernel.reqCluster.y);
  scale(options.grid.z, kernel.reqCluster.z);
  return options;
}

LaunchResult launch(Device &device, const Module &module,
                    const std::string &kernelName, const LaunchOptions &given,
                    std::span<const std::byte> params) {
  const KernelInfo &kernel = module.kernel(kernelName);
  const LaunchOptions options = inBlocks(kernel, given);
  Grid grid;
  grid.device = &device;
  prepareGrid(grid, module, kernel, options, params);
  std::optional<Workspace> workspace;
  if (options.cooperative)
    grid.workspace = workspace.emplace(device).address();
  grid.constants = device.load(module).constants.data;
  static std::atomic<uint64_t> nextId{1};
  grid.id = nextId++;

  Run run(grid, options.findingLimit);
  run.work.count = grid.size.count() / grid.cluster.count();
  unsigned threads = static_cast<unsigned>(
      std::min<uint64_t>(options.threads, run.work.count));
  // The order of accesses is known to one thread only.
  if (options.checks.race || options.checks.poison || options.checks.async)
    threads = 1;
  std::vector<Observer *> originals = options.observers;
  Parts parts = makeParts(grid, run.journal);
  for (auto &part : parts.observers)
    originals.push_back(part.get());
  for (Observer *observer : originals)
    if (observer->tracksPoison)
      run.poison = &grid.module->facts().of<PoisonPlan>();
  Forks forks = makeMachines(run, grid, options, originals, threads);
  for (Observer *observer : originals)
    observer->onGridStart(grid);
  for (auto &[original, fork] : forks)
    fork->onGridStart(grid);
  runAll(run);
  for (auto &[original, fork] : forks)
    original->join(*fork);
  for (Observer *observer : originals)
    observer->onGridEnd(grid);

  LaunchResult result;
  result.completed = !run.failed;
  for (auto &machine : run.machines)
    result.warpInstructions += machine->executed;
  parts.finish(result);
  // Nobody watched what an unchecked kernel wrote.
  if (!options.checks.poison)
    for (const auto &[address, allocation] : device.allocations())
      UndefinedBytes::get().defineAllocation(address);
  run.machines.clear();
  result.findings = run.journal.takeFindings();
  result.log = run.journal.takeLog();
  return result;
}

Machine::Machine(Grid &grid, Journal &journal, WorkList &work, uint64_t seed)
    : grid(grid), journal(journal), work(work), random(seed) {
  freeFrames.resize(grid.program->functions.size());
}

Machine::~Machine() = default;

} // namespace ptx
