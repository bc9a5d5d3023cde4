// Launches and occupancy.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"
#include "Machine/Limits.h"
#include "ptx/Counters.h"
#include "ptx/Model.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace ptx;
using namespace ptx::driver;

namespace {
/// What the environment asks of every launch; see DriverState.h.
struct Environment {
  CheckSet checks;
  /// A check was asked for that does not exist.
  bool isWrong = false;
  unsigned threads = 1;
  std::optional<uint64_t> seed;
  bool findingsAreErrors = false;
  bool fastTensor = false;
  std::string report, countersFile;

  Environment() {
    if (const char *list = std::getenv("PTX_CHECK"))
      readChecks(list);
    if (const char *text = std::getenv("PTX_THREADS"))
      threads = static_cast<unsigned>(
          std::clamp(std::strtol(text, nullptr, 10), 1l, 1024l));
    // The checks watch one thread.
    if (checks.race || checks.poison || checks.async)
      threads = 1;
    if (const char *text = std::getenv("PTX_SEED"))
      seed = std::strtoull(text, nullptr, 0);
    if (const char *text = std::getenv("PTX_FINDINGS"))
      findingsAreErrors = std::strcmp(text, "error") == 0;
    if (const char *text = std::getenv("PTX_REPORT"))
      report = text;
    if (const char *text = std::getenv("PTX_COUNTERS"))
      countersFile = text;
    if (const char *text = std::getenv("PTX_TENSOR"))
      fastTensor = std::strcmp(text, "fast") == 0;
  }

private:
  void readChecks(const char *list) {
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
      bool all = part == "all" || part == "1";
      checks.bounds |= all || part == "bounds";
      checks.race |= all || part == "race";
      checks.poison |= all || part == "poison";
      checks.async |= all || part == "async";
      checks.sameValueRaces |= part == "same-value-race";
      if (!all && part != "bounds" && part != "race" && part != "poison" &&
          part != "async" && part != "same-value-race" && part != "none") {
        isWrong = true;
        std::fprintf(stderr,
                     "PTX_CHECK=%s: '%s' is no check; expected a list of "
                     "bounds, race, poison, async, same-value-race, or all\n",
                     list, part.c_str());
      }
    }
  }
};

CUresult errorOf(const Finding &finding) {
  switch (finding.kind) {
  case FindingKind::OutOfBounds:
  case FindingKind::UseAfterFree:
  case FindingKind::ReadOnly:
  case FindingKind::IllegalAddress:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case FindingKind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case FindingKind::Assertion:
    return CUDA_ERROR_ASSERT;
  case FindingKind::IllegalInstruction:
    return CUDA_ERROR_ILLEGAL_INSTRUCTION;
  case FindingKind::StackOverflow:
    return CUDA_ERROR_HARDWARE_STACK_ERROR;
  case FindingKind::Deadlock:
  case FindingKind::Livelock:
  case FindingKind::Budget:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  default:
    return CUDA_ERROR_LAUNCH_FAILED;
  }
}

