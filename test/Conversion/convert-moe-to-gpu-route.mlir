// Executed in test/GPU/test_route.py, test_route_grid.py, test_route_sizes.py,
// test_route_tiles.py and test_route_cluster.py.
// RUN: moe-opt %s --moe-choose-schedule=chip=sm_80 --convert-moe-to-gpu --canonicalize --cse \
// RUN:   -split-input-file | FileCheck %s

// A team of eight blocks, each with eight tokens in shared memory.
// CHECK-LABEL: gpu.func @route
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>
// CHECK-SAME: nvvm.minctasm = 1 : i32
// The phases of two barriers: among all blocks, and in the team.
// CHECK-COUNT-2: llvm.load {{.*}} atomic syncscope("device") acquire
// One reciprocal for a token, then fused steps of its divisions.
// CHECK: llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// CHECK-NOT: llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// The search for the threshold: a barrier in each round, none with an answer.
// CHECK: scf.while
// CHECK: red.relaxed.gpu.global.add.u32
// CHECK: red.release.gpu.global.add.u32
// CHECK: scf.while
// CHECK: llvm.load {{.*}} atomic syncscope("device") acquire
// The list's length, without another barrier before the columns'.
// CHECK: llvm.atomicrmw add {{.*}} monotonic : !llvm.ptr<1>, i32
// CHECK-NOT: red.release
// CHECK: red.relaxed.gpu.global.add.u32
// CHECK: red.release.gpu.global.add.u32
// CHECK-NOT: red.release
// CHECK-LABEL: func.func private @moe_idx_route
// CHECK: gpu.launch_func @moe_kernels::@route blocks in (%c8, %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK-SAME: {moe.cooperative, moe.workspace = {{[0-9]+}} : i64}
func.func @grid(%logits: memref<1x64x64xf32>, %eo: memref<65xi32>,
                %rt: memref<128xi32>, %to: memref<1x65xi32>,
                %tr: memref<128xi32>, %gates: memref<128xf32>,
                %work: memref<?xi32>) {
  moe.idx.route top 2 scope = sequence score = softmax normalize = sum
      ins(%logits : memref<1x64x64xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<65xi32>,
           memref<128xi32>, memref<1x65xi32>, memref<128xi32>,
           memref<128xf32>, memref<?xi32>)
  return
}

// -----

// Sizes that are not known: three kernels, of which the sizes and the device let
// one run. In token scope there is one barrier, and no search among tokens.
// CHECK-LABEL: gpu.func @route(
// CHECK: llvm.call_intrinsic "llvm.nvvm.sqrt.rn.f"
// CHECK-NOT: math.sqrt
// CHECK: red.release.gpu.global.add.u32
// CHECK-NOT: red.release
// CHECK: gpu.func @route_long(
// CHECK: gpu.func @route_in_turn(
// CHECK: func.func private @moe_multiprocessors() -> index
// CHECK-LABEL: func.func private @moe_idx_route
// CHECK: %[[DEVICE:.*]] = call @moe_multiprocessors() : () -> index
// CHECK: %[[BLOCKS:.*]] = arith.minui %[[DEVICE]], %c108
// CHECK: %[[FITS:.*]] = arith.cmpi u{{.*}}, %c166912
// CHECK: %[[SHORT:.*]] = arith.select %{{.*}}, %{{.*}}, %c0
// CHECK: gpu.launch_func @moe_kernels::@route blocks in (%[[SHORT]], %c1, %c1)
// CHECK-SAME: {moe.cooperative}
// CHECK: %[[LONG:.*]] = arith.select %{{.*}}, %{{.*}}, %c0
// CHECK: gpu.launch_func @moe_kernels::@route_long blocks in (%[[LONG]], %c1, %c1)
// CHECK: gpu.launch_func @moe_kernels::@route_in_turn blocks in
func.func @dynamic(%logits: memref<?x?x24xbf16>, %valid: memref<?x?xi1>,
                   %eo: memref<25xi32>, %rt: memref<?xi32>,
                   %to: memref<?x?xi32>, %tr: memref<?xi32>,
                   %gates: memref<?xf32>, %work: memref<?xi32>) {
  moe.idx.route top 2 scope = token score = sqrtsoftplus normalize = none
      ins(%logits : memref<?x?x24xbf16>) valid(%valid : memref<?x?xi1>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<25xi32>,
           memref<?xi32>, memref<?x?xi32>, memref<?xi32>,
           memref<?xf32>, memref<?xi32>)
  return
}

// -----

// Three lists of tiles in the same launch, whose stores nothing waits for.
// CHECK-LABEL: gpu.func @route(
// CHECK-COUNT-3: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<1>
// CHECK-NOT: gpu.func @tiles
func.func @tiles(%logits: memref<1x9x8xf32>, %eo: memref<9xi32>,
                 %rt: memref<18xi32>, %to: memref<1x10xi32>,
                 %tr: memref<18xi32>, %gates: memref<18xf32>,
                 %work: memref<?xi32>, %few: memref<44xi32>,
                 %many: memref<40xi32>, %odd: memref<40xi32>) {
  moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : memref<1x9x8xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %few, %many, %odd :
           memref<9xi32>, memref<18xi32>, memref<1x10xi32>, memref<18xi32>,
           memref<18xf32>, memref<?xi32>, memref<44xi32>, memref<40xi32>,
           memref<40xi32>) {tile_rows = array<i64: 16, 128, 48>}
  return
}

// -----

// One cluster: histograms, lists and columns are read where they are, and
// nothing of the workspace is.
// CHECK-LABEL: gpu.func @route(
// CHECK-NOT: syncscope("device")
// CHECK-NOT: red.release
// CHECK: scf.while
// CHECK: nvvm.cluster.arrive {aligned}
// CHECK-NEXT: nvvm.cluster.wait {aligned}
// CHECK-COUNT-4: nvvm.mapa {{.*}} : !llvm.ptr<3> -> !llvm.ptr<7>
// The list is complete when the columns are.
// CHECK: nvvm.cluster.arrive {aligned}
// CHECK-NEXT: nvvm.cluster.wait {aligned}
// CHECK: llvm.load {{.*}} : !llvm.ptr<7> -> i64
// Others may read on while rows are written.
// CHECK: nvvm.cluster.arrive {aligned}
// CHECK-NOT: nvvm.mapa
// CHECK: nvvm.cluster.wait {aligned}
// CHECK-NEXT: gpu.return
// CHECK-LABEL: func.func private @moe_idx_route
// CHECK: gpu.launch_func @moe_kernels::@route clusters in (%c4, %c1, %c1) blocks in (%c4, %c1, %c1) threads in (%c128, %c1, %c1)
// CHECK-NOT: moe.cooperative
// CHECK: return
func.func @cluster(%logits: memref<1x64x64xf32>, %eo: memref<65xi32>,
                   %rt: memref<128xi32>, %to: memref<1x65xi32>,
                   %tr: memref<128xi32>, %gates: memref<128xf32>,
                   %work: memref<?xi32>) {
  moe.idx.route top 2 scope = sequence score = softmax normalize = sum
      ins(%logits : memref<1x64x64xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<65xi32>,
           memref<128xi32>, memref<1x65xi32>, memref<128xi32>,
           memref<128xf32>, memref<?xi32>)
      {schedule = #moe.gpu_route<chip = sm_90, form = cluster, threads = 128,
       blocks = 132, tokens = 8, cluster = 4>}
  return
}
