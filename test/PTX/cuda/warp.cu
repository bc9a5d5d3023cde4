// What lanes of a warp can ask each other, in full and in partial warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

namespace cg = cooperative_groups;

// All shuffles and votes of a warp; 8 words of results per thread.
extern "C" __global__ void exchange(const int *in, int *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  int x = in[i], *o = out + 8 * i;
  o[0] = __shfl_sync(0xffffffff, x, x & 31);
  o[1] = __shfl_up_sync(0xffffffff, x, 3, 16);
  o[2] = __shfl_down_sync(0xffffffff, x, 5, 8);
  o[3] = __shfl_xor_sync(0xffffffff, x, 9);
  o[4] = __ballot_sync(0xffffffff, x > 0);
  o[5] =
      __any_sync(0xffffffff, x == lane) * 2 + __all_sync(0xffffffff, x > -1000);
  o[6] = __match_any_sync(0xffffffff, x & 7);
  int same;
  o[7] = __match_all_sync(0xffffffff, x >> 20, &same) + same;
}

// Integer reductions over the lanes that took a branch.
extern "C" __global__ void reduce_branch(const int *in, unsigned *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, x = in[i];
  unsigned *o = out + 6 * i;
  unsigned mask = __ballot_sync(0xffffffff, x & 1);
  if (x & 1) {
    o[0] = __reduce_add_sync(mask, x);
    o[1] = __reduce_min_sync(mask, x);
    o[2] = __reduce_max_sync(mask, (unsigned)x);
  } else {
    o[0] = __reduce_and_sync(~mask, x);
    o[1] = __reduce_or_sync(~mask, x);
    o[2] = __reduce_xor_sync(~mask, x);
  }
  __syncwarp();
  o[3] = __fns(mask, 0, threadIdx.x % 8 + 1);
  o[4] = __brev(mask) ^ __popc(mask) ^ __clz(mask) ^ __ffs(mask);
  o[5] = __shfl_sync(0xffffffff, o[0], 31 - threadIdx.x % 32);
}

// One atomic per group of lanes with equal keys (warp-aggregated counting).
extern "C" __global__ void count_keys(const unsigned char *keys, int *counts,
                                      int *order, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  cg::coalesced_group here = cg::coalesced_threads();
  auto same = cg::labeled_partition(here, (int)keys[i]);
  int base = 0;
  if (same.thread_rank() == 0)
    base = atomicAdd(&counts[keys[i]], same.size());
  order[i] = same.shfl(base, 0) + same.thread_rank();
}

// Tiles of 4, 8 and 16 lanes reduce and vote apart.
extern "C" __global__ void tiles(const int *in, int *out) {
  cg::thread_block block = cg::this_thread_block();
  auto four = cg::tiled_partition<4>(block);
  auto eight = cg::tiled_partition<8>(block);
  auto sixteen = cg::tiled_partition<16>(block);
  int i = blockIdx.x * blockDim.x + threadIdx.x, x = in[i];
  int a = cg::reduce(four, x, cg::plus<int>());
  int b = cg::reduce(eight, x, cg::less<int>());
  int c = sixteen.ballot(x % 2);
  if (x % 3 == 0) {
    auto active = cg::coalesced_threads();
    c += active.size() * 65536;
  }
  out[3 * i] = a;
  out[3 * i + 1] = b;
  out[3 * i + 2] = c;
}

// Butterfly transpose of 32 x 32 bits held one row per lane.
extern "C" __global__ void transpose_bits(const unsigned *in, unsigned *out) {
  int lane = threadIdx.x % 32, i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned x = in[i], mask = 0xffff;
  for (int distance = 16; distance > 0; distance /= 2) {
    unsigned y = __shfl_xor_sync(0xffffffff, x, distance);
    if (lane & distance)
      x = (x & ~mask) | ((y >> distance) & mask);
    else
      x = (x & mask) | ((y & mask) << distance);
    mask ^= mask << (distance / 2);
  }
  out[i] = x;
}
