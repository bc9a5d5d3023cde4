// Undefined values through the machine's own forms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

using namespace ptx;
using namespace ptx::test;

namespace {

KernelRun &checked(KernelRun &run, const std::string &body) {
  run.options.checks.poison = true;
  return run.runBody(body);
}

TEST(Poison, ResultsBetweenLanesAreDefinedWhereTheirSourcesAre) {
  KernelRun run;
  checked(run, R"(
    elect.sync %r1|%p0, 0xffffffff;
    setp.lt.u32 %p1, %lane, 40;
    and.pred %p2, %p0, %p1;
    mov.u32 %r0, 5;
    @%p2 bra LEADER;
    bra DONE;
  LEADER:
    mov.u32 %r0, 7;
  DONE:
    shfl.sync.idx.b32 %r2|%p3, %r0, 0, 31, 0xffffffff;
    vote.sync.ballot.b32 %r3, %p3, 0xffffffff;
    redux.sync.add.u32 %r4, %r2, 0xffffffff;
    match.any.sync.b32 %r5, %r4, 0xffffffff;
    bar.red.popc.u32 %r6, 0, %p3;
    setp.eq.u32 %p4, %r5, %r3;
    setp.eq.u32 %p5, %r6, 32;
    @%p4 add.u32 %r0, %r0, %r1;
    @%p5 add.u32 %r0, %r0, 100;
  )");
  EXPECT_CLEAN(run);
  for (const Finding &finding : run.result.findings)
    ADD_FAILURE() << finding.text();
  EXPECT_EQ(run.out[0], 107u);
  EXPECT_EQ(run.out[1], 105u);
}

TEST(Poison, AnUndefinedLaneSpreadsThroughAVoteButNotAShuffleOfOthers) {
  KernelRun run;
  checked(run, R"(
    setp.ne.u32 %p0, %lane, 9;
    @%p0 mov.u32 %r1, 4;
    shfl.sync.idx.b32 %r2, %r1, 3, 31, 0xffffffff;
    setp.eq.u32 %p1, %r2, 4;
    mov.u32 %r0, 0;
    @%p1 add.u32 %r0, %r0, 1;
    shfl.sync.idx.b32 %r3, %r1, 9, 31, 0xffffffff;
    setp.eq.u32 %p2, %r3, 4;
    @%p2 bra DONE;
  DONE:
  )");
  ASSERT_FALSE(run.result.findings.empty());
  EXPECT_EQ(run.result.findings[0].kind, FindingKind::Uninitialised);
  EXPECT_EQ(run.result.findings.size(), 1u);
}

} // namespace
