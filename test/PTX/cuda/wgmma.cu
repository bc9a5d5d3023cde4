// A product of matrices by wgmma: bf16, both operands in shared memory
// (sm_90a).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda.h>
#include <cuda_bf16.h>

__device__ unsigned address(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

// K-major rows of 128 bytes with the 128-byte swizzle; 1024 bytes to the next
// eight rows.
__device__ unsigned long long descriptor(unsigned at) {
  return (at & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

__device__ void multiply(float (&d)[32], unsigned long long a,
                         unsigned long long b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, "
      "%30, %31}, %32, %33, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
        "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]),
        "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]),
        "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]),
        "+f"(d[31])
      : "l"(a), "l"(b));
}

// C (m x n) = A (m x k) times B (n x k) transposed; a block of one warp group
// computes 64 x 64; tiles of 64 columns are stored swizzled by the threads.
extern "C" __global__ void __launch_bounds__(128)
    wgmma_gemm(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int n,
               int k) {
  __shared__ __align__(1024) uint4 as[64][8], bs[64][8];
  int t = threadIdx.x, row = blockIdx.y * 64, column = blockIdx.x * 64;
  float d[32] = {};
  for (int i = 0; i < k; i += 64) {
    for (int v = t; v < 512; v += 128) {
      int r = v / 8, q = v % 8;
      as[r][q ^ (r % 8)] =
          *(const uint4 *)&a[(size_t)(row + r) * k + i + 8 * q];
      bs[r][q ^ (r % 8)] =
          *(const uint4 *)&b[(size_t)(column + r) * k + i + 8 * q];
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int j = 0; j < 4; ++j)
      multiply(d, descriptor(address(as) + 32 * j),
               descriptor(address(bs) + 32 * j));
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    __syncthreads();
  }
  for (int j = 0; j < 32; ++j) {
    int r = row + t / 32 * 16 + t % 32 / 4 + j / 2 % 2 * 8;
    c[(size_t)r * n + column + j / 4 * 8 + t % 4 * 2 + j % 2] = d[j];
  }
}

// The same with tensor maps and a ring of three stages: one warp loads ahead,
// a warp group multiplies. The boxes are 64 x 64 with the 128-byte swizzle.
extern "C" __global__ void __launch_bounds__(160)
    wgmma_pipeline(const __grid_constant__ CUtensorMap a,
                   const __grid_constant__ CUtensorMap b, float *c, int n,
                   int k) {
  extern __shared__ __align__(1024) unsigned char stages[];
  __shared__ unsigned long long full[3], empty[3];
  int t = threadIdx.x, row = blockIdx.y * 64, column = blockIdx.x * 64;
  auto wait = [](unsigned long long *barrier, unsigned parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(address(barrier)),
                 "r"(parity)
                 : "memory");
  };
  if (t == 0) {
    for (int s = 0; s < 3; ++s)
      asm volatile(
          "mbarrier.init.shared::cta.b64 [%0], 1;\n"
          "mbarrier.init.shared::cta.b64 [%1], 128;" ::"r"(address(&full[s])),
          "r"(address(&empty[s]))
          : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (t >= 128) {
    if (t == 128)
      for (int i = 0; i < k / 64; ++i) {
        int s = i % 3;
        wait(&empty[s], i / 3 + 1 & 1);
        asm volatile(
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                address(&full[s])),
            "r"(16384)
            : "memory");
        for (int operand = 0; operand < 2; ++operand)
          asm volatile(
              "cp.async.bulk.tensor.2d.shared::cluster.global.tile"
              ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
                  address(stages + s * 16384 + operand * 8192)),
              "l"(operand ? &b : &a), "r"(i * 64), "r"(operand ? column : row),
              "r"(address(&full[s]))
              : "memory");
      }
    return;
  }
  float d[32] = {};
  for (int i = 0; i < k / 64; ++i) {
    int s = i % 3;
    wait(&full[s], i / 3 & 1);
    unsigned at = address(stages + s * 16384);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int j = 0; j < 4; ++j)
      multiply(d, descriptor(at + 32 * j), descriptor(at + 8192 + 32 * j));
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    asm volatile(
        "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(&empty[s]))
        : "memory");
  }
  for (int j = 0; j < 32; ++j) {
    int r = row + t / 32 * 16 + t % 32 / 4 + j / 2 % 2 * 8;
    c[(size_t)r * n + column + j / 4 * 8 + t % 4 * 2 + j % 2] = d[j];
  }
}