/// The parameter buffer, from one pointer a parameter or from `extra`.
CUresult collectParams(const KernelInfo &kernel, void **params, void **extra,
                       std::vector<std::byte> &result) {
  result.assign(kernel.paramBytes, std::byte{0});
  if (params && extra)
    return CUDA_ERROR_INVALID_VALUE;
  if (params) {
    for (size_t i = 0; i < kernel.params.size(); ++i) {
      if (!params[i])
        return CUDA_ERROR_INVALID_VALUE;
      std::memcpy(result.data() + kernel.params[i].offset, params[i],
                  kernel.params[i].size);
    }
    return CUDA_SUCCESS;
  }
  if (!extra)
    return kernel.params.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  const void *buffer = nullptr;
  size_t bytes = 0;
  for (; *extra != kLaunchEnd; extra += 2) {
    if (extra[0] == kLaunchBuffer)
      buffer = extra[1];
    else if (extra[0] == kLaunchSize)
      bytes = *static_cast<size_t *>(extra[1]);
    else
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (!buffer || bytes < kernel.paramBytes)
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(result.data(), buffer, kernel.paramBytes);
  return CUDA_SUCCESS;
}

unsigned blocksPerSm(const CUfunc_st &function, uint64_t threads,
                     uint64_t dynamicShared) {
  const KernelInfo &kernel = *function.kernel;
  uint64_t shared = kernel.staticShared + dynamicShared;
  if (threads == 0 || threads > kThreadsPerBlock ||
      shared > limitsOf(state().sm).sharedPerBlock)
    return 0;
  return occupancy(state().sm, static_cast<unsigned>(threads),
                   static_cast<uint32_t>(shared), kernel.maxRegisters);
}

/// What the hardware's driver refuses before a launch.
CUresult checkLaunch(const CUfunc_st &function, const LaunchOptions &options) {
  const KernelInfo &kernel = *function.kernel;
  const uint64_t shared = kernel.staticShared + uint64_t{options.dynamicShared};
  if (shared > kStaticSharedLimit &&
      options.dynamicShared > function.dynamicShared) {
    explain("cuLaunchKernel",
            "more than 48 KB of shared memory need cuFuncSetAttribute("
            "MAX_DYNAMIC_SHARED_SIZE_BYTES)");
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t cluster = options.cluster.count();
  if (cluster > kClusterLimit && !function.nonPortableCluster)
    return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  const unsigned resident =
      blocksPerSm(function, options.block.count(), options.dynamicShared);
  if (options.cooperative && resident > 0 &&
      options.grid.count() > uint64_t{resident} * multiprocessors(state().sm))
    return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  return CUDA_SUCCESS;
}

void printFindings(const CUfunc_st &function, const LaunchResult &result) {
  std::fwrite(result.log.data(), 1, result.log.size(), stdout);
  std::fflush(stdout);
  for (const Finding &finding : result.findings)
    std::fprintf(stderr, "%s: %s\n", function.kernel->name.c_str(),
                 finding.text().c_str());
}

/// Appends a line of JSON to the file that PTX_COUNTERS names.
void appendCounters(const std::string &path, const CounterValues &counters) {
  std::string line = "{\"launch\": " + counters.json();
  for (const Chip &chip : allChips())
    line += ", \"" + std::string(chip.name) +
            "\": " + estimateTime(counters, chip).json();
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::ofstream out(path, std::ios::app);
  out << line << "}\n";
  if (!out.flush())
    std::fprintf(stderr, "PTX_COUNTERS=%s: cannot be written\n", path.c_str());
}

CUresult run(CUctx_st &context, CUfunc_st &function, LaunchOptions options,
             void **params, void **extra) {
  std::vector<std::byte> bytes;
  if (CUresult wrong = collectParams(*function.kernel, params, extra, bytes))
    return wrong;
  if (options.cluster.count() == 0 && function.clusterSize[0])
    options.cluster = {function.clusterSize[0],
                       std::max(1u, function.clusterSize[1]),
                       std::max(1u, function.clusterSize[2])};
  if (CUresult wrong = checkLaunch(function, options))
    return wrong;
  // A program may change it between launches.
  const Environment asked;
  if (asked.isWrong)
    return CUDA_ERROR_INVALID_VALUE;
  options.checks = asked.checks;
  options.threads = asked.threads;
  options.sm = state().sm;
  if (asked.seed) {
    options.order = ScheduleOrder::Random;
    options.seed = *asked.seed;
  }
  if (asked.fastTensor)
    options.tensor = TensorMode::Fast;
  options.counters = options.cacheModel =
      !asked.report.empty() || !asked.countersFile.empty();
  LaunchResult result = launch(context.device, function.module->module,
                               function.kernel->name, options, bytes);
  printFindings(function, result);
  if (!asked.report.empty())
    printReport(std::cout, *result.counters, chipNamed(asked.report),
                function.module->module.text());
  if (!asked.countersFile.empty())
    appendCounters(asked.countersFile, *result.counters);
  // As on the hardware, the next call that waits reports what went wrong.
  for (const Finding &finding : result.findings)
    if (!context.failure && (finding.fatal || asked.findingsAreErrors))
      context.failure = errorOf(finding);
  return CUDA_SUCCESS;
}

CUresult launchCall(const char *name, CUfunction function,
                    const LaunchOptions &options, CUstream stream,
                    void **params, void **extra) {
  return inContext(name, [&](CUctx_st &context) -> CUresult {
    if (!isLive(function) || !isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    return run(context, *function, options, params, extra);
  });
}

LaunchOptions shape(Dim3 grid, Dim3 block, unsigned shared) {
  LaunchOptions options;
  options.grid = grid;
  options.block = block;
  options.dynamicShared = shared;
  return options;
}
} // namespace

PTX_API cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                       unsigned gridZ, unsigned blockX, unsigned blockY,
                       unsigned blockZ, unsigned shared, CUstream stream,
                       void **params, void **extra) {
  return launchCall(
      "cuLaunchKernel", function,
      shape({gridX, gridY, gridZ}, {blockX, blockY, blockZ}, shared), stream,
      params, extra);
}

PTX_API cuLaunchCooperativeKernel(CUfunction function, unsigned gridX,
                                  unsigned gridY, unsigned gridZ,
                                  unsigned blockX, unsigned blockY,
                                  unsigned blockZ, unsigned shared,
                                  CUstream stream, void **params) {
  LaunchOptions options =
      shape({gridX, gridY, gridZ}, {blockX, blockY, blockZ}, shared);
  options.cooperative = true;
  return launchCall("cuLaunchCooperativeKernel", function, options, stream,
                    params, nullptr);
}

/// The launch a configuration describes. Attributes that only hint are taken
/// without effect.
static CUresult readConfig(const CUlaunchConfig *config,
                           LaunchOptions &options) {
  if (!config || (config->numAttrs > 0 && !config->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  options = shape({config->gridDimX, config->gridDimY, config->gridDimZ},
                  {config->blockDimX, config->blockDimY, config->blockDimZ},
                  config->sharedMemBytes);
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config->attrs[i];
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE) {
      options.cooperative = attribute.value.cooperative != 0;
    } else if (attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
      const auto &cluster = attribute.value.clusterDim;
      if (!cluster.x || !cluster.y || !cluster.z)
        return CUDA_ERROR_INVALID_VALUE;
      options.cluster = {cluster.x, cluster.y, cluster.z};
    }
  }
  return CUDA_SUCCESS;
}

PTX_API cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                         void **params, void **extra) {
  return inContext("cuLaunchKernelEx", [&](CUctx_st &context) -> CUresult {
    LaunchOptions options;
    if (CUresult wrong = readConfig(config, options))
      return wrong;
    if (!isLive(function) || !isLive(config->hStream))
      return CUDA_ERROR_INVALID_HANDLE;
    return run(context, *function, options, params, extra);
  });
}

