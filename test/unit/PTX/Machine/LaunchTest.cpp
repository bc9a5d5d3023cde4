// Grids, schedules, errors, system calls.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::test;

namespace {

std::string errorOf(KernelRun &run, const std::string &text) {
  try {
    run.run(text);
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

TEST(Launch, RefusesWhatCannotRun) {
  struct Case {
    void (*change)(LaunchOptions &);
    const char *words;
  };
  const Case cases[] = {
      {[](LaunchOptions &o) { o.block = {1025, 1, 1}; }, "1024 threads"},
      {[](LaunchOptions &o) { o.block = {0, 1, 1}; }, "must not be empty"},
      {[](LaunchOptions &o) { o.grid = {1, 65536, 1}; }, "exceeds"},
      {[](LaunchOptions &o) { o.dynamicShared = 228 << 10; }, "shared memory"},
      {[](LaunchOptions &o) { o.cluster = {3, 1, 1}; }, "no multiple"},
      {[](LaunchOptions &o) {
         o.grid = {32, 1, 1};
         o.cluster = {32, 1, 1};
       },
       "exceeds 16"},
      {[](LaunchOptions &o) { o.sm = 80; }, "sm_90 and newer"},
      {[](LaunchOptions &o) {
         o.cooperative = true;
         o.grid = {100000, 1, 1};
       },
       "can be resident"},
      {[](LaunchOptions &o) { o.threads = 0; }, "host thread"},
  };
  for (const Case &c : cases) {
    KernelRun run(32, 4);
    c.change(run.options);
    std::string error = errorOf(run, kernelText("st.global.u32 [%out], 1;"));
    EXPECT_NE(error.find(c.words), std::string::npos) << error;
    EXPECT_EQ(run.out[0], 0u);
  }
}

TEST(Launch, RefusesUnknownKernelsAndWrongParameters) {
  Module module = Module::parse(kernelText(""));
  Device device;
  LaunchOptions options;
  uint64_t params[] = {0, 0};
  EXPECT_THROW(launch(device, module, "nobody", options,
                      std::as_bytes(std::span(params))),
               Error);
  EXPECT_THROW(launch(device, module, "k", options,
                      std::as_bytes(std::span(params)).first(8)),
               Error);
}

TEST(Launch, EveryThreadOfAThreeDimensionalGridRunsOnce) {
  KernelRun run(24, 1);
  run.options.grid = {2, 3, 2};
  run.options.block = {2, 3, 4};
  run.out.assign(24 * 12, 0);
  run.run(kernelText(R"(
    mov.u32 %r1, %tid.y;
    mov.u32 %r2, %tid.z;
    mov.u32 %r3, %ctaid.x;
    mov.u32 %r4, %ctaid.y;
    mov.u32 %r5, %ctaid.z;
    mad.lo.u32 %r6, %r2, 3, %r1;
    mad.lo.u32 %r6, %r6, 2, %tid;
    mad.lo.u32 %r7, %r5, 3, %r4;
    mad.lo.u32 %r7, %r7, 2, %r3;
    mad.lo.u32 %r8, %r7, 24, %r6;
    mul.wide.u32 %d0, %r8, 4;
    add.u64 %d0, %d0, %out;
    red.global.add.u32 [%d0], 1;
  )"));
  EXPECT_CLEAN(run);
  EXPECT_EQ(std::count(run.out.begin(), run.out.end(), 1u), 24 * 12);
}

// Block i waits for block i - 1 (a look-back): residency must suffice.
const char *kChain = R"(
    mov.u32 %r1, %ctaid.x;
    setp.eq.u32 %p0, %r1, 0;
    @%p0 bra GO;
  SPIN:
    ld.acquire.gpu.global.u32 %r2, [turn];
    setp.ne.u32 %p1, %r2, %r1;
    @%p1 bra SPIN;
  GO:
    bar.sync 0;
    add.u32 %r0, %r1, 1;
    setp.eq.u32 %p2, %tid, 0;
    @%p2 st.release.gpu.global.u32 [turn], %r0;
)";

TEST(Launch, BlocksMayWaitForEarlierBlocks) {
  for (unsigned threads : {1u, 2u})
    for (bool random : {false, true}) {
      KernelRun run(64, 40);
      run.options.threads = threads;
      run.options.order =
          random ? ScheduleOrder::Random : ScheduleOrder::RoundRobin;
      run.options.seed = threads;
      run.runBody(kChain, ".global .align 4 .u32 turn;");
      EXPECT_CLEAN(run);
      EXPECT_EQ(run.out[64 * 39], 40u);
    }
}

const char *kGridBarrier = R"(
    .reg .b32 %n;
    bar.sync 0;
    setp.ne.u32 %p0, %tid, 0;
    mov.u32 %n, %nctaid.x;
    @%p0 bra WAITED;
    atom.add.release.gpu.global.u32 %r1, [count], 1;
  SPIN:
    ld.acquire.gpu.global.u32 %r2, [count];
    setp.lt.u32 %p1, %r2, %n;
    @%p1 bra SPIN;
  WAITED:
    bar.sync 0;
    ld.volatile.global.u32 %r0, [count];
)";

TEST(Launch, CooperativeGridsAreResidentTogether) {
  for (unsigned threads : {1u, 2u}) {
    KernelRun run(64, 200);
    run.options.cooperative = true;
    run.options.threads = threads;
    run.runBody(kGridBarrier, ".global .align 4 .u32 count;");
    EXPECT_CLEAN(run);
    for (uint32_t value : run.out)
      EXPECT_EQ(value, 200u);
  }
}

// Hardware runs this too: all blocks fit. No one said "cooperative".
TEST(Launch, SpinningBlocksGetTheResidencyOfHardware) {
  KernelRun run(64, 100);
  run.runBody(kGridBarrier, ".global .align 4 .u32 count;");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 100u);
}

TEST(Launch, SpinningForEverIsALivelock) {
  for (unsigned threads : {1u, 2u}) {
    KernelRun run(64, 4);
    run.options.threads = threads;
    run.options.instructionBudget = 0;
    run.runBody(R"(
  SPIN:
    ld.volatile.global.u32 %r0, [flag];
    setp.eq.u32 %p0, %r0, 0;
    @%p0 bra SPIN;
  )",
                ".global .align 4 .u32 flag;");
    Finding finding = run.finding();
    EXPECT_EQ(finding.kind, FindingKind::Livelock);
    EXPECT_NE(finding.message.find("warp 1"), std::string::npos)
        << finding.message;
  }
}

