// RUN: moe-opt %s -convert-moe-to-cpu -canonicalize -cse | FileCheck %s
// RUN: moe-opt %s -convert-moe-to-cpu | FileCheck %s --check-prefix=NONE

// The structure of what test/Integration/grouped-matmul.mlir executes.

// No moe op is left, and nothing that LLVM would turn into a call of libm.
// NONE-NOT: moe.idx
// NONE-NOT: moe.yield
// NONE-NOT: math.exp
// NONE-NOT: math.tanh

#avx512 = #moe.schedule<target = cpu, vector = 16, rows = 2, vectors = 2,
                        row_block = 8, product = fma, prefetch = true>
#dot = #moe.schedule<target = cpu, vector = 16, rows = 1, vectors = 2,
                     row_block = 8, product = bf16_dot, prefetch = false>
#baseline = #moe.schedule<target = cpu, vector = 4, rows = 1, vectors = 2,
                          row_block = 8, product = mul_add, prefetch = false>

// Without fused multiply-add: none may be emitted, it would be a call.
// CHECK-LABEL: func.func private @moe_tile_1of1x2x4_f32_mul_add(
// CHECK-NOT:     fma
// CHECK:           arith.mulf {{.*}} vector<4xf32>
// CHECK-NEXT:      arith.addf {{.*}} vector<4xf32>

// bf16 pairs: one i32 of a row, in every lane, times pairs of the panel.
// CHECK-LABEL: func.func private @moe_tile_1of1x2x16_bf16_bf16_dot(
// CHECK-NOT:       memref.prefetch
// CHECK-COUNT-2:   vector.load {{.*}} vector<32xbf16>
// CHECK:           %[[PAIR:.*]] = vector.load {{.*}} vector<2xbf16>
// CHECK:           %[[WORD:.*]] = vector.bitcast %[[PAIR]] : vector<2xbf16> to vector<1xi32>
// CHECK-COUNT-2:   x86vector.avx512.dot

// A tile of two rows: per step, two lines of the next panel are prefetched, the
// two vectors of the panel loaded once, and each row's value broadcast.
// CHECK-LABEL: func.func private @moe_tile_2of2x2x16_f32_fma_prefetch(
// CHECK-SAME:    no_inline
// CHECK:         scf.for
// CHECK-SAME:      -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-2:   memref.prefetch {{.*}}, read, locality<2>, data
// CHECK-COUNT-2:   vector.load {{.*}} vector<16xf32>
// CHECK-NOT:       vector.load
// CHECK:           vector.broadcast
// CHECK-COUNT-2:   math.fma {{.*}} vector<16xf32>
// CHECK:           vector.broadcast
// CHECK-COUNT-2:   math.fma {{.*}} vector<16xf32>
// CHECK:           scf.yield
// CHECK-COUNT-4: vector.store
// CHECK-LABEL: func.func private @moe_tile_1of2x2x16_f32_fma_prefetch(

// Two equal ops share a function, and all ops of a shape their tiles. Another
// epilogue is another function.
// CHECK-LABEL: func.func @layers(
// CHECK:         call @moe_idx_grouped_matmul(
// CHECK:         call @moe_idx_grouped_matmul(
// CHECK-NEXT:    call @moe_idx_grouped_matmul_0(
func.func @layers(%x: memref<2x3x32xf32>, %eo: memref<5xi32>,
                  %rt: memref<6xi32>, %w: memref<4x4x32x32xf32>,
                  %v: memref<4x4x32x32xf32>, %y: memref<6x64xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x32xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) packed weights(%w : memref<4x4x32x32xf32>)
      layout = nk {schedule = #avx512} outs(%y : memref<6x64xf32>) {
  ^bb0(%g: f32, %u: f32):
    %e = math.exp %g : f32
    %p = arith.mulf %e, %u : f32
    moe.yield %p : f32
  }
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x32xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) packed weights(%v : memref<4x4x32x32xf32>)
      layout = nk {schedule = #avx512} outs(%y : memref<6x64xf32>) {
  ^bb0(%g: f32, %u: f32):
    %e = math.exp %g : f32
    %p = arith.mulf %e, %u : f32
    moe.yield %p : f32
  }
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x32xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) packed weights(%v : memref<4x4x32x32xf32>)
      layout = nk {schedule = #avx512} outs(%y : memref<6x64xf32>) {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  return
}

