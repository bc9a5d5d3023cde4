// Products of matrices by inline PTX: ldmatrix, mma.sync and cp.async stages.
// C (m x n) = A (m x k, row-major) times B.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_bf16.h>
#include <cuda_fp16.h>

__device__ unsigned shared_address(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

__device__ void copy_async(void *to, const void *from) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)),
      "l"(from)
      : "memory");
}

__device__ void load_four(unsigned (&r)[4], const void *row) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(shared_address(row))
      : "memory");
}

__device__ void load_four_transposed(unsigned (&r)[4], const void *row) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(shared_address(row))
      : "memory");
}

__device__ void multiply_bf16(float (&d)[4], const unsigned (&a)[4],
                              unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// 64 x 64 tiles of bf16, B is k x n row-major; four warps in 2 x 2; three
// stages of 32 columns copied asynchronously; rows of shared memory swizzled.
constexpr int kStages = 3;

__device__ int swizzled(int row, int vector, int mask) {
  return vector ^ (row & mask);
}

extern "C" __global__ void __launch_bounds__(128)
    gemm_bf16(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int m,
              int n, int k) {
  __shared__ __align__(128) __nv_bfloat16 as[kStages][64][32];
  __shared__ __align__(128) __nv_bfloat16 bs[kStages][32][64];
  int row = blockIdx.y * 64, column = blockIdx.x * 64, t = threadIdx.x;
  int lane = t % 32, warp_row = t / 64 * 32, warp_column = t / 32 % 2 * 32;
  auto fetch = [&](int step) {
    int stage = step % kStages;
    for (int v = t; v < 256; v += 128) {
      int r = v / 4, q = v % 4;
      copy_async(&as[stage][r][8 * swizzled(r / 2, q, 3)],
                 a + (size_t)(row + r) * k + step * 32 + 8 * q);
      r = v / 8, q = v % 8;
      copy_async(&bs[stage][r][8 * swizzled(r, q, 7)],
                 b + (size_t)(step * 32 + r) * n + column + 8 * q);
    }
  };
  float sum[2][4][4] = {};
  int steps = k / 32;
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps)
      fetch(s);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  for (int s = 0; s < steps; ++s) {
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 2) : "memory");
    __syncthreads();
    if (s + kStages - 1 < steps)
      fetch(s + kStages - 1);
    asm volatile("cp.async.commit_group;" ::: "memory");
    int stage = s % kStages;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      unsigned x[2][4], y[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        int r = warp_row + 16 * i + lane % 16, q = 2 * half + lane / 16;
        load_four(x[i], &as[stage][r][8 * swizzled(r / 2, q, 3)]);
        int kr = 16 * half + lane % 16;
        int cq = (warp_column + 16 * i) / 8 + lane / 16;
        load_four_transposed(y[i], &bs[stage][kr][8 * swizzled(kr, cq, 7)]);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          multiply_bf16(sum[i][j], x[i], y[j / 2][2 * (j % 2)],
                        y[j / 2][2 * (j % 2) + 1]);
    }
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j) {
      int r = row + warp_row + 16 * i + lane / 4;
      int q = column + warp_column + 8 * j + 2 * (lane % 4);
      *(float2 *)&c[(size_t)r * n + q] =
          make_float2(sum[i][j][0], sum[i][j][1]);
      *(float2 *)&c[(size_t)(r + 8) * n + q] =
          make_float2(sum[i][j][2], sum[i][j][3]);
    }
}

// One warp per 16 x 8 tile; B is n x k row-major; ragged edges are guarded.
extern "C" __global__ void gemm_tf32(const float *a, const float *b, float *c,
                                     int m, int n, int k) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int row = blockIdx.y * 16 + lane / 4;
  int column = (blockIdx.x * (blockDim.x / 32) + warp) * 8;
  if (column >= n)
    return;
  auto at = [](const float *p, int r, int q, int rows, int columns) {
    float x = r < rows && q < columns ? p[(size_t)r * columns + q] : 0;
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
  };
  float d[4] = {};
  for (int i = 0; i < k; i += 8) {
    int q = i + lane % 4, other = column + lane / 4;
    unsigned a0 = at(a, row, q, m, k), a1 = at(a, row + 8, q, m, k);
    unsigned a2 = at(a, row, q + 4, m, k), a3 = at(a, row + 8, q + 4, m, k);
    unsigned b0 = at(b, other, q, n, k), b1 = at(b, other, q + 4, n, k);
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
  for (int j = 0; j < 4; ++j) {
    int r = row + j / 2 * 8, q = column + 2 * (lane % 4) + j % 2;
    if (r < m && q < n)
      c[(size_t)r * n + q] = d[j];
  }
}

