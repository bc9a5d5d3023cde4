// RUN: moe-opt %s --moe-cpu-pipeline -o %t
// RUN: mlir-runner %t -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s

// A product that sums over nothing, as einsum("ek,e->ek") arrives, and a product
// that sums over both its dimensions: the first must not be added once for each
// element of the second.

// CHECK: [65721,  131442]

func.func private @printMemrefF32(tensor<*xf32>)

func.func @f(%x: tensor<2x3xf32>, %g: tensor<2xf32>, %w: tensor<2x3x2xf32>)
    -> tensor<2xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>,
                       affine_map<(i, k) -> (i, k)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %g : tensor<2x3xf32>, tensor<2xf32>) outs(%f : tensor<2x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x3xf32>
  %e2 = tensor.empty() : tensor<2xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2xf32>) -> tensor<2xf32>
  %z = linalg.generic {
      indexing_maps = [affine_map<(j, i, k) -> (i, k)>,
                       affine_map<(j, i, k) -> (i, k, j)>,
                       affine_map<(j, i, k) -> (j)>],
      iterator_types = ["parallel", "reduction", "reduction"]}
      ins(%y, %w : tensor<2x3xf32>, tensor<2x3x2xf32>) outs(%f2 : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<2xf32>
  return %z : tensor<2xf32>
}

func.func @main() {
  %x = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %g = arith.constant dense<[1.0, 10.0]> : tensor<2xf32>
  %w = arith.constant dense<[[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]],
                             [[10.0, 20.0], [100.0, 200.0], [1000.0, 2000.0]]]>
      : tensor<2x3x2xf32>
  %y = call @f(%x, %g, %w)
      : (tensor<2x3xf32>, tensor<2xf32>, tensor<2x3x2xf32>) -> tensor<2xf32>
  %u = tensor.cast %y : tensor<2xf32> to tensor<*xf32>
  call @printMemrefF32(%u) : (tensor<*xf32>) -> ()
  return
}