TEST(Launch, TheBudgetEndsALoopThatCounts) {
  KernelRun run;
  run.options.instructionBudget = 100000;
  run.runBody(R"(
    mov.u64 %d0, 0;
  LOOP:
    add.u64 %d0, %d0, 1;
    bra LOOP;
  )");
  EXPECT_EQ(run.finding().kind, FindingKind::Budget);
}

TEST(Launch, ClocksAdvance) {
  KernelRun run;
  run.runBody(R"(
    mov.u64 %d0, %clock64;
    mov.u32 %r1, %clock;
  WAIT:
    mov.u64 %d1, %globaltimer;
    sub.u64 %d2, %d1, %d0;
    setp.lt.s64 %p0, %d2, 100000;
    @%p0 bra WAIT;
    mov.u32 %r2, %clock;
    sub.u32 %r0, %r2, %r1;
  )");
  EXPECT_CLEAN(run);
  EXPECT_GT(run.out[0], 1000u);
}

TEST(Launch, RandomOrderGivesTheSameResult) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    KernelRun run(128, 8);
    run.options.order = ScheduleOrder::Random;
    run.options.seed = seed;
    run.runBody(R"(
      .shared .align 4 .u32 s;
      setp.eq.u32 %p0, %tid, 0;
      @%p0 st.shared.u32 [s], 0;
      bar.sync 0;
      and.b32 %r1, %tid, 3;
      mov.u32 %r2, 0;
    LOOP:
      atom.shared.add.u32 %r3, [s], 1;
      add.u32 %r2, %r2, 1;
      setp.le.u32 %p1, %r2, %r1;
      @%p1 bra LOOP;
      bar.sync 0;
      ld.shared.u32 %r0, [s];
    )");
    EXPECT_CLEAN(run);
    for (uint32_t value : run.out)
      ASSERT_EQ(value, 320u);
  }
}

