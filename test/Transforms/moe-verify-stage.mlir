// RUN: split-file %s %t
// RUN: moe-opt %t/import.mlir -allow-unregistered-dialect -split-input-file -verify-diagnostics -moe-verify-stage=stage=import
// RUN: moe-opt %t/index.mlir -allow-unregistered-dialect -split-input-file -verify-diagnostics -moe-verify-stage=stage=index
// RUN: moe-opt %t/buffers.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=buffers
// RUN: moe-opt %t/loops.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=loops
// RUN: moe-opt %t/llvm.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=llvm
// RUN: not moe-opt %t/llvm.mlir -moe-verify-stage=stage=ptx 2>&1 | FileCheck %s --check-prefix=STAGE
// STAGE: moe-verify-stage: unknown stage 'ptx'; stages are import, index, buffers, loops and llvm

//--- import.mlir
func.func @good(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// -----
func.func @residual(%x: tensor<4xf32>) {
  // expected-error @+1 {{'stablehlo.sort' op cannot be left after stage 'import' of the pipeline: nothing is known of its dialect; run moe-import-pipeline}}
  "stablehlo.sort"(%x) : (tensor<4xf32>) -> ()
  return
}

//--- index.mlir
func.func @good(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// -----
// expected-error @+1 {{'func.func' op still carries a !moe.plan; moe-expand-plan must run on the whole module before this stage}}
func.func @plan(%p: !moe.plan<2x3x4, rows = 6>) {
  return
}
// -----
// A plan that is a block argument only.
func.func @block() {
  // expected-error @+1 {{'test.region' op still carries a !moe.plan}}
  "test.region"() ({
  ^bb0(%p: !moe.plan<2x3x4, rows = 6>):
    "test.end"() : () -> ()
  }) : () -> ()
  return
}

//--- buffers.mlir
func.func @good(%x: memref<4xf32>) {
  return
}
// -----
func.func @tensor() {
  // expected-error @+1 {{'arith.constant' op cannot be left after stage 'buffers' of the pipeline: it has tensors}}
  %0 = arith.constant dense<1.0> : tensor<4xf32>
  return
}
// -----
// expected-error @+1 {{'func.func' op cannot be left after stage 'buffers'}}
func.func private @declaration(tensor<4xf32>)

//--- loops.mlir
func.func @good(%x: memref<4xf32>, %i: index) -> f32 {
  %0 = memref.load %x[%i] : memref<4xf32>
  %1 = math.sqrt %0 : f32
  return %1 : f32
}
// -----
func.func @affine(%x: memref<4xf32>) {
  // expected-error @+1 {{'affine.load' op cannot be left after stage 'loops' of the pipeline: there is no lowering of it to loops}}
  %0 = affine.load %x[0] : memref<4xf32>
  return
}
// -----
func.func @call_of_libm(%x: f64) -> f64 {
  // expected-error @+1 {{'math.cbrt' op cannot be left after stage 'loops' of the pipeline: moe-expand-math has no expansion of it for 'f64', and no call to a math library is made}}
  %0 = math.cbrt %x : f64
  return %0 : f64
}

//--- llvm.mlir
llvm.func @good() {
  llvm.return
}
// -----
llvm.func @arith() {
  // expected-error @+1 {{'arith.constant' op cannot be left after stage 'llvm' of the pipeline: there is no lowering of it to LLVM}}
  %0 = arith.constant 1 : i32
  llvm.return
}
