// An update of an argument is an update of a copy.
// RUN: moe-opt %s --moe-keep-arguments | FileCheck %s
// RUN: moe-opt %s --moe-cpu-pipeline | FileCheck %s --check-prefix=CPU

// CHECK-LABEL: func.func @update(
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {bufferization.writable = false}, %{{.*}}: f32
// The new element goes to memory of the callee's, after the others were copied.
// CPU-LABEL: llvm.func @update(
// CPU-SAME:    %{{.*}}: !llvm.ptr, %[[A:[^:]*]]: !llvm.ptr
// CPU-NOT:     llvm.store %{{.*}}, %[[A]] :
// CPU:         llvm.call @malloc
// CPU:         llvm.intr.memcpy
// CPU-NOT:     llvm.store %{{.*}}, %[[A]] :
// CPU:         llvm.return
func.func @update(%a: tensor<4xf32>, %value: f32) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %0 = tensor.insert %value into %a[%c0] : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// What somebody has decided stays, and private functions are the analysis's.
// CHECK-LABEL: func.func @scratch(
// CHECK-SAME:    tensor<4xf32> {bufferization.writable = true})
func.func @scratch(%a: tensor<4xf32> {bufferization.writable = true}) -> tensor<4xf32> {
  %0 = call @private(%a) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
// CHECK-LABEL: func.func private @private(
// CHECK-SAME:    tensor<4xf32>) ->
func.func private @private(%a: tensor<4xf32>) -> tensor<4xf32> {
  return %a : tensor<4xf32>
}
