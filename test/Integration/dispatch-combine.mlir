// Rows made by dispatch and added up by combine: a token with two pairs, one
// with one, one with none; a sequence offset; columns beyond a vector; rounding
// to bf16 once, after the sum.

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
// RUN: sed 's/vector = 4/vector = 16/' %s | moe-opt %{lower} | %{run} \
// RUN:   | FileCheck %s
// RUN: moe-opt %s -convert-moe-to-cpu | FileCheck %s --check-prefix=LOWERED

// Multiplication and addition stay apart, so that no target fuses them.
// LOWERED-LABEL: func.func private @moe_idx_combine
// LOWERED-NOT:     fma
// LOWERED:         arith.mulf {{.*}} : vector<4xf32>
// LOWERED-NEXT:    arith.addf {{.*}} : vector<4xf32>

#s = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2,
                   row_block = 8, product = mul_add, prefetch = true>

// S = 2, T = 2: token 0 has rows 0 and 3, token 1 none, token 2 row 1, and
// token 3 rows 2 and 4. The last row is not live.
memref.global "private" constant @x : memref<2x2x6xf32> = dense<[
  [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [9.0, 9.0, 9.0, 9.0, 9.0, 9.0]],
  [[10.0, 20.0, 30.0, 40.0, 50.0, 60.0], [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]]]>
memref.global "private" constant @expert_offsets : memref<4xi32>
    = dense<[0, 3, 3, 5]>
memref.global "private" constant @row_token : memref<6xi32>
    = dense<[0, 2, 3, 0, 3, -1]>
memref.global "private" constant @token_offsets : memref<2x3xi32>
    = dense<[[0, 2, 2], [2, 3, 5]]>
memref.global "private" constant @token_row : memref<6xi32>
    = dense<[0, 3, 1, 2, 4, -1]>
memref.global "private" constant @gates : memref<6xf32>
    = dense<[2.0, 0.5, 1.0, -1.0, 3.0, 0x7FC00000]>

// 1 + 2^-8 + 2^-8 in bf16: each addition alone would be rounded away.
memref.global "private" constant @small : memref<3x1xbf16>
    = dense<[[1.0], [0.00390625], [0.00390625]]>
memref.global "private" constant @first : memref<1x1x1xbf16>
    = dense<256.0>
memref.global "private" constant @second : memref<1x1x1xbf16>
    = dense<1.0>
memref.global "private" constant @three : memref<1x2xi32> = dense<[[0, 3]]>
memref.global "private" constant @in_order : memref<3xi32> = dense<[0, 1, 2]>

func.func private @printMemrefF32(memref<*xf32>)

func.func @main() {
  %x = memref.get_global @x : memref<2x2x6xf32>
  %eo = memref.get_global @expert_offsets : memref<4xi32>
  %rt = memref.get_global @row_token : memref<6xi32>
  %to = memref.get_global @token_offsets : memref<2x3xi32>
  %tr = memref.get_global @token_row : memref<6xi32>
  %gates = memref.get_global @gates : memref<6xf32>
  %untouched = arith.constant 77.0 : f32
  %rows = memref.alloc() : memref<6x6xf32>
  %y = memref.alloc() : memref<2x2x6xf32>
  linalg.fill ins(%untouched : f32) outs(%rows : memref<6x6xf32>)
  linalg.fill ins(%untouched : f32) outs(%y : memref<2x2x6xf32>)

  // CHECK: 1, 2, 3, 4, 5, 6
  // CHECK: 10, 20, 30, 40, 50, 60
  // CHECK: 0.5, 1.5, 2.5, 3.5, 4.5, 5.5
  // CHECK: 1, 2, 3, 4, 5, 6
  // CHECK: 0.5, 1.5, 2.5, 3.5, 4.5, 5.5
  // CHECK: 77, 77, 77, 77, 77, 77
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x2x6xf32>, memref<4xi32>, memref<6xi32>)
      outs(%rows : memref<6x6xf32>) {schedule = #s}
  %printed = memref.cast %rows : memref<6x6xf32> to memref<*xf32>
  call @printMemrefF32(%printed) : (memref<*xf32>) -> ()

  // CHECK: 1, 2, 3, 4, 5, 6
  // CHECK: 0, 0, 0, 0, 0, 0
  // CHECK: 5, 10, 15, 20, 25, 30
  // CHECK: 2, 6, 10, 14, 18, 22
  moe.idx.combine
      ins(%rows, %to, %tr : memref<6x6xf32>, memref<2x3xi32>, memref<6xi32>)
      gates(%gates : memref<6xf32>) outs(%y : memref<2x2x6xf32>)
      {schedule = #s}
  %gated = memref.cast %y : memref<2x2x6xf32> to memref<*xf32>
  call @printMemrefF32(%gated) : (memref<*xf32>) -> ()

  // CHECK: 2, 4, 6, 8, 10, 12
  // CHECK: 0, 0, 0, 0, 0, 0
  // CHECK: 10, 20, 30, 40, 50, 60
  // CHECK: 1, 3, 5, 7, 9, 11
  moe.idx.combine
      ins(%rows, %to, %tr : memref<6x6xf32>, memref<2x3xi32>, memref<6xi32>)
      outs(%y : memref<2x2x6xf32>)
  %plain = memref.cast %y : memref<2x2x6xf32> to memref<*xf32>
  call @printMemrefF32(%plain) : (memref<*xf32>) -> ()

  // CHECK: 1.00781
  %terms = memref.get_global @small : memref<3x1xbf16>
  %all = memref.get_global @three : memref<1x2xi32>
  %order = memref.get_global @in_order : memref<3xi32>
  %sum = memref.alloc() : memref<1x1x1xbf16>
  moe.idx.combine
      ins(%terms, %all, %order : memref<3x1xbf16>, memref<1x2xi32>,
          memref<3xi32>)
      outs(%sum : memref<1x1x1xbf16>) {schedule = #s}
  %c0 = arith.constant 0 : index
  %rounded = memref.load %sum[%c0, %c0, %c0] : memref<1x1x1xbf16>
  %shown = arith.extf %rounded : bf16 to f32
  vector.print %shown : f32

  // 257.0078125 is rounded up to 258 in bf16, and 259 to 260; rounded once,
  // 258.0078125 were 258.
  // CHECK: 260
  %first = memref.get_global @first : memref<1x1x1xbf16>
  %second = memref.get_global @second : memref<1x1x1xbf16>
  moe.idx.combine
      ins(%terms, %all, %order : memref<3x1xbf16>, memref<1x2xi32>,
          memref<3xi32>)
      addends(%first, %second : memref<1x1x1xbf16>, memref<1x1x1xbf16>)
      outs(%sum : memref<1x1x1xbf16>) {schedule = #s}
  %added = memref.load %sum[%c0, %c0, %c0] : memref<1x1x1xbf16>
  %wide = arith.extf %added : bf16 to f32
  vector.print %wide : f32

  // CHECK: 3, 6, 9, 12, 15, 18
  // CHECK: 9, 9, 9, 9, 9, 9
  // CHECK: 20, 40, 60, 80, 100, 120
  // CHECK: 1.5, 4.5, 7.5, 10.5, 13.5, 16.5
  moe.idx.combine
      ins(%rows, %to, %tr : memref<6x6xf32>, memref<2x3xi32>, memref<6xi32>)
      addends(%x : memref<2x2x6xf32>) outs(%y : memref<2x2x6xf32>)
      {schedule = #s}
  %residual = memref.cast %y : memref<2x2x6xf32> to memref<*xf32>
  call @printMemrefF32(%residual) : (memref<*xf32>) -> ()
  return
}
