// Grid-wide synchronisation and named barriers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

// Jacobi steps of the heat equation over the whole grid.
extern "C" __global__ void heat(float *a, float *b, int n, int steps) {
  cg::grid_group grid = cg::this_grid();
  for (int s = 0; s < steps; ++s) {
    for (int i = grid.thread_rank(); i < n; i += grid.size())
      b[i] =
          0.5f * a[i] + 0.25f * (a[i ? i - 1 : 0] + a[i < n - 1 ? i + 1 : i]);
    grid.sync();
    float *t = a;
    a = b;
    b = t;
  }
}

// All pairs of shortest paths (Floyd and Warshall).
extern "C" __global__ void shortest_paths(int *distance, int n) {
  cg::grid_group grid = cg::this_grid();
  for (int k = 0; k < n; ++k) {
    for (int i = grid.thread_rank(); i < n * n; i += grid.size()) {
      int through = distance[i / n * n + k] + distance[k * n + i % n];
      if (i / n != k && i % n != k && through < distance[i])
        distance[i] = through;
    }
    grid.sync();
  }
}

// A barrier of the grid of our own: a counter that only grows.
__device__ void meet(unsigned *counter, unsigned round) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(counter, 1);
    while (atomicAdd(counter, 0) < round * gridDim.x)
      __nanosleep(20);
    __threadfence();
  }
  __syncthreads();
}

// Each round every block reads what its neighbour wrote in the last one.
extern "C" __global__ void ring(int *cells, unsigned *counter, int rounds) {
  int n = gridDim.x * blockDim.x;
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int *from = cells, *to = cells + n;
  for (int r = 1; r <= rounds; ++r) {
    to[i] = from[(i + blockDim.x) % n] * 3 + i;
    meet(counter, r);
    int *t = from;
    from = to;
    to = t;
  }
}

// One warp loads, three warps compute; named barriers hand buffers over.
extern "C" __global__ void producer_consumer(const int *in, int *out,
                                             int tiles) {
  __shared__ int buffer[2][96];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int *mine = in + blockIdx.x * tiles * 96;
  if (warp == 0) {
    for (int i = 0; i < tiles; ++i) {
      if (i >= 2)
        asm volatile("bar.sync %0, 128;" ::"r"(3 + i % 2) : "memory");
      for (int j = lane; j < 96; j += 32)
        buffer[i % 2][j] = mine[i * 96 + j];
      __threadfence_block();
      asm volatile("bar.arrive %0, 128;" ::"r"(1 + i % 2) : "memory");
    }
    return;
  }
  int t = threadIdx.x - 32, sum = 0;
  for (int i = 0; i < tiles; ++i) {
    asm volatile("bar.sync %0, 128;" ::"r"(1 + i % 2) : "memory");
    sum = sum * 5 + buffer[i % 2][t] - buffer[i % 2][95 - t];
    if (i + 2 < tiles)
      asm volatile("bar.arrive %0, 128;" ::"r"(3 + i % 2) : "memory");
  }
  out[blockIdx.x * 96 + t] = sum;
}

// Barriers that vote.
extern "C" __global__ void voting(const int *in, int *out) {
  int x = in[blockIdx.x * blockDim.x + threadIdx.x];
  int count = __syncthreads_count(x > 0);
  int all = __syncthreads_and(x < 1000);
  int any = __syncthreads_or(x == 7);
  int *o = out + 3 * (blockIdx.x * blockDim.x + threadIdx.x);
  o[0] = count;
  o[1] = all != 0;
  o[2] = any != 0;
}

// Sparse matrix times vector, a warp per row.
extern "C" __global__ void sparse_product(const int *starts, const int *columns,
                                          const float *values, const float *x,
                                          float *y, int rows) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (row >= rows)
    return;
  float sum = 0;
  for (int i = starts[row] + threadIdx.x % 32; i < starts[row + 1]; i += 32)
    sum += values[i] * __ldg(&x[columns[i]]);
  for (int distance = 16; distance > 0; distance /= 2)
    sum += __shfl_down_sync(0xffffffff, sum, distance);
  if (threadIdx.x % 32 == 0)
    y[row] = sum;
}
