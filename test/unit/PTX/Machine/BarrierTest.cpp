// Barriers of blocks and clusters.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"

using namespace ptx;
using namespace ptx::test;

namespace {

// Every warp writes, all read what another warp wrote.
const char *kRotate = R"(
    .shared .align 4 .b32 box[256];
    mov.u32 %r1, box;
    shl.b32 %r2, %tid, 2;
    add.u32 %r2, %r2, %r1;
    st.shared.u32 [%r2], %tid;
    BARRIER
    add.u32 %r3, %tid, 64;
    and.b32 %r3, %r3, 255;
    shl.b32 %r3, %r3, 2;
    add.u32 %r3, %r3, %r1;
    ld.shared.u32 %r0, [%r3];
)";

std::string rotateWith(const std::string &barrier) {
  std::string text = kRotate;
  return text.replace(text.find("BARRIER"), 7, barrier);
}

TEST(Barrier, WarpsWaitForEachOther) {
  for (const char *barrier :
       {"bar.sync 0;", "barrier.sync 3;", "barrier.sync.aligned 15, 256;",
        "bar.cta.sync 1, 256;", "barrier.cta.sync 2;"}) {
    KernelRun run(256);
    run.runBody(rotateWith(barrier));
    EXPECT_CLEAN(run) << barrier;
    for (unsigned t = 0; t < 256; ++t)
      EXPECT_EQ(run.out[t], (t + 64) % 256) << barrier;
  }
}

TEST(Barrier, ABlockThatIsNoMultipleOfAWarp) {
  KernelRun run(70);
  run.runBody(
      "mov.u32 %r0, 1; bar.sync 0; bar.sync 0, 96; add.u32 %r0, %r0, 1;");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[69], 2u);
}

TEST(Barrier, ProducersArriveConsumersWait) {
  KernelRun run(128);
  run.runBody(R"(
    .shared .align 4 .b32 box[64];
    mov.u32 %r1, box;
    and.b32 %r2, %tid, 63;
    shl.b32 %r2, %r2, 2;
    add.u32 %r2, %r2, %r1;
    setp.ge.u32 %p0, %tid, 64;
    @%p0 bra PRODUCE;
    bar.sync 5, 128;
    ld.shared.u32 %r0, [%r2];
    bra DONE;
  PRODUCE:
    add.u32 %r3, %tid, 1000;
    st.shared.u32 [%r2], %r3;
    bar.arrive 5, 128;
    mov.u32 %r0, 0;
  DONE:
  )");
  EXPECT_CLEAN(run);
  for (unsigned t = 0; t < 64; ++t)
    EXPECT_EQ(run.out[t], t + 1064);
}

TEST(Barrier, ReductionsCountAllThreads) {
  KernelRun run(96);
  run.runBody(R"(
    setp.lt.u32 %p0, %tid, 40;
    bar.red.popc.u32 %r0, 1, %p0;
    bar.red.and.pred %p1, 1, %p0;
    bar.red.or.pred %p2, 1, %p0;
    bar.red.and.pred %p3, 1, !%p0;
    setp.lt.u32 %p5, %tid, 96;
    barrier.red.and.pred %p4, 2, 96, %p5;
    @%p1 add.u32 %r0, %r0, 100;
    @%p2 add.u32 %r0, %r0, 1000;
    @%p3 add.u32 %r0, %r0, 10000;
    @%p4 add.u32 %r0, %r0, 100000;
  )");
  EXPECT_CLEAN(run);
  for (unsigned t = 0; t < 96; ++t)
    EXPECT_EQ(run.out[t], 101040u);
}

TEST(Barrier, ThreadsArriveOneByOneWithoutAligned) {
  KernelRun run(64);
  run.runBody(R"(
    and.b32 %r1, %lane, 1;
    setp.eq.u32 %p0, %r1, 0;
    @%p0 bra EVEN;
    barrier.sync 0;
    mov.u32 %r0, 1;
    bra DONE;
  EVEN:
    barrier.sync 0;
    mov.u32 %r0, 2;
  DONE:
  )");
  EXPECT_CLEAN(run);
  for (unsigned t = 0; t < 64; ++t)
    EXPECT_EQ(run.out[t], t % 2 ? 1u : 2u);
}

TEST(Barrier, AWarpThatDoesNotComeIsADeadlock) {
  KernelRun run(64);
  run.runBody(R"(
    setp.lt.u32 %p0, %tid, 32;
    @%p0 bar.sync 0;
    @!%p0 bar.sync 1;
  )");
  Finding finding = run.finding();
  EXPECT_EQ(finding.kind, FindingKind::Deadlock);
  EXPECT_NE(finding.message.find("32 of 64 threads arrived"), std::string::npos)
      << finding.message;
  EXPECT_NE(finding.message.find("warp 1"), std::string::npos);
}

