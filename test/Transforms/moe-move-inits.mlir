// RUN: moe-opt %s -moe-move-inits -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @outer
//  CHECK-SAME: (%[[A:.*]]: tensor<2xf32>, %[[B:.*]]: tensor<3xf32>, %[[C:.*]]: tensor<2x3xf32>)
//       CHECK:   %[[EMPTY:.*]] = tensor.empty() : tensor<2x3xf32>
//       CHECK:   linalg.generic
//  CHECK-SAME:     ins(%[[A]], %[[B]], %[[C]] :
//  CHECK-SAME:     outs(%[[EMPTY]] :
//       CHECK:   ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[Z:.*]]: f32, %{{.*}}: f32):
//       CHECK:     %[[P:.*]] = arith.mulf %[[X]], %[[Y]]
//       CHECK:     arith.addf %[[Z]], %[[P]]
func.func @outer(%a: tensor<2xf32>, %b: tensor<3xf32>, %c: tensor<2x3xf32>)
    -> tensor<2x3xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (j)>,
                       affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : tensor<2xf32>, tensor<3xf32>) outs(%c : tensor<2x3xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// A reduction's init stays: it is what the sum starts from.
// CHECK-LABEL: func.func @sum
//  CHECK-SAME: (%[[A:.*]]: tensor<2x3xf32>, %[[C:.*]]: tensor<2xf32>)
//       CHECK:   ins(%[[A]] : tensor<2x3xf32>) outs(%[[C]] : tensor<2xf32>)
func.func @sum(%a: tensor<2x3xf32>, %c: tensor<2xf32>) -> tensor<2xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%a : tensor<2x3xf32>) outs(%c : tensor<2xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.addf %z, %x : f32
    linalg.yield %s : f32
  } -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
