// Small kernels, one idea each, whose counters an H100 recorded (cases.txt).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "kernels.cuh"

// divergence, local and constant memory
KERNEL div_parity(const u32 *in, u32 *out) {
  int i = TID;
  u32 x = in[i];
  if (i & 1) {
    for (int j = 0; j < 16; j++)
      x = x * 1664525u + 1013904223u;
  } else {
    for (int j = 0; j < 16; j++)
      x = (x ^ (x >> 7)) * 0x9e3779b1u;
  }
  out[i] = x;
}
KERNEL div_nested(const u32 *in, u32 *out) {
  int i = TID;
  u32 x = in[i];
  if (x & 1) {
    if (x & 2)
      x = mix(x);
    else {
      x = mix(x + 1);
      x = mix(x);
    }
    if (x & 4)
      x = mix(x ^ 5);
  } else if (x & 8) {
    x = mix(x * 3);
    if (x & 16) {
      x = mix(x);
      x = mix(x + 7);
    }
  }
  out[i] = x;
}
KERNEL div_collatz(u32 *out) {
  int i = TID;
  u64 x = i + 1;
  u32 n = 0;
  while (x != 1) {
    x = (x & 1) ? 3 * x + 1 : x >> 1;
    n++;
  }
  out[i] = n;
}
KERNEL div_exit(const u32 *in, u32 *out, int limit) {
  int i = TID;
  u32 x = in[i];
  for (int j = 0; j < limit; j++) {
    if ((x & 15) == 0) {
      out[i] = j;
      return;
    }
    x = mix(x + j);
  }
  out[i] = limit;
}
KERNEL div_switch(const u32 *in, u32 *out) {
  int i = TID;
  u32 x = in[i];
  for (int j = 0; j < 4; j++)
    switch (x & 7) {
    case 0:
      x = x / 3 + mix(x);
      break;
    case 1:
      x = mix(x) * 5;
      break;
    case 2:
      x = __brev(x) + j;
      break;
    case 3:
      x = __popc(x) * 0x9e3779b1u;
      break;
    case 4:
      x = x * x + 1;
      break;
    case 5:
      x = (x << 7 | x >> 25) ^ j;
      break;
    case 6:
      x = mix(x) % 1009 + x;
      break;
    default:
      x = ~x + (x >> 3);
    }
  out[i] = x;
}
KERNEL local_uniform(const u32 *in, u32 *out, int n) {
  u32 a[64];
  u32 x = in[TID];
  for (int j = 0; j < 64; j++)
    a[(j * 7 + n) & 63] = x + j;
  u32 r = 0;
  for (int j = 0; j < 64; j++)
    r = r * 31 + a[(j * n) & 63];
  out[TID] = r;
} // same index in all lanes
KERNEL local_lane(const u32 *in, u32 *out) {
  u32 a[64];
  u32 x = in[TID];
  for (int j = 0; j < 64; j++)
    a[(x + j) & 63] = x * j;
  u32 r = 0;
  for (int j = 0; j < 64; j++)
    r = r * 31 + a[(x >> 6 ^ j) & 63];
  out[TID] = r;
} // index differs by lane
#define R4(x) x, x + 1, x + 2, x + 3
#define R16(x) R4(x), R4(x + 4), R4(x + 8), R4(x + 12)
#define R64(x) R16(x), R16(x + 16), R16(x + 32), R16(x + 48)
__constant__ u32 ctab[256] = {R64(1), R64(65), R64(129), R64(193)};
KERNEL const_uniform(u32 *out, int n) {
  u32 r = TID;
  for (int j = 0; j < n; j++)
    r = r * 33 + ctab[(j * 5) & 255];
  out[TID] = r;
}
KERNEL const_lane(u32 *out, int n, int s) {
  u32 r = TID;
  for (int j = 0; j < n; j++)
    r = r * 33 + ctab[(j + threadIdx.x * s) & 255];
  out[TID] = r;
}
// tensor-core GEMM shared by several kernels
// C[M][N] (f32) = A[M][K] * B[N][K]^T, bf16, BKx32 tiles, 3-stage cp.async,
// ldmatrix.x4, mma.m16n8k16. SWZ: 16-byte chunk c of row r is stored at c ^
// ((r>>1)&3) (0: no swizzle).  MODE 0 store, 1 split-K (blockIdx.z) with
// red.add, 2 grouped: tiles = {expert,row0,rows}.
template <int BM, int BN, int WM, int WN, int SWZ, int MODE>
__device__ inline void gemm_mma(const u16 *A, const u16 *B, float *C, int N,
                                int K, int klen, const int *tiles) {
  constexpr int ST = 3, NT = WM * WN * 32, TM = BM / WM / 16, TN = BN / WN / 8;
  extern __shared__ __align__(128) u8 sm[];
  int t = threadIdx.x, l = t & 31, w = t >> 5, wm = w / WN, wn = w % WN;
  int row0 = blockIdx.y * BM, rows = BM, k0 = 0;
  if (MODE == 1)
    k0 = blockIdx.z * klen;
  if (MODE == 2) {
    const int *q = tiles + 3 * blockIdx.y;
    B += (size_t)q[0] * N * K;
    row0 = q[1];
    rows = q[2];
  }
  int col0 = blockIdx.x * BN;
  u32 base = sptr(sm);
  auto load = [&](int s, int kt) {
    u32 d = base + s * (BM + BN) * 64;
    for (int c = t; c < (BM + BN) * 4; c += NT) {
      int r = c >> 2, ch = c & 3;
      bool a = r < BM;
      int rr = a ? r : r - BM;
      const u16 *g = a ? A + (size_t)(row0 + min(rr, rows - 1)) * K
                       : B + (size_t)(col0 + rr) * K;
      g += k0 + kt * 32 + ch * 8;
      u32 dst = d + r * 64 + ((SWZ ? ch ^ ((r >> 1) & 3) : ch) << 4);
      int n = (a && rr >= rows) ? 0 : 16;
      if (MODE == 2)
        asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;" ::"r"(dst),
                     "l"(g), "r"(n));
      else
        asm volatile("cp.async.cg.shared.global [%0],[%1],16;" ::"r"(dst),
                     "l"(g));
    }
  };
  float acc[TM][TN][4] = {};
  int nk = klen / 32;
  for (int s = 0; s < ST - 1; s++) {
    if (s < nk)
      load(s, s);
    asm volatile("cp.async.commit_group;");
  }
  for (int kt = 0; kt < nk; kt++) {
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    if (kt + ST - 1 < nk)
      load((kt + ST - 1) % ST, kt + ST - 1);
    asm volatile("cp.async.commit_group;");
    u32 sa = base + kt % ST * (BM + BN) * 64, sb = sa + BM * 64;
    for (int kk = 0; kk < 2; kk++) {
      u32 a[TM][4], b[TN][2];
      for (int i = 0; i < TM; i++) {
        int r = wm * (BM / WM) + i * 16 + (l & 15), ch = kk * 2 + (l >> 4);
        u32 p = sa + r * 64 + ((SWZ ? ch ^ ((r >> 1) & 3) : ch) << 4);
        asm volatile(
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
            : "=r"(a[i][0]), "=r"(a[i][1]), "=r"(a[i][2]), "=r"(a[i][3])
            : "r"(p));
      }
      for (int j = 0; j < TN; j += 2) {
        int r = wn * (BN / WN) + j * 8 + (l & 7) + (l >> 4) * 8,
            ch = kk * 2 + (l >> 3 & 1);
        u32 p = sb + r * 64 + ((SWZ ? ch ^ ((r >> 1) & 3) : ch) << 4);
        asm volatile(
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
            : "=r"(b[j][0]), "=r"(b[j][1]), "=r"(b[j + 1][0]), "=r"(b[j + 1][1])
            : "r"(p));
      }
      for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++)
          asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                       "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                       : "+f"(acc[i][j][0]), "+f"(acc[i][j][1]),
                         "+f"(acc[i][j][2]), "+f"(acc[i][j][3])
                       : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]),
                         "r"(b[j][0]), "r"(b[j][1]));
    }
  }
  for (int i = 0; i < TM; i++)
    for (int j = 0; j < TN; j++)
      for (int h = 0; h < 2; h++) {
        int r = wm * (BM / WM) + i * 16 + h * 8 + (l >> 2),
            c = col0 + wn * (BN / WN) + j * 8 + (l & 3) * 2;
        if (MODE == 2 && r >= rows)
          continue;
        float *q = C + (size_t)(row0 + r) * N + c;
        if (MODE == 1) {
          atomicAdd(q, acc[i][j][2 * h]);
          atomicAdd(q + 1, acc[i][j][2 * h + 1]);
        } else
          *(float2 *)q = make_float2(acc[i][j][2 * h], acc[i][j][2 * h + 1]);
      }
}

