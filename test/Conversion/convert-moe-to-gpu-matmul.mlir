// Executed in test/GPU/test_matmul.py.
// RUN: moe-opt %s --convert-moe-to-gpu --canonicalize --cse | FileCheck %s

#form = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
#forms = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 0>,
  <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 4,
   lanes = 4, least = 64>]>

// CHECK-LABEL: gpu.func @tiles(
// Eight rows of a copy, of tokens that one load found; surplus blocks leave.
// CHECK-LABEL: gpu.func @grouped_matmul_32x128x64(
// CHECK-SAME:    known_block_size = array<i32: 64, 1, 1>
// CHECK:       scf.if
// CHECK:       nvvm.shfl.sync idx
// CHECK:       nvvm.cp.async.shared.global {{.*}}, 16, cache = cg, %{{.*}} :
// CHECK:       nvvm.cp.async.commit.group
// CHECK:       nvvm.cp.async.wait.group 1
// CHECK-NEXT:  nvvm.barrier0
// A step a stage, 64 products each, and one barrier.
// CHECK:       scf.for
// CHECK-COUNT-192: nvvm.mma.sync {{.*}} multiplicandAPtxType = #nvvm.mma_type<bf16>
// CHECK-NOT:   nvvm.mma.sync
// CHECK:       scf.yield
// The epilogue, on eight columns of a lane.
// CHECK:       llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"
// CHECK:       llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// CHECK:       arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>
// CHECK:       llvm.store {{.*}} {alignment = 16 : i64} : vector<8xbf16>
// Warps with one block of rows have a loop of their own, those with none too.
// CHECK:       } else {
// CHECK:       scf.for
// CHECK-COUNT-96: nvvm.mma.sync
// CHECK:       } else {
// CHECK:       scf.for
// CHECK-NOT:   nvvm.mma.sync
// CHECK:       gpu.return

// Weights that lie along N are transposed on the way to registers.
// CHECK-LABEL: gpu.func @grouped_matmul_128x128x32(
// CHECK-SAME:    %[[FACTOR:[^ ]*]]: f32) kernel
// CHECK-SAME:    known_block_size = array<i32: 128, 1, 1>
// CHECK:       nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>
// CHECK:       nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<col>
// CHECK:       nvvm.mma.sync {{.*}} (vector<2xf16>, vector<2xf16>, f32)
// CHECK:       vector.broadcast %[[FACTOR]] : f32 to vector<8xf32>
// CHECK:       nvvm.shfl.sync bfly
// CHECK:       llvm.store {{.*}} {alignment = 16 : i64} : vector<8xf16>
// CHECK-LABEL: gpu.func @grouped_matmul_32x128x64_0(

// A block for each tile that 96 rows of 4 experts can have, twice.
// CHECK-LABEL: func.func private @moe_idx_grouped_matmul(
// CHECK:       gpu.launch_func @moe_kernels::@grouped_matmul_32x128x64 blocks in (%c28, %c1, %c1) threads in (%c64, %c1, %c1) dynamic_shared_memory_size %c61440_i32
func.func @gated(%x: memref<2x30x512xbf16>, %eo: memref<5xi32>,
                 %rt: memref<96xi32>, %t: memref<32xi32>,
                 %w: memref<4x512x512xbf16>, %y: memref<96x256xbf16>) {
  moe.idx.tiles ins(%eo : memref<5xi32>) rows = 32 outs(%t : memref<32xi32>)
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x30x512xbf16>, memref<5xi32>)
      tokens(%rt : memref<96xi32>) tiles(%t : memref<32xi32>)
      weights(%w : memref<4x512x512xbf16>) layout = nk arrangement = concat
      {schedule = #form} outs(%y : memref<96x256xbf16>) {
  ^bb0(%gate: f32, %up: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %gate : f32
    %e = math.exp %n : f32
    %d = arith.addf %one, %e : f32
    %s = arith.divf %gate, %d : f32
    %v = arith.mulf %s, %up : f32
    %r = arith.truncf %v : f32 to bf16
    moe.yield %r : bf16
  }
  return
}

// The form follows from R / E at the launch.
// CHECK-LABEL: func.func private @moe_idx_grouped_matmul_0(
// CHECK:       %[[ROWS:.*]] = memref.dim
// CHECK:       %[[AVERAGE:.*]] = arith.divui %[[ROWS]], %c4
// CHECK:       %[[MANY:.*]] = arith.cmpi uge, %[[AVERAGE]], %c64
// CHECK:       %[[BLOCKS:.*]] = arith.select %[[MANY]], %{{.*}}, %c0
// CHECK:       gpu.launch_func @moe_kernels::@grouped_matmul_128x128x32 blocks in (%[[BLOCKS]],
// CHECK:       %[[FEW:.*]] = arith.cmpi ult, %[[AVERAGE]], %c64
// CHECK:       %[[BLOCKS:.*]] = arith.select %[[FEW]], %{{.*}}, %c0
// CHECK:       gpu.launch_func @moe_kernels::@grouped_matmul_32x128x64_0 blocks in (%[[BLOCKS]],
func.func @by_rows(%x: memref<?x256xf16>, %eo: memref<5xi32>,
                   %t: memref<?xi32>, %u: memref<?xi32>,
                   %w: memref<4x256x128xf16>, %y: memref<?x128xf16>,
                   %factor: f32) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<?x256xf16>, memref<5xi32>)
      tiles(%t, %u : memref<?xi32>, memref<?xi32>)
      weights(%w : memref<4x256x128xf16>) layout = kn {schedule = #forms}
      outs(%y : memref<?x128xf16>) {
  ^bb0(%a: f32):
    %v = arith.mulf %a, %factor : f32
    %r = arith.truncf %v : f32 to f16
    moe.yield %r : f16
  }
  return
}
