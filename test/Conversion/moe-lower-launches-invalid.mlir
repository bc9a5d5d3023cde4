// RUN: moe-opt %s --moe-lower-launches -split-input-file -verify-diagnostics

module attributes {gpu.container_module} {
gpu.module @moe_kernels {
  gpu.func @step(%in: !llvm.ptr<1>) kernel { gpu.return }
}
func.func @loop(%p: !llvm.ptr<1>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // expected-error @below {{is in a loop or a branch; a function that is compiled for a GPU is a straight line of launches}}
    gpu.launch_func @moe_kernels::@step blocks in (%c1, %c1, %c1)
        threads in (%c1, %c1, %c1) args(%p : !llvm.ptr<1>)
  }
  return
}
}

// -----

module attributes {gpu.container_module} {
gpu.module @moe_kernels {
  gpu.func @step(%in: !llvm.ptr<1>) kernel { gpu.return }
}
func.func @threads(%p: !llvm.ptr<1>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // expected-error @below {{has blocks or clusters of more than one dimension; use x alone}}
  gpu.launch_func @moe_kernels::@step blocks in (%c1, %c1, %c1)
      threads in (%c1, %c2, %c1) args(%p : !llvm.ptr<1>)
  return
}
}

// -----

module attributes {gpu.container_module} {
gpu.module @moe_kernels {
  gpu.func @step(%in: !llvm.ptr<1>) kernel { gpu.return }
}
func.func @token(%p: !llvm.ptr<1>) {
  %c1 = arith.constant 1 : index
  // expected-error @below {{has asynchronous tokens; launches of a function run on one stream, in their order}}
  %t = gpu.launch_func async @moe_kernels::@step blocks in (%c1, %c1, %c1)
      threads in (%c1, %c1, %c1) args(%p : !llvm.ptr<1>)
  return
}
}

// -----

module attributes {gpu.container_module} {
gpu.module @moe_kernels {
  gpu.func @step(%in: memref<4xf32>) kernel { gpu.return }
}
func.func @memref(%p: memref<4xf32>) {
  %c1 = arith.constant 1 : index
  // expected-error @below {{has an argument of type 'memref<4xf32>'; kernels take pointers and scalars}}
  gpu.launch_func @moe_kernels::@step blocks in (%c1, %c1, %c1)
      threads in (%c1, %c1, %c1) args(%p : memref<4xf32>)
  return
}
}

// -----

// expected-error @below {{is private: launches are lowered in entry functions}}
func.func private @helper() {
  return
}

// -----

// expected-error @below {{has several blocks; a function that is compiled for a GPU is a straight line of launches}}
func.func @blocks(%c: i1) {
  cf.cond_br %c, ^one, ^two
^one:
  return
^two:
  return
}

// -----

func.func @size(%sizes: memref<1xindex>) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %other = memref.alloc() : memref<4xf32>
  %n = memref.load %sizes[%c0] : memref<1xindex>
  // expected-error @below {{has a size that depends on what a kernel computes; sizes follow from the shapes of the arguments alone}}
  %y = memref.alloc(%n) : memref<?xf32>
  return %y : memref<?xf32>
}

// -----

memref.global "private" constant @table : memref<2xf32> = dense<[1.0, 2.0]>
func.func @constant() -> memref<2xf32> {
  %table = memref.get_global @table : memref<2xf32>
  // expected-error @below {{result 0 is neither a tensor that a kernel wrote nor an argument of the function}}
  return %table : memref<2xf32>
}

// -----

func.func @strided() {
  // expected-error @below {{is not dense memory of the default space}}
  %y = memref.alloc() : memref<2x2xf32, strided<[1, 2]>>
  return
}
