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
