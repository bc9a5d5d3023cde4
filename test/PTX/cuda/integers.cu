// Integer arithmetic: wide products, 64-bit division, bit tricks, bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Modular powers by 64-bit products with 128-bit intermediate results.
extern "C" __global__ void modular_power(const unsigned long long *base,
                                         const unsigned *exponent,
                                         unsigned long long *out,
                                         unsigned long long modulus, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned long long result = 1, b = base[i] % modulus;
  for (unsigned e = exponent[i]; e; e >>= 1) {
    if (e & 1)
      result = (unsigned __int128)result * b % modulus;
    b = (unsigned __int128)b * b % modulus;
  }
  out[i] = result;
}

// Quotients and remainders of every width.
extern "C" __global__ void divisions(const long long *a, const long long *b,
                                     long long *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  long long x = a[i], y = b[i], *o = out + 8 * i;
  o[0] = x / y;
  o[1] = x % y;
  o[2] = (unsigned long long)x / (unsigned long long)y;
  o[3] = (unsigned long long)x % (unsigned long long)y;
  o[4] = (int)x / ((int)y | 1);
  o[5] = (unsigned)x % ((unsigned)y | 1);
  o[6] = (short)x / ((short)y | 1);
  o[7] = x / 1000003 + x % 4096;
}

// Addition and multiplication of numbers of 256 bits, with carries.
extern "C" __global__ void big_numbers(const unsigned *a, const unsigned *b,
                                       unsigned *sum, unsigned *product,
                                       int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const unsigned *x = a + 8 * i, *y = b + 8 * i;
  unsigned s[8];
  asm("add.cc.u32 %0, %8, %16;\n\t"
      "addc.cc.u32 %1, %9, %17;\n\t"
      "addc.cc.u32 %2, %10, %18;\n\t"
      "addc.cc.u32 %3, %11, %19;\n\t"
      "addc.cc.u32 %4, %12, %20;\n\t"
      "addc.cc.u32 %5, %13, %21;\n\t"
      "addc.cc.u32 %6, %14, %22;\n\t"
      "addc.u32 %7, %15, %23;"
      : "=r"(s[0]), "=r"(s[1]), "=r"(s[2]), "=r"(s[3]), "=r"(s[4]), "=r"(s[5]),
        "=r"(s[6]), "=r"(s[7])
      : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]),
        "r"(x[6]), "r"(x[7]), "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]),
        "r"(y[4]), "r"(y[5]), "r"(y[6]), "r"(y[7]));
  unsigned p[16] = {};
  for (int j = 0; j < 8; ++j) {
    unsigned long long carry = 0;
    for (int k = 0; k < 8; ++k) {
      carry += (unsigned long long)x[j] * y[k] + p[j + k];
      p[j + k] = carry;
      carry >>= 32;
    }
    p[j + 8] = carry;
  }
  for (int j = 0; j < 8; ++j)
    sum[8 * i + j] = s[j];
  for (int j = 0; j < 16; ++j)
    product[16 * i + j] = p[j];
}

// CRC-32 of strings of 32 bytes, bit by bit and by a table in shared memory.
extern "C" __global__ void crc32(const unsigned char *in, unsigned *slow,
                                 unsigned *fast, int n) {
  __shared__ unsigned table[256];
  for (int b = threadIdx.x; b < 256; b += blockDim.x) {
    unsigned crc = b;
    for (int j = 0; j < 8; ++j)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    table[b] = crc;
  }
  __syncthreads();
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned a = ~0u, b = ~0u;
  for (int j = 0; j < 32; ++j) {
    unsigned byte = in[32 * i + j];
    a ^= byte;
    for (int k = 0; k < 8; ++k)
      a = a >> 1 ^ (0xedb88320u & -(a & 1));
    b = b >> 8 ^ table[(b ^ byte) & 255];
  }
  slow[i] = ~a;
  fast[i] = ~b;
}

// Four bytes or two halves in a word at once.
extern "C" __global__ void packed(const unsigned *a, const unsigned *b,
                                  unsigned *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned x = a[i], y = b[i], *o = out + 14 * i;
  o[0] = __vadd4(x, y);
  o[1] = __vsubus4(x, y);
  o[2] = __vmaxs2(x, y);
  o[3] = __vavgu4(x, y);
  o[4] = __vcmpgtu4(x, y);
  o[5] = __byte_perm(x, y, 0x7351);
  o[6] = __dp4a((int)x, (int)y, (int)i);
  o[7] = __dp2a_lo(x, y, 7u);
  o[8] = __funnelshift_l(x, y, x & 63) ^ __funnelshift_rc(x, y, y & 63);
  o[9] = __mulhi((int)x, (int)y) ^ __umulhi(x, y);
  o[10] = __usad(x, y, 5u) + __hadd((int)x, (int)y) + __urhadd(x, y);
  o[11] = __mul24(x, y) ^ __umul24(x, y);
  o[12] = __vabsdiffu4(x, y); // a video instruction, and one that adds
  o[13] = __vsadu4(x, y);
}

// Bits of 64-bit words; shifts by amounts in range and by whole words.
extern "C" __global__ void bits(const unsigned long long *in, long long *out,
                                int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned long long x = in[i];
  int amount = i % 64;
  long long *o = out + 8 * i;
  o[0] = __popcll(x);
  o[1] = __clzll(x);
  o[2] = __ffsll(x);
  o[3] = __brevll(x);
  o[4] = x << amount;
  o[5] = (long long)x >> amount;
  o[6] = __umul64hi(x, ~x);
  o[7] = __mul64hi((long long)x, (long long)(x ^ 0x5555));
}
