// Executed in test/GPU/test_tiles.py, test_matmul.py and test_route_tiles.py.
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

// A routing makes the lists itself: 1 + ceil(12 / 32) + 4 records, and behind
// them those of 128 rows.
// CHECK-LABEL: func.func @routed(
// CHECK:       %[[R32:.*]] = tensor.empty() : tensor<24xi32>
// CHECK:       %[[R128:.*]] = tensor.empty() : tensor<24xi32>
// CHECK:       %[[PLAN:.*]]:8 = moe.idx.route
// CHECK-SAME:    tile_rows = array<i64: 32, 128>
// CHECK-NOT:   moe.idx.tiles
// CHECK:       moe.idx.grouped_matmul ins(%{{.*}}, %[[PLAN]]#0
// CHECK-SAME:    tiles(%[[PLAN]]#6, %[[PLAN]]#7 :
// CHECK-NOT:   moe.idx.tiles
// CHECK:       return %{{.*}}, %[[PLAN]]#7

// MEMREF-LABEL: func.func @routed(
// MEMREF:       moe.idx.route {{.*}} outs({{.*}} : memref<5xi32>, memref<12xi32>, memref<1x7xi32>, memref<12xi32>, memref<12xf32>, memref<?xi32, {{[^>]*>>}}, memref<24xi32>, memref<24xi32>)
func.func @routed(%logits: tensor<1x6x4xf32>, %x: tensor<1x6x8xbf16>,
                  %w: tensor<4x16x8xbf16>, %work: tensor<?xi32>,
                  %y: tensor<12x16xbf16>)
    -> (tensor<12x16xbf16>, tensor<24xi32>) {
  %e0 = tensor.empty() : tensor<5xi32>
  %e1 = tensor.empty() : tensor<12xi32>
  %e2 = tensor.empty() : tensor<1x7xi32>
  %e3 = tensor.empty() : tensor<12xf32>
  %p:6 = moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : tensor<1x6x4xf32>)
      outs(%e0, %e1, %e2, %e1, %e3, %work : tensor<5xi32>, tensor<12xi32>,
           tensor<1x7xi32>, tensor<12xi32>, tensor<12xf32>, tensor<?xi32>)
      -> tensor<5xi32>, tensor<12xi32>, tensor<1x7xi32>, tensor<12xi32>,
         tensor<12xf32>, tensor<?xi32>
  %0 = moe.idx.grouped_matmul ins(%x, %p#0 : tensor<1x6x8xbf16>, tensor<5xi32>)
      tokens(%p#1 : tensor<12xi32>) weights(%w : tensor<4x16x8xbf16>)
      layout = nk {schedule = #two} outs(%y : tensor<12x16xbf16>)
      -> tensor<12x16xbf16> {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    moe.yield %r : bf16
  }
  // One that was there already is the same list.
  %e4 = tensor.empty() : tensor<24xi32>
  %t = moe.idx.tiles ins(%p#0 : tensor<5xi32>) rows = 128
      outs(%e4 : tensor<24xi32>) -> tensor<24xi32>
  return %0, %t : tensor<12x16xbf16>, tensor<24xi32>
}

// The room of a routing of unknown sizes; a list that is written into memory of
// its own stays an op.
// CHECK-LABEL: func.func @routed_dynamic(
// CHECK-SAME:    %{{[^,]*}}, %[[RT:[^:]*]]: tensor<?xi32>
// CHECK:       %[[R:.*]] = tensor.dim %[[RT]], %c0
// CHECK:       arith.ceildivui %[[R]], %c128
// CHECK:       moe.idx.route {{.*}}{tile_rows = array<i64: 128>}
// CHECK:       moe.idx.tiles {{.*}} rows = 16
func.func @routed_dynamic(%logits: tensor<1x?x4xf32>, %rt: tensor<?xi32>,
                          %to: tensor<1x?xi32>, %tr: tensor<?xi32>,
                          %g: tensor<?xf32>, %work: tensor<?xi32>,
                          %eo: tensor<5xi32>, %v: tensor<4x8x16xbf16>,
                          %x: tensor<?x16xbf16>, %y: tensor<?x8xbf16>,
                          %own: tensor<?xi32>)
    -> (tensor<?x8xbf16>, tensor<?xi32>) {
  %p:6 = moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : tensor<1x?x4xf32>)
      outs(%eo, %rt, %to, %tr, %g, %work : tensor<5xi32>, tensor<?xi32>,
           tensor<1x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>)
      -> tensor<5xi32>, tensor<?xi32>, tensor<1x?xi32>, tensor<?xi32>,
         tensor<?xf32>, tensor<?xi32>
  %0 = moe.idx.grouped_matmul ins(%x, %p#0 : tensor<?x16xbf16>, tensor<5xi32>)
      weights(%v : tensor<4x8x16xbf16>) layout = nk {schedule = #one}
      outs(%y : tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%a: f32):
    %r = arith.truncf %a : f32 to bf16
    moe.yield %r : bf16
  }
  %t = moe.idx.tiles ins(%p#0 : tensor<5xi32>) rows = 16
      outs(%own : tensor<?xi32>) -> tensor<?xi32>
  return %0, %t : tensor<?x8xbf16>, tensor<?xi32>
}
