// Executed in test/GPU/test_tiles.py and test_matmul.py.
// RUN: moe-opt %s --moe-add-tiles | FileCheck %s
// Lists on memrefs are those that tensors become.
// RUN: moe-opt %s --moe-add-tiles \
// RUN:   --one-shot-bufferize=bufferize-function-boundaries \
// RUN:   | FileCheck %s --check-prefix=MEMREF

#two = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 0>,
  <rows = 32, columns = 64, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 16>,
  <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 4,
   lanes = 4, least = 64>]>
#one = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 4,
   lanes = 4, least = 0>]>

// Both matmuls of a layer read the list of 128 rows: 1 + ceil(600 / 128) + 4
// records of four words.
// CHECK-LABEL: func.func @layer(
// CHECK-SAME:    %{{[^:]*}}: tensor<2x3x8xbf16>, %[[EO:[^:]*]]: tensor<5xi32>
// CHECK:       %[[EMPTY:.*]] = tensor.empty() : tensor<96xi32>
// CHECK:       %[[T32:.*]] = moe.idx.tiles ins(%[[EO]] : tensor<5xi32>) rows = 32 outs(%[[EMPTY]] : tensor<96xi32>) -> tensor<96xi32>
// CHECK:       %[[T128:.*]] = moe.idx.tiles ins(%[[EO]] : tensor<5xi32>) rows = 128 outs(%{{.*}} : tensor<40xi32>) -> tensor<40xi32>
// CHECK-NOT:   moe.idx.tiles
// CHECK:       moe.idx.grouped_matmul {{.*}} tiles(%[[T32]], %[[T128]] : tensor<96xi32>, tensor<40xi32>)
// CHECK-NOT:   moe.idx.tiles
// CHECK:       moe.idx.grouped_matmul {{.*}} tiles(%[[T128]] : tensor<40xi32>)

// MEMREF-LABEL: func.func @layer(
// MEMREF:       %[[LIST:.*]] = memref.alloc{{.*}} : memref<96xi32>
// MEMREF:       moe.idx.tiles ins(%{{.*}}) rows = 32 outs(%[[LIST]] : memref<96xi32>)
// MEMREF-NOT:   memref.copy
// MEMREF:       moe.idx.grouped_matmul {{.*}} tiles(%[[LIST]],
func.func @layer(%x: tensor<2x3x8xbf16>, %eo: tensor<5xi32>,
                 %rt: tensor<600xi32>, %w: tensor<4x16x8xbf16>,
                 %v: tensor<4x8x16xbf16>) -> tensor<600x8xbf16> {
  %e0 = tensor.empty() : tensor<600x16xbf16>
  %h = moe.idx.grouped_matmul ins(%x, %eo : tensor<2x3x8xbf16>, tensor<5xi32>)
      tokens(%rt : tensor<600xi32>) weights(%w : tensor<4x16x8xbf16>)
      layout = nk {schedule = #two} outs(%e0 : tensor<600x16xbf16>)
      -> tensor<600x16xbf16> {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    moe.yield %r : bf16
  }
  %e1 = tensor.empty() : tensor<600x8xbf16>
  %y = moe.idx.grouped_matmul ins(%h, %eo : tensor<600x16xbf16>, tensor<5xi32>)
      weights(%v : tensor<4x8x16xbf16>) layout = nk {schedule = #one}
      outs(%e1 : tensor<600x8xbf16>) -> tensor<600x8xbf16> {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    moe.yield %r : bf16
  }
  return %y : tensor<600x8xbf16>
}

// The room follows from the rows at run time.
// CHECK-LABEL: func.func @dynamic(
// CHECK-SAME:    %[[Y:[^:]*]]: tensor<?x8xbf16>)
// CHECK:       %[[R:.*]] = tensor.dim %[[Y]], %c0
// CHECK:       %[[TILES:.*]] = arith.ceildivui %[[R]], %c128
// CHECK:       %[[RECORDS:.*]] = arith.addi %[[TILES]], %c5
// CHECK:       %[[WORDS:.*]] = arith.muli %[[RECORDS]], %c4
// CHECK:       tensor.empty(%[[WORDS]]) : tensor<?xi32>
// CHECK:       moe.idx.tiles {{.*}} rows = 128
// CHECK:       moe.idx.grouped_matmul {{.*}} tiles(
func.func @dynamic(%x: tensor<?x16xbf16>, %eo: tensor<5xi32>,
                   %v: tensor<4x8x16xbf16>, %y: tensor<?x8xbf16>)
    -> tensor<?x8xbf16> {
  %0 = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x16xbf16>, tensor<5xi32>)
      weights(%v : tensor<4x8x16xbf16>) layout = nk {schedule = #one}
      outs(%y : tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    moe.yield %r : bf16
  }
  return %0 : tensor<?x8xbf16>
}

// A schedule for a CPU needs none.
// CHECK-LABEL: func.func @cpu(
// CHECK-NOT:   tiles
// CHECK:       return
func.func @cpu(%x: tensor<6x16xbf16>, %eo: tensor<5xi32>,
               %v: tensor<4x8x16xbf16>, %y: tensor<6x8xf32>)
    -> tensor<6x8xf32> {
  %0 = moe.idx.grouped_matmul ins(%x, %eo : tensor<6x16xbf16>, tensor<5xi32>)
      weights(%v : tensor<4x8x16xbf16>) layout = nk
      outs(%y : tensor<6x8xf32>) -> tensor<6x8xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return %0 : tensor<6x8xf32>
}
