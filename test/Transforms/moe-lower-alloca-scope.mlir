// RUN: moe-opt %s -moe-lower-alloca-scope | FileCheck %s

// Stack memory of an iteration is given back at its end; the scope's result
// takes its place.
// CHECK-LABEL: func.func @with_stack
// CHECK: %[[S:.*]] = llvm.intr.stacksave
// CHECK: memref.alloca()
// CHECK: %[[R:.*]] = memref.load
// CHECK: llvm.intr.stackrestore %[[S]]
// CHECK: return %[[R]]
func.func @with_stack(%v: f32) -> f32 {
  %r = memref.alloca_scope -> f32 {
    %a = memref.alloca() : memref<f32>
    memref.store %v, %a[] : memref<f32>
    %l = memref.load %a[] : memref<f32>
    memref.alloca_scope.return %l : f32
  }
  return %r : f32
}

// A scope without an alloca of its own saves nothing; one within it does.
// CHECK-LABEL: func.func @nested
// CHECK-NOT: stacksave
// CHECK: memref.store
// CHECK-NEXT: llvm.intr.stacksave
// CHECK-NEXT: memref.alloca()
// CHECK-NEXT: llvm.intr.stackrestore
// CHECK-NOT: stackrestore
// CHECK: return
func.func @nested(%v: f32, %m: memref<f32>) {
  memref.alloca_scope {
    memref.store %v, %m[] : memref<f32>
    memref.alloca_scope {
      %a = memref.alloca() : memref<f32>
    }
  }
  return
}
