// RUN: moe-opt %s --convert-moe-to-gpu -split-input-file -verify-diagnostics

func.func @tensors(%x: tensor<2x3x8xf32>, %eo: tensor<5xi32>,
                   %rt: tensor<6xi32>, %rows: tensor<6x8xf32>)
    -> tensor<6x8xf32> {
  // expected-error @+1 {{must be bufferized before convert-moe-to-gpu; run moe-expand-plan and one-shot-bufferize first}}
  %0 = moe.idx.dispatch
      ins(%x, %eo, %rt : tensor<2x3x8xf32>, tensor<5xi32>, tensor<6xi32>)
      outs(%rows : tensor<6x8xf32>) -> tensor<6x8xf32>
  return %0 : tensor<6x8xf32>
}

// -----

func.func @strided(%x: memref<2x3x8xf32>, %eo: memref<5xi32>,
                   %rt: memref<6xi32>,
                   %rows: memref<6x8xf32, strided<[16, 1]>>) {
  // expected-error @+1 {{has an operand of type 'memref<6x8xf32, strided<[16, 1]>>', and kernels take dense row-major memory; copy it to a memref without a layout}}
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x8xf32, strided<[16, 1]>>)
  return
}

// -----

func.func @columns(%x: memref<2x3x?xf32>, %eo: memref<5xi32>,
                   %rt: memref<6xi32>, %rows: memref<6x?xf32>) {
  // expected-error @+1 {{has an operand of type 'memref<2x3x?xf32>', and kernels are made for one number of columns; give the last dimension a static size}}
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x3x?xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x?xf32>)
  return
}

// -----

func.func @many_experts(%logits: memref<1x2x1025xf32>, %eo: memref<1026xi32>,
                        %rt: memref<4xi32>, %to: memref<1x3xi32>,
                        %tr: memref<4xi32>, %gates: memref<4xf32>,
                        %work: memref<?xi32>) {
  // expected-error @+1 {{routes among 1025 experts, and the kernel of a GPU among 1024 at most}}
  moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : memref<1x2x1025xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<1026xi32>, memref<4xi32>,
           memref<1x3xi32>, memref<4xi32>, memref<4xf32>, memref<?xi32>)
      {schedule = #moe.gpu_route<chip = sm_80, form = grid, threads = 256,
                                 blocks = 108, tokens = 8>}
  return
}

// -----

func.func @no_schedule(%logits: memref<1x2x8xf32>, %eo: memref<9xi32>,
                        %rt: memref<4xi32>, %to: memref<1x3xi32>,
                        %tr: memref<4xi32>, %gates: memref<4xf32>,
                        %work: memref<?xi32>) {
  // expected-error @+1 {{needs a #moe.gpu_route schedule; moe-choose-schedule with a chip writes one}}
  moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : memref<1x2x8xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<9xi32>, memref<4xi32>,
           memref<1x3xi32>, memref<4xi32>, memref<4xf32>, memref<?xi32>)
  return
}

// -----

func.func @schedule_of_cpu(%logits: memref<1x2x8xf32>, %eo: memref<9xi32>,
                        %rt: memref<4xi32>, %to: memref<1x3xi32>,
                        %tr: memref<4xi32>, %gates: memref<4xf32>,
                        %work: memref<?xi32>) {
  // expected-error @+1 {{has a #moe.schedule, which is for convert-moe-to-cpu; a GPU takes a #moe.gpu_route schedule}}
  moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : memref<1x2x8xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<9xi32>, memref<4xi32>,
           memref<1x3xi32>, memref<4xi32>, memref<4xf32>, memref<?xi32>)
      {schedule = #moe.schedule<target = cpu, vector = 16, rows = 6,
       vectors = 4, row_block = 120, product = fma, prefetch = true>}
  return
}

// -----

#grid = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                       tokens = 8>
func.func @router_of_f32(%x: memref<6x8xf32>, %w: memref<1x4x8xf32>,
                         %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                         %rt: memref<6xi32>, %to: memref<2x4xi32>,
                         %tr: memref<6xi32>, %gates: memref<6xf32>,
                         %work: memref<?xi32>) {
  // expected-error @+1 {{has a router that multiplies 'f32', and tensor cores of GPUs take bf16 or f16 with sums in f32; convert input and weight to one of these}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x8xf32>, memref<1x4x8xf32>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
      {schedule = #grid}
  return
}

// -----

#grid = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                       tokens = 8>
func.func @router_of_nothing(%x: memref<6x0xbf16>, %w: memref<1x4x0xbf16>,
                             %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                             %rt: memref<6xi32>, %to: memref<2x4xi32>,
                             %tr: memref<6xi32>, %gates: memref<6xf32>,
                             %work: memref<?xi32>) {
  // expected-error @+1 {{has a router of an input 'memref<6x0xbf16>', and a kernel for a GPU takes an H of 1 to 524288}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x0xbf16>, memref<1x4x0xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
      {schedule = #grid}
  return
}

// -----

#grid = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108,
                       tokens = 8>
func.func @router_with_power(%x: memref<6x8xbf16>, %w: memref<1x4x8xbf16>,
                             %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                             %rt: memref<6xi32>, %to: memref<2x4xi32>,
                             %tr: memref<6xi32>, %gates: memref<6xf32>,
                             %work: memref<?xi32>) {
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x8xbf16>, memref<1x4x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        // expected-error @+1 {{cannot stand in the epilogue of a matmul on a GPU}}
        %power = math.powf %sum, %sum : f32
        moe.yield %power : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
      {schedule = #grid}
  return
}
