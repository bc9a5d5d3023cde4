// A grouped matmul for sm_90a: gathered rows by cp.async, weights by tensor
// copies, wgmma from shared memory, one producer and two consumer warp groups,
// persistent blocks, optionally SwiGLU over gate and up halves.
//
// tokens [., K] bf16, weights [experts * N, K] bf16 (the tensor map; boxes of
// BN / 2 rows of 64 with the 128-byte swizzle), out [rows, N or N / 2] bf16 in
// expert order, row_token (which token a row is, for gathering), tiles of
// (expert, first row, rows, 0). K % 64 == 0, N % BN == 0.
// Launch: any grid, 384 threads, STAGES * (128 + BN) * 128 + 1024 bytes of
// dynamic shared memory. `share`: tiles that take the same columns in turn.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cuda.h>
#include <cuda_bf16.h>

typedef unsigned u32;
typedef unsigned long long u64;

__device__ __forceinline__ void multiply(float (&d)[128], u64 a, u64 b,
                                         int accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %130, 0; "
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, "
      "%15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, "
      "%28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, "
      "%41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, "
      "%54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, "
      "%67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, "
      "%93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, "
      "%105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, "
      "%116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127}, "
      "%128, %129, p, 1, 1, 0, 0; }"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
        "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]),
        "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]),
        "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]),
        "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
        "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]),
        "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]),
        "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]), "+f"(d[50]),
        "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
        "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]),
        "+f"(d[61]), "+f"(d[62]), "+f"(d[63]), "+f"(d[64]), "+f"(d[65]),
        "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]),
        "+f"(d[71]), "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]),
        "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79]), "+f"(d[80]),
        "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]), "+f"(d[85]),
        "+f"(d[86]), "+f"(d[87]), "+f"(d[88]), "+f"(d[89]), "+f"(d[90]),
        "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95]),
        "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]),
        "+f"(d[101]), "+f"(d[102]), "+f"(d[103]), "+f"(d[104]), "+f"(d[105]),
        "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]),
        "+f"(d[111]), "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]),
        "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119]), "+f"(d[120]),
        "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]),
        "+f"(d[126]), "+f"(d[127])
      : "l"(a), "l"(b), "r"(accumulate));
}

__device__ __forceinline__ void multiply(float (&d)[64], u64 a, u64 b,
                                         int accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %66, 0; "
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, "
      "%15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, "
      "%28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, "
      "%41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, "
      "%54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, p, 1, 1, 0, 0; }"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
        "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]),
        "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]),
        "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]),
        "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
        "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]),
        "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]),
        "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]), "+f"(d[50]),
        "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
        "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]),
        "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
      : "l"(a), "l"(b), "r"(accumulate));
}

// Rows of 128 bytes, 128-byte swizzle, 1024 bytes to the next eight rows.
__device__ __forceinline__ u64 descriptor(u32 address) {
  return (u64)((address & 0x3ffff) >> 4) | (u64)1 << 16 | (u64)64 << 32 |
         (u64)1 << 62;
}

__device__ __forceinline__ void init(u32 barrier, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier),
               "r"(count));
}

__device__ __forceinline__ void wait(u32 barrier, u32 phase) {
  asm volatile("{ .reg .pred p; again: "
               "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; "
               "@p bra done; bra again; done: }" ::"r"(barrier),
               "r"(phase)
               : "memory");
}

__device__ __forceinline__ void arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}

__device__ __forceinline__ void load_box(u32 to, const CUtensorMap *map, int x,
                                         int y, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile"
      ".mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
      "l"(map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}

__device__ __forceinline__ u32 pack(float low, float high) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *(u32 *)&pair;
}

struct Problem {
  const CUtensorMap *weights;
  const __nv_bfloat16 *tokens;
  __nv_bfloat16 *out;
  const int *row_token;
  const int4 *tiles;
  int tile_count, k, n, share;
};

