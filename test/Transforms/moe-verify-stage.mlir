// RUN: split-file %s %t
// RUN: moe-opt %t/import.mlir -allow-unregistered-dialect -split-input-file -verify-diagnostics -moe-verify-stage=stage=import
// RUN: moe-opt %t/index.mlir -allow-unregistered-dialect -split-input-file -verify-diagnostics -moe-verify-stage=stage=index
// RUN: moe-opt %t/buffers.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=buffers
// RUN: moe-opt %t/loops.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=loops
// RUN: moe-opt %t/llvm.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=llvm
// RUN: moe-opt %t/launches.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=launches
// RUN: moe-opt %t/nvvm.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=nvvm
// RUN: moe-opt %t/gpu.mlir -split-input-file -verify-diagnostics -moe-verify-stage=stage=gpu
// RUN: not moe-opt %t/llvm.mlir -moe-verify-stage=stage=ptx 2>&1 | FileCheck %s --check-prefix=STAGE
// STAGE: moe-verify-stage: unknown stage 'ptx'; stages are import, index, buffers, loops, llvm, launches, nvvm and gpu

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

//--- launches.mlir
module attributes {gpu.container_module} {
gpu.module @kernels {
  // What kernels hold is a matter of the next stage.
  gpu.func @k(%x: memref<4xf32>) kernel {
    %c0 = arith.constant 0 : index
    %0 = memref.load %x[%c0] : memref<4xf32>
    %1 = math.exp %0 : f32
    memref.store %1, %x[%c0] : memref<4xf32>
    gpu.return
  }
}
func.func @good(%x: memref<?x4xf32>) -> memref<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x4xf32>
  %m = affine.apply affine_map<(n) -> (n * 4)>(%n)
  %y = memref.alloc(%m) : memref<?x4xf32>
  %f = memref.alloc() : memref<4xf32>
  gpu.launch_func @kernels::@k blocks in (%m, %c1, %c1)
      threads in (%c1, %c1, %c1) args(%f : memref<4xf32>)
  return %y : memref<?x4xf32>
}
}
// -----
func.func @load(%x: memref<4xindex>) -> index {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'memref.load' op cannot be left after stage 'launches' of the pipeline: there is no kernel for it; a function that is compiled for a GPU holds moe ops, matmuls and elementwise linalg}}
  %0 = memref.load %x[%c0] : memref<4xindex>
  return %0 : index
}
// -----
func.func @affine(%x: memref<4xf32>) {
  // expected-error @+1 {{'affine.load' op cannot be left after stage 'launches'}}
  %0 = affine.load %x[0] : memref<4xf32>
  return
}
// -----
// expected-error @+1 {{'memref.global' op cannot be left after stage 'launches'}}
memref.global "private" constant @table : memref<2xf32> = dense<[1.0, 2.0]>
// -----
func.func @loop(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @+1 {{'scf.for' op cannot be left after stage 'launches'}}
  scf.for %i = %c0 to %n step %c1 {
  }
  return
}

//--- nvvm.mlir
gpu.module @good {
  llvm.func @k() attributes {gpu.kernel, nvvm.kernel} {
    %0 = nvvm.read.ptx.sreg.tid.x : i32
    llvm.return
  }
}
// -----
gpu.module @library {
  // expected-error @+1 {{'llvm.func' op cannot be left after stage 'nvvm' of the pipeline: a kernel calls the function '__nv_expf', and kernels call no library}}
  llvm.func @__nv_expf(f32) -> f32
}
// -----
gpu.module @arith {
  llvm.func @k() {
    // expected-error @+1 {{'arith.constant' op cannot be left after stage 'nvvm' of the pipeline: there is no lowering of it to NVVM}}
    %0 = arith.constant 1 : i32
    llvm.return
  }
}
// -----
// The host is a matter of the next stage.
func.func @host() {
  %0 = arith.constant 1 : i32
  return
}

//--- gpu.mlir
llvm.func @good() {
  llvm.return
}
gpu.binary @kernels [#gpu.object<#nvvm.target, assembly = ".visible .func inner() { }">]
// -----
// expected-error @+1 {{'gpu.binary' op cannot be left after stage 'gpu' of the pipeline: its PTX calls the function '__nv_expf', and kernels call no library}}
gpu.binary @returns [#gpu.object<#nvvm.target, assembly = ".extern .func (.param .b32 r) __nv_expf(.param .b32 x);">]
// -----
// expected-error @+1 {{its PTX calls the function 'vprintf', and kernels call no library}}
gpu.binary @nothing [#gpu.object<#nvvm.target, assembly = ".extern .func vprintf\0A(.param .b64 f);">]
// -----
// expected-error @+1 {{'gpu.module' op cannot be left after stage 'gpu' of the pipeline: there is no lowering of it to LLVM}}
gpu.module @kernels {
}
