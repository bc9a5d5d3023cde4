// RUN: moe-opt %s --moe-cpu-pipeline="cpu=x86-64-v3 openmp=false" | FileCheck %s

// The caller owns every result and frees each once; arguments stay the
// caller's, unwritten.

// An argument is returned as a copy.
// CHECK-LABEL: llvm.func @argument(
// CHECK: llvm.call @malloc
// CHECK: llvm.intr.memcpy
// CHECK-NOT: llvm.call @free
// CHECK: llvm.return
func.func @argument(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// A value that is returned twice is two buffers.
// CHECK-LABEL: llvm.func @twice(
// CHECK: llvm.call @malloc
// CHECK: llvm.call @malloc
// CHECK-NOT: llvm.call @free
// CHECK: llvm.return
func.func @twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %y = linalg.abs ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>)
      -> tensor<4xf32>
  return %y, %y : tensor<4xf32>, tensor<4xf32>
}

// A value that looks as if it could be written over an argument is not.
// CHECK-LABEL: llvm.func @update(
// CHECK: llvm.call @malloc
// CHECK: llvm.intr.memcpy
// CHECK: llvm.store
// CHECK: llvm.return
func.func @update(%x: tensor<4xf32>, %v: f32, %i: index) -> tensor<4xf32> {
  %y = tensor.insert %v into %x[%i] : tensor<4xf32>
  return %y : tensor<4xf32>
}

// A view of a result is a buffer of its own, too.
// CHECK-LABEL: llvm.func @view(
// CHECK-COUNT-2: llvm.call @malloc
// CHECK-NOT: llvm.call @free
// CHECK: llvm.return
func.func @view(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<2x2xf32>
  %y = linalg.abs ins(%x : tensor<2x2xf32>) outs(%e : tensor<2x2xf32>)
      -> tensor<2x2xf32>
  %v = tensor.collapse_shape %y [[0, 1]] : tensor<2x2xf32> into tensor<4xf32>
  return %y, %v : tensor<2x2xf32>, tensor<4xf32>
}

// A constant is copied: its memory is the module's.
// CHECK-LABEL: llvm.func @constant(
// CHECK: llvm.call @malloc
// CHECK: llvm.intr.memcpy
// CHECK: llvm.return
func.func @constant() -> tensor<4xf32> {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  return %c : tensor<4xf32>
}

// What is needed between is freed.
// CHECK-LABEL: llvm.func @between(
// CHECK: llvm.call @malloc
// CHECK: llvm.call @malloc
// CHECK: llvm.call @free
// CHECK-NOT: llvm.call @free
// CHECK: llvm.return
func.func @between(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %f = tensor.empty() : tensor<4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%f : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.reduce { arith.addf } ins(%x : tensor<4x4xf32>)
      outs(%z : tensor<4xf32>) dimensions = [1]
  %b = linalg.broadcast ins(%s : tensor<4xf32>) outs(%e : tensor<4x4xf32>)
      dimensions = [1]
  %y = linalg.add ins(%x, %b : tensor<4x4xf32>, tensor<4x4xf32>)
      outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// Only the public function has an interface for C.
// CHECK: llvm.func @_mlir_ciface_between(
// CHECK-NOT: @_mlir_ciface_hidden
func.func private @hidden(%x: tensor<4xf32>) -> tensor<4xf32> attributes {no_inline} {
  return %x : tensor<4xf32>
}
