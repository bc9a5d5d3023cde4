// RUN: moe-opt %s -moe-lower-linalg=parallel -canonicalize | FileCheck %s --implicit-check-not=linalg.
// RUN: moe-opt %s -moe-lower-linalg | FileCheck %s --check-prefix=SERIAL --implicit-check-not=linalg. --implicit-check-not=scf.parallel

// Tokens of all sequences in parallel, the last dimension for vectors.
// CHECK-LABEL: func.func @large
// CHECK: scf.parallel (%{{.*}}, %{{.*}}) = (%c0, %c0) to (%c4, %c256)
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c64
// CHECK-NEXT: memref.load
// SERIAL-LABEL: func.func @large
// SERIAL-COUNT-3: scf.for
func.func @large(%x: memref<4x256x64xf32>, %y: memref<4x256x64xf32>) {
  linalg.abs ins(%x : memref<4x256x64xf32>) outs(%y : memref<4x256x64xf32>)
  return
}

// Too little to wake threads for.
// CHECK-LABEL: func.func @small
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @small(%x: memref<4x64xf32>, %y: memref<4x64xf32>) {
  linalg.abs ins(%x : memref<4x64xf32>) outs(%y : memref<4x64xf32>)
  return
}

// Decided at run time.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[S:.*]] = arith.muli %{{.*}}, %{{.*}} : index
// CHECK: %[[L:.*]] = arith.cmpi uge, %{{.*}}, %c32768
// CHECK: scf.if %[[L]] {
// CHECK: scf.parallel
// CHECK: } else {
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @dynamic(%x: memref<?x64xf32>, %y: memref<?x64xf32>) {
  linalg.abs ins(%x : memref<?x64xf32>) outs(%y : memref<?x64xf32>)
  return
}

// The rows of a sum in parallel, each in its order.
// CHECK-LABEL: func.func @sum
// CHECK: scf.parallel (%{{.*}}) = (%c0) to (%c1024)
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c64
func.func @sum(%x: memref<1024x64xf32>, %y: memref<1024xf32>) {
  linalg.reduce { arith.addf } ins(%x : memref<1024x64xf32>)
      outs(%y : memref<1024xf32>) dimensions = [1]
  return
}

// One dimension alone is parallel.
// CHECK-LABEL: func.func @vector
// CHECK: scf.parallel (%{{.*}}) = (%c0) to (%c65536)
// CHECK-NEXT: memref.load
func.func @vector(%x: memref<65536xf32>, %y: memref<65536xf32>) {
  linalg.abs ins(%x : memref<65536xf32>) outs(%y : memref<65536xf32>)
  return
}

// An op in a loop, a sum down the columns and a scalar are serial.
// CHECK-LABEL: func.func @serial
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @serial(%x: memref<1024x64xf32>, %y: memref<1024x64xf32>,
                  %z: memref<64xf32>, %s: memref<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    linalg.abs ins(%x : memref<1024x64xf32>) outs(%y : memref<1024x64xf32>)
  }
  linalg.reduce { arith.addf } ins(%x : memref<1024x64xf32>)
      outs(%z : memref<64xf32>) dimensions = [0]
  linalg.abs ins(%s : memref<f32>) outs(%s : memref<f32>)
  return
}
