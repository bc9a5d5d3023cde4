// Splits, masks, calls.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

using namespace ptx;
using namespace ptx::test;

namespace {

TEST(Divergence, BothSidesOfABranchRunAndMeetAgain) {
  KernelRun run;
  run.runBody(R"(
    and.b32 %r1, %lane, 1;
    setp.eq.u32 %p0, %r1, 0;
    @%p0 bra EVEN;
    mov.u32 %r0, 100;
    bra JOIN;
  EVEN:
    mov.u32 %r0, 200;
  JOIN:
    activemask.b32 %r2;
    setp.ne.u32 %p1, %r2, 0xffffffff;
    @%p1 add.u32 %r0, %r0, 1000;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l % 2 ? 100u : 200u);
}

TEST(Divergence, LoopsWithATripCountOfTheirOwnMeetBehindTheLoop) {
  KernelRun run;
  run.runBody(R"(
    mov.u32 %r0, 0;
    mov.u32 %r1, 0;
  LOOP:
    setp.ge.u32 %p0, %r1, %lane;
    @%p0 bra DONE;
    add.u32 %r1, %r1, 1;
    add.u32 %r0, %r0, %r1;
    bra LOOP;
  DONE:
    activemask.b32 %r2;
    setp.ne.u32 %p1, %r2, 0xffffffff;
    @%p1 mov.u32 %r0, 0xdead;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l * (l + 1) / 2);
}

TEST(Divergence, ExitedLanesAreNotWaitedFor) {
  KernelRun run;
  run.out.assign(32, 7);
  run.runBody(R"(
    setp.lt.u32 %p0, %lane, 10;
    @%p0 exit;
    vote.sync.ballot.b32 %r0, 1, 0xffffffff;
    bar.sync 0;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l < 10 ? 7u : 0xfffffc00u);
}

// The layout nvcc gives some loops: the lanes that leave early stand *below*
// the others. Without waiting for members, redux would see half a warp.
TEST(Divergence, SyncWaitsForItsMembersWhateverTheLayout) {
  KernelRun run;
  run.runBody(R"(
    setp.lt.u32 %p0, %lane, 16;
    @!%p0 bra FAR;
  MEET:
    redux.sync.add.u32 %r0, %lane, 0xffffffff;
    bra DONE;
  FAR:
    mov.u32 %r3, 1;
    bra MEET;
  DONE:
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], 496u);
}

TEST(Divergence, EqualSyncsOnBothSidesOfABranchAreOne) {
  KernelRun run;
  run.runBody(R"(
    and.b32 %r4, %lane, 1;
    setp.eq.u32 %p0, %r4, 0;
    add.u32 %r5, %lane, 1;
    @%p0 bra EVEN;
    mul.lo.u32 %r6, %r5, 10;
    shfl.sync.bfly.b32 %r0, %r6, 1, 31, 0xffffffff;
    bra DONE;
  EVEN:
    mul.lo.u32 %r7, %r5, 1000;
    shfl.sync.bfly.b32 %r0, %r7, 1, 31, 0xffffffff;
  DONE:
    bar.warp.sync 0xffffffff;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], ((l ^ 1) + 1) * (l % 2 ? 1000 : 10));
}

TEST(Divergence, HalvesWithMasksOfTheirOwn) {
  KernelRun run;
  run.runBody(R"(
    setp.lt.u32 %p0, %lane, 16;
    selp.b32 %r1, 0x0000ffff, 0xffff0000, %p0;
    redux.sync.add.u32 %r0, %lane, %r1;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l < 16 ? 120u : 376u);
}

TEST(Divergence, ALaneOutsideItsMaskIsReported) {
  KernelRun run;
  run.runBody("redux.sync.add.u32 %r0, %lane, 0x0000ffff;");
  EXPECT_EQ(run.finding().kind, FindingKind::Divergence);
  EXPECT_EQ(run.finding().place.lanes, 0xffff0000u);
}

TEST(Divergence, MembersThatNeverComeAreReported) {
  KernelRun run;
  run.runBody(R"(
    setp.lt.u32 %p0, %lane, 16;
    @!%p0 bra DONE;
    redux.sync.add.u32 %r0, %lane, 0xffffffff;
  DONE:
    bar.sync 0;
  )");
  Finding finding = run.finding();
  EXPECT_EQ(finding.kind, FindingKind::Divergence);
  EXPECT_NE(finding.message.find("lanes 16-31"), std::string::npos)
      << finding.message;
}

TEST(Divergence, AlignedBarrierInADivergedBranch) {
  KernelRun run;
  run.runBody(R"(
    setp.lt.u32 %p0, %lane, 16;
    @!%p0 bra OTHER;
    bar.sync 0;
    bra DONE;
  OTHER:
    bar.sync 0;
  DONE:
  )");
  EXPECT_EQ(run.finding().kind, FindingKind::Divergence);
}

