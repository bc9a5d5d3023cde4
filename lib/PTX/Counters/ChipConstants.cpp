// The one table of chip constants.
//
// H100: measured on an H100 SXM 80 GB (132 SMs, CUDA 13.0, SM 1.95-1.98 GHz,
// L2 1.71 GHz, DRAM 2.62 GHz), most of them with the kernels of
// test/PTX/counters. A100: nominal, from public specifications; where there is
// none, the H100 value.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Error.h"
#include "ptx/Model.h"

#include <array>
#include <ostream>

namespace ptx {
namespace {

struct Row {
  ChipConstant constant;
  const char *name, *unit;
  ChipValue h100;
  const char *h100Source;
  ChipValue a100;
  const char *a100Source;
};

using C = ChipConstant;
constexpr const char *kSpec = "specification";
constexpr const char *kSame = "as H100";
constexpr const char *kScaled = "H100 by clocks and units";
constexpr const char *kFit = "fit to the 94 cases";

constexpr ChipValue one(double value) { return {value, value}; }

// Rates a clock are of one SM.
constexpr Row kRows[] = {
    {C::Multiprocessors, "multiprocessors", "", one(132), kSpec, one(108),
     kSpec},
    {C::SmClock, "SM clock", "Hz", one(1.96e9), "sm_hz of the cases",
     one(1.41e9), kSpec},
    {C::L2Clock, "L2 clock", "Hz", one(1.71e9), "l2_hz of the cases",
     one(1.41e9), "as the SMs"},
    {C::Issue,
     "issue",
     "warp instructions/clk",
     {4, 3.2},
     kFit,
     {4, 3.2},
     kSame},
    {C::Alu,
     "integer and logic",
     "warp instructions/clk",
     {2, 1.8},
     "rate_alu",
     {2, 1.8},
     kSame},
    {C::Fma,
     "f32 and integer multiply",
     "warp instructions/clk",
     {4, 3.6},
     "rate_fma",
     {2, 1.8},
     kSpec},
    {C::Special, "special functions", "warp instructions/clk", one(0.5),
     "rate_mufu", one(0.5), kSpec},
    {C::Memory, "load/store unit", "warp instructions/clk", one(1), "rate_shfl",
     one(1), kSame},
    {C::Wavefronts, "shared memory", "wavefronts/clk", one(1), "rate_lds128",
     one(1), kSpec},
    {C::L1Sectors, "L1", "sectors/clk", {4, 2}, kFit, {4, 2}, kSame},
    {C::TensorFlop,
     "tensor cores, mma.sync bf16",
     "FLOP/clk",
     one(2620),
     "rate_mma",
     {2048, 1900},
     kSpec},
    {C::Barriers,
     "barriers",
     "warps/clk",
     {0.6, 0.4},
     "rate_bar",
     {0.6, 0.4},
     kSame},
    {C::Constants, "constant cache", "addresses/clk", one(0.5), "const_lane",
     one(0.5), kSame},
    {C::L2Bytes,
     "L2, to and from the SMs",
     "B/s",
     {7.4e12, 4.4e12},
     "highest seen, grouped matmuls; usual: fit to the 94 cases",
     {5.6e12, 3.3e12},
     kScaled},
    {C::L2Writes,
     "L2 write requests",
     "1/s",
     {60e9, 45e9},
     "transpose_naive",
     {45e9, 34e9},
     kScaled},
    {C::DramBytes,
     "DRAM",
     "B/s",
     {3.10e12, 2.4e12},
     "read_dram, write_dram",
     {1.83e12, 1.42e12},
     "specification of 80 GB, by the H100's share"},
    {C::ScatteredReads, "DRAM, reads of 64 B far apart", "of its rate",
     one(0.7), "gather_random_big", one(0.7), kSame},
    {C::ScatteredFills, "DRAM, read, fill and write of 32 B far apart",
     "of its rate", one(0.35), "scatter_random_big", one(0.35), kSame},
    {C::SliceInteger, "atomic, integer", "L2 clk/sector of a slice", one(1.25),
     "hist_gl_one", one(1.25), kSame},
    {C::SliceFloat, "atomic, f32 on one address", "L2 clk/lane", one(3.0),
     "reduce_lane_atomic", one(3.0), kSame},
    {C::Slices, "L2 slices", "", one(80), "hist_gl_spread", one(80), kSame},
    {C::SliceStride, "L2 slices interleave at", "B", one(512), "hist_gl_256",
     one(512), kSame},
    {C::LatencyL1, "latency, L1 hit", "clk", one(40), "chase_l1", one(40),
     kSame},
    {C::LatencyL2, "latency, L2 hit", "clk", one(290), "chase_l2", one(260),
     "published microbenchmarks"},
    {C::LatencyDram, "latency, DRAM", "clk", one(700), "chase_dram", one(560),
     "published microbenchmarks"},
    {C::LatencyShared, "latency, shared memory", "clk", one(30), kFit, one(30),
     kSame},
    {C::LatencyInstruction, "latency, an instruction", "clk", one(4.5), kFit,
     one(4.5), kSame},
    {C::LatencyBarrier, "latency, a barrier", "clk", one(60), kFit, one(60),
     kSame},
    {C::LatencyWait, "latency, waiting for another CTA", "clk", one(3500),
     "grid_barrier", one(3000), kScaled},
    {C::ChainInstruction, "an instruction of the busiest warp, at least", "clk",
     one(3.9), "imbalance_first", one(3.9), kSame},
    {C::ChainL1, "a load that waits for another, L1, at least", "clk", one(33),
     "chase_l1", one(33), kSame},
    {C::ChainL2, "a load that waits for another, beyond L1, at least", "clk",
     one(260), "chase_l2", one(200), kSame},
    {C::LaunchUpper, "launch, upper bound", "s", one(2.6e-6), kFit, one(3.5e-6),
     kScaled},
    {C::LaunchLower, "launch, lower bound", "s", one(1.7e-6), "empty",
     one(1.7e-6), kSame},
    {C::LaunchPoint, "launch, point", "s", one(1.8e-6), kFit, one(2.4e-6),
     kScaled},
    // 0.7 fits the 94 cases a little better, but makes matrix products that
    // keep copies in flight up to 21 % too slow, by the instructions of a warp.
    {C::LatencyWeight, "latencies, their share in the point", "", one(0.6),
     "fit to the 94 cases and 24 grouped matmuls", one(0.6), kSame},
    {C::PointExponent, "exponent by which the point joins terms", "", one(3),
     kFit, one(3), kSame},
    {C::L1Capacity, "L1 and shared memory", "B", one(256 * 1024), kSpec,
     one(192 * 1024), kSpec},
    {C::L2Capacity, "L2", "B", one(50.0 * 1024 * 1024), kSpec,
     one(40.0 * 1024 * 1024), kSpec},
    {C::L2Partitions, "L2 partitions", "", one(2), kSpec, one(2), kSpec},
    {C::L2Shared, "data all SMs read that fits L2", "B", one(26e6), "l2_cg_*",
     one(21e6), kScaled},
    {C::DirtyLeft, "written data left in L2 at the end", "B", one(19e6),
     "copy_*, store_*", one(15e6), kScaled},
};
constexpr size_t kCount = size_t(C::Count);
static_assert(std::size(kRows) == kCount);

constexpr std::array<ChipValue, kCount> column(bool h100) {
  std::array<ChipValue, kCount> values{};
  for (const Row &row : kRows)
    values[size_t(row.constant)] = h100 ? row.h100 : row.a100;
  return values;
}
constexpr auto kH100 = column(true), kA100 = column(false);

const Chip kChips[] = {
    {"h100", "H100 SXM 80 GB, constants measured", true, kH100},
    {"a100", "A100 SXM 80 GB, constants nominal (not measured)", false, kA100},
};

void printValue(std::ostream &out, ChipValue value) {
  out << value.best;
  if (value.usual != value.best)
    out << " (usual " << value.usual << ")";
}

} // namespace

std::span<const Chip> allChips() { return kChips; }

const Chip &chipNamed(std::string_view name) {
  for (const Chip &chip : kChips)
    if (chip.name == name)
      return chip;
  std::string known;
  for (const Chip &chip : kChips)
    known += (known.empty() ? "" : ", ") + std::string(chip.name);
  throw Error("no model of a chip called '" + std::string(name) +
              "'; there is: " + known);
}

void printChipConstants(std::ostream &out) {
  out << "| constant | unit | H100, measured | from | A100, nominal | from |\n"
         "|---|---|---|---|---|---|\n";
  for (const Row &row : kRows) {
    out << "| " << row.name << " | " << row.unit << " | ";
    printValue(out, row.h100);
    out << " | " << row.h100Source << " | ";
    printValue(out, row.a100);
    out << " | " << row.a100Source << " |\n";
  }
}

} // namespace ptx
