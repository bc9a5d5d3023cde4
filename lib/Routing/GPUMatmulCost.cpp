// What a grouped matmul costs on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPUMatmulCost.h"

#include <algorithm>
#include <cmath>

namespace moe::routing {
namespace {

/// A device of a chip: multiprocessors, and what it does in a second: bytes
/// read from memory, bytes through the L2 cache, and FLOP of mma.sync. Those of
/// sm_90 were measured on an H100. The others are nominal (A100 80 GB, A40,
/// L40S, B200, RTX PRO 6000): memory at 94 % of its rate and L2 at half of 64
/// bytes a clock and multiprocessor, which are the H100's shares.
struct Device {
  int capability;
  double multiprocessors, memory, cache, flop;
};
constexpr Device kDevices[] = {
    {80, 108, 1.92e12, 4.9e12, 312e12},  {86, 84, 0.65e12, 4.7e12, 150e12},
    {89, 142, 0.81e12, 11.3e12, 362e12}, {90, 132, 3.15e12, 7.2e12, 659e12},
    {100, 148, 7.5e12, 9.0e12, 740e12},  {120, 188, 1.68e12, 14e12, 500e12},
};
/// Of the mma.sync rate, by 64x64 of a warp from shared memory; the pipeline
/// waits for the rest at the barrier of each step.
constexpr double kTensorShare = 0.87;
/// Seconds from a block's start to its first product, and from its last one to
/// the end of its stores.
constexpr double kBlockLatency = 1.6e-6;
/// Instructions of a warp before and behind its loop.
constexpr double kAroundLoop = 300;
/// Warp instructions that a multiprocessor issues in a second: four a clock.
constexpr double kIssued = 4 * 1.5e9;
/// Copies of four lanes ask for half lines: L2 serves them at this share.
constexpr double kHalfLineShare = 0.92;
/// Memory's share where a step takes less than 256 bytes of a row of weights.
constexpr double kShortRowShare = 0.97;
/// How far terms that overlap still add up.
constexpr double kOverlap = 3.5;

const Device &deviceOf(const GPUChip &chip) {
  for (const Device &device : kDevices)
    if (device.capability == chip.capability)
      return device;
  return kDevices[0];
}

/// The probability that a normal variable exceeds `value` standard deviations.
double tailOf(double value) { return 0.5 * std::erfc(value / std::sqrt(2.0)); }

/// The tiles of `height` rows that cover an expert's rows, if these are `rows`
/// on average: it needs tile j + 1 if it has more than j·height rows.
double tilesOf(double rows, double height) {
  double tiles = -std::expm1(-rows);
  double deviation = std::sqrt(std::max(rows, 1e-9));
  double most = (rows + 4 * deviation) / height;
  for (double j = 1; j <= most; ++j) {
    // Far below the average there is no doubt.
    double distance = (j * height - rows) / deviation;
    tiles += distance < -4 ? 1 : tailOf(distance);
  }
  return tiles;
}

/// What a plan gives the blocks to do.
struct Work {
  double active = 0; // experts with rows
  double tiles = 0;
};

/// Routing as uniform as chance allows, or by Zipf's law with exponent 1.2.
Work workOf(int64_t experts, double rows, double height, bool isUniform) {
  constexpr double kExponent = 1.2;
  // Experts of neighbouring ranks count as one where there are very many.
  int64_t group = (experts + 255) / 256;
  double sum = 0;
  for (int64_t rank = 1; rank <= experts; ++rank)
    sum += isUniform ? 1 : std::pow(double(rank), -kExponent);
  Work work;
  for (int64_t rank = 1; rank <= experts; rank += group) {
    double count = double(std::min(group, experts - rank + 1));
    double share = isUniform ? 1 : std::pow(rank + (count - 1) / 2, -kExponent);
    double mine = rows * experts * share / sum;
    work.active += count * -std::expm1(-mine);
    work.tiles += count * tilesOf(mine, height);
  }
  return work;
}

/// Cycles of shared memory for one of the tensor cores: fragments are read by
/// ldmatrix in four cycles for each 16x16, copies arrive in four.
double sharedShare(const GPUMatmulForm &form) {
  double warps = form.rows / form.warpRows * (form.columns / 64);
  double fragments = form.warpRows / 16.0 + 64 / 16.0;
  double copies = (form.rows + form.columns) / (16.0 * warps);
  double products = form.warpRows / 16.0 * 64 / 8.0;
  return 4 * (fragments + copies) / (2 * products);
}

/// Warp instructions of one step of one tile that are no products, where tiles
/// have `rows` rows on average, in whole blocks of 16.
double stepInstructions(const GPUMatmulForm &form, double rows) {
  // The wait, the barrier, the end of a group of copies, moving pointers.
  constexpr double kEachWarp = 5;
  double down = double(form.rows) / form.warpRows, across = form.columns / 64;
  double blocks = rows / 16, warps = down * across;
  // A warp without rows loads no weights, and copies of missing rows are left
  // out by turns of all warps.
  double fragments =
      form.depth / 16.0 * across * (blocks + 4 * std::min(down, blocks));
  double turn = warps * 32 / form.lanes;
  double copied = std::min(double(form.rows), std::ceil(rows / turn) * turn);
  double copies = (copied + form.columns) * form.depth * 2 / (32 * 16);
  return fragments + copies + kEachWarp * warps;
}

/// How blocks come to multiprocessors: all at once as far as they fit.
struct Waves {
  double starts; // waits for the first loads of a block, one after another
  double idle;   // time over what it were if no multiprocessor were idle
};

Waves wavesOf(const GPUChip &chip, const Device &device,
              const GPUMatmulForm &form, double blocks) {
  double resident = double(residentGPUBlocks(chip, form));
  double atOnce = device.multiprocessors * resident;
  double waves = std::ceil(blocks / atOnce);
  // The last wave may be thin: a multiprocessor then has fewer blocks.
  double last = blocks - (waves - 1) * atOnce;
  double turns =
      (waves - 1) * resident + std::ceil(last / device.multiprocessors);
  // Blocks of one multiprocessor hide each other's first loads.
  return {1 + (waves - 1) / (2 * resident),
          turns * device.multiprocessors / blocks};
}

GPUMatmulCost modelWork(const GPUChip &chip, const GPUMatmulForm &form,
                        const GPUMatmulSize &size, double rows,
                        const Work &work) {
  const Device &device = deviceOf(chip);
  double across = std::ceil(double(size.columns) / form.columns);
  double blocks = std::max(work.tiles * across, 1.0);
  double allRows = size.experts * rows, rowBytes = size.depth * 2.0;
  double results = allRows * size.outColumns * 2;

  // Rows are read through the cache, where the launch before left them or where
  // the pairs of a token meet.
  double weights = work.active * size.columns * rowBytes;
  double share = form.depth < 128 ? kShortRowShare : 1.0;
  double memory = (weights / share + results) / device.memory;

  double reads =
      blocks * form.columns * rowBytes + allRows * across * rowBytes + results;
  Waves waves = wavesOf(chip, device, form, blocks);
  double cache = waves.idle * reads /
                 (device.cache * (form.lanes == 4 ? kHalfLineShare : 1.0));

  // Warps skip the blocks of 16 rows that a tile lacks.
  double padded = std::min(allRows + 7.5 * work.tiles, work.tiles * form.rows);
  double steps = std::ceil(double(size.depth) / form.depth);
  double flop = 2 * padded * across * form.columns * steps * form.depth;
  double compute = waves.idle * flop * std::max(1.0, sharedShare(form)) /
                   (device.flop * kTensorShare);
  double latency = kBlockLatency * waves.starts;

  double overlapped =
      std::pow(std::pow(memory, kOverlap) + std::pow(cache, kOverlap) +
                   std::pow(compute, kOverlap),
               1 / kOverlap);
  double warps = form.rows / form.warpRows * (form.columns / 64);
  double ofStep = stepInstructions(form, padded / std::max(work.tiles, 1e-9));
  double issue = blocks * (steps * ofStep + kAroundLoop * warps) /
                 (device.multiprocessors * kIssued);
  return {memory * 1e6,
          cache * 1e6,
          compute * 1e6,
          latency * 1e6,
          (overlapped + latency) * 1e6,
          issue * 1e6};
}

} // namespace

int64_t residentGPUBlocks(const GPUChip &chip, const GPUMatmulForm &form) {
  // A multiprocessor keeps a kilobyte of each block for itself.
  constexpr int64_t kReserved = 1024, kRegisters = 65536, kMostRegisters = 255;
  int64_t shared =
      form.stages * (form.rows + form.columns) * form.depth * 2 + kReserved;
  int64_t threads = 32 * (form.rows / form.warpRows) * (form.columns / 64);
  // Accumulators, fragments of two steps, addresses.
  int64_t registers = std::min(kMostRegisters, form.warpRows * 2 + 96);
  int64_t blocks = std::min((chip.sharedBytes + kReserved) / shared,
                            kRegisters / (registers * threads));
  return std::max<int64_t>(blocks, 1);
}

GPUMatmulCost modelGPUMatmul(const GPUChip &chip, const GPUMatmulForm &form,
                             const GPUMatmulSize &size, double rows,
                             bool isUniform) {
  return modelWork(chip, form, size, rows,
                   workOf(size.experts, rows, double(form.rows), isUniform));
}

} // namespace moe::routing
