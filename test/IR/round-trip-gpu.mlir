// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --emit-bytecode | moe-opt | FileCheck %s

// Routings that are scheduled for a GPU, in both forms.

// CHECK-LABEL: func.func @plan_form
// CHECK: moe.route {{.*}} {schedule = #moe.gpu_route<chip = sm_86, form = block, threads = 128, blocks = 1, tokens = 3>}
func.func @plan_form(%logits: tensor<2x3x4xf32>)
    -> (!moe.plan<2x3x4, rows = 6>, tensor<6xf32>) {
  %p, %g = moe.route %logits top 1 scope = sequence score = softmax
      normalize = none {schedule = #moe.gpu_route<chip = sm_86, form = block,
      threads = 128, blocks = 1, tokens = 3>} : tensor<2x3x4xf32>
  return %p, %g : !moe.plan<2x3x4, rows = 6>, tensor<6xf32>
}

// CHECK-LABEL: func.func @cluster
// CHECK: moe.route {{.*}} {schedule = #moe.gpu_route<chip = sm_90, form = cluster, threads = 256, blocks = 16, tokens = 8, cluster = 16>}
func.func @cluster(%logits: tensor<2x3x4xf32>) -> tensor<6xf32> {
  %p, %g = moe.route %logits top 1 scope = sequence score = softmax
      normalize = none {schedule = #moe.gpu_route<chip = sm_90, form = cluster,
      threads = 256, blocks = 16, tokens = 8, cluster = 16>} : tensor<2x3x4xf32>
  return %g : tensor<6xf32>
}

// CHECK-LABEL: func.func @index_form
// CHECK: moe.idx.route
// CHECK-SAME: memref<24xi32>, memref<44xi32>)
// CHECK-SAME: {schedule = #moe.gpu_route<chip = sm_120, form = grid, threads = 512, blocks = 256, tokens = 8>, tile_rows = array<i64: 128, 1>}
func.func @index_form(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                      %rt: memref<6xi32>, %to: memref<2x4xi32>,
                      %tr: memref<6xi32>, %gates: memref<6xf32>,
                      %work: memref<?xi32>, %few: memref<24xi32>,
                      %many: memref<44xi32>) {
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %few, %many : memref<5xi32>,
           memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>,
           memref<?xi32>, memref<24xi32>, memref<44xi32>)
      {schedule = #moe.gpu_route<chip = sm_120, form = grid, threads = 512,
       blocks = 256, tokens = 8>, tile_rows = array<i64: 128, 1>}
  return
}

// CHECK-LABEL: func.func @router
// CHECK: moe.idx.route top 1 scope = token score = softmax normalize = none
// CHECK-SAME: router(%{{.*}}, %{{.*}}, %{{.*}} : memref<6x8xbf16>, memref<1x8x4xbf16>, memref<1x4xf32>) layout = kn {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT: arith.addf %[[SUM]], %[[BIAS]]
// CHECK-NEXT: moe.yield
// CHECK-NEXT: } ins(%{{.*}} : memref<2x3x4xf32>)
func.func @router(%x: memref<6x8xbf16>, %w: memref<1x8x4xbf16>,
                  %b: memref<1x4xf32>, %logits: memref<2x3x4xf32>,
                  %eo: memref<5xi32>, %rt: memref<6xi32>, %to: memref<2x4xi32>,
                  %tr: memref<6xi32>, %gates: memref<6xf32>,
                  %work: memref<?xi32>) {
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w, %b : memref<6x8xbf16>, memref<1x8x4xbf16>, memref<1x4xf32>)
      layout = kn {
      ^bb0(%sum: f32, %bias: f32):
        %biased = arith.addf %sum, %bias : f32
        moe.yield %biased : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}
