// Atomics of every type, in global and in shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Every integer operation at once on a few words.
extern "C" __global__ void integer_atomics(const int *in, int *words,
                                           unsigned long long *longs, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int x = in[i];
  atomicAdd(&words[0], x);
  atomicSub(&words[1], x);
  atomicMin(&words[2], x);
  atomicMax(&words[3], x);
  atomicAnd(&words[4], x | 0xff);
  atomicOr(&words[5], x & 0xff00);
  atomicXor(&words[6], x);
  atomicInc((unsigned *)&words[7], 99);
  atomicDec((unsigned *)&words[8], 1000);
  atomicMin((unsigned *)&words[9], (unsigned)x);
  atomicMax((unsigned *)&words[10], (unsigned)x);
  atomicAdd(&longs[0], (unsigned long long)(long long)x);
  atomicMax((long long *)&longs[1], (long long)x << 20);
  atomicXor(&longs[2], (unsigned long long)x << (i % 32));
}

// The values that atomics return: tickets, exchanges and a linked chain.
extern "C" __global__ void tickets(unsigned *counter, int *order, int *cell,
                                   int *previous, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  order[atomicAdd(counter, 1)] = i;
  previous[i] = atomicExch(cell, i);
}

// A maximum of doubles by compare and swap.
extern "C" __global__ void max_double(const double *in, double *best, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  auto *word = reinterpret_cast<unsigned long long *>(best);
  unsigned long long old = *(volatile unsigned long long *)word, seen;
  do {
    seen = old;
    if (__longlong_as_double(seen) >= in[i])
      break;
    old = atomicCAS(word, seen, __double_as_longlong(in[i]));
  } while (old != seen);
}

// Scatter-adds of small integers as half2, bfloat162, float and double. The
// library adds a bfloat162 before sm_90 by a loop whose first load is an
// ordinary one, a race; this one is volatile.
__device__ void add_pair(__nv_bfloat162 *to, __nv_bfloat162 x) {
  unsigned *word = reinterpret_cast<unsigned *>(to);
  unsigned old = *(volatile unsigned *)word, seen;
  do {
    seen = old;
    __nv_bfloat162 sum = __hadd2(*(__nv_bfloat162 *)&seen, x);
    old = atomicCAS(word, seen, *(unsigned *)&sum);
  } while (old != seen);
}

extern "C" __global__ void scatter_add(const unsigned char *index,
                                       const float *values, __half2 *halves,
                                       __nv_bfloat162 *brains, float *floats,
                                       double *doubles, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int k = index[i];
  float x = values[i];
  atomicAdd(&halves[k], __floats2half2_rn(x, -x));
  add_pair(&brains[k], __floats2bfloat162_rn(-x, x));
  atomicAdd(&floats[k], x);
  atomicAdd(&doubles[k], (double)x);
}

extern "C" __global__ void scatter_add_pairs(const unsigned char *index,
                                             const float *values,
                                             __nv_bfloat162 *brains, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    atomicAdd(&brains[index[i]], __floats2bfloat162_rn(-values[i], values[i]));
}

// The same in shared memory, and blocks hand their sums on with a system scope.
extern "C" __global__ void shared_atomics(const int *in, int *sums,
                                          float *floats) {
  __shared__ int low, high, count[8];
  __shared__ float total;
  if (threadIdx.x == 0) {
    low = 1 << 30;
    high = -low;
    total = 0;
  }
  if (threadIdx.x < 8)
    count[threadIdx.x] = 0;
  __syncthreads();
  int x = in[blockIdx.x * blockDim.x + threadIdx.x];
  atomicMin(&low, x);
  atomicMax(&high, x);
  atomicAdd(&count[x & 7], 1);
  atomicAdd(&total, (float)(x & 15));
  __syncthreads();
  if (threadIdx.x < 8)
    atomicAdd_system(&sums[threadIdx.x], count[threadIdx.x]);
  if (threadIdx.x == 0) {
    atomicMin_block(&sums[8 + 2 * blockIdx.x], low);
    sums[9 + 2 * blockIdx.x] = high;
    floats[blockIdx.x] = total;
  }
}

// Connected components by one block: labels sink to the smallest of each
// component, until a round changes none.
extern "C" __global__ void components(const int2 *edges, int *labels, int n) {
  volatile int *now = labels;
  bool changed = true;
  while (__syncthreads_or(changed)) {
    changed = false;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
      int2 e = edges[i];
      int a = now[e.x], b = now[e.y];
      if (a < b && atomicMin(&labels[e.y], a) > a)
        changed = true;
      if (b < a && atomicMin(&labels[e.x], b) > b)
        changed = true;
    }
  }
}