// Ranges of panels are the outer parallel dimension, experts the inner one.
// Tokens are read in place. Whole panels leave no scalar columns.
// CHECK-LABEL: func.func private @moe_idx_grouped_matmul(
// CHECK-SAME:    %[[X:.*]]: memref<2x3x32xf32>, %{{.*}}: memref<5xi32>, %[[RT:.*]]: memref<6xi32>
// CHECK:         %[[TOKENS:.*]] = memref.collapse_shape %[[X]]
// CHECK:         %[[ROWS:.*]] = memref.cast %[[TOKENS]]
// CHECK:         scf.parallel (%[[RANGE:.*]], %[[EXPERT:.*]]) = (%c0, %c0) to (%c4, %c4)
// CHECK:           scf.if
// CHECK:             scf.for
// CHECK:               scf.for
// CHECK:                 memref.subview %{{.*}}[%[[EXPERT]],
// Two tiles share their rows evenly, more are full but for the last.
// CHECK:                 %[[BLOCK:.*]] = arith.subi
// CHECK-NEXT:            %[[ABOVE:.*]] = arith.cmpi ugt, %[[BLOCK]], %c2
// CHECK-NEXT:            %[[BELOW:.*]] = arith.cmpi ult, %[[BLOCK]], %c4
// CHECK-NEXT:            %[[TWO:.*]] = arith.andi %[[ABOVE]], %[[BELOW]]
// CHECK-NEXT:            %[[ODD:.*]] = arith.addi %[[BLOCK]], %c1
// CHECK-NEXT:            %[[HALF:.*]] = arith.divui %[[ODD]], %c2
// CHECK-NEXT:            %[[SIZE:.*]] = arith.select %[[TWO]], %[[HALF]], %c2
// CHECK-NEXT:            scf.for {{.*}} step %[[SIZE]]
// CHECK:                   scf.index_switch
// CHECK:                   case 1
// CHECK:                     func.call @moe_tile_1of2x2x16_f32_fma_prefetch(%[[ROWS]]
// CHECK:                   case 2
// CHECK:                     memref.load %[[RT]]
// CHECK:                     func.call @moe_tile_2of2x2x16_f32_fma_prefetch(%[[ROWS]]
// CHECK:                   default
// CHECK-NOT:               memref.store
// CHECK:                   vector.store {{.*}} vector<16xf32>
// CHECK-NOT:               memref.store
// CHECK:             memref.dealloc
// CHECK:         scf.reduce

func.func @bf16(%x: memref<6x32xbf16>, %eo: memref<5xi32>,
                %w: memref<4x1x16x64xbf16>, %y: memref<6x20xbf16>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x32xbf16>, memref<5xi32>)
      packed weights(%w : memref<4x1x16x64xbf16>)
      layout = nk {schedule = #dot} outs(%y : memref<6x20xbf16>) {
  ^bb0(%s: f32):
    %t = math.tanh %s : f32
    %r = arith.truncf %t : f32 to bf16
    moe.yield %r : bf16
  }
  return
}

func.func @baseline(%x: memref<6x32xf32>, %eo: memref<5xi32>,
                    %w: memref<4x3x32x8xf32>, %y: memref<6x20xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x32xf32>, memref<5xi32>)
      packed weights(%w : memref<4x3x32x8xf32>)
      layout = nk {schedule = #baseline} outs(%y : memref<6x20xf32>) {
  ^bb0(%s: f32):
    %t = math.tanh %s : f32
    moe.yield %t : f32
  }
  return
}