//===----------------------------------------------------------------------===//
// Occupancy
//===----------------------------------------------------------------------===//

static CUresult activeBlocks(const char *name, int *blocks, CUfunction function,
                             int threads, size_t shared) {
  return inContext(name, [&](CUctx_st &) -> CUresult {
    if (!blocks || threads <= 0)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    *blocks = static_cast<int>(
        blocksPerSm(*function, static_cast<uint64_t>(threads), shared));
    return CUDA_SUCCESS;
  });
}

PTX_API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks,
                                                    CUfunction function,
                                                    int threads,
                                                    size_t shared) {
  return activeBlocks("cuOccupancyMaxActiveBlocksPerMultiprocessor", blocks,
                      function, threads, shared);
}

PTX_API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction function, int threads, size_t shared, unsigned) {
  return activeBlocks("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
                      blocks, function, threads, shared);
}

/// The block size of the most resident threads, the largest of equal ones.
static CUresult potentialBlock(const char *name, int *grid, int *block,
                               CUfunction function, size_t (*sharedOf)(int),
                               size_t shared, int limit) {
  return inContext(name, [&](CUctx_st &) -> CUresult {
    if (!grid || !block)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    const KernelInfo &kernel = *function->kernel;
    int most =
        static_cast<int>(kernel.reqntid.count()   ? kernel.reqntid.count()
                         : kernel.maxntid.count() ? kernel.maxntid.count()
                                                  : kThreadsPerBlock);
    if (limit > 0)
      most = std::min(most, limit);
    int bestThreads = 0;
    for (int threads = most; threads > 0;
         threads -= threads % 32 ? threads % 32 : 32) {
      size_t bytes = sharedOf ? sharedOf(threads) : shared;
      int blocks = static_cast<int>(
          blocksPerSm(*function, static_cast<uint64_t>(threads), bytes));
      if (blocks * threads <= bestThreads)
        continue;
      bestThreads = blocks * threads;
      *block = threads;
      *grid = blocks * static_cast<int>(multiprocessors(state().sm));
    }
    return bestThreads ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

PTX_API cuOccupancyMaxPotentialBlockSize(int *grid, int *block,
                                         CUfunction function,
                                         size_t (*sharedOf)(int), size_t shared,
                                         int limit) {
  return potentialBlock("cuOccupancyMaxPotentialBlockSize", grid, block,
                        function, sharedOf, shared, limit);
}

PTX_API cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block,
                                                  CUfunction function,
                                                  size_t (*sharedOf)(int),
                                                  size_t shared, int limit,
                                                  unsigned) {
  return potentialBlock("cuOccupancyMaxPotentialBlockSizeWithFlags", grid,
                        block, function, sharedOf, shared, limit);
}

PTX_API cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes,
                                                CUfunction function, int blocks,
                                                int threads) {
  return inContext(
      "cuOccupancyAvailableDynamicSMemPerBlock", [&](CUctx_st &) -> CUresult {
        if (!bytes || blocks <= 0 || threads <= 0)
          return CUDA_ERROR_INVALID_VALUE;
        if (!isLive(function))
          return CUDA_ERROR_INVALID_HANDLE;
        const Limits &limits = limitsOf(state().sm);
        uint64_t share = limits.sharedPerSm / static_cast<unsigned>(blocks);
        uint64_t taken = limits.sharedReserved + function->kernel->staticShared;
        share = std::min<uint64_t>(share > taken ? share - taken : 0,
                                   limits.sharedPerBlock -
                                       function->kernel->staticShared);
        *bytes = share / 128 * 128;
        return CUDA_SUCCESS;
      });
}

PTX_API cuOccupancyMaxActiveClusters(int *clusters, CUfunction function,
                                     const CUlaunchConfig *config) {
  return inContext("cuOccupancyMaxActiveClusters", [&](CUctx_st &) -> CUresult {
    LaunchOptions options;
    if (!clusters)
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult wrong = readConfig(config, options))
      return wrong;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    uint64_t size = std::max<uint64_t>(1, options.cluster.count());
    if (size > (function->nonPortableCluster ? kClusterLimitNonPortable
                                             : kClusterLimit))
      return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    uint64_t blocks = uint64_t{blocksPerSm(*function, options.block.count(),
                                           options.dynamicShared)} *
                      multiprocessors(state().sm);
    *clusters = static_cast<int>(blocks / size);
    return CUDA_SUCCESS;
  });
}

PTX_API cuOccupancyMaxPotentialClusterSize(int *size, CUfunction function,
                                           const CUlaunchConfig *config) {
  return inContext("cuOccupancyMaxPotentialClusterSize",
                   [&](CUctx_st &) -> CUresult {
                     LaunchOptions options;
                     if (!size)
                       return CUDA_ERROR_INVALID_VALUE;
                     if (CUresult wrong = readConfig(config, options))
                       return wrong;
                     if (!isLive(function))
                       return CUDA_ERROR_INVALID_HANDLE;
                     *size = static_cast<int>(function->nonPortableCluster
                                                  ? kClusterLimitNonPortable
                                                  : kClusterLimit);
                     return CUDA_SUCCESS;
                   });
}
