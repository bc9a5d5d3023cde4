// Loads, stores, spaces, atomics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

using namespace ptx;
using namespace ptx::test;

namespace {

TEST(Memory, GenericAddressesOfSeveralSpacesInOneInstruction) {
  KernelRun run;
  run.in = {500};
  run.runBody(R"(
    .shared .align 4 .b32 box[1];
    .local .align 4 .b32 own[1];
    st.shared.u32 [box], 600;
    add.u32 %r1, %lane, 700;
    st.local.u32 [own], %r1;
    bar.warp.sync 0xffffffff;
    mov.u64 %d0, box;
    cvta.shared.u64 %d0, %d0;
    mov.u64 %d1, own;
    cvta.local.u64 %d1, %d1;
    cvta.global.u64 %d2, %in;
    setp.lt.u32 %p0, %lane, 10;
    setp.lt.u32 %p1, %lane, 20;
    selp.b64 %d3, %d1, %d2, %p1;
    selp.b64 %d3, %d0, %d3, %p0;
    ld.u32 %r0, [%d3];
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l < 10 ? 600 : l < 20 ? 700 + l : 500);
}

TEST(Memory, LocalMemoryIsOfEachThread) {
  KernelRun run(64);
  run.runBody(R"(
    .local .align 16 .b8 depot[64];
    mov.u64 %d0, depot;
    and.b32 %r1, %tid, 3;
    mul.wide.u32 %d1, %r1, 16;
    add.u64 %d0, %d0, %d1;
    mul.lo.u32 %r2, %tid, 3;
    st.local.v4.u32 [%d0], {%tid, %r2, 7, 8};
    ld.local.v2.u32 {%r3, %r4}, [%d0];
    add.u32 %r0, %r3, %r4;
  )");
  EXPECT_CLEAN(run);
  for (unsigned t = 0; t < 64; ++t)
    EXPECT_EQ(run.out[t], 4 * t);
}

TEST(Memory, InactiveLanesKeepTheirRegistersAndTouchNothing) {
  KernelRun run;
  run.in.assign(32, 9);
  run.runBody(R"(
    mov.u32 %r0, 77;
    mov.u64 %d0, 1;
    setp.eq.u32 %p0, %lane, 5;
    @%p0 mov.u64 %d0, %in;
    @%p0 ld.global.u32 %r0, [%d0];
    @%p0 st.global.u32 [%d0+4], %r0;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l == 5 ? 9u : 77u);
}

TEST(Memory, DynamicSharedMemoryFollowsTheStaticOne) {
  KernelRun run;
  run.options.dynamicShared = 128;
  run.runBody(R"(
    .shared .align 4 .b8 fixed[20];
    mov.u32 %r1, more;
    shl.b32 %r2, %lane, 2;
    add.u32 %r2, %r2, %r1;
    st.shared.u32 [%r2], %lane;
    ld.shared.u32 %r3, [%r2];
    mov.u32 %r4, %dynamic_smem_size;
    mov.u32 %r6, %total_smem_size;
    mul.lo.u32 %r0, %r1, 1000;
    add.u32 %r0, %r0, %r3;
    st.shared.u8 [fixed+19], %r4;
  )",
              ".extern .shared .align 16 .b8 more[];");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], 32 * 1000 + l);
}

TEST(Memory, VariablesOfTheModule) {
  KernelRun run;
  run.runBody(R"(
    ld.const.u32 %r1, [table+4];
    mov.u64 %d0, table;
    cvta.const.u64 %d0, %d0;
    ld.u32 %r2, [%d0+8];
    ld.global.u64 %d1, [pointer];
    ld.u32 %r3, [%d1];
    add.u32 %r0, %r1, %r2;
    add.u32 %r0, %r0, %r3;
  )",
              R"(
.const .align 4 .u32 table[3] = {1, 20, 300};
.global .align 4 .u32 word[2] = {0, 4000};
.global .align 8 .u64 pointer = word+4;
)");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 4320u);
}

TEST(Memory, VariablesKeepTheirValuesBetweenLaunches) {
  Module module =
      Module::parse(kernelText("atom.global.add.u32 %r0, [counter], 1;",
                               ".global .align 4 .u32 counter = 5;"));
  Device device;
  LaunchOptions options;
  options.grid = {2, 1, 1};
  options.block = {32, 1, 1};
  uint64_t params[] = {0, 0};
  for (int i = 0; i < 2; ++i)
    launch(device, module, "k", options, std::as_bytes(std::span(params)));
  uint32_t value = 0;
  device.copyOut(&value, device.variable(module, "counter"), 4);
  EXPECT_EQ(value, 5u + 128);
  device.unload(module);
  EXPECT_EQ(device.bytesAllocated(), 0u);
}

TEST(Memory, ParametersThroughGenericAddresses) {
  KernelRun run;
  run.in = {123};
  run.runBody(R"(
    mov.u64 %d0, p_in;
    cvta.param.u64 %d0, %d0;
    ld.u64 %d1, [%d0];
    ld.global.u32 %r0, [%d1];
  )");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[31], 123u);
}

TEST(Memory, Loads256Bits) {
  std::string text = kernelText(R"(
    .reg .b32 %v<8>;
    ld.global.v8.b32 {%v0, %v1, %v2, %v3, %v4, %v5, %v6, %v7}, [%in];
    st.global.v8.b32 [%out], {%v7, %v6, %v5, %v4, %v3, %v2, %v1, %v0};
    ld.global.v4.b64 {%d0, %d1, %d2, %d3}, [%in];
    st.global.v4.b64 [%out+32], {%d3, %d2, %d1, %d0};
  )");
  text.replace(text.find("sm_90a"), 6, "sm_100");
  text.replace(text.find("8.7"), 3, "8.8");
  KernelRun run(32);
  run.in = {0, 1, 2, 3, 4, 5, 6, 7};
  run.run(text);
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 7u);
  EXPECT_EQ(run.out[7], 0u);
  EXPECT_EQ(run.out[8], 6u);
  EXPECT_EQ(run.out[15], 1u);
}

