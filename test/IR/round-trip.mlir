// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

// Text, generic text and bytecode keep every attribute; defaults are not printed.

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = bf16_dot, prefetch = false>

// CHECK-LABEL: @route
func.func @route(%logits: tensor<?x?x8xbf16>, %bias: tensor<8xf32>,
                 %valid: tensor<?x?xi1>, %flat: tensor<?x8xf16>) {
  // CHECK: moe.route %{{.*}} bias(%{{.*}} : tensor<8xf32>) valid(%{{.*}} : tensor<?x?xi1>)
  // CHECK-SAME: top 2 scope = sequence score = sigmoid normalize = sum
  // CHECK-SAME: cap = 4 : i64
  // CHECK-SAME: eps = 9.99999968E-21 : f32
  // CHECK-SAME: floor = 1 : i64
  // CHECK-SAME: gate_type = bf16
  // CHECK-SAME: group_score = #moe<group_score top2_sum>
  // CHECK-SAME: layer = "model.layers.0.mlp"
  // CHECK-SAME: n_group = 4 : i64
  // CHECK-SAME: norm_min = 1.000000e-30 : f32
  // CHECK-SAME: scale = 2.500000e+00 : f32
  // CHECK-SAME: schedule = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4, row_block = 120, product = bf16_dot, prefetch = false>
  // CHECK-SAME: topk_group = 2 : i64
  // CHECK-SAME: : tensor<?x?x8xbf16>
  %p, %g = moe.route %logits bias(%bias : tensor<8xf32>)
      valid(%valid : tensor<?x?xi1>)
      top 2 scope = sequence score = sigmoid normalize = sum
      {cap = 4 : i64, eps = 1.0e-20 : f32, floor = 1 : i64, gate_type = bf16,
       group_score = #moe<group_score top2_sum>, layer = "model.layers.0.mlp",
       n_group = 4 : i64, norm_min = 1.0e-30 : f32, scale = 2.5 : f32,
       schedule = #wide, topk_group = 2 : i64} : tensor<?x?x8xbf16>
  // CHECK: moe.route %{{.*}} top 2 scope = token score = identity normalize = softmax : tensor<?x8xf16>
  %q, %h = moe.route %flat top 2 scope = token score = identity
      normalize = softmax {scale = 1.0 : f32, floor = 0 : i64} : tensor<?x8xf16>
  return
}

// CHECK-LABEL: @layer
// CHECK-SAME: !moe.plan<2x3x4, rows max 12>
func.func @layer(%plan: !moe.plan<2x3x4, rows max 12>, %x: tensor<2x3x8xbf16>,
                 %gate: tensor<4x8x5xbf16>, %up: tensor<4x8x5xbf16>,
                 %both: tensor<4x8x10xbf16>, %bias: tensor<4x5xbf16>,
                 %factor: tensor<12xf32>, %old: tensor<12x5xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}} by %{{.*}} weights(%{{.*}}, %{{.*}} : tensor<4x8x5xbf16>, tensor<4x8x5xbf16>) layout = kn
  // CHECK-SAME: extras [#moe<extra column>, #moe<extra row>, #moe<extra element>](%{{.*}}, %{{.*}}, %{{.*}} : tensor<4x5xbf16>, tensor<12xf32>, tensor<12x5xf32>)
  // CHECK-SAME: {schedule = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4, row_block = 120, product = bf16_dot, prefetch = false>} : tensor<2x3x8xbf16>, !moe.plan<2x3x4, rows max 12> -> tensor<12x5xbf16>
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: bf16, %{{.*}}: f32, %{{.*}}: f32):
  %h = moe.grouped_matmul %x by %plan
      weights(%gate, %up : tensor<4x8x5xbf16>, tensor<4x8x5xbf16>) layout = kn
      extras [#moe<extra column>, #moe<extra row>, #moe<extra element>]
      (%bias, %factor, %old : tensor<4x5xbf16>, tensor<12xf32>, tensor<12x5xf32>)
      {schedule = #wide}
      : tensor<2x3x8xbf16>, !moe.plan<2x3x4, rows max 12> -> tensor<12x5xbf16> {
  ^bb0(%g: f32, %u: f32, %b: bf16, %f: f32, %o: f32):
    %0 = arith.truncf %g : f32 to bf16
    moe.yield %0 : bf16
  }
  // CHECK: moe.grouped_matmul {{.*}} layout = kn arrangement = interleaved :
  %i = moe.grouped_matmul %x by %plan weights(%both : tensor<4x8x10xbf16>)
      layout = kn arrangement = interleaved
      : tensor<2x3x8xbf16>, !moe.plan<2x3x4, rows max 12> -> tensor<12x5xf32> {
  ^bb0(%g: f32, %u: f32):
    moe.yield %g : f32
  }
  // CHECK: moe.combine %{{.*}} by %{{.*}} : tensor<12x5xf32>, !moe.plan<2x3x4, rows max 12>
  %y = moe.combine %i by %plan : tensor<12x5xf32>, !moe.plan<2x3x4, rows max 12>
  // CHECK: moe.plan_field %{{.*}} token_offsets : !moe.plan<2x3x4, rows max 12>
  %t = moe.plan_field %plan token_offsets : !moe.plan<2x3x4, rows max 12>
  return
}

// A plan goes through calls, control flow and functions like any other value.
// CHECK-LABEL: @control_flow
func.func @control_flow(%c: i1, %a: !moe.plan<?x?x4, rows = ?>,
                        %b: !moe.plan<?x?x4, rows = ?>) -> tensor<5xi32> {
  // CHECK: scf.if {{.*}} -> (!moe.plan<?x?x4, rows = ?>)
  %p = scf.if %c -> (!moe.plan<?x?x4, rows = ?>) {
    scf.yield %a : !moe.plan<?x?x4, rows = ?>
  } else {
    scf.yield %b : !moe.plan<?x?x4, rows = ?>
  }
  %o = moe.plan_field %p expert_offsets : !moe.plan<?x?x4, rows = ?>
  return %o : tensor<5xi32>
}
