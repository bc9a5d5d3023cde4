// Row-wise functions of neural networks: softmax, normalisation, top-k.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_bf16.h>
#include <cuda_fp16.h>

__device__ float all_max(float x) {
  for (int mask = 16; mask > 0; mask /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, mask));
  return x;
}

__device__ float all_sum(float x) {
  for (int mask = 16; mask > 0; mask /= 2)
    x += __shfl_xor_sync(0xffffffff, x, mask);
  return x;
}

// Softmax, a warp per row of at most 256 columns.
extern "C" __global__ void softmax_warp(const float *in, float *out, int rows,
                                        int columns) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  const float *x = in + row * columns;
  float values[8], top = -INFINITY, sum = 0;
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    int c = lane + 32 * j;
    values[j] = c < columns ? x[c] : -INFINITY;
    top = fmaxf(top, values[j]);
  }
  top = all_max(top);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    values[j] = expf(values[j] - top);
    sum += values[j];
  }
  float scale = 1 / all_sum(sum);
#pragma unroll
  for (int j = 0; j < 8; ++j)
    if (lane + 32 * j < columns)
      out[row * columns + lane + 32 * j] = values[j] * scale;
}

// Online softmax in one pass over a row in bf16, a block per row.
extern "C" __global__ void softmax_online(const __nv_bfloat16 *in,
                                          __nv_bfloat16 *out, int columns) {
  __shared__ float tops[8], sums[8];
  const __nv_bfloat16 *x = in + (size_t)blockIdx.x * columns;
  float top = -1e30f, sum = 0;
  for (int c = threadIdx.x; c < columns; c += blockDim.x) {
    float v = __bfloat162float(x[c]);
    float larger = fmaxf(top, v);
    sum = sum * __expf(top - larger) + __expf(v - larger);
    top = larger;
  }
  float warp_top = all_max(top);
  sum = all_sum(sum * __expf(top - warp_top));
  if (threadIdx.x % 32 == 0) {
    tops[threadIdx.x / 32] = warp_top;
    sums[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  top = tops[0];
  for (int w = 1; w < blockDim.x / 32; ++w)
    top = fmaxf(top, tops[w]);
  sum = 0;
  for (int w = 0; w < blockDim.x / 32; ++w)
    sum += sums[w] * __expf(tops[w] - top);
  for (int c = threadIdx.x; c < columns; c += blockDim.x) {
    float v = __expf(__bfloat162float(x[c]) - top) / sum;
    out[(size_t)blockIdx.x * columns + c] = __float2bfloat16(v);
  }
}

// RMS normalisation of half2 rows with a weight; vector loads of 16 bytes.
extern "C" __global__ void rms_norm(const uint4 *in, const uint4 *weight,
                                    uint4 *out, int vectors, float epsilon) {
  __shared__ float part[8];
  const uint4 *x = in + (size_t)blockIdx.x * vectors;
  float sum = 0;
  for (int v = threadIdx.x; v < vectors; v += blockDim.x) {
    uint4 word = x[v];
    const __half2 *h = reinterpret_cast<const __half2 *>(&word);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float2 f = __half22float2(h[j]);
      sum += f.x * f.x + f.y * f.y;
    }
  }
  sum = all_sum(sum);
  if (threadIdx.x % 32 == 0)
    part[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (int w = 0; w < blockDim.x / 32; ++w)
    sum += part[w];
  float scale = rsqrtf(sum / (8 * vectors) + epsilon);
  for (int v = threadIdx.x; v < vectors; v += blockDim.x) {
    uint4 word = x[v], gain = weight[v], result;
    const __half2 *h = reinterpret_cast<const __half2 *>(&word);
    const __half2 *g = reinterpret_cast<const __half2 *>(&gain);
    __half2 *r = reinterpret_cast<__half2 *>(&result);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float2 f = __half22float2(h[j]);
      __half2 scaled = __floats2half2_rn(f.x * scale, f.y * scale);
      r[j] = __hmul2(scaled, g[j]);
    }
    out[(size_t)blockIdx.x * vectors + v] = result;
  }
}

// The k largest of 64 scores of a row, in order; ties go to the lower column.
extern "C" __global__ void top_k(const float *scores, int *ids, float *values,
                                 int rows, int k) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  float a = scores[row * 64 + lane], b = scores[row * 64 + lane + 32];
  for (int j = 0; j < k; ++j) {
    float best = a >= b ? a : b;
    int column = a >= b ? lane : lane + 32;
    for (int mask = 16; mask > 0; mask /= 2) {
      float other = __shfl_xor_sync(0xffffffff, best, mask);
      int where = __shfl_xor_sync(0xffffffff, column, mask);
      if (other > best || (other == best && where < column)) {
        best = other;
        column = where;
      }
    }
    if (lane == 0) {
      ids[row * k + j] = column;
      values[row * k + j] = best;
    }
    if (column == lane)
      a = -INFINITY;
    if (column == lane + 32)
      b = -INFINITY;
  }
}