TEST(Barrier, CountsThatDiffer) {
  KernelRun run(96);
  run.runBody(R"(
    setp.lt.u32 %p0, %tid, 32;
    @%p0 bar.sync 1, 64;
    @!%p0 bar.sync 1, 96;
  )");
  EXPECT_EQ(run.finding().kind, FindingKind::BarrierDivergence);
}

TEST(Barrier, NumbersThatDoNotExist) {
  KernelRun run(32);
  run.in = {16};
  run.runBody("ld.global.u32 %r1, [%in]; bar.sync %r1;");
  EXPECT_EQ(run.finding().kind, FindingKind::IllegalInstruction);
  EXPECT_THROW(Module::parse(kernelText("bar.sync 16;")), Error);
  EXPECT_THROW(Module::parse(kernelText("bar.sync 1, 40;")), Error);
}

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

TEST(Cluster, BlocksReadEachOthersSharedMemory) {
  KernelRun run(32, 8);
  run.options.cluster = {4, 1, 1};
  run.runBody(R"(
    .shared .align 4 .b32 box[32];
    .reg .b32 %rank, %next, %far;
    mov.u32 %r1, box;
    shl.b32 %r2, %tid, 2;
    add.u32 %r2, %r2, %r1;
    mov.u32 %r4, %clusterid.x;
    mul.lo.u32 %r5, %gid, 10;
    add.u32 %r5, %r5, %r4;
    st.shared.u32 [%r2], %r5;
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    mov.u32 %rank, %cluster_ctarank;
    add.u32 %next, %rank, 1;
    and.b32 %next, %next, 3;
    mapa.shared::cluster.u32 %far, %r2, %next;
    ld.shared::cluster.u32 %r0, [%far];
    getctarank.shared::cluster.u32 %r6, %far;
    setp.ne.u32 %p0, %r6, %next;
    @%p0 mov.u32 %r0, 0xdead;
    barrier.cluster.arrive.release;
    barrier.cluster.wait.acquire;
  )");
  EXPECT_CLEAN(run);
  for (unsigned g = 0; g < 256; ++g) {
    unsigned block = g / 32, cluster = block / 4;
    unsigned from = cluster * 4 + (block + 1) % 4;
    EXPECT_EQ(run.out[g], (from * 32 + g % 32) * 10 + cluster);
  }
}

TEST(Cluster, GenericAddressesReachOtherBlocks) {
  KernelRun run(32, 2);
  run.options.cluster = {2, 1, 1};
  run.runBody(R"(
    .shared .align 4 .b32 sum[1];
    .reg .b64 %mine, %far;
    mov.u64 %d0, sum;
    cvta.shared.u64 %mine, %d0;
    st.u32 [%mine], 0;
    barrier.cluster.arrive;
    barrier.cluster.wait;
    mapa.u64 %far, %mine, 0;
    atom.add.u32 %r1, [%far], 1;
    isspacep.shared::cluster %p0, %far;
    isspacep.shared::cta %p1, %far;
    barrier.cluster.arrive;
    barrier.cluster.wait;
    ld.u32 %r0, [%mine];
    @%p0 add.u32 %r0, %r0, 1000;
    @%p1 add.u32 %r0, %r0, 10000;
  )");
  EXPECT_CLEAN(run);
  EXPECT_EQ(run.out[0], 11064u);
  EXPECT_EQ(run.out[32], 1000u);
}

TEST(Cluster, WaitingWithoutHavingArrived) {
  KernelRun run(32, 2);
  run.options.cluster = {2, 1, 1};
  run.runBody("barrier.cluster.wait;");
  EXPECT_EQ(run.finding().kind, FindingKind::BarrierDivergence);
}

TEST(Cluster, SharedMemoryOfABlockThatLeftIsGone) {
  KernelRun run(32, 2);
  run.options.cluster = {2, 1, 1};
  run.runBody(R"(
    .shared .align 4 .b32 box[1];
    mov.u32 %r1, box;
    mov.u32 %r2, %cluster_ctarank;
    setp.eq.u32 %p0, %r2, 1;
    @%p0 exit;
    mapa.shared::cluster.u32 %r3, %r1, 1;
    mov.u32 %r4, 0;
  WAIT:
    add.u32 %r4, %r4, 1;
    setp.lt.u32 %p1, %r4, 1000;
    @%p1 bra WAIT;
    ld.shared::cluster.u32 %r0, [%r3];
  )");
  EXPECT_EQ(run.finding().kind, FindingKind::UseAfterFree);
}

} // namespace
