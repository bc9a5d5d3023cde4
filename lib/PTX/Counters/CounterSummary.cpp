// Named counters from what was seen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/CounterSummary.h"

#include "Isa/IsaTable.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace ptx {

using A = AccessClass;

CounterSummary::CounterSummary(const CounterObserver &observer)
    : seen(observer), result(std::make_shared<CounterValues>()),
      kept(observer.instructions.size(), 1), stays(kept.size(), 1) {
  result->shape = seen.shared->shape;
  result->cacheModel = seen.shared->replay != nullptr;
  const LaunchShape &shape = result->shape;
  warps = double(shape.grid.count()) *
          double((shape.block.count() + kLanes - 1) / kLanes);
  findSpins();
  findLifted();
  addInstructions();
  addOperations();
  addSectors();
  addShared();
  addMatrix();
  addWork();
  addChains();
  if (result->cacheModel)
    addCaches();
  addBlocks();
  addLines();
}

/// Loops that only wait go round as often as chance has it. Their rounds are
/// told apart from the work.
void CounterSummary::findSpins() {
  double waits = 0, polls = double(seen.polls);
  const LaunchShape &shape = result->shape;
  double perBlock = warps / double(shape.grid.count());
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const CodeFacts &facts = seen.shared->code.at(uint32_t(pc));
    if (!facts.spins)
      continue;
    const InstructionCount &head = seen.instructions[facts.spinBegin];
    double back = double(seen.instructions[pc].on);
    if (!head.lanes)
      continue;
    double share = std::max(0.0, 1 - back / double(head.lanes));
    for (size_t i = facts.spinBegin; i <= pc; ++i)
      kept[i] = std::min(kept[i], share);
    double entries = double(head.warps) * share;
    polls += double(head.warps) - entries;
    // One lane waits for its CTA, or all warps wait together.
    bool together = head.lanes > head.warps;
    waits += entries / double(shape.grid.count()) / (together ? perBlock : 1);
  }
  set("polls") = polls;
  double chip = double(shape.blocksPerSm) * shape.multiprocessors;
  double waves =
      std::max(1.0, double(shape.grid.count()) / std::max(1.0, chip));
  set("waits") = waits * waves;
}

/// Loads that ptxas takes out of loops are executed once an entry. ldmatrix it
/// keeps, but loops that hold one are unrolled, and of sixteen rounds two stay.
void CounterSummary::findLifted() {
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const CodeFacts &facts = seen.shared->code.at(uint32_t(pc));
    const InstructionCount &head = seen.instructions[facts.liftedFrom];
    if (!facts.lifted || !head.lanes)
      continue;
    double back = double(seen.instructions[facts.liftedTo].on);
    stays[pc] = std::max(0.0, 1 - back / double(head.lanes));
    if (at(pc).row->opcode == "ldmatrix")
      stays[pc] = std::max(stays[pc], 2.0 / 16);
  }
}

void CounterSummary::addInstructions() {
  double ptx = 0, lanes = 0, machine = 0, on = 0, polled = 0;
  double alu = 0, fma = 0, xu = 0, lsu = 0, laneMachine = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const InstructionCount &count = seen.instructions[pc];
    if (!count.warps)
      continue;
    const MachineCost &cost = seen.shared->code.at(uint32_t(pc)).cost;
    double executed = double(count.warps) * kept[pc] * stays[pc];
    ptx += double(count.warps);
    lanes += double(count.lanes);
    on += double(count.on);
    machine += executed * cost.instructions;
    laneMachine += double(count.lanes) * kept[pc] * cost.instructions;
    polled += double(count.warps) * (1 - kept[pc]) * cost.instructions;
    alu += executed * cost.alu;
    fma += executed * cost.fma;
    xu += executed * cost.xu;
    lsu += executed * cost.lsu;
  }
  // Each warp sets up its stack pointer and finds where parameters lie.
  double setUp = 2 * warps;
  set("ptx_warp_inst") = ptx;
  set("ptx_lane_inst") = lanes;
  set("ptx_lane_inst_pred_on") = on;
  set("warp_inst") = machine + setUp + double(seen.extraInstructions);
  set("lane_inst") = laneMachine + kLanes * setUp;
  set("poll_inst") = polled;
  set("simt_efficiency") = ptx ? lanes / (kLanes * ptx) : 0;
  set("pipe_alu") = alu;
  set("pipe_fma") = fma;
  set("pipe_xu") = xu;
  set("pipe_lsu") = lsu;
}

