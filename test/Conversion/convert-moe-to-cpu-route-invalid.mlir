// RUN: moe-opt %s -split-input-file -verify-diagnostics -convert-moe-to-cpu

func.func @strided_workspace(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                             %rt: memref<6xi32>, %to: memref<2x4xi32>,
                             %tr: memref<6xi32>, %gates: memref<6xf32>,
                             %work: memref<?xi32, strided<[2]>>) {
  // expected-error @+1 {{needs a workspace whose words lie next to each other, because it is read by whole vectors; got 'memref<?xi32, strided<[2]>>'; allocate it where it is used, without a strided layout}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>,
           memref<?xi32, strided<[2]>>)
  return
}

// -----

func.func @schedule_of_gpu(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                           %rt: memref<6xi32>, %to: memref<2x4xi32>,
                           %tr: memref<6xi32>, %gates: memref<6xf32>,
                           %work: memref<?xi32>) {
  // expected-error @+1 {{has a #moe.gpu_route schedule or lists of tiles, which are for convert-moe-to-gpu; a CPU takes a #moe.schedule, and its matmuls read the plan}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
      {schedule = #moe.gpu_route<chip = sm_80, form = grid, threads = 256,
                                 blocks = 108, tokens = 8>}
  return
}

// -----

func.func @lists_of_tiles(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                          %rt: memref<6xi32>, %to: memref<2x4xi32>,
                          %tr: memref<6xi32>, %gates: memref<6xf32>,
                          %work: memref<?xi32>, %tiles: memref<24xi32>) {
  // expected-error @+1 {{has a #moe.gpu_route schedule or lists of tiles}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %tiles : memref<5xi32>,
           memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>,
           memref<?xi32>, memref<24xi32>) {tile_rows = array<i64: 16>}
  return
}

// -----

func.func @router(%x: memref<6x8xbf16>, %w: memref<1x4x8xbf16>,
                  %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                  %rt: memref<6xi32>, %to: memref<2x4xi32>,
                  %tr: memref<6xi32>, %gates: memref<6xf32>,
                  %work: memref<?xi32>) {
  // expected-error @+1 {{computes its logits, which only kernels of a GPU do; leave the router's matmul an op of its own}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x8xbf16>, memref<1x4x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}
