// Clusters of blocks and the shared memory they read of each other (sm_90).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

// Sums of a cluster: every block adds the partial sums of all its blocks.
extern "C" __global__ void __cluster_dims__(4, 1, 1)
    cluster_sum(const int *in, int *out) {
  __shared__ int part[128];
  cg::cluster_group cluster = cg::this_cluster();
  int t = threadIdx.x, i = blockIdx.x * 128 + t;
  part[t] = in[i];
  cluster.sync();
  int sum = 0;
  for (unsigned b = 0; b < cluster.num_blocks(); ++b)
    sum += cluster.map_shared_rank(part, b)[t];
  cluster.sync();
  out[i] = sum * 10 + cluster.block_rank();
}

// A histogram whose bins are spread over the blocks of a cluster.
extern "C" __global__ void cluster_histogram(const unsigned *in, int *bins,
                                             int n, int width) {
  extern __shared__ int mine[];
  cg::cluster_group cluster = cg::this_cluster();
  for (int b = threadIdx.x; b < width; b += blockDim.x)
    mine[b] = 0;
  cluster.sync();
  int step = gridDim.x * blockDim.x;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    unsigned bin = in[i] % (width * cluster.num_blocks());
    atomicAdd(cluster.map_shared_rank(mine, bin / width) + bin % width, 1);
  }
  cluster.sync();
  int *to = bins + cluster.block_rank() * width;
  for (int b = threadIdx.x; b < width; b += blockDim.x)
    atomicAdd(&to[b], mine[b]);
}

// A ring of blocks hands a row on, by remote stores and split barriers.
extern "C" __global__ void __cluster_dims__(2, 2, 1)
    cluster_ring(const float *in, float *out, int rounds) {
  __shared__ float box[2][64];
  cg::cluster_group cluster = cg::this_cluster();
  unsigned rank = cluster.block_rank(), next = (rank + 1) % 4;
  int t = threadIdx.x, block = blockIdx.y * gridDim.x + blockIdx.x;
  box[0][t] = in[block * 64 + t];
  cluster.sync();
  for (int r = 0; r < rounds; ++r) {
    float x = box[r % 2][63 - t] * 2 + rank;
    cluster.map_shared_rank(&box[0][0], next)[(r + 1) % 2 * 64 + t] = x;
    asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
  }
  out[block * 64 + t] = box[rounds % 2][t];
}