// Bytes times signed bytes with a rescaled, saturated byte result.
extern "C" __global__ void gemm_s8(const int *a, const int *b, signed char *c,
                                   int n, int k, int shift) {
  int lane = threadIdx.x, words = k / 4;
  int row = blockIdx.y * 16 + lane / 4, column = blockIdx.x * 8;
  int d[4] = {};
  for (int i = 0; i < words; i += 8) {
    const int *x = a + row * words + i + lane % 4;
    const int *y = b + (column + lane / 4) * words + i + lane % 4;
    asm volatile("mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(x[0]), "r"(x[8 * words]), "r"(x[4]),
                   "r"(x[8 * words + 4]), "r"(y[0]), "r"(y[4]));
  }
  for (int j = 0; j < 4; ++j) {
    int scaled = d[j] >> shift;
    scaled = min(max(scaled, -128), 127);
    c[(row + j / 2 * 8) * n + column + 2 * (lane % 4) + j % 2] = scaled;
  }
}

// Flash attention of one head: 64 queries a block, keys and values in tiles of
// 32 in f16, scores and sums in registers.
extern "C" __global__ void __launch_bounds__(128)
    attention(const __half *q, const __half *k, const __half *v, float *out,
              int length, float scale) {
  __shared__ __align__(16) __half qs[64][72], ks[32][72], vs[32][72];
  int t = threadIdx.x, lane = t % 32, warp = t / 32, first = blockIdx.x * 64;
  for (int i = t; i < 64 * 8; i += 128)
    *(uint4 *)&qs[i / 8][i % 8 * 8] =
        *(const uint4 *)&q[(size_t)(first + i / 8) * 64 + i % 8 * 8];
  float o[8][4] = {}, top[2] = {-1e30f, -1e30f}, sum[2] = {};
  for (int tile = 0; tile < length; tile += 32) {
    __syncthreads();
    for (int i = t; i < 32 * 8; i += 128) {
      size_t at = (size_t)(tile + i / 8) * 64 + i % 8 * 8;
      *(uint4 *)&ks[i / 8][i % 8 * 8] = *(const uint4 *)&k[at];
      *(uint4 *)&vs[i / 8][i % 8 * 8] = *(const uint4 *)&v[at];
    }
    __syncthreads();
    float s[4][4] = {};
    auto multiply = [](float (&d)[4], const unsigned (&a)[4], unsigned b0,
                       unsigned b1) {
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                   "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                   "{%0, %1, %2, %3};"
                   : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0),
                     "r"(b1));
    };
#pragma unroll
    for (int d = 0; d < 64; d += 16) {
      unsigned a[4], b[4];
      load_four(a, &qs[16 * warp + lane % 16][d + lane / 16 * 8]);
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        load_four(b,
                  &ks[16 * j + lane % 8 + lane / 16 * 8][d + lane / 8 % 2 * 8]);
        multiply(s[2 * j], a, b[0], b[1]);
        multiply(s[2 * j + 1], a, b[2], b[3]);
      }
    }
    float grown[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float best = top[h];
      for (int j = 0; j < 4; ++j)
        best = fmaxf(best, fmaxf(s[j][2 * h], s[j][2 * h + 1]) * scale);
      best = fmaxf(best, __shfl_xor_sync(0xffffffff, best, 1));
      best = fmaxf(best, __shfl_xor_sync(0xffffffff, best, 2));
      grown[h] = __expf(top[h] - best);
      top[h] = best;
      sum[h] *= grown[h];
      for (int j = 0; j < 4; ++j)
        for (int e = 2 * h; e < 2 * h + 2; ++e) {
          s[j][e] = __expf(s[j][e] * scale - best);
          sum[h] += s[j][e];
        }
    }
    for (int j = 0; j < 8; ++j)
      for (int e = 0; e < 4; ++e)
        o[j][e] *= grown[e / 2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      unsigned a[4], b[4];
      for (int j = 0; j < 4; ++j) {
        __half2 pair = __floats2half2_rn(s[2 * half + j / 2][j % 2 * 2],
                                         s[2 * half + j / 2][j % 2 * 2 + 1]);
        a[j] = *(unsigned *)&pair;
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        load_four_transposed(
            b, &vs[16 * half + lane % 16][16 * j + lane / 16 * 8]);
        multiply(o[2 * j], a, b[0], b[1]);
        multiply(o[2 * j + 1], a, b[2], b[3]);
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    sum[h] += __shfl_xor_sync(0xffffffff, sum[h], 1);
    sum[h] += __shfl_xor_sync(0xffffffff, sum[h], 2);
    for (int j = 0; j < 8; ++j)
      for (int e = 0; e < 2; ++e)
        out[(size_t)(first + 16 * warp + lane / 4 + 8 * h) * 64 + 8 * j +
            2 * (lane % 4) + e] = o[j][2 * h + e] / sum[h];
  }
}
