// What kernels in plain C need of the NVPTX target: no CUDA headers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TEST_PTX_CLANG_THREADS_H
#define TEST_PTX_CLANG_THREADS_H

#define KERNEL __attribute__((nvptx_kernel)) void
#define SHARED static __attribute__((address_space(3)))
#define NOINLINE __attribute__((noinline))
#define UNROLLED _Pragma("unroll")

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef long long i64;
typedef __SIZE_TYPE__ size_t;

static inline u32 thread(void) { return __nvvm_read_ptx_sreg_tid_x(); }
static inline u32 block(void) { return __nvvm_read_ptx_sreg_ctaid_x(); }
static inline u32 threads(void) { return __nvvm_read_ptx_sreg_ntid_x(); }
static inline u32 blocks(void) { return __nvvm_read_ptx_sreg_nctaid_x(); }
static inline u32 lane(void) { return __nvvm_read_ptx_sreg_laneid(); }
static inline u32 position(void) { return block() * threads() + thread(); }
static inline void barrier(void) { __nvvm_bar_sync(0); }

#endif // TEST_PTX_CLANG_THREADS_H
