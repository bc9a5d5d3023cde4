// RUN: moe-opt %s --moe-cpu-pipeline | mlir-runner -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s
// RUN: moe-opt %s -moe-expand-plan --moe-cpu-pipeline | mlir-runner -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s
// RUN: moe-opt %s --moe-cpu-tensor-pipeline | FileCheck %s --check-prefix=FUSED --implicit-check-not=linalg.generic
// RUN: moe-opt %s -moe-expand-plan --moe-cpu-tensor-pipeline | FileCheck %s --check-prefix=APART

// FUSED-COUNT-2: moe.idx.grouped_matmul
// APART-COUNT-3: moe.idx.grouped_matmul

// A gated layer with every kind of operand in its epilogue has the same values
// fused and not: the second pipeline expands the plan first, which leaves
// nothing to fuse.

!plan = !moe.plan<1x4x3, rows = 8>
#id = affine_map<(r, n) -> (r, n)>
#row = affine_map<(r, n) -> (r)>
#column = affine_map<(r, n) -> (n)>
#none = affine_map<(r, n) -> ()>

func.func private @layer(%l: tensor<1x4x3xf32>, %x: tensor<1x4x2xf32>,
                         %wg: tensor<3x2x2xf32>, %wu: tensor<3x2x2xf32>,
                         %wd: tensor<3x2x2xf32>, %b: tensor<3x2xf32>,
                         %c: tensor<2xf32>, %s: tensor<f32>)
    -> tensor<1x4x2xf32> {
  %p, %g = moe.route %l top 2 scope = sequence score = softmax
      normalize = none : tensor<1x4x3xf32>
  %rows = moe.dispatch %x by %p : tensor<1x4x2xf32>, !plan
  %gate = moe.grouped_matmul %rows by %p weights(%wg : tensor<3x2x2xf32>)
      layout = nk extras [#moe<extra column>] (%b : tensor<3x2xf32>)
      : tensor<8x2xf32>, !plan -> tensor<8x2xf32> {
  ^bb0(%acc: f32, %bias: f32):
    %v = arith.addf %acc, %bias : f32
    moe.yield %v : f32
  }
  %up = moe.grouped_matmul %rows by %p weights(%wu : tensor<3x2x2xf32>)
      layout = nk : tensor<8x2xf32>, !plan -> tensor<8x2xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  // max(gate, 0) · up + the row itself + c by column + s
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x2xf32>
  %h = linalg.generic {indexing_maps = [#id, #id, #id, #column, #none, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%up, %gate, %rows, %c, %s : tensor<8x2xf32>, tensor<8x2xf32>,
          tensor<8x2xf32>, tensor<2xf32>, tensor<f32>)
      outs(%e : tensor<8x2xf32>) {
  ^bb0(%u: f32, %a: f32, %r: f32, %cv: f32, %sv: f32, %o: f32):
    %0 = arith.maximumf %a, %zero : f32
    %1 = arith.mulf %0, %u : f32
    %2 = arith.addf %1, %r : f32
    %3 = arith.addf %2, %cv : f32
    %4 = arith.addf %3, %sv : f32
    linalg.yield %4 : f32
  } -> tensor<8x2xf32>
  %d = moe.grouped_matmul %h by %p weights(%wd : tensor<3x2x2xf32>)
      layout = kn : tensor<8x2xf32>, !plan -> tensor<8x2xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %w = linalg.generic {indexing_maps = [#id, #row, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%d, %g : tensor<8x2xf32>, tensor<8xf32>)
      outs(%e : tensor<8x2xf32>) {
  ^bb0(%a: f32, %gv: f32, %o: f32):
    %0 = arith.mulf %a, %gv : f32
    linalg.yield %0 : f32
  } -> tensor<8x2xf32>
  %y = moe.combine %w by %p : tensor<8x2xf32>, !plan
  return %y : tensor<1x4x2xf32>
}

// Token 0 = (1, 0) at expert 0: (2·1 + 1 + 10 + 0.5, 0 + 0 + 20 + 0.5), swapped
// by down, is (20.5, 13.5), times 0.665241: (13.6374, 8.98075). At expert 1:
// (0 + 1 + 10 + 0.5, 0 + 0 + 20 + 0.5), times 0.244728: (2.81438, 5.01693). All
// rows were computed by NumPy in f64.
// CHECK: {{\[\[\[}}16.4518, 13.9977],
// CHECK-NEXT: [18.3333, 22.5],
// CHECK-NEXT: [11.3471, 25.1609],
// CHECK-NEXT: [23.7822, 32.7005]]]
func.func @main() {
  %l = arith.constant dense<[[[2.0, 1.0, 0.0], [0.0, 0.0, 0.0],
                              [0.0, 5.0, 0.0], [1.0, 1.0, -3.0]]]>
      : tensor<1x4x3xf32>
  %x = arith.constant dense<[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 3.0]]]>
      : tensor<1x4x2xf32>
  %wg = arith.constant dense<[[[1.0, 0.0], [0.0, 1.0]],
                              [[-1.0, 0.0], [0.0, 2.0]],
                              [[0.0, 1.0], [1.0, 0.0]]]> : tensor<3x2x2xf32>
  %wu = arith.constant dense<[[[1.0, 0.0], [0.0, 1.0]],
                              [[3.0, 0.0], [0.0, 1.0]],
                              [[1.0, 1.0], [1.0, -1.0]]]> : tensor<3x2x2xf32>
  %wd = arith.constant dense<[[[0.0, 1.0], [1.0, 0.0]],
                              [[1.0, 0.0], [0.0, 1.0]],
                              [[2.0, 1.0], [0.0, 1.0]]]> : tensor<3x2x2xf32>
  %b = arith.constant dense<[[1.0, 1.0], [0.0, 2.0], [-1.0, 0.5]]>
      : tensor<3x2xf32>
  %c = arith.constant dense<[10.0, 20.0]> : tensor<2xf32>
  %s = arith.constant dense<0.5> : tensor<f32>
  %y = call @layer(%l, %x, %wg, %wu, %wd, %b, %c, %s)
      : (tensor<1x4x3xf32>, tensor<1x4x2xf32>, tensor<3x2x2xf32>,
         tensor<3x2x2xf32>, tensor<3x2x2xf32>, tensor<3x2xf32>, tensor<2xf32>,
         tensor<f32>) -> tensor<1x4x2xf32>
  %yu = tensor.cast %y : tensor<1x4x2xf32> to tensor<*xf32>
  call @printMemrefF32(%yu) : (tensor<*xf32>) -> ()
  return
}
func.func private @printMemrefF32(tensor<*xf32>)
