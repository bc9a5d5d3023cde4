// Executed in test/GPU/test_route_router.py and test_host_router.py.
// RUN: moe-opt %s --moe-join-router=router=joined --canonicalize -split-input-file | FileCheck %s
// RUN: moe-opt %s --moe-join-router=router=apart -split-input-file | FileCheck %s --check-prefix=APART
// APART-NOT: router(

#matmul = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 64, columns = 128, depth = 64, warp_rows = 32, stages = 4, lanes = 8,
   least = 0>]>
#route = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                        tokens = 8>

// The logits stay memory that others read; the tiles and the offsets of the one
// expert, which nobody reads any more, are gone.
// CHECK-LABEL: func.func @joined(
// CHECK-SAME:    %[[X:.*]]: memref<16x32xbf16>, %[[W:[^:]*]]: memref<1x4x32xbf16>
// CHECK-NOT:   moe.idx.tiles
// CHECK-NOT:   memref.store
// CHECK:       %[[ALLOC:.*]] = memref.alloc() : memref<16x4xbf16>
// CHECK-NOT:   memref.alloc
// CHECK-NOT:   grouped_matmul
// CHECK:       %[[LOGITS:.*]] = memref.expand_shape %[[ALLOC]]
// CHECK:       moe.idx.route top 1 {{.*}} router(%[[X]], %[[W]], %{{.*}} : memref<16x32xbf16>, memref<1x4x32xbf16>, memref<1x4xf32>) layout = nk {
// CHECK-NEXT:  ^bb0(%[[SUM:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT:    %[[BIASED:.*]] = arith.addf %[[SUM]], %[[BIAS]]
// CHECK-NEXT:    %[[LOGIT:.*]] = arith.truncf %[[BIASED]]
// CHECK-NEXT:    moe.yield %[[LOGIT]] : bf16
// CHECK-NEXT:  } ins(%[[LOGITS]] : memref<2x8x4xbf16>)
// CHECK:       return %[[LOGITS]]
func.func @joined(%x: memref<16x32xbf16>, %w: memref<1x4x32xbf16>,
                  %b: memref<1x4xf32>, %eo: memref<5xi32>, %rt: memref<16xi32>,
                  %to: memref<2x9xi32>, %tr: memref<16xi32>,
                  %gates: memref<16xf32>, %work: memref<?xi32>)
    -> memref<2x8x4xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i32
  %rows = arith.constant 16 : i32
  %ends = memref.alloc() : memref<2xi32>
  memref.store %zero, %ends[%c0] : memref<2xi32>
  memref.store %rows, %ends[%c1] : memref<2xi32>
  %tiles = memref.alloc() : memref<12xi32>
  moe.idx.tiles ins(%ends : memref<2xi32>) rows = 64
      outs(%tiles : memref<12xi32>)
  %out = memref.alloc() : memref<16x4xbf16>
  moe.idx.grouped_matmul ins(%x, %ends : memref<16x32xbf16>, memref<2xi32>)
      tiles(%tiles : memref<12xi32>) weights(%w : memref<1x4x32xbf16>)
      layout = nk extras [#moe<extra column>](%b : memref<1x4xf32>)
      {schedule = #matmul} outs(%out : memref<16x4xbf16>) {
  ^bb0(%sum: f32, %bias: f32):
    %biased = arith.addf %sum, %bias : f32
    %logit = arith.truncf %biased : f32 to bf16
    moe.yield %logit : bf16
  }
  %logits = memref.expand_shape %out [[0, 1], [2]] output_shape [2, 8, 4]
      : memref<16x4xbf16> into memref<2x8x4xbf16>
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x8x4xbf16>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<16xi32>,
           memref<2x9xi32>, memref<16xi32>, memref<16xf32>, memref<?xi32>)
      {schedule = #route}
  return %logits : memref<2x8x4xbf16>
}

// -----

#matmul = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 64, columns = 128, depth = 64, warp_rows = 32, stages = 4, lanes = 8,
   least = 0>]>
#route = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                        tokens = 8>

