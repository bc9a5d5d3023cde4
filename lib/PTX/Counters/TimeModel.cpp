// Bounds and a point estimate of the time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Model.h"

#include <algorithm>
#include <cmath>

namespace ptx {
namespace {

using C = ChipConstant;

/// Seconds that each resource takes by itself.
class Terms {
public:
  Terms(const CounterValues &counters, const Chip &chip)
      : counters(counters), chip(chip) {
    const LaunchShape &shape = counters.shape;
    blocks = double(shape.grid.count());
    warps = blocks * double((shape.block.count() + 31) / 32);
    sms = std::min(blocks, chip.best(C::Multiprocessors));
    resident = std::max(1u, shape.blocksPerSm);
    waves = std::ceil(blocks / (chip.best(C::Multiprocessors) * resident));
    addMultiprocessor();
    addMemory();
    addChains();
  }

  /// Of one warp, times the waves of CTAs, when nothing overlaps.
  double latency() const {
    double loads = get("op_global_ld") + get("op_global_atom") +
                   get("op_local_ld") + copyWaits();
    double shared =
        get("op_shared_ld") + get("op_shared_atom") + get("op_ldsm");
    double clocks =
        waves / warps *
        (loads * loadLatency() + shared * chip.best(C::LatencyShared) +
         get("warp_inst") * chip.best(C::LatencyInstruction) +
         get("barriers") * chip.best(C::LatencyBarrier));
    double busiest = get("heaviest_warp") * chip.best(C::LatencyInstruction);
    clocks = std::max(clocks, busiest);
    clocks += get("waits") * chip.best(C::LatencyWait);
    return clocks / chip.best(C::SmClock);
  }

  std::vector<TimeTerm> list;

private:
  double get(const char *name) const { return counters[name]; }

  void add(std::string_view name, std::string_view what, double best,
           double usual) {
    if (best > 0 || usual > 0)
      list.push_back({name, what, best, usual});
  }
  /// \p amount of all SMs at a rate a clock of one.
  void addPerSm(std::string_view name, std::string_view what, double amount,
                C rate) {
    double clocks = amount / sms / chip.best(C::SmClock);
    add(name, what, clocks / chip.best(rate), clocks / chip.usual(rate));
  }
  void addPerChip(std::string_view name, std::string_view what, double amount,
                  C rate) {
    add(name, what, amount / chip.best(rate), amount / chip.usual(rate));
  }

  void addMultiprocessor() {
    addPerSm("issue", "warp instructions", get("warp_inst"), C::Issue);
    addPerSm("alu", "integer, logic, compare", get("pipe_alu"), C::Alu);
    addPerSm("fma", "f32, integer multiply", get("pipe_fma"), C::Fma);
    addPerSm("special", "special functions, conversions", get("pipe_xu"),
             C::Special);
    addPerSm("memory", "load/store instructions, shuffles", get("pipe_lsu"),
             C::Memory);
    addPerSm("shared", "wavefronts of shared memory",
             get("sh_wave_ld") + get("sh_wave_st") + get("sh_wave_atom"),
             C::Wavefronts);
    addPerSm("l1", "sectors of global and local memory",
             get("ld_sectors") + get("st_sectors") + get("red_sectors") +
                 get("atom_sectors") + get("local_ld_sectors") +
                 get("local_st_sectors"),
             C::L1Sectors);
    addPerSm("tensor", "matrix products", get("mma_work"), C::TensorFlop);
    addPerSm("barrier", "warps at barriers", get("barriers"), C::Barriers);
    addPerSm("constant", "addresses of constant memory", get("const_req"),
             C::Constants);
  }

  void addMemory() {
    addPerChip("l2", "bytes between L2 and the SMs", 32 * get("l2_tex_sectors"),
               C::L2Bytes);
    addPerChip("l2 writes", "write requests at L2", get("l2_tex_write_req"),
               C::L2Writes);
    // Bytes far apart take longer: count them as more.
    double reads = get("dram_scattered_rd"), fills = get("dram_scattered_fill");
    double bytes = get("dram_rd") + get("dram_wr") - reads - fills;
    addPerChip("dram", "bytes read and written in DRAM",
               bytes + reads / chip.best(C::ScatteredReads) +
                   fills / chip.best(C::ScatteredFills),
               C::DramBytes);
    double clocks = get("atomic_clocks");
    add("atomic", "atomics at the busiest L2 slice",
        clocks / chip.best(C::L2Clock), clocks / chip.usual(C::L2Clock));
  }

  void addChains() {
    double clocks = get("heaviest_warp") * chip.best(C::ChainInstruction);
    add("longest warp", "instructions of the busiest warp",
        clocks / chip.best(C::SmClock), 0);
    clocks = get("chain_l1") * chip.best(C::ChainL1) +
             get("chain_l2") * chip.best(C::ChainL2);
    add("load chain", "loads that wait for each other",
        clocks / chip.best(C::SmClock), 0);
  }

  /// Latencies of cp.async: copies of a group are on their way together, and
  /// so are the groups in flight when a warp waits for the oldest.
  double copyWaits() const {
    double copies =
        get("op_ldgsts_cache_access") + get("op_ldgsts_cache_bypass");
    double groups = get("async_groups");
    if (groups == 0)
      return copies;
    return std::min(copies, groups / std::max(1.0, get("async_in_flight")));
  }

  double loadLatency() const {
    double sectors = get("ld_sectors") + get("local_ld_sectors");
    if (sectors == 0)
      return chip.best(C::LatencyL2);
    double missed = std::min(1.0, get("xbar2l1_sectors") / sectors);
    double fetched = 32 * std::max(1.0, get("xbar2l1_sectors"));
    double dram = std::min(1.0, get("dram_rd") / fetched);
    return (1 - missed) * chip.best(C::LatencyL1) +
           missed * ((1 - dram) * chip.best(C::LatencyL2) +
                     dram * chip.best(C::LatencyDram));
  }

  const CounterValues &counters;
  const Chip &chip;
  double blocks, warps, sms, resident, waves;
};

} // namespace

TimeEstimate estimateTime(const CounterValues &counters, const Chip &chip) {
  TimeEstimate estimate;
  if (counters.shape.grid.count() == 0 || counters.shape.block.count() == 0)
    return estimate;
  Terms terms(counters, chip);
  estimate.latency = terms.latency();
  estimate.limit = "launch";
  const double exponent = chip.best(C::PointExponent);
  const double latency = chip.best(C::LatencyWeight) * estimate.latency;
  double most = 0, sum = 0, powers = 0;
  for (const TimeTerm &term : terms.list) {
    if (term.best > most) {
      most = term.best;
      estimate.limit = term.name;
    }
    sum += term.usual;
    powers += std::pow(term.best, exponent);
  }
  powers += std::pow(latency, exponent);
  if (latency > most)
    estimate.limit = "latency";
  estimate.lower = std::max(most, chip.best(C::LaunchLower));
  estimate.upper = sum + estimate.latency + chip.best(C::LaunchUpper);
  estimate.upper = std::max(estimate.upper, estimate.lower);
  estimate.point =
      std::clamp(chip.best(C::LaunchPoint) + std::pow(powers, 1 / exponent),
                 estimate.lower, estimate.upper);
  estimate.terms = std::move(terms.list);
  return estimate;
}

} // namespace ptx