//===----------------------------------------------------------------------===//
// The device runtime
//===----------------------------------------------------------------------===//

TEST(System, Printf) {
  KernelRun run(32);
  run.run(kernelText(R"(
    .local .align 8 .b8 args[32];
    mov.u64 %d0, args;
    cvta.local.u64 %d1, %d0;
    st.local.u32 [%d0], -5;
    mov.u64 %d2, 0x3ff8000000000000;
    st.local.u64 [%d0+8], %d2;
    st.local.u32 [%d0+16], %lane;
    mov.u64 %d3, word;
    st.local.u64 [%d0+24], %d3;
    mov.u64 %d4, format;
    setp.lt.u32 %p0, %lane, 2;
    @!%p0 bra DONE;
    {
      .param .b64 a; .param .b64 b; .param .b32 c;
      st.param.b64 [a], %d4;
      st.param.b64 [b], %d1;
      call.uni (c), vprintf, (a, b);
      ld.param.b32 %r0, [c];
    }
    st.global.u32 [%out], %r0;
  DONE:
  )",
                     R"(
.extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);
.global .align 1 .b8 format[20] = {37, 100, 32, 37, 46, 50, 102, 32, 37, 48, 51, 117, 32, 37, 115, 37, 37, 10, 0, 0};
.global .align 1 .b8 word[3] = {104, 105, 0};
)"));
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.result.log, "-5 1.50 000 hi%\n-5 1.50 001 hi%\n");
  EXPECT_EQ(run.out[0], 4u);
}

TEST(System, MallocAndFree) {
  KernelRun run(32);
  run.runBody(R"(
    {
      .param .b64 n; .param .b64 p;
      st.param.b64 [n], 64;
      call.uni (p), malloc, (n);
      ld.param.b64 %d0, [p];
    }
    st.u32 [%d0+60], %lane;
    ld.u32 %r0, [%d0+60];
    {
      .param .b64 p;
      st.param.b64 [p], %d0;
      call.uni free, (p);
    }
  )",
              R"(
.extern .func (.param .b64 r) malloc (.param .b64 n);
.extern .func free (.param .b64 p);
)");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l);
  EXPECT_FALSE(run.device.bytesAllocated());
}

TEST(System, TrapsAndAssertionsEndTheLaunch) {
  KernelRun run;
  run.runBody("setp.eq.u32 %p0, %lane, 3; @%p0 trap;");
  EXPECT_EQ(run.finding().kind, FindingKind::Trap);
  EXPECT_EQ(run.finding().place.lanes, 8u);
}

TEST(Device, RangesAreChecked) {
  Device device;
  uint64_t a = device.allocate(100);
  EXPECT_EQ(a % 256, 0u);
  char bytes[101];
  EXPECT_THROW(device.copyIn(a, bytes, 101), Error);
  EXPECT_THROW(device.copyOut(bytes, a + 50, 51), Error);
  EXPECT_THROW(device.free(a + 1), Error);
  EXPECT_THROW(device.adopt(reinterpret_cast<void *>(a + 8), 8), Error);
  device.free(a);
  EXPECT_THROW(device.free(a), Error);
  EXPECT_THROW(device.allocate(uint64_t{1} << 60), Error);
  EXPECT_EQ(device.bytesAllocated(), 0u);
}

} // namespace
