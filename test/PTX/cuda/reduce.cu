// Sums, maxima and dot products: in a block, over warps, over the whole grid.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

// A tree in shared memory; one sum per block.
extern "C" __global__ void reduce_tree(const int *in, int *sums, int n) {
  __shared__ int part[256];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  part[threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  for (int width = blockDim.x / 2; width > 0; width /= 2) {
    if (threadIdx.x < width)
      part[threadIdx.x] += part[threadIdx.x + width];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    sums[blockIdx.x] = part[0];
}

__device__ float warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2)
    x += __shfl_down_sync(0xffffffff, x, distance);
  return x;
}

// A grid-stride dot product: shuffles, then one float atomic per block.
extern "C" __global__ void dot_product(const float *a, const float *b,
                                       float *result, int n) {
  __shared__ float part[32];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    sum += a[i] * b[i];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0)
    part[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0;
    sum = warp_sum(sum);
    if (threadIdx.x == 0)
      atomicAdd(result, sum);
  }
}

// The last block to finish adds the partial sums of all.
extern "C" __global__ void reduce_last_block(const long long *in,
                                             long long *partial,
                                             unsigned *finished,
                                             long long *total, int n) {
  __shared__ long long part[128];
  __shared__ bool last;
  long long sum = 0;
  for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128)
    sum += in[i];
  part[threadIdx.x] = sum;
  __syncthreads();
  for (int width = 64; width > 0; width /= 2) {
    if (threadIdx.x < width)
      part[threadIdx.x] += part[threadIdx.x + width];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = part[0];
    __threadfence();
    last = atomicAdd(finished, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    __threadfence();
    long long all = 0;
    for (int i = 0; i < gridDim.x; ++i)
      all += ((volatile long long *)partial)[i];
    *total = all;
    *finished = 0;
  }
}

// Mean and variance of the whole array: two grid-wide phases.
extern "C" __global__ void moments_grid_sync(const float *in, float *scratch,
                                             float *result, int n) {
  cg::grid_group grid = cg::this_grid();
  cg::thread_block block = cg::this_thread_block();
  __shared__ float part[8];
  for (int pass = 0; pass < 2; ++pass) {
    float mean = pass ? result[0] : 0;
    float sum = 0;
    for (int i = grid.thread_rank(); i < n; i += grid.size()) {
      float x = in[i] - mean;
      sum += pass ? x * x : x;
    }
    auto warp = cg::tiled_partition<32>(block);
    for (int distance = 16; distance > 0; distance /= 2)
      sum += warp.shfl_down(sum, distance);
    if (warp.thread_rank() == 0)
      part[warp.meta_group_rank()] = sum;
    block.sync();
    if (block.thread_rank() == 0) {
      for (int w = 1; w < warp.meta_group_size(); ++w)
        sum += part[w];
      scratch[blockIdx.x] = sum;
    }
    grid.sync();
    if (grid.thread_rank() == 0) {
      sum = 0;
      for (int b = 0; b < gridDim.x; ++b)
        sum += scratch[b];
      result[pass] = sum / n;
    }
    grid.sync();
  }
}

// The index of the largest element; ties go to the lowest index.
extern "C" __global__ void argmax(const float *in, unsigned long long *best,
                                  int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned bits = __float_as_uint(in[i]);
  unsigned key = bits >> 31 ? ~bits : bits | 0x80000000u;
  atomicMax(best, (unsigned long long)key << 32 | (unsigned)~i);
}
