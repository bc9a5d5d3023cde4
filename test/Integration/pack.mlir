// What a packed weight holds: columns of two outputs side by side, and zeros
// for columns beyond N and for the partner of an odd last k.

// DEFINE: %{lower} = -convert-moe-to-cpu -convert-linalg-to-loops \
// DEFINE:   -convert-scf-to-cf \
// DEFINE:   -expand-strided-metadata -lower-affine \
// DEFINE:   -convert-vector-to-llvm -finalize-memref-to-llvm \
// DEFINE:   -convert-func-to-llvm -convert-arith-to-llvm \
// DEFINE:   -convert-index-to-llvm -convert-cf-to-llvm \
// DEFINE:   -reconcile-unrealized-casts
// DEFINE: %{run} = mlir-runner -e main -entry-point-result=void \
// DEFINE:   -shared-libs=%runner_libs
// RUN: moe-opt %s %{lower} | %{run} | FileCheck %s

#s = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2,
                   row_block = 8, product = mul_add, prefetch = true>
#pairs = #moe.schedule<target = cpu, vector = 16, rows = 4, vectors = 2,
                       row_block = 8, product = bf16_dot, prefetch = true>

// [E, 2·N, K] = [1, 10, 2]: element (n, k) is 10·n + k + 1.
memref.global "private" constant @nk : memref<1x10x2xf32> = dense<[[
  [1.0, 2.0], [11.0, 12.0], [21.0, 22.0], [31.0, 32.0], [41.0, 42.0],
  [51.0, 52.0], [61.0, 62.0], [71.0, 72.0], [81.0, 82.0], [91.0, 92.0]]]>
// [E, K, N] = [1, 3, 2]
memref.global "private" constant @kn : memref<1x3x2xbf16> = dense<[[
  [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]>

func.func private @printMemrefF32(memref<*xf32>)

func.func @main() {
  %nk = memref.get_global @nk : memref<1x10x2xf32>
  %packed = memref.alloc() : memref<1x2x2x8xf32>
  %junk = arith.constant 77.0 : f32
  linalg.fill ins(%junk : f32) outs(%packed : memref<1x2x2x8xf32>)

  // Gate columns 0 to 3, then up columns 5 to 8; then the one column left.
  // CHECK: 1, 11, 21, 31, 51, 61, 71, 81
  // CHECK: 2, 12, 22, 32, 52, 62, 72, 82
  // CHECK: 41, 0, 0, 0, 91, 0, 0, 0
  // CHECK: 42, 0, 0, 0, 92, 0, 0, 0
  moe.idx.pack ins(%nk : memref<1x10x2xf32>) layout = nk arrangement = concat
      schedule = #s outs(%packed : memref<1x2x2x8xf32>)
  %p = memref.cast %packed : memref<1x2x2x8xf32> to memref<*xf32>
  call @printMemrefF32(%p) : (memref<*xf32>) -> ()

  // Gate in even, up in odd columns.
  // CHECK: 1, 21, 41, 61, 11, 31, 51, 71
  // CHECK: 2, 22, 42, 62, 12, 32, 52, 72
  // CHECK: 81, 0, 0, 0, 91, 0, 0, 0
  // CHECK: 82, 0, 0, 0, 92, 0, 0, 0
  linalg.fill ins(%junk : f32) outs(%packed : memref<1x2x2x8xf32>)
  moe.idx.pack ins(%nk : memref<1x10x2xf32>) layout = nk
      arrangement = interleaved
      schedule = #s outs(%packed : memref<1x2x2x8xf32>)
  call @printMemrefF32(%p) : (memref<*xf32>) -> ()

  // Pairs of k: (1, 3), (2, 4), then (5, 0), (6, 0).
  // CHECK: 1, 3, 2, 4, 0, 0
  // CHECK: 5, 0, 6, 0, 0, 0
  %kn = memref.get_global @kn : memref<1x3x2xbf16>
  %pairs = memref.alloc() : memref<1x1x2x64xbf16>
  %junk16 = arith.constant 77.0 : bf16
  linalg.fill ins(%junk16 : bf16) outs(%pairs : memref<1x1x2x64xbf16>)
  moe.idx.pack ins(%kn : memref<1x3x2xbf16>) layout = kn schedule = #pairs
      outs(%pairs : memref<1x1x2x64xbf16>)
  %wide = memref.alloc() : memref<2x6xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c6 = arith.constant 6 : index
  scf.for %k = %c0 to %c2 step %c1 {
    scf.for %j = %c0 to %c6 step %c1 {
      %v = memref.load %pairs[%c0, %c0, %k, %j] : memref<1x1x2x64xbf16>
      %f = arith.extf %v : bf16 to f32
      memref.store %f, %wide[%k, %j] : memref<2x6xf32>
    }
  }
  %w = memref.cast %wide : memref<2x6xf32> to memref<*xf32>
  call @printMemrefF32(%w) : (memref<*xf32>) -> ()
  return
}