void CounterSummary::addOperations() {
  auto ops = [&](const char *name, A c) {
    set(name) = double(sums(c).requests);
  };
  ops("op_global_ld", A::GlobalLoad);
  ops("op_global_st", A::GlobalStore);
  ops("op_global_red", A::GlobalReduction);
  ops("op_global_atom", A::GlobalAtomic);
  ops("op_shared_ld", A::SharedLoad);
  ops("op_shared_st", A::SharedStore);
  ops("op_shared_atom", A::SharedAtomic);
  ops("op_local_ld", A::LocalLoad);
  ops("op_local_st", A::LocalStore);
  ops("op_ldsm", A::LoadMatrix);
  ops("op_stsm", A::StoreMatrix);
  ops("op_ldgsts_cache_access", A::CopyCached);
  ops("op_ldgsts_cache_bypass", A::CopyBypass);
  double branches = 0, barriers = 0, groups = 0, groupWaits = 0, flying = 0;
  double ffma = 0, fadd = 0, fmul = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const InstructionCount &count = seen.instructions[pc];
    if (!count.warps)
      continue;
    const Row &row = *at(pc).row;
    std::string_view op = row.opcode;
    auto has = [&](std::string_view m) {
      return std::find(row.modifiers.begin(), row.modifiers.end(), m) !=
             row.modifiers.end();
    };
    branches += op == "bra" || op == "brx" ? double(count.warps) : 0;
    if (op == "bar" || op == "barrier")
      barriers += has(".warp") || has(".arrive") ? 0 : double(count.warps);
    if (has(".f32")) {
      ffma += op == "fma" || op == "mad" ? double(count.on) : 0;
      fadd += op == "add" || op == "sub" ? double(count.on) : 0;
      fmul += op == "mul" ? double(count.on) : 0;
    }
    if (has(".commit_group"))
      groups += double(count.warps);
    // The number of groups that may stay in flight is a constant.
    if (has(".wait_group") && at(pc).operandCount &&
        at(pc).operand[0] & kConstant) {
      groupWaits += double(count.warps);
      const std::byte *constants = seen.shared->program.constants.data;
      uint32_t stay = *reinterpret_cast<const uint32_t *>(
          constants + (at(pc).operand[0] & ~kConstant));
      flying += double(count.warps) * (1.0 + stay);
    }
  }
  set("op_branch") = branches;
  set("branch_divergent") = double(seen.divergent);
  set("barriers") = barriers;
  set("async_groups") = groups;
  set("async_in_flight") = groupWaits ? flying / groupWaits : 0;
  set("lane_ffma") = ffma;
  set("lane_fadd") = fadd;
  set("lane_fmul") = fmul;
}

void CounterSummary::addSectors() {
  auto both = [&](const char *name, double value) { set(name) = value; };
  const AccessSums &load = sums(A::GlobalLoad), &ca = sums(A::CopyCached),
                   &cg = sums(A::CopyBypass);
  both("ld_req", double(load.requests + ca.requests + cg.requests));
  both("ld_sectors", double(load.sectors + ca.sectors + cg.sectors));
  both("ld_ideal_sectors", double(load.ideal + ca.ideal + cg.ideal));
  both("ld_lines", double(load.lines + ca.lines + cg.lines));
  both("ldgsts_cache_access_sectors", double(ca.sectors));
  struct Names {
    A c;
    const char *requests, *sectors, *ideal, *lines;
  };
  for (const Names &n :
       {Names{A::GlobalStore, "st_req", "st_sectors", "st_ideal_sectors",
              "st_lines"},
        Names{A::GlobalReduction, "red_req", "red_sectors", "red_ideal_sectors",
              nullptr},
        Names{A::GlobalAtomic, "atom_req", "atom_sectors", "atom_ideal_sectors",
              nullptr},
        Names{A::LocalLoad, "local_ld_req", "local_ld_sectors",
              "local_ld_ideal_sectors", nullptr},
        Names{A::LocalStore, "local_st_req", "local_st_sectors",
              "local_st_ideal_sectors", nullptr}}) {
    both(n.requests, double(sums(n.c).requests));
    both(n.sectors, double(sums(n.c).sectors));
    both(n.ideal, double(sums(n.c).ideal));
    if (n.lines)
      both(n.lines, double(sums(n.c).lines));
  }
  both("bulk_rd_bytes", double(sums(A::BulkRead).bytes));
  both("bulk_wr_bytes", double(sums(A::BulkWrite).bytes));
  both("const_req", double(sums(A::Constant).sectors));
  // What polling read is told apart, as its instructions are.
  double polled = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc)
    if (kept[pc] < 1 && at(pc).row->opcode == "ld") {
      polled += double(seen.sites[pc].sectors) * (1 - kept[pc]);
      double loads =
          std::round(double(seen.instructions[pc].warps) * (1 - kept[pc]));
      set("op_global_ld") -= loads;
      set("ld_req") -= loads;
    }
  set("ld_sectors") -= std::round(polled);
  both("poll_sectors", std::round(polled));
  both("l2_tex_red_req", double(seen.reductionRequests));
  both("l2_tex_atom_req", double(seen.atomicRequests));
  both("footprint_ld", 32.0 * double(seen.loaded.sectors()));
  both("footprint_st", 32.0 * double(seen.stored.sectors()));
  both("atomic_clocks",
       *std::max_element(seen.sliceClocks.begin(), seen.sliceClocks.end()));
}