// A lane spins until a sibling, which stands at a higher pc, sets a flag.
TEST(Divergence, ASpinningLaneLetsItsSiblingRun) {
  KernelRun run;
  run.runBody(R"(
    .shared .align 4 .b32 flag[1];
    st.shared.u32 [flag], 0;
    bar.warp.sync 0xffffffff;
    setp.eq.u32 %p0, %lane, 31;
    @%p0 bra SETTER;
  SPIN:
    ld.volatile.shared.u32 %r0, [flag];
    setp.eq.u32 %p1, %r0, 0;
    @%p1 bra SPIN;
    bra DONE;
  SETTER:
    mov.u32 %r0, 42;
    st.volatile.shared.u32 [flag], %r0;
  DONE:
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], 42u);
}

TEST(Divergence, IndexedBranchesGoToSeveralTargets) {
  KernelRun run;
  run.runBody(R"(
    and.b32 %r1, %lane, 3;
    brx.idx %r1, TABLE;
  TABLE: .branchtargets L0, L1, L2, L3;
  L0:
    mov.u32 %r0, 10;
    bra DONE;
  L1:
    mov.u32 %r0, 11;
    bra DONE;
  L2:
    mov.u32 %r0, 12;
    bra DONE;
  L3:
    mov.u32 %r0, 13;
  DONE:
    vote.sync.ballot.b32 %r2, 1, 0xffffffff;
  )");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], 10 + l % 4);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

const char *kFactorial = R"(
.func (.param .b32 r) fact(.param .b32 n)
{
  .reg .pred %p; .reg .b32 %a, %b, %c;
  .local .align 4 .b32 kept[1];
  ld.param.u32 %a, [n];
  st.local.u32 [kept], %a;
  mov.u32 %b, 1;
  setp.lt.u32 %p, %a, 2;
  @%p bra DONE;
  sub.u32 %c, %a, 1;
  {
    .param .b32 x; .param .b32 y;
    st.param.b32 [x], %c;
    call.uni (y), fact, (x);
    ld.param.b32 %b, [y];
  }
  ld.local.u32 %a, [kept];
  mul.lo.u32 %b, %b, %a;
DONE:
  st.param.b32 [r], %b;
  ret;
}
)";

TEST(Calls, RecursionKeepsRegistersAndLocalMemoryApart) {
  KernelRun run;
  run.runBody(R"(
    and.b32 %r1, %lane, 7;
    {
      .param .b32 x; .param .b32 y;
      st.param.b32 [x], %r1;
      call.uni (y), fact, (x);
      ld.param.b32 %r0, [y];
    }
    activemask.b32 %r2;
    setp.ne.u32 %p0, %r2, 0xffffffff;
    @%p0 mov.u32 %r0, 0xdead;
  )",
              kFactorial);
  EXPECT_CLEAN(run);
  const unsigned want[] = {1, 1, 2, 6, 24, 120, 720, 5040};
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], want[l % 8]);
}

TEST(Calls, ThroughAddressesThatDifferByLane) {
  KernelRun run;
  run.runBody(R"(
    and.b32 %r1, %lane, 1;
    setp.eq.u32 %p0, %r1, 0;
    mov.u64 %d0, twice;
    mov.u64 %d1, square;
    selp.b64 %d2, %d0, %d1, %p0;
    {
      .param .b32 x; .param .b32 y;
      st.param.b32 [x], %lane;
  PROTO: .callprototype (.param .b32 _) _ (.param .b32 _);
      call (y), %d2, (x), PROTO;
      ld.param.b32 %r0, [y];
    }
  )",
              R"(
.func (.param .b32 r) twice(.param .b32 n)
{
  .reg .b32 %a;
  ld.param.u32 %a, [n];
  add.u32 %a, %a, %a;
  st.param.b32 [r], %a;
  ret;
}
.func (.param .b32 r) square(.param .b32 n)
{
  .reg .b32 %a;
  ld.param.u32 %a, [n];
  mul.lo.u32 %a, %a, %a;
  st.param.b32 [r], %a;
  ret;
}
)");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l % 2 ? l * l : 2 * l);
}

TEST(Calls, EndlessRecursionOverflowsTheStack) {
  KernelRun run;
  run.runBody("call.uni deeper;", R"(
.func deeper()
{
  call.uni deeper;
  ret;
}
)");
  EXPECT_EQ(run.finding().kind, FindingKind::StackOverflow);
}

TEST(Calls, RegistersAsParameters) {
  KernelRun run;
  run.runBody("call.uni (%r0), plus, (%lane, 5);", R"(
.func (.reg .b32 r) plus(.reg .b32 a, .reg .b32 b)
{
  add.u32 r, a, b;
  ret;
}
)");
  EXPECT_CLEAN(run);
  for (unsigned l = 0; l < 32; ++l)
    EXPECT_EQ(run.out[l], l + 5);
}

} // namespace
