// Selecting and sorting: radix select, radix sort, compaction, bitonic sort.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The k-th largest of a row, exactly, by four passes over digits of 8 bits.
extern "C" __global__ void radix_select(const float *rows, float *kth, int n,
                                        int k) {
  __shared__ int histogram[256];
  __shared__ unsigned prefix;
  __shared__ int wanted;
  const float *row = rows + (size_t)blockIdx.x * n;
  if (threadIdx.x == 0) {
    prefix = 0;
    wanted = k;
  }
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int d = threadIdx.x; d < 256; d += blockDim.x)
      histogram[d] = 0;
    __syncthreads();
    unsigned mask = shift == 24 ? 0 : 0xffffffffu << (shift + 8);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
      unsigned bits = __float_as_uint(row[i]);
      unsigned key = bits >> 31 ? ~bits : bits | 0x80000000u;
      if ((key & mask) == (prefix & mask))
        atomicAdd(&histogram[key >> shift & 255], 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int left = wanted, d = 255;
      while (histogram[d] < left)
        left -= histogram[d--];
      wanted = left;
      prefix |= (unsigned)d << shift;
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    unsigned bits = prefix >> 31 ? prefix & 0x7fffffffu : ~prefix;
    kth[blockIdx.x] = __uint_as_float(bits);
  }
}

// Keeps the elements that a predicate wants, in order, with their count.
extern "C" __global__ void compact(const int *in, int *out, int *count, int n) {
  __shared__ int base[9];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (threadIdx.x == 0)
    base[8] = 0;
  for (int start = 0; start < n; start += 256) {
    __syncthreads();
    int i = start + threadIdx.x;
    int x = i < n ? in[i] : 0;
    bool keep = i < n && x % 3 == 0;
    unsigned votes = __ballot_sync(0xffffffff, keep);
    if (lane == 0)
      base[warp] = __popc(votes);
    __syncthreads();
    int position = base[8];
    for (int w = 0; w < warp; ++w)
      position += base[w];
    if (keep)
      out[position + __popc(votes & ((1u << lane) - 1))] = x;
    __syncthreads();
    if (threadIdx.x == 255)
      base[8] = position + __popc(votes);
  }
  __syncthreads();
  if (threadIdx.x == 0)
    *count = base[8];
}

// A stable least-significant-digit radix sort of 1024 keys and values; equal
// digits of a warp find each other with __match_any_sync.
extern "C" __global__ void radix_sort(unsigned *keys, int *values) {
  __shared__ unsigned k[2][1024];
  __shared__ int v[2][1024];
  __shared__ int counts[32][17];
  int t = threadIdx.x, lane = t % 32, warp = t / 32;
  k[0][t] = keys[blockIdx.x * 1024 + t];
  v[0][t] = values[blockIdx.x * 1024 + t];
  int from = 0;
  for (int shift = 0; shift < 32; shift += 4, from ^= 1) {
    if (lane < 16)
      counts[warp][lane] = 0;
    __syncthreads();
    unsigned digit = k[from][t] >> shift & 15;
    unsigned peers = __match_any_sync(0xffffffff, digit);
    int rank = __popc(peers & ((1u << lane) - 1));
    if (rank == 0)
      counts[warp][digit] = __popc(peers);
    __syncthreads();
    if (t < 16) {
      int total = 0;
      for (int w = 0; w < 32; ++w) {
        int c = counts[w][t];
        counts[w][t] = total;
        total += c;
      }
      counts[0][16] = 0;
      int x = total;
      for (int distance = 1; distance < 16; distance *= 2) {
        int y = __shfl_up_sync(0xffff, x, distance);
        if (t >= distance)
          x += y;
      }
      for (int w = 0; w < 32; ++w)
        counts[w][t] += x - total;
    }
    __syncthreads();
    int to = counts[warp][digit] + rank;
    k[from ^ 1][to] = k[from][t];
    v[from ^ 1][to] = v[from][t];
    __syncthreads();
  }
  keys[blockIdx.x * 1024 + t] = k[from][t];
  values[blockIdx.x * 1024 + t] = v[from][t];
}

// A bitonic sort of 512 doubles per block.
extern "C" __global__ void bitonic_sort(double *data) {
  __shared__ double s[512];
  int t = threadIdx.x;
  double *row = data + blockIdx.x * 512;
  s[t] = row[t];
  s[t + 256] = row[t + 256];
  for (int size = 2; size <= 512; size *= 2)
    for (int stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      int low = 2 * t - (t & (stride - 1));
      bool ascending = (low & size) == 0;
      double a = s[low], b = s[low + stride];
      if (a > b == ascending) {
        s[low] = b;
        s[low + stride] = a;
      }
    }
  __syncthreads();
  row[t] = s[t];
  row[t + 256] = s[t + 256];
}
