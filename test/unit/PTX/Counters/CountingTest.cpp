// Counters of small launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MachineCode.h"
#include "Isa/IsaTable.h"
#include "Machine/Observer.h"
#include "Machine/Program.h"
#include "ptx/Counters.h"
#include "ptx/Device.h"
#include "ptx/Launch.h"
#include "ptx/Model.h"
#include "ptx/Module.h"

#include "gtest/gtest.h"

#include <cstring>
#include <sstream>
#include <vector>

using namespace ptx;

namespace {

constexpr const char *kHead = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// out[i * stride] = in[i], through shared memory; odd lanes take another way.
constexpr const char *kCopy = R"(
.visible .entry copy(.param .u64 from, .param .u64 to, .param .u32 stride) {
  .reg .pred %p<2>; .reg .b32 %r<12>; .reg .b64 %rd<8>;
  .shared .align 4 .b8 tile[512];
  ld.param.u64 %rd1, [from];
  ld.param.u64 %rd2, [to];
  ld.param.u32 %r1, [stride];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  cvta.to.global.u64 %rd3, %rd1;
  mul.wide.s32 %rd4, %r5, 4;
  add.s64 %rd5, %rd3, %rd4;
  ld.global.u32 %r6, [%rd5];
  shl.b32 %r7, %r4, 2;
  mov.u32 %r8, tile;
  add.s32 %r9, %r8, %r7;
  st.shared.u32 [%r9], %r6;
  bar.sync 0;
  ld.shared.u32 %r10, [%r9];
  and.b32 %r11, %r4, 1;
  setp.eq.s32 %p1, %r11, 0;
  @%p1 bra EVEN;
  add.s32 %r10, %r10, 1;
EVEN:
  mul.lo.s32 %r5, %r5, %r1;
  cvta.to.global.u64 %rd6, %rd2;
  mul.wide.s32 %rd7, %r5, 4;
  add.s64 %rd6, %rd6, %rd7;
  st.global.u32 [%rd6], %r10;
  ret;
}
)";

struct Quiet : Observer {
  std::unique_ptr<Observer> fork() override {
    return std::make_unique<Quiet>();
  }
};

CounterValues copy(uint32_t stride, unsigned threads = 1,
                   Observer *more = nullptr) {
  constexpr uint32_t kBlocks = 64, kThreads = 128, n = kBlocks * kThreads;
  Module module = Module::parse(std::string(kHead) + kCopy);
  Device device;
  uint64_t from = device.allocate(4 * n), to = device.allocate(4 * n * stride);
  std::vector<uint32_t> data(n, 7);
  device.copyIn(from, data.data(), 4 * n);
  std::vector<std::byte> params(20);
  std::memcpy(params.data(), &from, 8);
  std::memcpy(params.data() + 8, &to, 8);
  std::memcpy(params.data() + 16, &stride, 4);
  LaunchOptions options;
  options.grid = {kBlocks, 1, 1};
  options.block = {kThreads, 1, 1};
  options.counters = options.cacheModel = true;
  options.threads = threads;
  if (more)
    options.observers.push_back(more);
  LaunchResult result = launch(device, module, "copy", options, params);
  EXPECT_TRUE(result.counters);
  return result.counters ? *result.counters : CounterValues();
}

TEST(Counting, CountsACopy) {
  CounterValues c = copy(1);
  double warps = 64 * 4;
  EXPECT_EQ(c["ld_req"], warps);
  EXPECT_EQ(c["ld_sectors"], 4 * warps);
  EXPECT_EQ(c["ld_ideal_sectors"], 4 * warps);
  EXPECT_EQ(c["st_sectors"], 4 * warps);
  EXPECT_EQ(c["sh_wave_ld"], warps);
  EXPECT_EQ(c["sh_wave_st"], warps);
  EXPECT_EQ(c["sh_conf"], 0);
  EXPECT_EQ(c["barriers"], warps);
  EXPECT_EQ(c["branch_divergent"], warps);
  EXPECT_EQ(c["op_branch"], warps);
  EXPECT_EQ(c["ptx_warp_inst"], 27 * warps);
  // One instruction of 27 has half of the lanes.
  EXPECT_EQ(c["ptx_lane_inst"], (26 * 32 + 16) * warps);
  EXPECT_EQ(c["footprint_ld"], 64 * 128 * 4);
  EXPECT_EQ(c["footprint_st"], 64 * 128 * 4);
  EXPECT_EQ(c["xbar2l1_sectors"], 4 * warps);
  EXPECT_EQ(c["dram_rd"], 64 * 128 * 4);
  EXPECT_NEAR(c["warp_inst"] / warps, 22, 4);
  EXPECT_EQ(c.blockWork.size(), 64u);
}

TEST(Counting, SeesScatteredStores) {
  CounterValues c = copy(8);
  EXPECT_EQ(c["st_sectors"], 64 * 4 * 32);
  EXPECT_EQ(c["st_ideal_sectors"], 64 * 4 * 4);
  EXPECT_EQ(c["st_lines"], 64 * 4 * 8);
}

/// Without what depends on where the host put the buffers.
std::map<std::string, double> comparable(CounterValues c) {
  for (const char *name : {"l2_fabric", "atomic_clocks", "dram_scattered_rd",
                           "dram_scattered_fill"})
    c.values.erase(name);
  return c.values;
}

