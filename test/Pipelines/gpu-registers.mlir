// What ptxas makes of the kernels of a layer on each chip: registers that leave
// room for the blocks a kernel is planned to have on a multiprocessor, and no
// memory of a thread's own.
// REQUIRES: ptxas
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_80" | %machine_code sm_80 | FileCheck %s
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_86" | %machine_code sm_86 | FileCheck %s --check-prefix=SPILL
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_89" | %machine_code sm_89 | FileCheck %s
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_90" | %machine_code sm_90 | FileCheck %s
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_100" | %machine_code sm_100 | FileCheck %s
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_120" | %machine_code sm_120 | FileCheck %s
// CHECK:      {{^}}route: 1 blocks planned, room for them, no spill
// CHECK-NEXT: {{^}}grouped_matmul_{{[0-9x]+}}: 1 blocks planned, room for them, no spill
// CHECK-NEXT: {{^}}grouped_matmul_{{[0-9x_]+}}: 1 blocks planned, room for them, no spill
// CHECK-NEXT: {{^}}combine: 0 blocks planned, room for them, no spill
// CHECK-NOT: {{.}}

// Whole lines by 128 threads spill a little: no other form of as large a tile fits.
// SPILL:      {{^}}route: 1 blocks planned, room for them, no spill
// SPILL-NEXT: {{^}}grouped_matmul_128x128x64: 1 blocks planned, room for them, spills
// SPILL-NEXT: {{^}}grouped_matmul_{{[0-9x_]+}}: 1 blocks planned, room for them, no spill
// SPILL-NEXT: {{^}}combine: 0 blocks planned, room for them, no spill
func.func @main(%x: tensor<1x1024x2048xbf16>, %logits: tensor<1x1024x64xf32>,
                %gu: tensor<64x2048x2048xbf16> {moe.param = "gate_up"},
                %d: tensor<64x2048x1024xbf16> {moe.param = "down"}) -> tensor<1x1024x2048xbf16> {
  %p, %g = moe.route %logits top 8 scope = sequence score = softmax
      normalize = sum : tensor<1x1024x64xf32>
  %r = moe.dispatch %x by %p : tensor<1x1024x2048xbf16>, !moe.plan<1x1024x64, rows = 8192>
  %h = moe.grouped_matmul %r by %p weights(%gu : tensor<64x2048x2048xbf16>) layout = nk
      arrangement = concat : tensor<8192x2048xbf16>, !moe.plan<1x1024x64, rows = 8192> -> tensor<8192x1024xbf16> {
  ^bb0(%gate: f32, %up: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %gate : f32
    %e = math.exp %n : f32
    %s = arith.addf %e, %one : f32
    %q = arith.divf %gate, %s : f32
    %v = arith.mulf %q, %up : f32
    %t = arith.truncf %v : f32 to bf16
    moe.yield %t : bf16
  }
  %o = moe.grouped_matmul %h by %p weights(%d : tensor<64x2048x1024xbf16>) layout = nk
      : tensor<8192x1024xbf16>, !moe.plan<1x1024x64, rows = 8192> -> tensor<8192x2048xbf16> {
  ^bb0(%sum: f32):
    %t = arith.truncf %sum : f32 to bf16
    moe.yield %t : bf16
  }
  %y = moe.combine %o by %p gates(%g : tensor<8192xf32>) : tensor<8192x2048xbf16>, !moe.plan<1x1024x64, rows = 8192>
  return %y : tensor<1x1024x2048xbf16>
}
