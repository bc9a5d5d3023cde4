// Control flow in which the lanes of a warp part and meet again.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Steps of the Collatz sequence.
extern "C" __global__ void collatz(const unsigned *in, int *steps, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned long long x = in[i];
  int count = 0;
  while (x != 1) {
    x = x % 2 ? 3 * x + 1 : x / 2;
    ++count;
  }
  steps[i] = count;
}

// Loops with break, continue and returns from inside, around shuffles.
extern "C" __global__ void puzzle(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, x = in[i], sum = 0;
  for (int a = 0; a < 6; ++a) {
    if (a == (x & 3))
      continue;
    for (int b = x & 7; b < 20; b += 3) {
      if ((b ^ x) % 5 == 0)
        break;
      sum += a * b;
      if (sum % 11 == 3) {
        out[i] = sum;
        goto done;
      }
    }
    sum ^= __shfl_xor_sync(__activemask(), a, 0);
  }
  out[i] = -sum;
done:
  __syncwarp();
  int votes = __popc(__ballot_sync(0xffffffff, out[i] < 0));
  out[i + n] = votes;
}

// A state machine: a switch in a loop, a different path in each lane.
extern "C" __global__ void state_machine(const unsigned *program, unsigned *out,
                                         int steps) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned pc = i % 8, a = i, b = 1;
  for (int s = 0; s < steps; ++s) {
    unsigned op = program[pc % 16];
    switch (op & 7) {
    case 0:
      a += b;
      break;
    case 1:
      b ^= a << 3;
      break;
    case 2:
      a = a * 1664525u + 1013904223u;
      break;
    case 3:
      if (a & 16) {
        pc += op >> 3;
        continue;
      }
      break;
    case 4:
      b = b >> 1 | b << 31;
    case 5:
      a -= b;
      break;
    case 6:
      b = ~b;
      break;
    default:
      a ^= b;
      pc += a & 3;
    }
    ++pc;
  }
  out[i] = a ^ b;
}

// A lock per list, taken lane by lane: each lane of a warp must get on alone.
extern "C" __global__ void locked_lists(const int *keys, int *locks, int *heads,
                                        int *next, int lists, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int list = keys[i] % lists;
  bool waiting = true;
  while (waiting)
    if (atomicCAS(&locks[list], 0, 1) == 0) {
      __threadfence();
      next[i] = ((volatile int *)heads)[list];
      ((volatile int *)heads)[list] = i;
      __threadfence();
      atomicExch(&locks[list], 0);
      waiting = false;
    }
}

// Lanes leave one by one; those that stay go on voting among themselves.
extern "C" __global__ void dropouts(const unsigned char *lives, unsigned *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned alive = 0xffffffff, history = 0;
  for (int round = 0; round < 32; ++round) {
    unsigned stay = __ballot_sync(alive, lives[i] != round);
    if (lives[i] == round)
      break;
    alive = stay;
    history = history * 31 + __popc(alive) + __reduce_max_sync(alive, i);
  }
  out[i] = history;
}

// Escape times of the Mandelbrot set.
extern "C" __global__ void mandelbrot(unsigned short *out, int width,
                                      int height, int limit) {
  int x = blockIdx.x * blockDim.x + threadIdx.x;
  int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height)
    return;
  double cr = -2.0 + 3.0 * x / width, ci = -1.0 + 2.0 * y / height;
  double zr = 0, zi = 0;
  int n = 0;
  for (; n < limit; ++n) {
    double r = __dmul_rn(zr, zr), j = __dmul_rn(zi, zi);
    if (__dadd_rn(r, j) > 4)
      break;
    double t = __dadd_rn(__dsub_rn(r, j), cr);
    zi = __dadd_rn(__dmul_rn(__dadd_rn(zr, zr), zi), ci);
    zr = t;
  }
  out[y * width + x] = n;
}
