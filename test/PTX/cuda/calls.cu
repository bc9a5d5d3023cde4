// Calls: real functions, structures by value, pointers, recursion, local
// memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <assert.h>
#include <stdio.h>

struct Complex {
  float re, im;
};

struct Matrix {
  float m[3][3];
  int power;
};

__device__ __noinline__ Complex multiply(Complex a, Complex b) {
  return {__fmaf_rn(a.re, b.re, -(a.im * b.im)),
          __fmaf_rn(a.re, b.im, a.im * b.re)};
}

extern "C" __global__ void complex_power(const Complex *in, Complex *out, int n,
                                         int power) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Complex result = {1, 0}, base = in[i];
  for (int p = power; p; p >>= 1) {
    if (p & 1)
      result = multiply(result, base);
    base = multiply(base, base);
  }
  out[i] = result;
}

// A structure of 40 bytes as parameter of the kernel.
extern "C" __global__ void apply_matrix(Matrix m, const float *in, float *out,
                                        int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float v[3] = {in[3 * i], in[3 * i + 1], in[3 * i + 2]};
  for (int p = 0; p < m.power; ++p) {
    float w[3];
    for (int r = 0; r < 3; ++r)
      w[r] = m.m[r][0] * v[0] + m.m[r][1] * v[1] + m.m[r][2] * v[2];
    for (int r = 0; r < 3; ++r)
      v[r] = w[r];
  }
  for (int r = 0; r < 3; ++r)
    out[3 * i + r] = v[r];
}

__device__ __noinline__ unsigned ackermann(unsigned m, unsigned n) {
  if (m == 0)
    return n + 1;
  if (n == 0)
    return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

extern "C" __global__ void recursion(unsigned *out) {
  unsigned t = threadIdx.x;
  out[t] = ackermann(t % 3, t / 3 % 4);
}

__device__ __noinline__ void sort(int *a, int low, int high) {
  while (low < high) {
    int pivot = a[(low + high) / 2], i = low, j = high;
    while (i <= j) {
      while (a[i] < pivot)
        ++i;
      while (a[j] > pivot)
        --j;
      if (i <= j) {
        int t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    if (j - low < high - i) {
      sort(a, low, j);
      low = i;
    } else {
      sort(a, i, high);
      high = j;
    }
  }
}

// Quicksort by recursion, each thread its own array in local memory.
extern "C" __global__ void sort_local(const int *in, int *out) {
  int a[24], i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int j = 0; j < 24; ++j)
    a[j] = in[24 * i + j];
  sort(a, 0, 23);
  for (int j = 0; j < 24; ++j)
    out[24 * i + j] = a[j];
}

__device__ __noinline__ int add(int a, int b) { return a + b; }
__device__ __noinline__ int subtract(int a, int b) { return a - b; }
__device__ __noinline__ int times(int a, int b) { return a * b; }
__device__ __noinline__ int larger(int a, int b) { return a > b ? a : b; }

typedef int (*Binary)(int, int);
__device__ Binary operations[4] = {add, subtract, times, larger};

// Calls through a table of function pointers, another one in each lane.
extern "C" __global__ void indirect(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int x = in[i];
  for (int j = 0; j < 5; ++j)
    x = operations[(x ^ j) & 3](x, in[(i + j) % n]);
  out[i] = x;
}

struct Shape {
  float size;
  __device__ Shape(float size) : size(size) {}
  __device__ virtual float area() const { return size * size; }
};

struct Disc : Shape {
  __device__ Disc(float size) : Shape(size) {}
  __device__ float area() const override { return 3 * size * size; }
};

// Virtual functions of objects in local memory.
extern "C" __global__ void objects(const float *in, float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Shape square(in[i]);
  Disc disc(in[i]);
  const Shape *shapes[2] = {&square, &disc};
  float sum = 0;
  for (int j = 0; j < 4; ++j)
    sum += shapes[(i >> j) & 1]->area();
  out[i] = sum;
}

// printf with all kinds of arguments, and an assertion that holds.
extern "C" __global__ void print_values(const double *in, int n) {
  int i = threadIdx.x;
  assert(n > 0);
  if (i < n && i % 2)
    printf("%d: %5.2f %s %c %llx %%\n", i, in[i], i > 2 ? "big" : "small",
           'a' + i, 0x123456789abcull + i);
  if (i == 0)
    printf("end %u\n", (unsigned)n);
}
