// Bulk and tensor copies, their barriers, and matrix stores (sm_90).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda.h>

__device__ unsigned address(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

__device__ void init(unsigned long long *barrier, unsigned count) {
  asm volatile(
      "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(barrier)),
      "r"(count)
      : "memory");
}

__device__ void expect(unsigned long long *barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   address(barrier)),
               "r"(bytes)
               : "memory");
}

__device__ void arrive(unsigned long long *barrier) {
  asm volatile(
      "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(barrier))
      : "memory");
}

__device__ void wait(unsigned long long *barrier, unsigned parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@done bra over;\n"
               "bra again;\n"
               "over:\n"
               "}" ::"r"(address(barrier)),
               "r"(parity)
               : "memory");
}

// Rows of 512 floats through four stages of bulk copies; the last warp loads.
extern "C" __global__ void __launch_bounds__(160)
    bulk_pipeline(const float *in, float *sums, int rows) {
  __shared__ __align__(128) float stage[4][512];
  __shared__ unsigned long long full[4], empty[4];
  __shared__ float part[4];
  int t = threadIdx.x, warp = t / 32;
  if (t == 0) {
    for (int s = 0; s < 4; ++s) {
      init(&full[s], 1);
      init(&empty[s], 128);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (warp == 4) {
    if (t % 32 == 0)
      for (int r = blockIdx.x, i = 0; r < rows; r += gridDim.x, ++i) {
        int s = i % 4;
        if (i >= 4)
          wait(&empty[s], i / 4 + 1 & 1);
        expect(&full[s], 2048);
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
            "[%0], [%1], %2, [%3];" ::"r"(address(stage[s])),
            "l"(in + (size_t)r * 512), "r"(2048), "r"(address(&full[s]))
            : "memory");
      }
    return;
  }
  for (int r = blockIdx.x, i = 0; r < rows; r += gridDim.x, ++i) {
    int s = i % 4;
    wait(&full[s], i / 4 & 1);
    float sum = 0;
    for (int j = 0; j < 4; ++j)
      sum += stage[s][t + 128 * j] * (j + 1);
    arrive(&empty[s]);
    for (int distance = 16; distance > 0; distance /= 2)
      sum += __shfl_down_sync(0xffffffff, sum, distance);
    if (t % 32 == 0)
      part[warp] = sum;
    asm volatile("bar.sync 1, 128;" ::: "memory");
    if (t == 0)
      sums[r] = part[0] + part[1] + part[2] + part[3];
    asm volatile("bar.sync 1, 128;" ::: "memory");
  }
}

// Tiles of 32 x 32 floats by tensor maps: load, transpose, store.
extern "C" __global__ void
tensor_transpose(const __grid_constant__ CUtensorMap from,
                 const __grid_constant__ CUtensorMap to) {
  __shared__ __align__(128) float a[32][32], b[32][32];
  __shared__ unsigned long long full;
  int t = threadIdx.x, x = blockIdx.x * 32, y = blockIdx.y * 32;
  if (t == 0) {
    init(&full, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    expect(&full, sizeof(a));
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile"
        ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
            address(a)),
        "l"(&from), "r"(x), "r"(y), "r"(address(&full))
        : "memory");
  }
  __syncthreads();
  wait(&full, 0);
  for (int r = t / 32; r < 32; r += blockDim.x / 32)
    b[t % 32][r] = a[r][t % 32];
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  if (t == 0) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group "
                 "[%0, {%1, %2}], [%3];" ::"l"(&to),
                 "r"(y), "r"(x), "r"(address(b))
                 : "memory");
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// Blocks add their rows to one row of global memory by bulk reductions.
extern "C" __global__ void bulk_reduce(const int *in, int *sums, int rows) {
  __shared__ __align__(16) int sum[256];
  int t = threadIdx.x, mine = 0;
  for (int r = blockIdx.x; r < rows; r += gridDim.x)
    mine += in[r * 256 + t];
  sum[t] = mine;
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  if (t == 0) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 "
                 "[%0], [%1], %2;" ::"l"(sums),
                 "r"(address(sum)), "r"(1024)
                 : "memory");
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
  }
}

// Transposes 8 x 8 tiles of 16-bit elements: ldmatrix.trans, then stmatrix.
extern "C" __global__ void matrix_moves(const uint4 *in, uint4 *out) {
  __shared__ __align__(16) uint4 a[32], b[32];
  int lane = threadIdx.x;
  a[lane] = in[blockIdx.x * 32 + lane];
  __syncwarp();
  unsigned r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
               "{%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address(&a[lane]))
               : "memory");
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], "
               "{%1, %2, %3, %4};" ::"r"(address(&b[lane ^ 8])),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
  __syncwarp();
  out[blockIdx.x * 32 + lane] = b[lane];
}

// The first block of a cluster loads a tile for both (multicast); arrivals
// cross the cluster.
extern "C" __global__ void __cluster_dims__(2, 1, 1)
    multicast(const int *in, int *out) {
  __shared__ __align__(128) int tile[256];
  __shared__ unsigned long long full;
  int t = threadIdx.x, cluster = blockIdx.x / 2;
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  if (t == 0) {
    init(&full, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    expect(&full, 1024);
  }
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
  if (rank == 0 && t == 0)
    asm volatile("cp.async.bulk.shared::cluster.global"
                 ".mbarrier::complete_tx::bytes.multicast::cluster "
                 "[%0], [%1], %2, [%3], %4;" ::"r"(address(tile)),
                 "l"(in + cluster * 256), "r"(1024), "r"(address(&full)),
                 "h"((unsigned short)3)
                 : "memory");
  wait(&full, 0);
  out[blockIdx.x * 256 + t] = tile[255 - t] * (int)(rank + 1);
}