TEST(Counting, IsTheSameOnTwoThreads) {
  EXPECT_EQ(comparable(copy(3)), comparable(copy(3, 2)));
}

TEST(Counting, IsTheSameBesideOtherObservers) {
  Quiet quiet;
  EXPECT_EQ(comparable(copy(3)), comparable(copy(3, 1, &quiet)));
}

TEST(Counting, AddsUpOverBlocks) {
  CounterValues c = copy(8);
  double sectors = 0, waves = 0, ptx = 0;
  for (const BlockCounters &block : c.blocks) {
    EXPECT_LE(block.firstLine, block.lastLine);
    sectors += double(block.sectors);
    waves += double(block.wavefronts);
    ptx += double(block.warpInstructions);
  }
  EXPECT_EQ(c.blocks.size(), 3u);
  EXPECT_EQ(sectors, c["ld_sectors"] + c["st_sectors"]);
  EXPECT_EQ(waves, c["sh_wave_ld"] + c["sh_wave_st"]);
  EXPECT_EQ(ptx, c["ptx_warp_inst"]);
}

TEST(Counting, Reports) {
  CounterValues c = copy(8);
  std::ostringstream report;
  printReport(report, c, chipNamed("h100"), std::string(kHead) + kCopy);
  for (const char *part :
       {"kernel copy", "SIMT efficiency", "<- scattered", "shared memory",
        "hottest blocks", "st.global.u32 [%rd6], %r10;", "32.0 sectors",
        "H100 SXM 80 GB"})
    EXPECT_NE(report.str().find(part), std::string::npos) << part;
  EXPECT_NE(c.json().find("\"st_sectors\": 8192"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Facts known before a launch
//===----------------------------------------------------------------------===//

const CodeFacts &factsOf(const MachineCode &code, const Program &program,
                         std::string_view opcode) {
  for (uint32_t pc = 0; pc < program.instructions.size(); ++pc)
    if (program.instructions[pc].row &&
        program.instructions[pc].row->name().rfind(opcode, 0) == 0)
      return code.at(pc);
  throw std::runtime_error("no such instruction");
}

Module body(const std::string &code) {
  return Module::parse(std::string(kHead) +
                       ".visible .entry k(.param .u64 p, .param .u32 n) {\n"
                       ".reg .pred %p<4>; .reg .b32 %r<9>; .reg .b64 %d<9>;\n"
                       "ld.param.u64 %d1, [p];\nld.param.u32 %r1, [n];\n"
                       "mov.u32 %r2, %tid.x;\n" +
                       code + "ret;\n}\n");
}

TEST(MachineCode, FoldsAddressArithmetic) {
  Module module = body("mul.wide.s32 %d2, %r2, 4;\nadd.s64 %d3, %d1, %d2;\n"
                       "ld.global.u32 %r3, [%d3];\n"
                       "st.global.u32 [%d3], %r3;\n");
  MachineCode code(module.program());
  EXPECT_EQ(factsOf(code, module.program(), "mul.wide").cost.instructions, 0);
  EXPECT_EQ(factsOf(code, module.program(), "add.s64").cost.instructions, 1);
}

TEST(MachineCode, FoldsLogic) {
  Module module = body("and.b32 %r3, %r1, %r2;\nxor.b32 %r4, %r3, 5;\n"
                       "st.global.u32 [%d1], %r4;\n");
  MachineCode code(module.program());
  EXPECT_EQ(factsOf(code, module.program(), "and.b32").cost.instructions, 0);
  EXPECT_EQ(factsOf(code, module.program(), "xor.b32").cost.instructions, 1);
}

TEST(MachineCode, KnowsUniformAddresses) {
  Module module = body("atom.global.add.u32 %r3, [%d1], 1;\n");
  MachineCode code(module.program());
  const CodeFacts &one = factsOf(code, module.program(), "atom");
  EXPECT_TRUE(one.uniformAddress);
  EXPECT_TRUE(one.resultUnused);
  Module other = body("mul.wide.u32 %d2, %r2, 4;\nadd.s64 %d3, %d1, %d2;\n"
                      "atom.global.add.u32 %r3, [%d3], 1;\n"
                      "st.global.u32 [%d1], %r3;\n");
  MachineCode code2(other.program());
  const CodeFacts &two = factsOf(code2, other.program(), "atom");
  EXPECT_FALSE(two.uniformAddress);
  EXPECT_FALSE(two.resultUnused);
}

TEST(MachineCode, FindsChainsAndSpins) {
  Module module =
      body("mov.u64 %d2, %d1;\nL:\nld.global.u64 %d2, [%d2];\n"
           "add.s32 %r1, %r1, -1;\nsetp.ne.s32 %p1, %r1, 0;\n@%p1 bra L;\n"
           "st.global.u64 [%d1], %d2;\n"
           "W:\nld.volatile.global.u32 %r4, [%d1];\n"
           "setp.eq.s32 %p2, %r4, 0;\n@%p2 bra W;\n");
  const Program &program = module.program();
  MachineCode code(program);
  EXPECT_TRUE(factsOf(code, program, "ld.global.u64").chained);
  unsigned spins = 0;
  for (uint32_t pc = 0; pc < program.instructions.size(); ++pc)
    spins += code.at(pc).spins;
  EXPECT_EQ(spins, 1u);
}

} // namespace