// Another op reads the logits in between: they must be there.
// CHECK-LABEL: func.func @read_before(
// CHECK:       grouped_matmul
// CHECK-NOT:   router(
func.func @read_before(%x: memref<16x32xbf16>, %w: memref<1x4x32xbf16>,
                       %ends: memref<2xi32>, %tiles: memref<12xi32>,
                       %eo: memref<5xi32>, %rt: memref<16xi32>,
                       %to: memref<2x9xi32>, %tr: memref<16xi32>,
                       %gates: memref<16xf32>, %work: memref<?xi32>)
    -> memref<16x4xbf16> {
  %copy = memref.alloc() : memref<16x4xbf16>
  %out = memref.alloc() : memref<16x4xbf16>
  moe.idx.grouped_matmul ins(%x, %ends : memref<16x32xbf16>, memref<2xi32>)
      tiles(%tiles : memref<12xi32>) weights(%w : memref<1x4x32xbf16>)
      layout = nk {schedule = #matmul} outs(%out : memref<16x4xbf16>) {
  ^bb0(%sum: f32):
    %logit = arith.truncf %sum : f32 to bf16
    moe.yield %logit : bf16
  }
  memref.copy %out, %copy : memref<16x4xbf16> to memref<16x4xbf16>
  %logits = memref.expand_shape %out [[0, 1], [2]] output_shape [2, 8, 4]
      : memref<16x4xbf16> into memref<2x8x4xbf16>
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x8x4xbf16>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<16xi32>,
           memref<2x9xi32>, memref<16xi32>, memref<16xf32>, memref<?xi32>)
      {schedule = #route}
  return %copy : memref<16x4xbf16>
}

// -----

#matmul = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 64, columns = 128, depth = 64, warp_rows = 32, stages = 4, lanes = 8,
   least = 0>]>
#route = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                        tokens = 8>

// The input changes in between: the matmul must stand before that.
// CHECK-LABEL: func.func @input_changes(
// CHECK:       grouped_matmul
// CHECK-NOT:   router(
func.func @input_changes(%x: memref<16x32xbf16>, %w: memref<1x4x32xbf16>,
                         %other: memref<16x32xbf16>, %ends: memref<2xi32>,
                         %tiles: memref<12xi32>, %eo: memref<5xi32>,
                         %rt: memref<16xi32>, %to: memref<2x9xi32>,
                         %tr: memref<16xi32>, %gates: memref<16xf32>,
                         %work: memref<?xi32>) {
  %out = memref.alloc() : memref<16x4xbf16>
  moe.idx.grouped_matmul ins(%x, %ends : memref<16x32xbf16>, memref<2xi32>)
      tiles(%tiles : memref<12xi32>) weights(%w : memref<1x4x32xbf16>)
      layout = nk {schedule = #matmul} outs(%out : memref<16x4xbf16>) {
  ^bb0(%sum: f32):
    %logit = arith.truncf %sum : f32 to bf16
    moe.yield %logit : bf16
  }
  memref.copy %other, %x : memref<16x32xbf16> to memref<16x32xbf16>
  %logits = memref.expand_shape %out [[0, 1], [2]] output_shape [2, 8, 4]
      : memref<16x4xbf16> into memref<2x8x4xbf16>
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x8x4xbf16>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<16xi32>,
           memref<2x9xi32>, memref<16xi32>, memref<16xf32>, memref<?xi32>)
      {schedule = #route}
  return
}

// -----

#matmul = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 64, columns = 128, depth = 64, warp_rows = 32, stages = 4, lanes = 8,
   least = 0>]>
#route = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                        tokens = 8>

// The region reads an element for each logit, which is no bias.
// CHECK-LABEL: func.func @reads_elements(
// CHECK:       grouped_matmul
// CHECK-NOT:   router(
func.func @reads_elements(%x: memref<16x32xbf16>, %w: memref<1x4x32xbf16>,
                          %b: memref<16x4xf32>, %ends: memref<2xi32>,
                          %tiles: memref<12xi32>, %eo: memref<5xi32>,
                          %rt: memref<16xi32>, %to: memref<2x9xi32>,
                          %tr: memref<16xi32>, %gates: memref<16xf32>,
                          %work: memref<?xi32>) {
  %out = memref.alloc() : memref<16x4xbf16>
  moe.idx.grouped_matmul ins(%x, %ends : memref<16x32xbf16>, memref<2xi32>)
      tiles(%tiles : memref<12xi32>) weights(%w : memref<1x4x32xbf16>)
      layout = nk extras [#moe<extra element>](%b : memref<16x4xf32>)
      {schedule = #matmul} outs(%out : memref<16x4xbf16>) {
  ^bb0(%sum: f32, %element: f32):
    %all = arith.addf %sum, %element : f32
    %logit = arith.truncf %all : f32 to bf16
    moe.yield %logit : bf16
  }
  %logits = memref.expand_shape %out [[0, 1], [2]] output_shape [2, 8, 4]
      : memref<16x4xbf16> into memref<2x8x4xbf16>
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x8x4xbf16>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<16xi32>,
           memref<2x9xi32>, memref<16xi32>, memref<16xf32>, memref<?xi32>)
      {schedule = #route}
  return
}