// The ring of stages: operands, then a full and an empty barrier of each.
template <int BN, int STAGES> struct Ring {
  static constexpr int kBytes = 128 * 128 + BN * 128;
  u32 base;
  __device__ u32 rows(int s) const { return base + s * kBytes; }
  __device__ u32 weights(int s) const { return rows(s) + 128 * 128; }
  __device__ u32 full(int s) const { return base + STAGES * kBytes + 8 * s; }
  __device__ u32 empty(int s) const { return full(s) + 8 * STAGES; }
};

// Which tile and which columns unit `w` of the work is.
struct Unit {
  int tile, column;
  __device__ Unit(int w, int columns, int share) {
    int group = w / (share * columns), rest = w % (share * columns);
    tile = group * share + rest % share;
    column = rest / share;
  }
};

template <int BN, int STAGES, bool GLU, bool GATHER>
__device__ void produce(const Problem &p, Ring<BN, STAGES> ring, int total) {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
  int t = threadIdx.x, chunk = t & 7, first = t >> 3;
  u32 offset = first * 128 + ((chunk ^ (first & 7)) << 4);
  int s = 0, phase = 1;
  for (int w = blockIdx.x; w < total; w += gridDim.x) {
    Unit unit(w, p.n / BN, p.share);
    if (unit.tile >= p.tile_count)
      continue;
    int4 tile = p.tiles[unit.tile];
    const char *source[8];
    int size[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      int r = first + 16 * i;
      bool inside = r < tile.z;
      int row = tile.y + (inside ? r : 0);
      if (GATHER)
        row = p.row_token[row];
      source[i] = (const char *)(p.tokens + (size_t)row * p.k) + chunk * 16;
      size[i] = inside ? 16 : 0;
    }
    int y = tile.x * p.n + unit.column * (GLU ? BN / 2 : BN);
    int other = y + (GLU ? p.n / 2 : BN / 2);
    for (int k = 0; k < p.k / 64; ++k) {
      wait(ring.empty(s), phase);
      if (t == 0) {
        asm volatile(
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                ring.full(s)),
            "r"(BN * 128)
            : "memory");
        load_box(ring.weights(s), p.weights, k * 64, y, ring.full(s));
        load_box(ring.weights(s) + BN * 64, p.weights, k * 64, other,
                 ring.full(s));
      }
#pragma unroll
      for (int i = 0; i < 8; ++i)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                         ring.rows(s) + offset + i * 2048),
                     "l"(source[i] + k * 128), "r"(size[i])
                     : "memory");
      asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(
                       ring.full(s))
                   : "memory");
      if (++s == STAGES) {
        s = 0;
        phase ^= 1;
      }
    }
  }
  asm volatile("cp.async.wait_all;");
}

// Writes the 64 rows of a warp group; quads of lanes transpose 4 x 4 words, so
// that each stores 16 bytes of a row.
template <int BN, bool GLU>
__device__ void write(const Problem &p, const float (&d)[BN / 2], int4 tile,
                      int column, int group) {
  int width = GLU ? p.n / 2 : p.n, lane = threadIdx.x & 31, quad = lane & 3;
  int row = group * 64 + (threadIdx.x >> 5 & 3) * 16 + (lane >> 2);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    int r = row + 8 * h;
    __nv_bfloat16 *to = p.out + (size_t)(tile.y + r) * width +
                        column * (GLU ? BN / 2 : BN) + quad * 8;
#pragma unroll
    for (int j = 0; j < (GLU ? BN / 2 : BN) / 32; ++j) {
      u32 v[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int x = (j * 4 + i) * 4 + 2 * h;
        float a = d[x], b = d[x + 1];
        if (GLU) {
          a = a / (1.f + __expf(-a)) * d[(x + BN / 4) % (BN / 2)];
          b = b / (1.f + __expf(-b)) * d[(x + BN / 4 + 1) % (BN / 2)];
        }
        v[i] = pack(a, b);
      }
      u32 x = quad & 1 ? v[0] : v[1], y = quad & 1 ? v[2] : v[3];
      x = __shfl_xor_sync(~0u, x, 1);
      y = __shfl_xor_sync(~0u, y, 1);
      (quad & 1 ? v[0] : v[1]) = x;
      (quad & 1 ? v[2] : v[3]) = y;
      x = quad & 2 ? v[0] : v[2], y = quad & 2 ? v[1] : v[3];
      x = __shfl_xor_sync(~0u, x, 2);
      y = __shfl_xor_sync(~0u, y, 2);
      (quad & 2 ? v[0] : v[2]) = x;
      (quad & 2 ? v[1] : v[3]) = y;
      if (r < tile.z)
        *(uint4 *)(to + j * 32) = make_uint4(v[0], v[1], v[2], v[3]);
    }
  }
}

