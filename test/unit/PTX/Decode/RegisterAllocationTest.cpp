// Who may share an offset.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decoded.h"

#include "Decode/RegisterAllocation.h"

#include <map>
#include <random>
#include <set>

using namespace ptx;
using namespace ptx::test;

TEST(Registers, DeadOnesMakeRoom) {
  std::string body = ".reg .b32 %r<1001>; mov.u32 %r0, 0;\n";
  for (int i = 1; i <= 1000; ++i)
    body += "add.u32 %r" + std::to_string(i) + ", %r" + std::to_string(i - 1) +
            ", 1;\n";
  Decoded decoded(kernel(body + "st.global.b32 [l0], %r1000;"));
  EXPECT_LE(decoded.function().frameBytes, 1024u);
}

TEST(Registers, ResultsNeverShareWithTheirSources) {
  Decoded decoded(kernel("mov.u32 t0, 1; mov.u32 t1, 2; add.u32 t2, t0, t1;\n"
                         "st.global.b32 [l0], t2;"));
  const Instruction &add = decoded.in(2);
  EXPECT_NE(add.operand[0], add.operand[1]);
  EXPECT_NE(add.operand[0], add.operand[2]);
}

TEST(Registers, WhatMayBeReadUnwrittenSharesWithNobodyBefore) {
  // t1 is read where only a guarded write came before: it lives from the
  // begin, and t0 may not lie there.
  Decoded decoded(kernel("mov.u32 t0, 1; st.global.b32 [l0], t0;\n"
                         "@p mov.u32 t1, 2; st.global.b32 [l0], t1;"));
  EXPECT_NE(decoded.in(0).operand[0], decoded.in(2).operand[0]);
}

TEST(Registers, LoopsKeepWhatTheNextRoundReads) {
  Decoded decoded(kernel("mov.u32 t0, 0; L: add.u32 t1, t0, 1; add.u32 t2, "
                         "t1, 1; mov.u32 t0, t2; mov.u32 t3, 7; mov.u32 t4, "
                         "t3; @p bra L; st.global.b32 [l0], t4;"));
  EXPECT_NE(decoded.in(4).operand[0], decoded.in(0).operand[0]);
  EXPECT_NE(decoded.in(5).operand[0], decoded.in(0).operand[0]);
}

TEST(Registers, AsynchronousOnesKeepTheirOwn) {
  Decoded decoded(kernel("wgmma {f0, f1}, l0; mov.f32 f2, 1.0; mov.f32 f3, "
                         "2.0; st.global.f32 [l1], f2;"));
  std::set<Slot> own{decoded.in(0).operand[0], decoded.in(0).operand[1],
                     decoded.in(1).operand[0], decoded.in(2).operand[0]};
  EXPECT_EQ(own.size(), 4u);
}

namespace {
struct Step {
  std::vector<uint32_t> reads;
  uint32_t write;
  bool guarded;
};

/// A random graph of random steps.
struct RandomProgram {
  std::vector<VirtualRegister> files;
  std::vector<Step> steps;
  std::vector<BlockRange> blocks;

  explicit RandomProgram(std::mt19937 &random) {
    auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random()) % n; };
    files.resize(3 + pick(20));
    steps.resize(10 + pick(60));
    for (VirtualRegister &file : files)
      file.width =
          pick(4) ? Width::Word : (pick(2) ? Width::Double : Width::Predicate);
    auto registers = static_cast<uint32_t>(files.size());
    for (Step &step : steps) {
      for (uint32_t k = pick(3); k; --k)
        step.reads.push_back(pick(registers));
      step.write = pick(registers);
      step.guarded = pick(4) == 0;
    }
    auto count = static_cast<uint32_t>(steps.size());
    for (uint32_t at = 0; at < count;) {
      uint32_t end = std::min<uint32_t>(count, at + 1 + pick(8));
      blocks.push_back({at, end, {}});
      at = end;
    }
    auto last = static_cast<uint32_t>(blocks.size());
    for (uint32_t b = 0; b < last; ++b) {
      if (b + 1 < last)
        blocks[b].successors.push_back(b + 1);
      if (pick(2))
        blocks[b].successors.push_back(pick(last));
    }
  }
};

/// Runs a random walk through a random graph with one value a register, and
/// again with one value an offset: every read must see the same.
void walk(std::mt19937 &random, bool reuse) {
  auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random()) % n; };
  RandomProgram program(random);
  auto &[files, steps, blocks] = program;
  RegisterPlacement placement = placeRegisters(
      files, blocks, static_cast<uint32_t>(steps.size()),
      [&, &steps = steps](uint32_t i, RegisterUses &uses) {
        uses.reads = steps[i].reads;
        uses.writes = {steps[i].write};
        uses.mayNotWrite = steps[i].guarded;
      },
      reuse);
  std::vector<int> values(files.size(), -1);
  std::map<Slot, int> offsets; // by 4 bytes
  auto cells = [&files = files](uint32_t id) {
    return std::max(1u, fileBytesOf(files[id].width) / 128);
  };
  uint32_t block = 0;
  int next = 0;
  for (int moves = 0; moves < 60; ++moves) {
    for (uint32_t i = blocks[block].begin; i < blocks[block].end; ++i) {
      for (uint32_t id : steps[i].reads)
        for (uint32_t c = 0; c < cells(id); ++c) {
          auto found = offsets.find(placement.slots[id] + 128 * c);
          ASSERT_EQ(found == offsets.end() ? -1 : found->second, values[id]);
        }
      if (steps[i].guarded && pick(2))
        continue;
      uint32_t id = steps[i].write;
      values[id] = next++;
      for (uint32_t c = 0; c < cells(id); ++c)
        offsets[placement.slots[id] + 128 * c] = values[id];
      for (uint32_t other : steps[i].reads)
        if (other != id)
          ASSERT_NE(placement.slots[other], placement.slots[id]);
    }
    if (blocks[block].successors.empty())
      return;
    block = blocks[block].successors[pick(
        static_cast<uint32_t>(blocks[block].successors.size()))];
  }
}
} // namespace

TEST(Registers, RandomProgramsReadWhatTheyWrote) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000 && !::testing::Test::HasFatalFailure(); ++i)
    walk(random, i % 8 != 0);
}
