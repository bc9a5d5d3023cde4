// RUN: moe-opt %s -moe-choose-schedule=cpu=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,V4
// RUN: moe-opt %s -moe-choose-schedule=cpu=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,V3
// RUN: moe-opt %s -moe-choose-schedule=cpu=x86-64 | FileCheck %s --check-prefixes=CHECK,V1
// RUN: moe-opt %s -moe-choose-schedule=cpu=znver4 | FileCheck %s --check-prefixes=CHECK,ZEN4
// RUN: not moe-opt %s -moe-choose-schedule=cpu=pdp11 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: moe-opt %s -moe-choose-schedule=chip=sm_80 | FileCheck %s --check-prefixes=GPU,SM80
// RUN: moe-opt %s -moe-choose-schedule=chip=sm_86 | FileCheck %s --check-prefixes=GPU,SM86
// RUN: moe-opt %s -moe-choose-schedule=chip=sm_90 | FileCheck %s --check-prefixes=GPU,SM90
// RUN: not moe-opt %s -moe-choose-schedule=chip=sm_70 2>&1 | FileCheck %s --check-prefix=OLD

// OLD: moe-choose-schedule: unknown chip 'sm_70'; accepted are sm_80, {{.*}}sm_120
// UNKNOWN: moe-choose-schedule: unknown CPU 'pdp11'; accepted are host, {{.*}}x86-64-v3, x86-64-v4

!plan = !moe.plan<2x3x4, rows = 6>

// CHECK-LABEL: func.func @plan_form
// V4: moe.route {{.*}}schedule = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4, row_block = 120, product = fma, prefetch = true>
// V3: moe.route {{.*}}schedule = #moe.schedule<target = cpu, vector = 8, rows = 6, vectors = 2, row_block = 120, product = fma, prefetch = true>
// V1: moe.route {{.*}}schedule = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2, row_block = 120, product = mul_add, prefetch = true>
// CHECK: moe.dispatch {{.*}}schedule = #moe.schedule<
// CHECK: moe.grouped_matmul {{.*}}schedule = #moe.schedule<
// CHECK: moe.combine {{.*}}schedule = #moe.schedule<
// An op that takes none gets none.
// CHECK: moe.plan_field
// CHECK-NOT: schedule
// CHECK: return
func.func @plan_form(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>,
                     %w: tensor<4x8x8xf32>)
    -> (tensor<2x3x8xf32>, tensor<5xi32>) {
  %p, %g = moe.route %logits top 1 scope = sequence score = softmax
      normalize = none : tensor<2x3x4xf32>
  %rows = moe.dispatch %x by %p : tensor<2x3x8xf32>, !plan
  %h = moe.grouped_matmul %rows by %p weights(%w : tensor<4x8x8xf32>)
      layout = nk : tensor<6x8xf32>, !plan -> tensor<6x8xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %y = moe.combine %h by %p gates(%g : tensor<6xf32>) : tensor<6x8xf32>, !plan
  %f = moe.plan_field %p expert_offsets : !plan
  return %y, %f : tensor<2x3x8xf32>, tensor<5xi32>
}

// Products of bf16 are pairs where the CPU has them.
// CHECK-LABEL: func.func @bf16
// CHECK: moe.grouped_matmul
// V4-SAME: product = fma
// ZEN4-SAME: vector = 16
// ZEN4-SAME: product = bf16_dot
func.func @bf16(%x: tensor<2x3x8xbf16>, %p: !plan, %w: tensor<4x8x8xbf16>)
    -> tensor<6x8xbf16> {
  %h = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x8xbf16>)
      layout = nk : tensor<2x3x8xbf16>, !plan -> tensor<6x8xbf16> {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    moe.yield %0 : bf16
  }
  return %h : tensor<6x8xbf16>
}

// A schedule written by hand stays.
// CHECK-LABEL: func.func @kept
// CHECK: moe.dispatch {{.*}} vector = 4, rows = 3, vectors = 6, row_block = 3, product = mul_add, prefetch = false>
func.func @kept(%x: tensor<2x3x8xf32>, %p: !plan) -> tensor<6x8xf32> {
  %rows = moe.dispatch %x by %p {schedule = #moe.schedule<target = cpu,
      vector = 4, rows = 3, vectors = 6, row_block = 3, product = mul_add,
      prefetch = false>} : tensor<2x3x8xf32>, !plan
  return %rows : tensor<6x8xf32>
}

// The index form.
// CHECK-LABEL: func.func @index_form
// CHECK: moe.idx.dispatch {{.*}}schedule = #moe.schedule<
// CHECK: moe.idx.combine {{.*}}schedule = #moe.schedule<
func.func @index_form(%x: memref<2x3x8xf32>, %eo: memref<5xi32>,
                      %i: memref<6xi32>, %to: memref<2x4xi32>,
                      %rows: memref<6x8xf32>) {
  moe.idx.dispatch
      ins(%x, %eo, %i : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x8xf32>)
  moe.idx.combine
      ins(%rows, %to, %i : memref<6x8xf32>, memref<2x4xi32>, memref<6xi32>)
      outs(%x : memref<2x3x8xf32>)
  return
}