void CounterSummary::addShared() {
  const AccessSums &load = sums(A::SharedLoad), &store = sums(A::SharedStore),
                   &atomic = sums(A::SharedAtomic), &ldsm = sums(A::LoadMatrix),
                   &stsm = sums(A::StoreMatrix);
  double group = 0; // wgmma reads (64 + N) / 4 wavefronts, by four warps
  for (size_t pc = 0; pc < kept.size(); ++pc)
    if (seen.instructions[pc].warps && at(pc).row->opcode == "wgmma")
      if (const MatrixShape &shape = seen.shared->matrices[pc]; shape.m)
        group += double(seen.instructions[pc].warps) / 4 * (64 + shape.n) / 4;
  double lifted = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc)
    if (double gone = 1 - stays[pc]; gone > 0) {
      lifted += gone * double(seen.sites[pc].wavefronts);
      set(at(pc).row->opcode == "ldmatrix" ? "op_ldsm" : "op_shared_ld") -=
          gone * double(seen.instructions[pc].warps);
    }
  set("sh_wave_lifted") = lifted;
  set("sh_wave_ld") =
      double(load.wavefronts + ldsm.wavefronts) + group - lifted;
  set("sh_wave_st") = double(store.wavefronts + stsm.wavefronts);
  set("sh_wave_atom") = double(atomic.wavefronts);
  set("sh_conf_ld") = double(load.conflicts + ldsm.conflicts);
  set("sh_conf_st") = double(store.conflicts + stsm.conflicts);
  set("sh_conf_atom") = double(atomic.conflicts);
  set("sh_conf") = set("sh_conf_ld") + set("sh_conf_st") + set("sh_conf_atom");
  set("ldgsts_wave") = double(sums(A::CopyCached).wavefronts);
  // Shuffles and reads of special registers pass the same pipe.
  double shuffles = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc)
    if (seen.instructions[pc].warps && at(pc).row->opcode == "shfl")
      shuffles += double(seen.instructions[pc].warps);
  set("op_shfl") = shuffles;
  set("sh_wave") = set("sh_wave_ld") + set("sh_wave_st") + set("sh_wave_atom") +
                   shuffles + warps;
}

void CounterSummary::addMatrix() {
  double issued = 0, flop = 0, work = 0, group = 0;
  constexpr double kGroupRate = 4096.0 / 2620; // of wgmma to mma.sync
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const InstructionCount &count = seen.instructions[pc];
    if (!count.warps || at(pc).row->cost != Cost::Tensor)
      continue;
    const MatrixShape &shape = seen.shared->matrices[pc];
    if (!shape.m)
      continue;
    double times = double(count.warps) / (shape.group ? 4 : 1);
    issued += times;
    flop += times * shape.flop;
    group += shape.group ? times * shape.flop : 0;
    work +=
        times * shape.flop * shape.aBits / 16 / (shape.group ? kGroupRate : 1);
  }
  set("mma_issued") = issued;
  set("mma_flop") = flop;
  set("mma_useful_flop") = seen.matrix.useful + group;
  set("mma_work") = work;
}

