// Prefix sums: inside a block, and over the grid in one pass with look-back.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

extern "C" __global__ void scan_block(const int *in, int *out, int n) {
  __shared__ int warp_sums[32];
  int i = threadIdx.x, lane = i % 32, warp = i / 32;
  int x = i < n ? in[blockIdx.x * n + i] : 0;
  for (int distance = 1; distance < 32; distance *= 2) {
    int y = __shfl_up_sync(0xffffffff, x, distance);
    if (lane >= distance)
      x += y;
  }
  if (lane == 31)
    warp_sums[warp] = x;
  __syncthreads();
  if (warp == 0) {
    int s = lane < blockDim.x / 32 ? warp_sums[lane] : 0;
    for (int distance = 1; distance < 32; distance *= 2) {
      int y = __shfl_up_sync(0xffffffff, s, distance);
      if (lane >= distance)
        s += y;
    }
    warp_sums[lane] = s;
  }
  __syncthreads();
  if (warp > 0)
    x += warp_sums[warp - 1];
  if (i < n)
    out[blockIdx.x * n + i] = x;
}

// Work-efficient exclusive scan in shared memory (up-sweep, down-sweep).
extern "C" __global__ void scan_sweep(const unsigned *in, unsigned *out) {
  __shared__ unsigned data[512];
  int t = threadIdx.x, base = blockIdx.x * 512;
  data[2 * t] = in[base + 2 * t];
  data[2 * t + 1] = in[base + 2 * t + 1];
  int offset = 1;
  for (int d = 256; d > 0; d /= 2, offset *= 2) {
    __syncthreads();
    if (t < d)
      data[offset * (2 * t + 2) - 1] += data[offset * (2 * t + 1) - 1];
  }
  if (t == 0)
    data[511] = 0;
  for (int d = 1; d < 512; d *= 2) {
    offset /= 2;
    __syncthreads();
    if (t < d) {
      unsigned left = data[offset * (2 * t + 1) - 1];
      data[offset * (2 * t + 1) - 1] = data[offset * (2 * t + 2) - 1];
      data[offset * (2 * t + 2) - 1] += left;
    }
  }
  __syncthreads();
  out[base + 2 * t] = data[2 * t];
  out[base + 2 * t + 1] = data[2 * t + 1];
}

// Decoupled look-back: blocks take tickets, publish (flag, value) words of 64
// bits, and read those of their predecessors. Flags: 1 = block's own sum,
// 2 = sum up to and including the block.
extern "C" __global__ void scan_look_back(const int *in, int *out,
                                          unsigned long long *state,
                                          unsigned *ticket, int n) {
  __shared__ int tile, before;
  __shared__ int sums[8];
  if (threadIdx.x == 0)
    tile = atomicAdd(ticket, 1);
  __syncthreads();
  int i = tile * 256 + threadIdx.x;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int x = i < n ? in[i] : 0;
  for (int distance = 1; distance < 32; distance *= 2) {
    int y = __shfl_up_sync(0xffffffff, x, distance);
    if (lane >= distance)
      x += y;
  }
  if (lane == 31)
    sums[warp] = x;
  __syncthreads();
  int own = 0, total = 0;
  for (int w = 0; w < 8; ++w) {
    own += w < warp ? sums[w] : 0;
    total += sums[w];
  }
  x += own;
  if (threadIdx.x == 0) {
    unsigned long long flag = tile == 0 ? 2 : 1;
    atomicExch(&state[tile], flag << 32 | (unsigned)total);
    int sum = 0;
    for (int p = tile - 1; p >= 0; --p) {
      unsigned long long word;
      do
        word = atomicAdd(&state[p], 0ull);
      while (word >> 32 == 0);
      sum += (int)word;
      if (word >> 32 == 2)
        break;
    }
    if (tile > 0)
      atomicExch(&state[tile], 2ull << 32 | (unsigned)(sum + total));
    before = sum;
  }
  __syncthreads();
  if (i < n)
    out[i] = x + before;
}

// Segmented inclusive scan in a warp: a flag starts a segment.
extern "C" __global__ void
scan_segments(const float *in, const unsigned char *starts, float *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  float x = in[i];
  unsigned heads = __ballot_sync(0xffffffff, starts[i] || lane == 0);
  int first = 31 - __clz(heads & (0xffffffffu >> (31 - lane)));
  for (int distance = 1; distance < 32; distance *= 2) {
    float y = __shfl_up_sync(0xffffffff, x, distance);
    if (lane - distance >= first)
      x += y;
  }
  out[i] = x;
}
