// RUN: moe-opt %s -moe-own-results | FileCheck %s

// The second of two equal results is a copy, and so is a view of the first.
// CHECK-LABEL: func.func @shared
// CHECK: %[[C:.*]] = bufferization.alloc_tensor() copy(%arg0) : tensor<2x2xf32>
// CHECK: %[[D:.*]] = bufferization.alloc_tensor() copy(%{{.*}}) : tensor<4xf32>
// CHECK: return %arg0, %[[C]], %[[D]]
func.func @shared(%x: tensor<2x2xf32>)
    -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<4xf32>) {
  %v = tensor.collapse_shape %x [[0, 1]] : tensor<2x2xf32> into tensor<4xf32>
  return %x, %x, %v : tensor<2x2xf32>, tensor<2x2xf32>, tensor<4xf32>
}

// Different tensors, scalars, and what a private function returns, stay.
// CHECK-LABEL: func.func @different
// CHECK-NOT: alloc_tensor
// CHECK-LABEL: func.func private @hidden
// CHECK-NOT: alloc_tensor
func.func @different(%x: tensor<4xf32>, %y: tensor<4xf32>, %i: index)
    -> (tensor<4xf32>, tensor<4xf32>, index, index) {
  return %x, %y, %i, %i : tensor<4xf32>, tensor<4xf32>, index, index
}
func.func private @hidden(%x: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>) {
  return %x, %x : tensor<4xf32>, tensor<4xf32>
}

// What a branch or a select may hand on is shared with it.
// CHECK-LABEL: func.func @chosen
// CHECK: %[[R:.*]] = scf.if
// CHECK: %[[S:.*]] = arith.select
// CHECK: %[[C:.*]] = bufferization.alloc_tensor() copy(%[[R]])
// CHECK: %[[D:.*]] = bufferization.alloc_tensor() copy(%[[S]])
// CHECK: return %arg0, %[[C]], %[[D]]
func.func @chosen(%x: tensor<4xf32>, %y: tensor<4xf32>, %c: i1)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %r = scf.if %c -> tensor<4xf32> {
    scf.yield %x : tensor<4xf32>
  } else {
    %z = math.absf %y : tensor<4xf32>
    scf.yield %z : tensor<4xf32>
  }
  %s = arith.select %c, %y, %r : tensor<4xf32>
  return %x, %r, %s : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
