// Executed in test/GPU/test_host.py.
// RUN: moe-opt %s --moe-lower-launches --canonicalize --cse \
// RUN:   -split-input-file | FileCheck %s

// The kernels' names by number.
// CHECK: module attributes {gpu.container_module, moe.kernels = ["step", "other"]}
// CHECK-DAG: func.func private @moe_gpu_launch(!llvm.ptr, i32, index, index, index, i32, i32, i32, i32, !llvm.ptr) attributes {llvm.emit_c_interface}
// CHECK-DAG: func.func private @moe_gpu_arena(!llvm.ptr, index) -> memref<?xi8>
// CHECK-DAG: func.func private @moe_gpu_result(!llvm.ptr, i32, index) -> memref<?xi8>
// CHECK-DAG: func.func private @moe_gpu_zeroed(!llvm.ptr, i32, index) -> memref<?xi8>

module attributes {gpu.container_module} {
gpu.module @moe_kernels {
  gpu.func @step(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) kernel { gpu.return }
  gpu.func @other(%out: !llvm.ptr<1>, %n: i32) kernel { gpu.return }
}

// %a, %b and %c follow each other: %c takes the place of %a, which is not read
// any more, and %small that of %b.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[CONTEXT:.*]]: !llvm.ptr, %[[X:.*]]: memref<?x8xf32>) -> memref<?x8xf32>
// CHECK-DAG: %[[VALUES:.*]] = llvm.alloca %{{.*}} x i64
// CHECK-DAG: %[[POINTERS:.*]] = llvm.alloca %{{.*}} x !llvm.ptr
// All is asked for before the first launch, the sizes of later ones too.
// CHECK: %[[N:.*]] = memref.dim %[[X]]
// CHECK: %[[BYTES:.*]] = arith.muli %[[N]], %c32
// CHECK: %[[RESULT:.*]] = call @moe_gpu_result(%[[CONTEXT]], %c0_i32, %[[BYTES]])
// CHECK: call @moe_gpu_zeroed(%[[CONTEXT]], %c0_i32, %c4096)
// CHECK: call @moe_gpu_zeroed(%[[CONTEXT]], %c1_i32, %c64)
// CHECK: %[[LARGER:.*]] = arith.maxui %[[BYTES]], %c20
// CHECK: %[[MORE:.*]] = arith.addi %[[BYTES]], %c255
// CHECK: %[[SECOND:.*]] = arith.andi %[[MORE]], %c-256
// CHECK: %[[MORE:.*]] = arith.addi %[[LARGER]], %c255
// CHECK: %[[REST:.*]] = arith.andi %[[MORE]], %c-256
// CHECK: %[[ALL:.*]] = arith.addi %[[SECOND]], %[[REST]]
// CHECK: %[[ARENA:.*]] = call @moe_gpu_arena(%[[CONTEXT]], %[[ALL]])
// CHECK: %[[A:.*]] = memref.view %[[ARENA]][%c0][%[[N]]]
// CHECK: call @moe_gpu_launch(%[[CONTEXT]], %c0_i32, %[[N]], %c1, %c1, %c64_i32, %c0_i32, %c0_i32, %c0_i32, %[[POINTERS]])
// CHECK: memref.view %[[ARENA]][%[[SECOND]]][%[[N]]]
// CHECK: call @moe_gpu_launch
// CHECK-NOT: memref.view
// CHECK: call @moe_gpu_launch
// CHECK: memref.view %[[ARENA]][%[[SECOND]]][] : memref<?xi8> to memref<5xi32>
// CHECK: llvm.store %{{.*}}, %{{.*}} : i32, !llvm.ptr
// Shared memory, cluster, cooperative.
// CHECK: call @moe_gpu_launch(%[[CONTEXT]], %c1_i32, %c132, %c1, %c1, %c64_i32, %c4096_i32, %c2_i32, %c1_i32, %[[POINTERS]])
// CHECK: %[[Y:.*]] = memref.view %[[RESULT]][%c0][%[[N]]] : memref<?xi8> to memref<?x8xf32>
// CHECK: return %[[Y]]
// CHECK-NOT: memref.alloc
// CHECK-NOT: gpu.launch_func
func.func @chain(%x: memref<?x8xf32>) -> memref<?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %c132 = arith.constant 132 : index
  %shared = arith.constant 4096 : i32
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %x_i = memref.extract_aligned_pointer_as_index %x : memref<?x8xf32> -> index
  %x_w = arith.index_cast %x_i : index to i64
  %x_p = llvm.inttoptr %x_w : i64 to !llvm.ptr<1>
  %a = memref.alloc(%n) : memref<?x8xf32>
  %a_i = memref.extract_aligned_pointer_as_index %a : memref<?x8xf32> -> index
  %a_w = arith.index_cast %a_i : index to i64
  %a_p = llvm.inttoptr %a_w : i64 to !llvm.ptr<1>
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%x_p : !llvm.ptr<1>, %a_p : !llvm.ptr<1>)
  %b = memref.alloc(%n) : memref<?x8xf32>
  %b_i = memref.extract_aligned_pointer_as_index %b : memref<?x8xf32> -> index
  %b_w = arith.index_cast %b_i : index to i64
  %b_p = llvm.inttoptr %b_w : i64 to !llvm.ptr<1>
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%a_p : !llvm.ptr<1>, %b_p : !llvm.ptr<1>)
  %c = memref.alloc(%n) : memref<?x8xf32>
  %c_i = memref.extract_aligned_pointer_as_index %c : memref<?x8xf32> -> index
  %c_w = arith.index_cast %c_i : index to i64
  %c_p = llvm.inttoptr %c_w : i64 to !llvm.ptr<1>
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%b_p : !llvm.ptr<1>, %c_p : !llvm.ptr<1>)
  memref.dealloc %a : memref<?x8xf32>
  %small = memref.alloc() : memref<5xi32>
  %small_i = memref.extract_aligned_pointer_as_index %small : memref<5xi32> -> index
  %small_w = arith.index_cast %small_i : index to i64
  %small_p = llvm.inttoptr %small_w : i64 to !llvm.ptr<1>
  %zero = memref.alloc() {moe.zeroed} : memref<1024xi32>
  %zero_i = memref.extract_aligned_pointer_as_index %zero : memref<1024xi32> -> index
  %zero_w = arith.index_cast %zero_i : index to i64
  %zero_p = llvm.inttoptr %zero_w : i64 to !llvm.ptr<1>
  %flags = memref.alloc() {moe.zeroed} : memref<16xi32>
  %flags_i = memref.extract_aligned_pointer_as_index %flags : memref<16xi32> -> index
  %flags_w = arith.index_cast %flags_i : index to i64
  %flags_p = llvm.inttoptr %flags_w : i64 to !llvm.ptr<1>
  %m = arith.index_cast %n : index to i32
  gpu.launch_func @moe_kernels::@other clusters in (%c2, %c1, %c1)
      blocks in (%c132, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %shared
      args(%small_p : !llvm.ptr<1>, %m : i32) {moe.cooperative}
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%zero_p : !llvm.ptr<1>, %flags_p : !llvm.ptr<1>)
  %y = memref.alloc(%n) : memref<?x8xf32>
  %y_i = memref.extract_aligned_pointer_as_index %y : memref<?x8xf32> -> index
  %y_w = arith.index_cast %y_i : index to i64
  %y_p = llvm.inttoptr %y_w : i64 to !llvm.ptr<1>
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%small_p : !llvm.ptr<1>, %y_p : !llvm.ptr<1>)
  gpu.launch_func @moe_kernels::@step blocks in (%n, %c1, %c1)
      threads in (%c64, %c1, %c1)
      args(%c_p : !llvm.ptr<1>, %y_p : !llvm.ptr<1>)
  memref.dealloc %b : memref<?x8xf32>
  return %y : memref<?x8xf32>
}
}
