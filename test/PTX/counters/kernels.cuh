#pragma once
// What the kernels of the recorded cases (cases.txt) share.
//
// Fills of buffers, element i (u32 unless said): hash: mix(i + a) % b (b = 0:
// all bits); f32: float(int(mix(i + a) % b) - c); bf16: the same in 16 bits;
// iota: i * a + b; perm: (i * a + b) & (n - 1); skew: ctz(mix(i + a) | 1 << b);
// ring: i % 32 ? 0 : 32 * ((i / 32 * a + b) & (n / 32 - 1)); const: a.
#include <cstdint>
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint16_t u16;
typedef unsigned char u8;
#define KERNEL extern "C" __global__ void
#define TID ((int)(blockIdx.x * blockDim.x + threadIdx.x))
__host__ __device__ inline u32 mix(u32 x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  x ^= x >> 16;
  return x;
}
__device__ inline u32 sptr(const void *p) {
  return (u32)__cvta_generic_to_shared(p);
}
