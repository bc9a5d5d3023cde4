// Floating-point functions: CUDA's mathematical library, f64, and halves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

// Twelve functions of an f32, from the library of the compiler.
extern "C" __global__ void functions(const float *in, float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float x = in[i], *o = out + 12 * i;
  o[0] = expf(x);
  o[1] = logf(fabsf(x) + 0.5f);
  o[2] = sinf(x * 40);
  o[3] = tanhf(x);
  o[4] = erff(x);
  o[5] = cbrtf(x);
  o[6] = powf(fabsf(x) + 0.1f, 2.7f);
  o[7] = atan2f(x, 0.3f - x);
  o[8] = sqrtf(fabsf(x)) / (x * x + 1);
  o[9] = fmodf(x * 100, 7.25f);
  o[10] = ldexpf(x, i % 20 - 10) + rintf(x * 9) + floorf(x) + truncf(x * 3);
  o[11] = rsqrtf(fabsf(x) + 0.25f) + hypotf(x, 2);
}

// The same in f64.
extern "C" __global__ void double_functions(const double *in, double *out,
                                            int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  double x = in[i], *o = out + 8 * i;
  o[0] = exp(x);
  o[1] = log1p(fabs(x));
  o[2] = cos(x * 50);
  o[3] = sqrt(fabs(x)) / (1 + x * x);
  o[4] = pow(fabs(x) + 0.1, -1.3);
  o[5] = erfc(x);
  o[6] = fma(x, x, -x * x) + ceil(x * 8);
  o[7] = atan(x) + tgamma(fabs(x) + 1);
}

// Conversions between all widths, rounded in every direction.
extern "C" __global__ void conversions(const float *in, double *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float x = in[i];
  double *o = out + 10 * i;
  o[0] = __half2float(__float2half_rn(x)) + __half2float(__float2half_rz(x));
  o[1] = __bfloat162float(__float2bfloat16_rn(x));
  o[2] = __float2int_rn(x) + (double)__float2int_ru(x);
  o[3] = __float2uint_rd(fabsf(x)) - (double)__float2ll_rz(x * 1e6f);
  o[4] = __int2float_rz(i * 123456789) + __uint2float_ru(i * 987654321u);
  o[5] = __double2float_rd(x / 3.0) - (double)__double2float_ru(x / 3.0);
  o[6] = (float)__nv_fp8_e4m3(x);
  o[7] = (float)__nv_fp8_e5m2(x);
  o[8] = (signed char)(int)x + (unsigned char)(int)(x * 3);
  o[9] =
      __ll2double_rn((long long)(x * 1e15f)) + __half2int_rz(__float2half(x));
}

// A polynomial by Horner's rule in half2 and bf16x2.
extern "C" __global__ void half_horner(const __half2 *h,
                                       const __nv_bfloat162 *b, __half2 *hout,
                                       __nv_bfloat162 *bout, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  __half2 x = h[i], p = __float2half2_rn(0.125f);
  __nv_bfloat162 y = b[i], q = __float2bfloat162_rn(0.125f);
  for (int k = 1; k < 6; ++k) {
    p = __hfma2(p, x, __float2half2_rn(k));
    q = __hfma2(q, y, __float2bfloat162_rn(k));
  }
  hout[i] = __hmax2(p, __hneg2(x));
  bout[i] = __hmin2(__habs2(q), y);
}

// Euler steps of a three-body problem in f32; sums in f64.
extern "C" __global__ void bodies(float4 *state, double *energy, int n,
                                  int steps) {
  __shared__ float4 s[64];
  int i = threadIdx.x;
  float4 me = state[blockIdx.x * 64 + i];
  float vx = 0, vy = 0, vz = 0;
  for (int step = 0; step < steps; ++step) {
    s[i] = me;
    __syncthreads();
    float ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; ++j) {
      float dx = s[j].x - me.x, dy = s[j].y - me.y, dz = s[j].z - me.z;
      float square = dx * dx + dy * dy + dz * dz + 0.01f;
      float f = s[j].w / (square * sqrtf(square));
      ax += f * dx;
      ay += f * dy;
      az += f * dz;
    }
    __syncthreads();
    vx += 0.01f * ax;
    vy += 0.01f * ay;
    vz += 0.01f * az;
    me.x += 0.01f * vx;
    me.y += 0.01f * vy;
    me.z += 0.01f * vz;
  }
  state[blockIdx.x * 64 + i] = me;
  atomicAdd(&energy[blockIdx.x],
            0.5 * me.w * ((double)vx * vx + (double)vy * vy + (double)vz * vz));
}