// On a GPU routings and matmuls have a schedule. Where R is known it is one form,
// the fastest for R / E rows of an expert by the cost model.
// GPU-LABEL: func.func @tiles
// GPU-NOT: schedule
// GPU: moe.grouped_matmul
// GPU-SAME: forms = [<rows = 16, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>]
// GPU: return
func.func @tiles(%rows: tensor<6x64xbf16>, %p: !plan, %w: tensor<4x256x64xbf16>)
    -> tensor<6x256xbf16> {
  %h = moe.grouped_matmul %rows by %p weights(%w : tensor<4x256x64xbf16>)
      layout = nk : tensor<6x64xbf16>, !plan -> tensor<6x256xbf16> {
  ^bb0(%acc: f32):
    %t = arith.truncf %acc : f32 to bf16
    moe.yield %t : bf16
  }
  return %h : tensor<6x256xbf16>
}

// Where R is not known: forms for few and for many rows of an expert, as far as
// the chip's shared memory holds them.
// GPU-LABEL: func.func @any_rows
// GPU: moe.grouped_matmul
// SM80-SAME: forms = [<rows = 64, columns = 256, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 0>,
// SM80-SAME: <rows = 128, columns = 256, depth = 64, warp_rows = 64, stages = 3, lanes = 8, least = 64>]
// SM86-SAME: forms = [<rows = 16, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>, <rows = 128, columns = 256, depth = 32, warp_rows = 64, stages = 4, lanes = 4, least = 16>]
// SM90-SAME: forms = [<rows = 16, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>,
// SM90-SAME: <rows = 64, columns = 256, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 4>,
// SM90-SAME: <rows = 128, columns = 256, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 64>]
// GPU: return
func.func @any_rows(%rows: tensor<?x2048xbf16>, %p: !moe.plan<?x?x64, rows = ?>,
                    %w: tensor<64x2048x2048xbf16>) -> tensor<?x2048xbf16> {
  %h = moe.grouped_matmul %rows by %p weights(%w : tensor<64x2048x2048xbf16>)
      layout = nk : tensor<?x2048xbf16>, !moe.plan<?x?x64, rows = ?>
      -> tensor<?x2048xbf16> {
  ^bb0(%acc: f32):
    %t = arith.truncf %acc : f32 to bf16
    moe.yield %t : bf16
  }
  return %h : tensor<?x2048xbf16>
}

// And routings: by the tokens of a sequence, if they are known.
// GPU-LABEL: func.func @routings
// SM80: moe.route {{.*}}schedule = #moe.gpu_route<chip = sm_80, form = grid, threads = 256, blocks = 108, tokens = 8>
// SM86: moe.route {{.*}}schedule = #moe.gpu_route<chip = sm_86, form = grid, threads = 256, blocks = 84, tokens = 8>
// SM90: moe.route {{.*}}schedule = #moe.gpu_route<chip = sm_90, form = grid, threads = 256, blocks = 132, tokens = 8>
// GPU: moe.route {{.*}}threads = 512
// GPU: moe.route {{.*}}form = block, threads = 128
// A cluster shares a sequence of few tokens, where there are clusters.
// SM80: moe.route {{.*}}form = grid, threads = 256, blocks = 108, tokens = 8>
// SM90: moe.route {{.*}}schedule = #moe.gpu_route<chip = sm_90, form = cluster, threads = 256, blocks = 132, tokens = 8, cluster = 16>
func.func @routings(%few: tensor<1024x4xf32>, %some: tensor<2x?x4xf32>,
                    %short: tensor<1x100x4xf32>)
    -> (tensor<1024xf32>, tensor<?xf32>, tensor<?xf32>, tensor<100xf32>) {
  %p, %g = moe.route %few top 1 scope = token score = softmax
      normalize = none : tensor<1024x4xf32>
  %q, %h = moe.route %some top 1 scope = sequence score = softmax
      normalize = none : tensor<2x?x4xf32>
  %r, %i = moe.route %some top 1 scope = sequence score = softmax
      normalize = none {schedule = #moe.gpu_route<chip = sm_80, form = block,
      threads = 128, blocks = 9, tokens = 1>} : tensor<2x?x4xf32>
  %t, %j = moe.route %short top 1 scope = sequence score = softmax
      normalize = none : tensor<1x100x4xf32>
  return %g, %h, %i, %j : tensor<1024xf32>, tensor<?xf32>, tensor<?xf32>,
      tensor<100xf32>
}
