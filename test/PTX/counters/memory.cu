// Small kernels, one idea each, whose counters an H100 recorded (cases.txt).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "kernels.cuh"

// global memory patterns
KERNEL empty() {}
KERNEL copy1(const float *in, float *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[i];
}
KERNEL copy2(const float2 *in, float2 *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[i];
}
KERNEL copy4(const float4 *in, float4 *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[i];
}
KERNEL copyb(const u8 *in, u8 *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[i];
}
KERNEL copy_off(const float *in, float *out, int n, int a, int b) {
  int i = TID;
  if (i < n)
    out[i + b] = in[i + a];
}
KERNEL copy_stride(const float *in, float *out, int n, int s) {
  int i = TID;
  if (i < n)
    out[i] = in[i * s];
}
KERNEL copy_rev(const float *in, float *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[n - 1 - i];
}
KERNEL copy_odd(const float *in, float *out, int n) {
  int i = TID;
  if (i < n && (i & 1))
    out[i] = in[i];
}
KERNEL gather1(const float *in, float *out, int n) {
  int i = TID;
  if (i < n)
    out[i] = in[mix(i) & (n - 1)];
}
KERNEL scatter1(const float *in, float *out, int n) {
  int i = TID;
  if (i < n)
    out[mix(i) & (n - 1)] = in[i];
}
KERNEL store_stride(float *out, int n, int s) {
  int i = TID;
  if (i < n)
    out[i * s] = (float)i;
}
KERNEL store_twice(float *out, int n) {
  int i = TID;
  if (i < n) {
    out[i * 8] = (float)i;
    __syncthreads();
    out[i * 8 + 4] = (float)i;
  }
} // the same sector, written in two halves
KERNEL rmw4(float4 *p, int n) {
  int i = TID;
  if (i < n) {
    float4 v = p[i];
    v.x += 1;
    v.y += 1;
    v.z += 1;
    v.w += 1;
    p[i] = v;
  }
}
KERNEL rows_gather(const float4 *in, const u32 *idx, float4 *out) {
  size_t r = blockIdx.x;
  out[r * 128 + threadIdx.x] = in[(size_t)idx[r] * 128 + threadIdx.x];
} // rows of 2 KB
KERNEL rows_scatter(const float4 *in, const u32 *idx, float4 *out) {
  size_t r = blockIdx.x;
  out[(size_t)idx[r] * 128 + threadIdx.x] = in[r * 128 + threadIdx.x];
}
KERNEL reread(const float4 *in, float *out, int n, int passes) {
  float a = 0;
  int st = gridDim.x * blockDim.x;
  for (int p = 0; p < passes; p++)
    for (int i = TID; i < n; i += st) {
      float4 v = in[i];
      a += v.x + v.y + v.z + v.w;
    }
  out[TID] = a;
}
KERNEL reread_cg(const float4 *in, float *out, int n, int passes) {
  float a = 0;
  int st = gridDim.x * blockDim.x;
  for (int p = 0; p < passes; p++)
    for (int i = TID; i < n; i += st) {
      int j = i + p * (st / 3 + 32);
      if (j >= n)
        j -= n;
      float4 v = __ldcg(in + j);
      a += v.x + v.y + v.z + v.w;
    }
  out[TID] = a;
} // past L1, another SM each pass
KERNEL stream_small(const float4 *in, float4 *out) {
  int i = TID;
  float4 v = in[i];
  v.x *= 2;
  out[i] = v;
} // very many small CTAs
KERNEL chase(const u32 *next, u32 *out, int steps) {
  u32 p = 0;
  for (int i = 0; i < steps; i++)
    p = next[p];
  out[0] = p;
}
KERNEL chase_cg(const u32 *next, u32 *out, int steps) {
  u32 p = 0;
  for (int i = 0; i < steps; i++)
    p = __ldcg(next + p);
  out[0] = p;
}
// transposes, 32x32 tiles, block (32,8)
KERNEL transpose_naive(const float *in, float *out, int n) {
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8)
    out[x * n + y + j] = in[(y + j) * n + x];
}
template <int P>
__device__ inline void transpose_t(const float *in, float *out, int n) {
  __shared__ float s[32][32 + P];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8)
    s[threadIdx.y + j][threadIdx.x] = in[(y + j) * n + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8)
    out[(y + j) * n + x] = s[threadIdx.x][threadIdx.y + j];
}
KERNEL transpose_sh(const float *in, float *out, int n) {
  transpose_t<0>(in, out, n);
}
KERNEL transpose_pad(const float *in, float *out, int n) {
  transpose_t<1>(in, out, n);
}
KERNEL transpose_xor(const float *in, float *out, int n) {
  __shared__ float s[32 * 32];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    int r = threadIdx.y + j;
    s[r * 32 + (threadIdx.x ^ r)] = in[(y + j) * n + x];
  }
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    int r = threadIdx.x, c = threadIdx.y + j;
    out[(y + j) * n + x] = s[r * 32 + (c ^ r)];
  }
}
// reductions, histograms, scans, softmax
__device__ inline float warp_sum(float v) {
  for (int o = 16; o; o >>= 1)
    v += __shfl_xor_sync(~0u, v, o);
  return v;
}
__device__ inline float block_sum(float v, float *s) {
  v = warp_sum(v);
  if ((threadIdx.x & 31) == 0)
    s[threadIdx.x >> 5] = v;
  __syncthreads();
  if (threadIdx.x < 32) {
    v = threadIdx.x < blockDim.x / 32 ? s[threadIdx.x] : 0;
    v = warp_sum(v);
    if (!threadIdx.x)
      s[0] = v;
  }
  __syncthreads();
  v = s[0];
  __syncthreads();
  return v;
}
KERNEL reduce_warp(const float *in, float *out, int n) {
  int i = TID;
  float v = warp_sum(i < n ? in[i] : 0);
  if ((i & 31) == 0)
    out[i >> 5] = v;
}
KERNEL reduce_block(const float *in, float *out, int n) {
  __shared__ float s[32];
  float a = 0;
  for (int i = TID; i < n; i += gridDim.x * blockDim.x)
    a += in[i];
  a = block_sum(a, s);
  if (!threadIdx.x)
    out[blockIdx.x] = a;
}
KERNEL reduce_atomic(const float *in, float *out, int n) {
  __shared__ float s[32];
  float a = 0;
  for (int i = TID; i < n; i += gridDim.x * blockDim.x)
    a += in[i];
  a = block_sum(a, s);
  if (!threadIdx.x)
    atomicAdd(out, a);
}
KERNEL reduce_lane_atomic(const float *in, float *out, int n) {
  int i = TID;
  if (i < n)
    atomicAdd(out, in[i]);
} // every lane, one address
KERNEL count_uniform(const u32 *in, u32 *out, int n) {
  int i = TID;
  if (i < n && (in[i] & 1))
    atomicAdd(out, 1u);
} // compiler may aggregate per warp
KERNEL hist_sh(const u32 *in, u32 *out, int n) {
  __shared__ u32 h[256];
  h[threadIdx.x] = 0;
  __syncthreads();
  for (int i = TID; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&h[in[i] & 255], 1u);
  __syncthreads();
  atomicAdd(&out[threadIdx.x], h[threadIdx.x]);
}
KERNEL hist_sh_add(const u32 *in, u32 *out, int n) {
  __shared__ u32 h[256];
  h[threadIdx.x] = 0;
  __syncthreads();
  for (int i = TID; i < n; i += gridDim.x * blockDim.x) {
    u32 v = in[i];
    atomicAdd(&h[v & 255], v);
  }
  __syncthreads();
  atomicAdd(&out[threadIdx.x], h[threadIdx.x]);
}
KERNEL hist_gl(const u32 *in, u32 *out, int n, u32 mask) {
  int i = TID;
  if (i < n)
    atomicAdd(&out[in[i] & mask], 1u);
}
__device__ inline u32 block_scan(u32 v, u32 *ws) {
  int l = threadIdx.x & 31, w = threadIdx.x >> 5;
  u32 x = v;
  for (int o = 1; o < 32; o <<= 1) {
    u32 y = __shfl_up_sync(~0u, x, o);
    if (l >= o)
      x += y;
  }
  if (l == 31)
    ws[w] = x;
  __syncthreads();
  if (w == 0) {
    u32 y = l < blockDim.x / 32 ? ws[l] : 0;
    for (int o = 1; o < 32; o <<= 1) {
      u32 z = __shfl_up_sync(~0u, y, o);
      if (l >= o)
        y += z;
    }
    ws[l] = y;
  }
  __syncthreads();
  return x + (w ? ws[w - 1] : 0);
}
KERNEL scan_block(const u32 *in, u32 *out) {
  __shared__ u32 ws[32];
  int i = TID;
  out[i] = block_scan(in[i], ws);
}
KERNEL scan_lookback(const u32 *in, u32 *out, volatile u64 *state,
                     u32 *ticket) {
  __shared__ u32 ws[32], sb, sp;
  if (!threadIdx.x)
    sb = atomicAdd(ticket, 1u);
  __syncthreads();
  u32 b = sb;
  const uint4 *p = (const uint4 *)in + (size_t)b * blockDim.x + threadIdx.x;
  uint4 v = *p;
  u32 s = v.x + v.y + v.z + v.w, inc = block_scan(s, ws),
      tot = ws[blockDim.x / 32 - 1];
  if (!threadIdx.x) {
    if (b == 0) {
      state[0] = 2ull << 32 | tot;
      sp = 0;
    } else {
      state[b] = 1ull << 32 | tot;
      u32 acc = 0;
      for (int q = b - 1; q >= 0;) {
        u64 x = state[q];
        u32 f = x >> 32;
        if (!f)
          continue;
        acc += (u32)x;
        if (f == 2)
          break;
        q--;
      }
      state[b] = 2ull << 32 | (acc + tot);
      sp = acc;
    }
  }
  __syncthreads();
  u32 e = sp + inc - s;
  uint4 o;
  o.x = e + v.x;
  o.y = o.x + v.y;
  o.z = o.y + v.z;
  o.w = o.z + v.w;
  ((uint4 *)out)[(size_t)b * blockDim.x + threadIdx.x] = o;
}
KERNEL softmax_rows(const float *in, float *out) {
  __shared__ float s[32];
  size_t r = (size_t)blockIdx.x * 1024;
  float v[4], m = -1e30f;
  for (int j = 0; j < 4; j++) {
    v[j] = in[r + threadIdx.x + 256 * j];
    m = fmaxf(m, v[j]);
  }
  for (int o = 16; o; o >>= 1)
    m = fmaxf(m, __shfl_xor_sync(~0u, m, o));
  if ((threadIdx.x & 31) == 0)
    s[threadIdx.x >> 5] = m;
  __syncthreads();
  m = s[0];
  for (int j = 1; j < 8; j++)
    m = fmaxf(m, s[j]);
  __syncthreads();
  float a = 0;
  for (int j = 0; j < 4; j++) {
    v[j] = __expf(v[j] - m);
    a += v[j];
  }
  a = block_sum(a, s);
  float q = 1.f / a;
  for (int j = 0; j < 4; j++)
    out[r + threadIdx.x + 256 * j] = v[j] * q;
}
KERNEL radix_select(const u32 *in, u32 *out, int n, int k) {
  __shared__ u32 h[256], ws[32], sd, sk;
  const u32 *p = in + (size_t)blockIdx.x * n;
  u32 pre = 0, msk = 0;
  int need = k; // k-th largest key of each row, 4 digits of 8 bits, 256 threads
  for (int sh = 24; sh >= 0; sh -= 8) {
    h[threadIdx.x] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 256) {
      u32 x = p[i];
      if ((x & msk) == pre)
        atomicAdd(&h[255 - (x >> sh & 255)], 1u);
    }
    __syncthreads();
    u32 c = h[threadIdx.x], inc = block_scan(c, ws);
    if (inc >= need && inc - c < need) {
      sd = 255 - threadIdx.x;
      sk = need - (inc - c);
    }
    __syncthreads();
    pre |= sd << sh;
    msk |= 255u << sh;
    need = sk;
    __syncthreads();
  }
  if (!threadIdx.x)
    out[blockIdx.x] = pre;
}