// GEMMs
KERNEL gemm_naive(const float *A, const float *B, float *C, int n) {
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
  float a = 0;
  for (int k = 0; k < n; k++)
    a += A[y * n + k] * B[k * n + x];
  C[y * n + x] = a;
}
KERNEL gemm_tiled(const float *A, const float *B, float *C, int n) {
  __shared__ float sa[32][32], sb[32][32];
  int tx = threadIdx.x, ty = threadIdx.y, x = blockIdx.x * 32 + tx;
  float a[4] = {};
  for (int k = 0; k < n; k += 32) {
    for (int j = 0; j < 4; j++) {
      sa[ty + 8 * j][tx] = A[(blockIdx.y * 32 + ty + 8 * j) * n + k + tx];
      sb[ty + 8 * j][tx] = B[(k + ty + 8 * j) * n + x];
    }
    __syncthreads();
    for (int q = 0; q < 32; q++)
      for (int j = 0; j < 4; j++)
        a[j] += sa[ty + 8 * j][q] * sb[q][tx];
    __syncthreads();
  }
  for (int j = 0; j < 4; j++)
    C[(blockIdx.y * 32 + ty + 8 * j) * n + x] = a[j];
}
KERNEL __launch_bounds__(256)
    gemm_bf16(const u16 *A, const u16 *B, float *C, int N, int K) {
  gemm_mma<128, 128, 2, 4, 1, 0>(A, B, C, N, K, K, nullptr);
}
KERNEL __launch_bounds__(256)
    gemm_bf16_bad(const u16 *A, const u16 *B, float *C, int N, int K) {
  gemm_mma<128, 128, 2, 4, 0, 0>(A, B, C, N, K, K, nullptr);
}
KERNEL __launch_bounds__(256)
    gemm_splitk(const u16 *A, const u16 *B, float *C, int N, int K, int klen) {
  gemm_mma<128, 128, 2, 4, 1, 1>(A, B, C, N, K, klen, nullptr);
}
KERNEL __launch_bounds__(128) gemm_grouped(const u16 *A, const u16 *B, float *C,
                                           int N, int K, const int *tiles) {
  gemm_mma<64, 64, 2, 2, 1, 2>(A, B, C, N, K, K, tiles);
}
// scheduling effects
__device__ inline float busy(float x, int n) {
  for (int i = 0; i < n; i++) {
    x = fmaf(x, 0.999f, 0.5f);
  }
  return x;
}
KERNEL tail(float *out, int n) { out[TID] = busy((float)threadIdx.x, n); }
KERNEL imbalance(float *out, int n, int heavy) {
  out[TID] = busy((float)threadIdx.x, (int)blockIdx.x == heavy ? 10 * n : n);
}
KERNEL grid_barrier(u32 *data, u32 *ctr, int rounds) {
  u32 x = TID;
  for (int r = 0; r < rounds; r++) {
    data[(size_t)(r & 1) * gridDim.x * blockDim.x + TID] = x;
    __threadfence();
    __syncthreads();
    if (!threadIdx.x) {
      atomicAdd(ctr, 1u);
      while (*(volatile u32 *)ctr < (r + 1) * gridDim.x)
        ;
      __threadfence();
    }
    __syncthreads();
    x += __ldcg(&data[(size_t)(r & 1) * gridDim.x * blockDim.x +
                      (TID + blockDim.x * 17) % (gridDim.x * blockDim.x)]);
  }
  data[(size_t)2 * gridDim.x * blockDim.x + TID] = x;
}
// rates of the units
KERNEL rate_fma(float *out, int n) {
  float a[8];
  for (int j = 0; j < 8; j++)
    a[j] = threadIdx.x + j;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 8; j++)
      a[j] = fmaf(a[j], 0.999f, 0.5f);
  float s = 0;
  for (int j = 0; j < 8; j++)
    s += a[j];
  out[TID] = s;
}
KERNEL rate_imad(u32 *out, int n) {
  u32 a[8];
  for (int j = 0; j < 8; j++)
    a[j] = threadIdx.x + j;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 8; j++)
      a[j] = a[j] * 0x10dcdu + a[(j + 1) & 7];
  u32 s = 0;
  for (int j = 0; j < 8; j++)
    s += a[j];
  out[TID] = s;
}
KERNEL rate_alu(u32 *out, int n) {
  u32 a[8];
  for (int j = 0; j < 8; j++)
    a[j] = threadIdx.x + j;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 8; j++)
      a[j] = (a[j] & a[(j + 1) & 7]) ^ a[(j + 2) & 7];
  u32 s = 0;
  for (int j = 0; j < 8; j++)
    s += a[j];
  out[TID] = s;
}
KERNEL rate_mufu(float *out, int n) {
  float a[8];
  for (int j = 0; j < 8; j++)
    a[j] = -0.01f * (threadIdx.x + j);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 8; j++)
      asm volatile("ex2.approx.ftz.f32 %0,%0;" : "+f"(a[j]));
  float s = 0;
  for (int j = 0; j < 8; j++)
    s += a[j];
  out[TID] = s;
}
KERNEL rate_shfl(u32 *out, int n) {
  u32 a[4];
  for (int j = 0; j < 4; j++)
    a[j] = threadIdx.x + j;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 4; j++)
      a[j] = __shfl_xor_sync(~0u, a[j], 1 + j);
  out[TID] = a[0] + a[1] + a[2] + a[3];
}
KERNEL rate_mma(float *out, int n) {
  float c[8][4] = {};
  u32 a = 0x3f803f80u + threadIdx.x, b = 0x3f803f80u;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < 8; j++)
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                   "{%0,%1,%2,%3},{%4,%4,%4,%4},{%5,%5},{%0,%1,%2,%3};"
                   : "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
                   : "r"(a), "r"(b));
  float s = 0;
  for (int j = 0; j < 8; j++)
    s += c[j][0] + c[j][1] + c[j][2] + c[j][3];
  out[TID] = s;
}
KERNEL rate_lds(u32 *out, int n) {
  __shared__ __align__(16) u32 s[2048];
  for (int j = threadIdx.x; j < 2048; j += blockDim.x)
    s[j] = j;
  __syncthreads();
  u32 p = sptr(s) + threadIdx.x % 128 * 16, r = 0;
  for (int i = 0; i < n; i++) {
    u32 x, y, z, w;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3},[%4];"
                 : "=r"(x), "=r"(y), "=r"(z), "=r"(w)
                 : "r"(p));
    r ^= x + w;
  }
  out[TID] = r;
}
KERNEL rate_ldsm(u32 *out, int n) {
  __shared__ __align__(16) u32 s[2048];
  for (int j = threadIdx.x; j < 2048; j += blockDim.x)
    s[j] = j;
  __syncthreads();
  u32 p = sptr(s) + threadIdx.x % 128 * 16, r = 0;
  for (int i = 0; i < n; i++) {
    u32 x, y, z, w;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
                 : "=r"(x), "=r"(y), "=r"(z), "=r"(w)
                 : "r"(p));
    r ^= x + w;
  }
  out[TID] = r;
}
KERNEL rate_bar(u32 *out, int n) {
  for (int i = 0; i < n; i++)
    __syncthreads();
  out[TID] = n;
}
KERNEL read4(const float4 *in, float *out, int n) {
  float a = 0;
  int st = gridDim.x * blockDim.x;
  for (int i = TID; i < n; i += 4 * st) {
    float4 v[4];
    for (int j = 0; j < 4; j++)
      v[j] = in[i + j * st];
    for (int j = 0; j < 4; j++)
      a += v[j].x + v[j].y + v[j].z + v[j].w;
  }
  out[TID] = a;
}
KERNEL write4(float4 *out, int n) {
  int st = gridDim.x * blockDim.x;
  for (int i = TID; i < n; i += st)
    out[i] = make_float4(i, 1, 2, 3);
}
KERNEL red_spread(u32 *out, int n) {
  int st = gridDim.x * blockDim.x;
  for (int i = TID; i < n; i += st)
    atomicAdd(&out[i], 1u + i);
}
