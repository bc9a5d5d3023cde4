// Kernels in C for Clang's NVPTX target: what LLVM emits where nvcc does not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "threads.h"

// Sums of 256 elements: shuffles, then shared memory.
KERNEL block_sums(const float *x, float *sums, int n) {
  SHARED float partial[32];
  float sum = 0;
  for (u32 i = position(); i < n; i += blocks() * threads())
    sum += x[i];
  for (int distance = 16; distance; distance /= 2)
    sum += __nvvm_shfl_sync_down_f32(~0u, sum, distance, 31);
  if (lane() == 0)
    partial[thread() / 32] = sum;
  barrier();
  if (thread() < 32) {
    sum = thread() < threads() / 32 ? partial[thread()] : 0;
    for (int distance = 16; distance; distance /= 2)
      sum += __nvvm_shfl_sync_bfly_f32(~0u, sum, distance, 31);
    if (thread() == 0)
      sums[block()] = sum;
  }
}

// Atomics of C11, by scope and order: counters, a maximum by compare-and-swap,
// and a float sum.
KERNEL c_atomics(const int *x, u32 *counts, int *most, float *sum, int n) {
  u32 i = position();
  if (i >= n)
    return;
  __scoped_atomic_fetch_add(&counts[x[i] & 7], 1u, __ATOMIC_RELAXED,
                            __MEMORY_SCOPE_DEVICE);
  int old = __scoped_atomic_load_n(most, __ATOMIC_RELAXED,
                                   __MEMORY_SCOPE_DEVICE);
  while (old < x[i] && !__scoped_atomic_compare_exchange_n(
                           most, &old, x[i], 0, __ATOMIC_ACQ_REL,
                           __ATOMIC_RELAXED, __MEMORY_SCOPE_DEVICE))
    ;
  __nvvm_atom_add_gen_f(sum, (float)(x[i] & 1));
}

// A message from block 0 to all others by release and acquire.
KERNEL message(const int *x, int *box, u32 *flag, int *y) {
  if (block() == 0) {
    box[thread()] = x[thread()] * 3;
    barrier();
    if (thread() == 0)
      __scoped_atomic_store_n(flag, 1u, __ATOMIC_RELEASE,
                              __MEMORY_SCOPE_DEVICE);
    return;
  }
  if (thread() == 0)
    while (!__scoped_atomic_load_n(flag, __ATOMIC_ACQUIRE,
                                   __MEMORY_SCOPE_DEVICE))
      ;
  barrier();
  y[(block() - 1) * threads() + thread()] = box[thread()] + (int)block();
}

typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef _Float16 f16x2 __attribute__((ext_vector_type(2)));
typedef __bf16 bf16x2 __attribute__((ext_vector_type(2)));

// Vectors of four: wide loads and stores, elementwise operations.
KERNEL vectors(const f32x4 *a, const f32x4 *b, f32x4 *y, int n) {
  u32 i = position();
  if (i >= n)
    return;
  f32x4 least = __builtin_elementwise_min(a[i], b[i]);
  y[i] = (a[i].wzyx + least) * 0.5f - __builtin_elementwise_abs(b[i]);
}

// Pairs of halves.
KERNEL halves(const f16x2 *a, const f16x2 *b, f16x2 *y, int n) {
  u32 i = position();
  if (i < n)
    y[i] = __builtin_elementwise_max(a[i] * b[i], a[i]) - b[i];
}
KERNEL brain_floats(const bf16x2 *a, const bf16x2 *b, bf16x2 *y, int n) {
  u32 i = position();
  if (i < n)
    y[i] = a[i] * b[i] + a[i];
}

// A jump table, and a search in a table in constant memory.
__attribute__((address_space(4))) const u32 powers[8] = {1,   3,   9,   27,
                                                         81,  243, 729, 2187};
static NOINLINE u32 step(u32 kind, u32 x, u32 y) {
  switch (kind) {
  case 0:
    return x + y;
  case 1:
    return x - y;
  case 2:
    return x * y;
  case 3:
    return y ? x / y : 7;
  case 4:
    return x << (y & 31) | x >> (-y & 31);
  case 5:
    return __builtin_popcount(x) + __builtin_clz(y | 1);
  case 6:
    return __builtin_bitreverse32(x) ^ __builtin_bswap32(y);
  case 7:
    return powers[x & 7] * (y | 1);
  case 8:
    return x % 1000003u + y % 97u;
  default:
    return x ^ y;
  }
}
KERNEL jump_table(const u8 *program, int length, const u32 *x, u32 *y, int n) {
  u32 i = position();
  if (i >= n)
    return;
  u32 a = x[i], b = i;
  for (int j = 0; j < length; ++j) {
    u32 next = step((program[j] + i) % 11, a, b);
    b = a;
    a = next;
  }
  y[i] = a;
}

// Calls through pointers that differ by lane, and recursion.
static NOINLINE int twice(int x) { return 2 * x; }
static NOINLINE int square(int x) { return x * x; }
static NOINLINE int steps(int x) {
  return x <= 1 ? 0 : 1 + steps(x % 2 ? 3 * x + 1 : x / 2);
}
KERNEL pointers(const int *x, int *y, int n) {
  int (*const functions[3])(int) = {twice, square, steps};
  u32 i = position();
  if (i < n)
    y[i] = functions[i % 3](x[i]);
}

