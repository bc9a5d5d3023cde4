// Products of matrices by CUDA's warp matrix functions. A is m x k, B is k x n,
// one warp computes a tile of 16 x 16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda::wmma;

template <class T, class Element, int K, class Acc, class BLayout>
__device__ void multiply(const Element *a, const Element *b, Acc *c, int m,
                         int n, int k, int lda, int ldb) {
  int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  int row = warp / (n / 16) * 16, column = warp % (n / 16) * 16;
  if (row >= m)
    return;
  fragment<accumulator, 16, 16, K, Acc> sum;
  fill_fragment(sum, (Acc)0);
  for (int i = 0; i < k; i += K) {
    fragment<matrix_a, 16, 16, K, T, row_major> x;
    fragment<matrix_b, 16, 16, K, T, BLayout> y;
    constexpr bool across = std::is_same<BLayout, row_major>::value;
    load_matrix_sync(x, a + row * lda + i, lda);
    load_matrix_sync(y, across ? b + i * ldb + column : b + column * ldb + i,
                     ldb);
    if constexpr (std::is_same<T, precision::tf32>::value) {
      for (int j = 0; j < x.num_elements; ++j)
        x.x[j] = __float_to_tf32(x.x[j]);
      for (int j = 0; j < y.num_elements; ++j)
        y.x[j] = __float_to_tf32(y.x[j]);
    }
    mma_sync(sum, x, y, sum);
  }
  store_matrix_sync(c + row * n + column, sum, n, mem_row_major);
}

extern "C" __global__ void wmma_f16(const __half *a, const __half *b, float *c,
                                    int m, int n, int k) {
  multiply<__half, __half, 16, float, row_major>(a, b, c, m, n, k, k, n);
}

extern "C" __global__ void wmma_f16_accumulate(const __half *a, const __half *b,
                                               __half *c, int m, int n, int k) {
  multiply<__half, __half, 16, __half, col_major>(a, b, c, m, n, k, k, k);
}

extern "C" __global__ void wmma_bf16(const __nv_bfloat16 *a,
                                     const __nv_bfloat16 *b, float *c, int m,
                                     int n, int k) {
  multiply<__nv_bfloat16, __nv_bfloat16, 16, float, col_major>(a, b, c, m, n, k,
                                                               k, k);
}

extern "C" __global__ void wmma_tf32(const float *a, const float *b, float *c,
                                     int m, int n, int k) {
  multiply<precision::tf32, float, 8, float, row_major>(a, b, c, m, n, k, k, n);
}

extern "C" __global__ void wmma_s8(const signed char *a, const signed char *b,
                                   int *c, int m, int n, int k) {
  multiply<signed char, signed char, 16, int, col_major>(a, b, c, m, n, k, k,
                                                         k);
}

extern "C" __global__ void wmma_f64(const double *a, const double *b, double *c,
                                    int n, int k) {
  int row = blockIdx.y * 8, column = blockIdx.x * 8;
  fragment<accumulator, 8, 8, 4, double> sum;
  fill_fragment(sum, 0.0);
  for (int i = 0; i < k; i += 4) {
    fragment<matrix_a, 8, 8, 4, double, row_major> x;
    fragment<matrix_b, 8, 8, 4, double, row_major> y;
    load_matrix_sync(x, a + row * k + i, k);
    load_matrix_sync(y, b + i * n + column, n);
    mma_sync(sum, x, y, sum);
  }
  store_matrix_sync(c + row * n + column, sum, n, mem_row_major);
}
