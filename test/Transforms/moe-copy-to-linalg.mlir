// RUN: moe-opt %s -moe-copy-to-linalg | FileCheck %s

// CHECK-LABEL: func.func @strided
// CHECK: linalg.copy ins(%{{.*}} : memref<?x4xf32, strided<[?, 1]>>) outs(%{{.*}} : memref<?x4xf32>)
// CHECK: linalg.copy ins(%{{.*}} : memref<?x4xf32>) outs(%{{.*}} : memref<?x4xf32, strided<[?, 1]>>)
func.func @strided(%a: memref<?x4xf32, strided<[?, 1]>>, %b: memref<?x4xf32>) {
  memref.copy %a, %b : memref<?x4xf32, strided<[?, 1]>> to memref<?x4xf32>
  memref.copy %b, %a : memref<?x4xf32> to memref<?x4xf32, strided<[?, 1]>>
  return
}

// A contiguous copy is a memcpy, and stays.
// CHECK-LABEL: func.func @contiguous
// CHECK: memref.copy
func.func @contiguous(%a: memref<?x4xf32>, %b: memref<?x4xf32>) {
  memref.copy %a, %b : memref<?x4xf32> to memref<?x4xf32>
  return
}

// One without a rank has no loops.
// CHECK-LABEL: func.func @unranked
// CHECK: memref.copy
func.func @unranked(%a: memref<*xf32>, %b: memref<*xf32>) {
  memref.copy %a, %b : memref<*xf32> to memref<*xf32>
  return
}
