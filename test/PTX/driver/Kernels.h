// Kernels of the driver program, as PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_DRIVER_KERNELS_H
#define PTX_TEST_DRIVER_KERNELS_H

// scale(x, n, factor): x[i] = x[i] * factor + offset, a variable of the module.
// reversed(x): reverses the elements of each block through shared memory.
// numbers(x): x[i] = i, into memory that no one wrote.
// clusters(x): x[block] = rank in the cluster; meet(x): a grid barrier.
// outside(x): writes far behind x. racy(x): misses a barrier.
inline const char kKernels[] = R"(
.version 8.0
.target sm_80
.address_size 64

.visible .global .align 4 .f32 offset = 0f3F800000;
.extern .shared .align 4 .b8 dynamic[];

.visible .entry scale(.param .u64 scale_x, .param .u32 scale_n,
                      .param .f32 scale_factor)
{
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %rd<6>;
  .reg .f32 %f<6>;
  ld.param.u64 %rd0, [scale_x];
  ld.param.u32 %r0, [scale_n];
  ld.param.f32 %f0, [scale_factor];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  setp.ge.u32 %p, %r4, %r0;
  @%p bra DONE;
  mul.wide.u32 %rd1, %r4, 4;
  add.s64 %rd2, %rd0, %rd1;
  ld.global.f32 %f1, [%rd2];
  mov.u64 %rd3, offset;
  ld.global.f32 %f2, [%rd3];
  fma.rn.f32 %f3, %f1, %f0, %f2;
  st.global.f32 [%rd2], %f3;
DONE:
  ret;
}

.visible .entry reversed(.param .u64 reversed_x)
{
  .reg .b32 %r<9>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd0, [reversed_x];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %rd1, %r4, 4;
  add.s64 %rd2, %rd0, %rd1;
  ld.global.u32 %r5, [%rd2];
  mov.u32 %r6, dynamic;
  shl.b32 %r7, %r3, 2;
  add.s32 %r6, %r6, %r7;
  st.shared.u32 [%r6], %r5;
  bar.sync 0;
  sub.s32 %r7, %r2, %r3;
  shl.b32 %r7, %r7, 2;
  mov.u32 %r6, dynamic;
  add.s32 %r6, %r6, %r7;
  ld.shared.u32 %r5, [%r6+-4];
  st.global.u32 [%rd2], %r5;
  ret;
}

.visible .entry numbers(.param .u64 numbers_x)
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd0, [numbers_x];
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %rd1, %r0, 4;
  add.s64 %rd2, %rd0, %rd1;
  st.global.u32 [%rd2], %r0;
  ret;
}

.visible .entry meet(.param .u64 meet_count, .param .u64 meet_x)
{
  .reg .pred %p;
  .reg .b32 %r<9>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd0, [meet_count];
  ld.param.u64 %rd1, [meet_x];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %nctaid.x;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r1;
  fence.acq_rel.gpu;
  atom.global.add.u32 %r3, [%rd0], 1;
WAIT:
  ld.acquire.gpu.global.u32 %r4, [%rd0];
  setp.lt.u32 %p, %r4, %r2;
  @%p bra WAIT;
  sub.s32 %r5, %r2, %r1;
  mul.wide.u32 %rd2, %r5, 4;
  add.s64 %rd3, %rd1, %rd2;
  ld.global.u32 %r6, [%rd3+-4];
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd3, %rd2;
  st.global.u32 [%rd3], %r6;
  ret;
}

.visible .entry outside(.param .u64 outside_x)
{
  .reg .b64 %rd<2>;
  .reg .b32 %r<2>;
  ld.param.u64 %rd0, [outside_x];
  mov.u32 %r0, 7;
  st.global.u32 [%rd0+1048576], %r0;
  ret;
}

.visible .entry racy(.param .u64 racy_x)
{
  .reg .b64 %rd<4>;
  .reg .b32 %r<6>;
  .shared .align 4 .b8 words[1024];
  ld.param.u64 %rd0, [racy_x];
  mov.u32 %r0, %tid.x;
  shl.b32 %r1, %r0, 2;
  mov.u32 %r2, words;
  add.s32 %r3, %r2, %r1;
  st.shared.u32 [%r3], %r0;
  xor.b32 %r4, %r1, 128;
  add.s32 %r3, %r2, %r4;
  ld.shared.u32 %r5, [%r3];
  mul.wide.u32 %rd1, %r0, 4;
  add.s64 %rd2, %rd0, %rd1;
  st.global.u32 [%rd2], %r5;
  ret;
}
)";

inline const char kClusterKernels[] = R"(
.version 8.0
.target sm_90
.address_size 64

.visible .entry clusters(.param .u64 clusters_x)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd0, [clusters_x];
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %cluster_ctarank;
  mul.wide.u32 %rd1, %r0, 4;
  add.s64 %rd2, %rd0, %rd1;
  st.global.u32 [%rd2], %r1;
  ret;
}
)";

#endif // PTX_TEST_DRIVER_KERNELS_H