void CounterSummary::addWork() {
  double ptx = set("ptx_warp_inst");
  double ratio = ptx ? set("warp_inst") / ptx : 1;
  result->blockWork = seen.shared->blockWork;
  double most = 0, sum = 0;
  for (float &work : result->blockWork) {
    work = float(work * ratio);
    most = std::max(most, double(work));
    sum += work;
  }
  set("cta_work_max") = most;
  set("cta_work_mean") =
      result->blockWork.empty() ? 0 : sum / double(result->blockWork.size());
  // Where warps wait in loops, how much they execute means nothing.
  bool waiting = set("poll_inst") > 0.01 * set("warp_inst");
  set("heaviest_warp") =
      waiting ? set("warp_inst") / warps : double(seen.busiestWarp) * ratio;
}

/// Loads that wait for the one before: how many a warp executes.
void CounterSummary::addChains() {
  double near = 0, far = 0;
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    if (!seen.shared->code.at(uint32_t(pc)).chained)
      continue;
    double times = double(seen.instructions[pc].warps) * kept[pc] / warps;
    double missed = 0, sectors = double(seen.sites[pc].sectors);
    if (seen.shared->replay && sectors)
      missed = double(seen.shared->replay->misses()[pc]) / sectors;
    near += times * (1 - missed);
    far += times * missed;
  }
  set("chain_l1") = near;
  set("chain_l2") = far;
}

void CounterSummary::addCaches() {
  const L1Counts &l1 = seen.shared->replay->l1();
  const L2Counts &l2 = seen.shared->replay->l2();
  double polled = set("poll_sectors"); // past L1, answered by L2
  double fetched = double(l1.fetched) - std::min(polled, double(l1.fetched));
  set("ld_l1_hit") = double(l1.globalHits);
  set("local_ld_l1_hit") = double(l1.localHits);
  set("xbar2l1_sectors") = fetched;
  set("l1_2xbar_wr_sectors") = double(l1.written);
  set("l2_tex_read") = fetched;
  set("l2_tex_read_hit") = double(l2.readHits);
  set("l2_tex_write") = double(l1.written);
  set("l2_tex_write_req") = double(l1.writeRequests);
  set("l2_tex_sectors") = fetched + double(l1.written + l1.atomicSectors);
  set("l2_fabric") = double(l2.fabricSectors);
  set("dram_rd") = double(l2.dramRead);
  set("dram_wr") = double(l2.dramWritten);
  set("dram_scattered_rd") = double(l2.scatteredRead);
  set("dram_scattered_fill") = double(l2.scatteredFill);
}

void CounterSummary::addBlocks() {
  const Program &program = seen.shared->program;
  for (const Function &function : program.functions) {
    for (uint32_t pc = function.begin; pc < function.end;) {
      uint32_t end = pc;
      while (end < function.end && at(end).block == at(pc).block)
        ++end;
      BlockCounters block;
      block.function = function.name;
      block.firstLine = at(pc).line;
      block.lastLine = at(pc).line;
      block.sourceLine = at(pc).sourceLine;
      block.executions = seen.instructions[pc].warps;
      for (uint32_t i = pc; i < end; ++i) {
        const InstructionCount &count = seen.instructions[i];
        block.lastLine = std::max(block.lastLine, at(i).line);
        block.warpInstructions += count.warps;
        block.laneInstructions += count.lanes;
        block.machineInstructions += double(count.warps) * kept[i] *
                                     seen.shared->code.at(i).cost.instructions;
        block.sectors += seen.sites[i].sectors;
        block.idealSectors += seen.sites[i].ideal;
        block.wavefronts += seen.sites[i].wavefronts;
        block.idealWavefronts += seen.sites[i].idealWavefronts;
        if (seen.shared->replay)
          block.xbar2l1_sectors += double(seen.shared->replay->misses()[i]);
      }
      if (block.warpInstructions)
        result->blocks.push_back(std::move(block));
      pc = end;
    }
  }
}

void CounterSummary::addLines() {
  for (size_t pc = 0; pc < kept.size(); ++pc) {
    const SiteSums &site = seen.sites[pc];
    if (!site.sectors && !site.wavefronts)
      continue;
    LineCounters line;
    line.line = at(pc).line;
    line.warps = seen.instructions[pc].warps;
    line.sectors = site.sectors;
    line.idealSectors = site.ideal;
    line.wavefronts = site.wavefronts;
    line.idealWavefronts = site.idealWavefronts;
    if (seen.shared->replay)
      line.xbar2l1_sectors = double(seen.shared->replay->misses()[pc]);
    result->lines.push_back(line);
  }
}

std::shared_ptr<CounterValues> CounterObserver::summarize() {
  return CounterSummary(*this).take();
}

} // namespace ptx
