// Kernels that only move data: transposes, histograms, gathers, unaligned
// reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

extern "C" __global__ void transpose_padded(const float *in, float *out,
                                            int rows, int columns) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8)
    if (x < columns && y + j < rows)
      tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * columns + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8)
    if (x < rows && y + j < columns)
      out[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];
}

// A tile of 64 x 64 16-bit elements, swizzled instead of padded.
extern "C" __global__ void transpose_swizzled(const unsigned *in, unsigned *out,
                                              int n) {
  __shared__ unsigned short tile[64 * 64];
  const unsigned *source =
      in + ((size_t)blockIdx.y * 64 * n + blockIdx.x * 64) / 2;
  unsigned *target = out + ((size_t)blockIdx.x * 64 * n + blockIdx.y * 64) / 2;
  auto at = [](int row, int column) {
    return row * 64 + (column ^ (row / 2 % 32 * 2));
  };
  for (int row = threadIdx.y; row < 64; row += blockDim.y) {
    unsigned pair = source[(size_t)row * n / 2 + threadIdx.x];
    tile[at(row, 2 * threadIdx.x)] = pair;
    tile[at(row, 2 * threadIdx.x + 1)] = pair >> 16;
  }
  __syncthreads();
  for (int row = threadIdx.y; row < 64; row += blockDim.y) {
    unsigned low = tile[at(2 * threadIdx.x, row)];
    unsigned high = tile[at(2 * threadIdx.x + 1, row)];
    target[(size_t)row * n / 2 + threadIdx.x] = high << 16 | low;
  }
}

// A histogram of bytes: one in shared memory per warp, added at the end.
extern "C" __global__ void histogram_shared(const unsigned *words, int *bins,
                                            int n) {
  __shared__ int local[4][256];
  for (int i = threadIdx.x; i < 4 * 256; i += blockDim.x)
    (&local[0][0])[i] = 0;
  __syncthreads();
  int *mine = local[threadIdx.x / 32];
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x) {
    unsigned word = words[i];
    atomicAdd(&mine[word & 255], 1);
    atomicAdd(&mine[word >> 8 & 255], 1);
    atomicAdd(&mine[word >> 16 & 255], 1);
    atomicAdd(&mine[word >> 24], 1);
  }
  __syncthreads();
  for (int b = threadIdx.x; b < 256; b += blockDim.x)
    atomicAdd(&bins[b], local[0][b] + local[1][b] + local[2][b] + local[3][b]);
}

// Sixteen counters of a thread in local memory, indexed by data.
extern "C" __global__ void histogram_local(const unsigned long long *in,
                                           unsigned *bins, int n) {
  unsigned counts[16] = {};
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    unsigned long long word = in[i];
    for (int j = 0; j < 16; ++j, word >>= 4)
      ++counts[word & 15];
  }
  for (int j = 0; j < 16; ++j)
    atomicAdd(&bins[j], counts[j]);
}

// Gathers rows by index and scatters them to their inverse; -1 means zeros.
extern "C" __global__ void gather_scatter(const float4 *in, const int *index,
                                          float4 *gathered, float4 *scattered,
                                          int width) {
  int row = blockIdx.x, source = index[row];
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    float4 x = make_float4(0, 0, 0, 0);
    if (source >= 0) {
      x = in[source * width + c];
      scattered[source * width + c] = in[row * width + c];
    }
    gathered[row * width + c] = x;
  }
}

// Reads structures of 12 bytes and bytes at any address.
struct Triple {
  short a;
  char b;
  unsigned char c;
  int d;
  float e;
};

extern "C" __global__ void structures(const Triple *in, const char *bytes,
                                      double *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Triple t = in[n - 1 - i];
  double sum = t.a + 2.0 * t.b + 3.0 * t.c + 4.0 * t.d + 5.0 * t.e;
  for (int j = 0; j < 5; ++j)
    sum += bytes[3 * i + j];
  out[i] = sum;
}
