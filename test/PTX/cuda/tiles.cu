// Tiles of shared memory: products of matrices, stencils, pipelines,
// transforms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_pipeline.h>

// A product of matrices in f32, 32 x 32 tiles, each thread 2 x 2 results.
extern "C" __global__ void __launch_bounds__(256)
    sgemm(const float *a, const float *b, float *c, int m, int n, int k) {
  __shared__ float as[32][33], bs[32][33];
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  int row = blockIdx.y * 32, column = blockIdx.x * 32;
  float sum[2][2] = {};
  for (int i = 0; i < k; i += 32) {
    for (int e = threadIdx.x; e < 1024; e += 256) {
      int r = e / 32, q = e % 32;
      as[r][q] = row + r < m && i + q < k ? a[(row + r) * k + i + q] : 0;
      bs[r][q] = i + r < k && column + q < n ? b[(i + r) * n + column + q] : 0;
    }
    __syncthreads();
    for (int j = 0; j < 32; ++j)
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 2; ++x)
          sum[y][x] += as[ty + 16 * y][j] * bs[j][tx + 16 * x];
    __syncthreads();
  }
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 2; ++x) {
      int r = row + ty + 16 * y, q = column + tx + 16 * x;
      if (r < m && q < n)
        c[r * n + q] = sum[y][x];
    }
}

// A running sum over windows of rows, four stages of asynchronous copies.
extern "C" __global__ void window_sums(const float4 *in, float *out, int rows) {
  __shared__ float4 stage[4][64];
  int t = threadIdx.x;
  const float4 *mine = in + blockIdx.x * 64 + t;
  int stride = gridDim.x * 64;
  for (int s = 0; s < 3; ++s) {
    if (s < rows)
      __pipeline_memcpy_async(&stage[s][t], mine + s * stride, 16);
    __pipeline_commit();
  }
  float sum = 0;
  for (int r = 0; r < rows; ++r) {
    if (r + 3 < rows)
      __pipeline_memcpy_async(&stage[(r + 3) % 4][t], mine + (r + 3) * stride,
                              16);
    __pipeline_commit();
    __pipeline_wait_prior(3);
    __syncthreads();
    float4 x = stage[r % 4][t], y = stage[r % 4][t ^ 1];
    sum += x.x + 2 * x.y - y.z * 0.5f + y.w;
    out[r * stride + blockIdx.x * 64 + t] = sum;
    __syncthreads();
  }
}

__constant__ float kernel[25] = {1,  4, 6, 4,  1,  4,  16, 24, 16, 4, 6, 24, 36,
                                 24, 6, 4, 16, 24, 16, 4,  1,  4,  6, 4, 1};

// A 5 x 5 convolution with weights in constant memory, halo in dynamic memory.
extern "C" __global__ void blur(const float *in, float *out, int width,
                                int height) {
  extern __shared__ float halo[];
  int w = blockDim.x + 4, h = blockDim.y + 4;
  int left = blockIdx.x * blockDim.x - 2, top = blockIdx.y * blockDim.y - 2;
  int t = threadIdx.y * blockDim.x + threadIdx.x;
  for (int i = t; i < w * h; i += blockDim.x * blockDim.y) {
    int x = min(max(left + i % w, 0), width - 1);
    int y = min(max(top + i / w, 0), height - 1);
    halo[i] = in[y * width + x];
  }
  __syncthreads();
  int x = left + 2 + threadIdx.x, y = top + 2 + threadIdx.y;
  if (x >= width || y >= height)
    return;
  float sum = 0;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j)
      sum += kernel[5 * i + j] * halo[(threadIdx.y + i) * w + threadIdx.x + j];
  out[y * width + x] = sum / 256;
}

// A Fourier transform of 256 points per block: radix 2 in shared memory.
extern "C" __global__ void fourier(const float2 *in, float2 *out) {
  __shared__ float2 s[256];
  int t = threadIdx.x;
  const float2 *x = in + blockIdx.x * 256;
  s[__brev(t) >> 24] = x[t];
  s[__brev(t + 128) >> 24] = x[t + 128];
  for (int half = 1; half < 256; half *= 2) {
    __syncthreads();
    int j = t % half, low = t / half * 2 * half + j;
    float angle = -3.14159265358979f * j / half, sine, cosine;
    sincosf(angle, &sine, &cosine);
    float2 a = s[low], b = s[low + half];
    float2 w =
        make_float2(b.x * cosine - b.y * sine, b.x * sine + b.y * cosine);
    s[low] = make_float2(a.x + w.x, a.y + w.y);
    s[low + half] = make_float2(a.x - w.x, a.y - w.y);
  }
  __syncthreads();
  out[blockIdx.x * 256 + t] = s[t];
  out[blockIdx.x * 256 + t + 128] = s[t + 128];
}

// The longest common subsequence of two strings, wavefront by wavefront.
extern "C" __global__ void longest_common(const char *a, const char *b,
                                          int *length, int n) {
  __shared__ int front[3][257];
  int t = threadIdx.x;
  for (int i = t; i <= n; i += blockDim.x)
    front[0][i] = front[1][i] = front[2][i] = 0;
  __syncthreads();
  for (int d = 2; d <= 2 * n; ++d) {
    int *now = front[d % 3], *one = front[(d + 2) % 3],
        *two = front[(d + 1) % 3];
    for (int i = t + 1; i <= n; i += blockDim.x) {
      int j = d - i;
      if (j >= 1 && j <= n)
        now[i] = a[blockIdx.x * n + i - 1] == b[blockIdx.x * n + j - 1]
                     ? two[i - 1] + 1
                     : max(one[i - 1], one[i]);
      else if (j < 1)
        now[i] = 0;
    }
    __syncthreads();
  }
  if (t == 0)
    length[blockIdx.x] = front[2 * n % 3][n];
}