//===----------------------------------------------------------------------===//
// What must be refused
//===----------------------------------------------------------------------===//

TEST(Memory, OutOfBoundsEndsTheLaunch) {
  KernelRun run;
  run.in.assign(8, 0);
  run.runBody(R"(
    mul.wide.u32 %d0, %lane, 4;
    add.u64 %d0, %d0, %in;
    ld.global.u32 %r0, [%d0];
  )");
  Finding finding = run.finding();
  EXPECT_EQ(finding.kind, FindingKind::OutOfBounds);
  EXPECT_EQ(finding.place.lanes, 1u << 8);
  EXPECT_NE(finding.message.find("(in)"), std::string::npos) << finding.message;
}

TEST(Memory, AddressesOfNothing) {
  struct Case {
    const char *body;
    FindingKind kind;
  };
  const Case cases[] = {
      {"mov.u64 %d0, 0; ld.global.u32 %r0, [%d0];", FindingKind::OutOfBounds},
      {"mov.u64 %d0, 0x7777000000000000; ld.u32 %r0, [%d0];",
       FindingKind::IllegalAddress},
      {"mov.u64 %d0, 0xffffffffffffffff; ld.global.u8 %r0, [%d0];",
       FindingKind::OutOfBounds},
      {"mov.u32 %r1, 0; ld.shared.u32 %r0, [%r1];", FindingKind::OutOfBounds},
      {"mov.u64 %d0, 64; ld.local.u32 %r0, [%d0];", FindingKind::OutOfBounds},
      {"ld.global.u32 %r0, [%in+2];", FindingKind::Misaligned},
      {"ld.global.v2.u32 {%r0, %r1}, [%in+4];", FindingKind::Misaligned},
      {"mov.u64 %d0, word; st.u32 [%d0], 1;", FindingKind::ReadOnly},
      {"mov.u64 %d0, 0x2000000000000; atom.add.u32 %r0, [%d0], 1;",
       FindingKind::IllegalAddress},
  };
  for (const Case &c : cases) {
    KernelRun run;
    run.in.assign(32, 0);
    run.runBody(std::string("mov.u32 %r0, 0;") + c.body,
                ".const .align 4 .u32 word = 1;");
    EXPECT_EQ(run.finding().kind, c.kind) << c.body;
  }
}

TEST(Memory, FreedMemoryIsKnown) {
  KernelRun run;
  uint64_t gone = run.device.allocate(1 << 20, "gone");
  run.device.free(gone);
  run.in = {static_cast<uint32_t>(gone), static_cast<uint32_t>(gone >> 32)};
  run.runBody("ld.global.u64 %d0, [%in]; ld.global.u32 %r0, [%d0+64];");
  FindingKind kind = run.finding().kind;
  EXPECT_TRUE(kind == FindingKind::UseAfterFree ||
              kind == FindingKind::OutOfBounds);
}

//===----------------------------------------------------------------------===//
// Atomics
//===----------------------------------------------------------------------===//

TEST(Atomic, LanesTakeTheirTurns) {
  for (unsigned threads : {1u, 2u}) {
    KernelRun run(128, 16);
    run.options.threads = threads;
    run.runBody("atom.global.add.u32 %r0, [sum], 1;",
                ".global .align 4 .u32 sum;");
    EXPECT_CLEAN(run);
    std::sort(run.out.begin(), run.out.end());
    for (unsigned i = 0; i < run.out.size(); ++i)
      ASSERT_EQ(run.out[i], i);
  }
}

TEST(Atomic, FloatSumsFlushInGlobalMemoryOnly) {
  KernelRun run;
  run.runBody(R"(
    .shared .align 4 .f32 s;
    setp.eq.u32 %p0, %lane, 0;
    @%p0 st.shared.u32 [s], 1;
    bar.warp.sync 0xffffffff;
    @%p0 red.shared.add.f32 [s], 0f00000002;
    @%p0 red.global.add.f32 [g], 0f00000002;
    bar.warp.sync 0xffffffff;
    ld.shared.u32 %r1, [s];
    ld.global.u32 %r2, [g];
    mul.lo.u32 %r0, %r1, 100;
    add.u32 %r0, %r0, %r2;
  )",
              ".global .align 4 .u32 g = 1;");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 300u);
}

TEST(Atomic, SpinLockBetweenLanesOfAWarp) {
  KernelRun run(64);
  run.runBody(R"(
    .shared .align 4 .u32 lock;
    .shared .align 4 .u32 total;
    setp.eq.u32 %p0, %tid, 0;
    @%p0 st.shared.u32 [lock], 0;
    @%p0 st.shared.u32 [total], 0;
    bar.sync 0;
  TRY:
    atom.shared.cas.b32 %r1, [lock], 0, 1;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra TRY;
    ld.volatile.shared.u32 %r2, [total];
    add.u32 %r2, %r2, %tid;
    st.volatile.shared.u32 [total], %r2;
    membar.cta;
    atom.shared.exch.b32 %r3, [lock], 0;
    bar.sync 0;
    ld.shared.u32 %r0, [total];
  )");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 63u * 64 / 2);
}

} // namespace