// Wide integers: products of 128 bits, odd widths.
KERNEL wide(const u64 *a, const u64 *b, u64 *high, u64 *quotient, u64 *mixed,
            int n) {
  u32 i = position();
  if (i >= n)
    return;
  unsigned __int128 product = (unsigned __int128)a[i] * b[i];
  high[i] = product >> 64;
  quotient[i] = (a[i] + 5) / (b[i] | 1) + (u64)((i64)a[i] % (i64)(b[i] | 1));
  unsigned _BitInt(101) x = (unsigned _BitInt(101))a[i] << 37 | b[i];
  x = x * 3 + a[i];
  mixed[i] = (u64)(x >> 41) ^ (u64)x;
}

// An array on the stack whose size is known only here: sorted by insertion.
KERNEL stack_array(const int *x, int *y, int count) {
  int *own = __builtin_alloca(count * sizeof(int));
  const int *from = x + position() * count;
  for (int i = 0; i < count; ++i) {
    int j = i;
    for (; j > 0 && own[j - 1] > from[i]; --j)
      own[j] = own[j - 1];
    own[j] = from[i];
  }
  __builtin_memcpy(y + position() * count, own, count * sizeof(int));
}

// A structure by value, copied and set as bytes.
struct Record {
  u8 tag;
  u16 half;
  u32 word;
  double number;
  u8 bytes[13];
};
KERNEL records(struct Record first, const struct Record *in, struct Record *out,
               int n) {
  u32 i = position();
  if (i >= n)
    return;
  struct Record r = i % 2 ? in[i] : first;
  r.number *= r.half + 1;
  r.word += r.bytes[i % 13];
  if (i % 3 == 0)
    __builtin_memset(r.bytes, (int)i, sizeof r.bytes);
  out[i] = r;
}

// Double precision and conversions, as LLVM writes them.
KERNEL doubles(const double *x, double *y, i64 *whole, int n) {
  u32 i = position();
  if (i >= n)
    return;
  double v = x[i];
  y[i] = __builtin_fma(v, v, -1.0) / __builtin_sqrt(__builtin_fabs(v) + 1) +
         __builtin_copysign(__builtin_floor(v), -v);
  whole[i] = (i64)__builtin_trunc(v * 1e6) + (int)(float)v + (v > 0) +
             (i64)__builtin_rint(v);
}

// Votes and matches in groups of lanes.
KERNEL groups(const int *key, u32 *peers, u32 *leaders, int n) {
  u32 i = position();
  u32 live = __nvvm_vote_ballot_sync(~0u, i < n);
  if (i >= n)
    return;
  u32 same = __nvvm_match_any_sync_i32(live, key[i]);
  peers[i] = same;
  int leads = lane() == __builtin_ctz(same);
  leaders[i] = __nvvm_vote_ballot_sync(live, leads);
}

// A function with a variable number of arguments.
static NOINLINE double total(int count, ...) {
  __builtin_va_list list;
  __builtin_va_start(list, count);
  double sum = 0;
  for (int i = 0; i < count; ++i)
    sum += i % 2 ? __builtin_va_arg(list, double) : __builtin_va_arg(list, int);
  __builtin_va_end(list);
  return sum;
}
KERNEL variadic(const int *x, double *y, int n) {
  u32 i = position();
  if (i < n)
    y[i] = i % 2 ? total(3, x[i], x[i] * 0.5, (int)i) : total(1, x[i]);
}

// A matrix product in tiles of 16, in dynamic shared memory.
extern __attribute__((address_space(3))) float dynamic[];
KERNEL tiled_product(const float *a, const float *b, float *c, int n) {
  u32 column = thread() % 16, row = thread() / 16;
  u32 across = n / 16, i = block() / across * 16 + row;
  u32 j = block() % across * 16 + column;
  __attribute__((address_space(3))) float *left = dynamic, *right = left + 256;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {
    left[row * 16 + column] = a[i * n + k + column];
    right[row * 16 + column] = b[(k + row) * n + j];
    barrier();
    UNROLLED for (int l = 0; l < 16; ++l)
      sum += left[row * 16 + l] * right[l * 16 + column];
    barrier();
  }
  c[i * n + j] = sum;
}

// Asynchronous copies into shared memory, two in flight.
KERNEL copied_ahead(const int *x, int *y, int rounds) {
  SHARED int stage[2][128];
  u32 t = thread();
  for (int r = 0; r <= rounds; ++r) {
    if (r < rounds)
      __nvvm_cp_async_ca_shared_global_4(
          &stage[r % 2][t],
          (const __attribute__((address_space(1))) void *)(x + r * 128 + t));
    __nvvm_cp_async_commit_group();
    if (r == 0)
      continue;
    __nvvm_cp_async_wait_group(1);
    barrier();
    y[(r - 1) * 128 + t] = stage[(r - 1) % 2][127 - t] + r;
    barrier();
  }
}

// Text from the device.
int vprintf(const char *format, __builtin_va_list arguments);
KERNEL speak(const int *x) {
  struct {
    int thread, value;
    double half;
  } arguments = {(int)thread(), x[thread()], x[thread()] * 0.5};
  if (x[thread()] > 0)
    vprintf("%d has %d, half %g\n", (__builtin_va_list)&arguments);
}
