// Executed in test/GPU/test_rows.py.
// RUN: moe-opt %s --convert-moe-to-gpu --canonicalize --cse \
// RUN:   -split-input-file | FileCheck %s

// CHECK-LABEL: gpu.module @moe_kernels
// CHECK: llvm.mlir.global external @moe_shared() {addr_space = 3 : i32, alignment = 1024
// CHECK: gpu.func @combine({{.*}}) kernel attributes {known_block_size = array<i32: 32, 1, 1>}
// Eight rows are in flight, and each is added only if it is one of the token's.
// CHECK: scf.for
// CHECK-COUNT-8: llvm.load {{.*}} invariant {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xbf16>
// CHECK-COUNT-8: arith.addf
// CHECK: arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>

// CHECK-LABEL: func.func private @moe_idx_combine
// CHECK: gpu.launch_func @moe_kernels::@combine blocks in (%c6, %c1, %c1) threads in (%c32, %c1, %c1)
func.func @combine(%rows: memref<48x96xbf16>, %to: memref<2x4xi32>,
                   %tr: memref<48xi32>, %gates: memref<48xf32>,
                   %y: memref<2x3x96xbf16>) {
  moe.idx.combine
      ins(%rows, %to, %tr : memref<48x96xbf16>, memref<2x4xi32>, memref<48xi32>)
      gates(%gates : memref<48xf32>) outs(%y : memref<2x3x96xbf16>)
  return
}

// -----

// Rows of an odd number of elements are taken one by one.
// CHECK-LABEL: gpu.func @dispatch
// CHECK: llvm.load {{.*}} invariant {alignment = 2 : i64} : !llvm.ptr<1> -> vector<1xbf16>
// The number of blocks is that of the rows there is room for.
// CHECK-LABEL: func.func private @moe_idx_dispatch
// CHECK: %[[ROOM:.*]] = memref.dim %{{.*}}, %c0
// CHECK: gpu.launch_func @moe_kernels::@dispatch blocks in (%[[ROOM]], %c1, %c1)
func.func @dispatch(%x: memref<2x3x7xbf16>, %eo: memref<5xi32>,
                    %rt: memref<?xi32>, %rows: memref<?x7xbf16>) {
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x3x7xbf16>, memref<5xi32>, memref<?xi32>)
      outs(%rows : memref<?x7xbf16>)
  return
}