template <int BN, int STAGES, bool GLU>
__device__ void consume(const Problem &p, Ring<BN, STAGES> ring, int total) {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
  int group = (threadIdx.x >> 7) - 1, lane = threadIdx.x & 31;
  int s = 0, phase = 0;
  float d[BN / 2];
  for (int w = blockIdx.x; w < total; w += gridDim.x) {
    Unit unit(w, p.n / BN, p.share);
    if (unit.tile >= p.tile_count)
      continue;
    int4 tile = p.tiles[unit.tile];
    bool live = tile.z > 64 * group;
    int before = -1;
    for (int k = 0; k < p.k / 64; ++k) {
      wait(ring.full(s), phase);
      if (live) {
        // The rows came by the generic proxy; wgmma reads by the asynchronous.
        asm volatile("fence.proxy.async.shared::cta;");
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int j = 0; j < 4; ++j)
          multiply(d, descriptor(ring.rows(s) + group * 8192 + j * 32),
                   descriptor(ring.weights(s) + j * 32), k | j);
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
      }
      if (before >= 0 && lane == 0)
        arrive(ring.empty(before));
      before = s;
      if (++s == STAGES) {
        s = 0;
        phase ^= 1;
      }
    }
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (int i = 0; i < BN / 2; ++i)
      asm volatile("" : "+f"(d[i])::"memory");
    if (lane == 0)
      arrive(ring.empty(before));
    if (live)
      write<BN, GLU>(p, d, tile, unit.column, group);
  }
}

template <int BN, int STAGES, bool GLU, bool GATHER>
__device__ void run(const Problem &p) {
  extern __shared__ __align__(1024) unsigned char memory[];
  Ring<BN, STAGES> ring = {(u32)__cvta_generic_to_shared(memory)};
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; ++s) {
      init(ring.full(s), 129);
      init(ring.empty(s), 8);
    }
    asm volatile("fence.mbarrier_init.release.cluster;");
  }
  __syncthreads();
  int total = (p.tile_count + p.share - 1) / p.share * p.share * (p.n / BN);
  if (threadIdx.x < 128)
    produce<BN, STAGES, GLU, GATHER>(p, ring, total);
  else
    consume<BN, STAGES, GLU>(p, ring, total);
}

#define KERNEL(name, BN, STAGES, GLU, GATHER)                                  \
  extern "C" __global__ void __launch_bounds__(384, 1) name(                   \
      const __grid_constant__ CUtensorMap weights,                             \
      const __nv_bfloat16 *tokens, __nv_bfloat16 *out, const int *row_token,   \
      const int4 *tiles, const int *tile_count, int k, int n, int share) {     \
    run<BN, STAGES, GLU, GATHER>(                                              \
        {&weights, tokens, out, row_token, tiles, *tile_count, k, n, share});  \
  }

KERNEL(grouped_glu_256, 256, 4, true, true)
KERNEL(grouped_plain_256, 256, 4, false, false)
KERNEL(grouped_glu_128, 128, 6, true, true)
KERNEL(grouped_plain_128, 128, 6, false, false)
