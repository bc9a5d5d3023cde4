// What a launch counted.
//
// Counters carry the names that hardware profilers' counters have in
// test/PTX/counters/cases.txt where the hardware has one: docs/ptx-emulator.md
// says what each of them counts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_H
#define PTX_COUNTERS_H

#include "ptx/Types.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ptx {

struct LaunchOptions;
struct Observer;

/// Executions of one PTX instruction.
struct InstructionCount {
  uint64_t warps = 0; ///< warps that executed it, guarded off or not
  uint64_t lanes = 0; ///< lanes of them, before the guard
  uint64_t on = 0;    ///< lanes left by the guard
};

/// One basic block of the PTX.
struct BlockCounters {
  std::string function;
  uint32_t firstLine = 0, lastLine = 0; ///< of the PTX text
  uint32_t sourceLine = 0;              ///< of the first instruction, or 0
  uint64_t executions = 0;              ///< by warps
  uint64_t warpInstructions = 0, laneInstructions = 0; ///< of PTX
  double machineInstructions = 0; ///< warp instructions of machine code
  uint64_t sectors = 0;           ///< global and local memory
  uint64_t idealSectors = 0;      ///< had each lane's bytes been packed
  uint64_t wavefronts = 0, idealWavefronts = 0; ///< shared memory
  double xbar2l1_sectors = 0; ///< L1 misses (cache model only)
};

/// One line of the PTX that executed and moved data.
struct LineCounters {
  uint32_t line = 0;
  uint64_t warps = 0; ///< that executed it
  uint64_t sectors = 0, idealSectors = 0;
  uint64_t wavefronts = 0, idealWavefronts = 0;
  double xbar2l1_sectors = 0;
};

/// The launch the counters belong to.
struct LaunchShape {
  std::string kernel;
  Dim3 grid, block, cluster;
  uint32_t staticShared = 0, dynamicShared = 0;
  unsigned registers = 0;   ///< a thread; estimated where ptxas did not say
  unsigned blocksPerSm = 0; ///< resident
  unsigned multiprocessors = 0;
};

struct CounterValues {
  LaunchShape shape;
  /// Sums over the launch.
  std::map<std::string, double> values;
  std::vector<BlockCounters> blocks;
  std::vector<LineCounters> lines;
  /// Machine instructions of each CTA, in launch order.
  std::vector<float> blockWork;
  bool cacheModel = false; ///< L1, L2 and DRAM counters are there

  /// 0 for a counter that did not count.
  double operator[](const std::string &name) const {
    auto at = values.find(name);
    return at == values.end() ? 0 : at->second;
  }
  /// One JSON object: launch, "counters", "blocks" and "lines".
  std::string json() const;
  /// Of a launch of \p grid CTAs that do \p factor times the work of these, and
  /// work like these: sums grow, what one warp or CTA does stays. Blocks and
  /// lines are left out.
  CounterValues scaled(double factor, Dim3 grid) const;
};

} // namespace ptx

#endif // PTX_COUNTERS_H
