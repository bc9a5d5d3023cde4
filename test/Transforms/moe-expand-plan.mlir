// RUN: moe-opt %s -moe-expand-plan | FileCheck %s --implicit-check-not=!moe.plan

!dyn = !moe.plan<?x?x4, rows max ?>

// CHECK-LABEL: func.func private @callee(
// CHECK-SAME: tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>)
func.func private @callee(!dyn) -> (!dyn, index)

// Attributes of arguments and results stay with them.
// CHECK-LABEL: func.func @calls(
// CHECK-SAME: %{{.*}}: index {test.x}, %{{.*}}: tensor<5xi32> {test.plan},
// CHECK-SAME: %{{[^:]*}}: index {test.y})
// CHECK-SAME: tensor<?xi32>, index {test.z})
// CHECK: %[[C:.*]]:5 = call @callee(
// CHECK: return %[[C]]#0, %[[C]]#1, %[[C]]#2, %[[C]]#3, %[[C]]#4
func.func @calls(%i: index {test.x}, %p: !dyn {test.plan}, %j: index {test.y})
    -> (!dyn, index {test.z}) {
  %q:2 = func.call @callee(%p) : (!dyn) -> (!dyn, index)
  return %q#0, %q#1 : !dyn, index
}

// Static shapes give static index tensors and a static workspace.
// CHECK-LABEL: func.func @static
// CHECK: %[[P:.*]]:6 = moe.idx.route top 1
// CHECK-SAME: outs({{.*}} : tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>, tensor<6xf32>, tensor<{{[0-9]+}}xi32>)
// CHECK-SAME: layer = "mlp"
// CHECK: moe.idx.dispatch ins(%{{.*}}, %[[P]]#0, %[[P]]#1
// CHECK: moe.idx.combine ins(%{{.*}}, %[[P]]#2, %[[P]]#3
// CHECK-SAME: gates(%[[P]]#4
func.func @static(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>)
    -> tensor<2x3x8xf32> {
  %p, %g = moe.route %logits top 1 scope = sequence score = softmax
      normalize = none {layer = "mlp"} : tensor<2x3x4xf32>
  %rows = moe.dispatch %x by %p
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
  %y = moe.combine %rows by %p gates(%g : tensor<6xf32>)
      : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return %y : tensor<2x3x8xf32>
}

// Logits of rank 2 are one sequence.
// CHECK-LABEL: func.func @rank2
// CHECK: %[[T:.*]] = tensor.dim %{{.*}}, %c0
// CHECK: %[[ENDS:.*]] = arith.addi %[[T]], %c1
// CHECK: %[[ROWS:.*]] = arith.muli %{{.*}}, %c2
// CHECK: tensor.empty(%[[ENDS]]) : tensor<1x?xi32>
// CHECK: moe.idx.route top 2
// CHECK-SAME: ins(%{{.*}} : tensor<?x4xbf16>)
func.func @rank2(%logits: tensor<?x4xbf16>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<?x4xbf16>
  return %g : tensor<?xf32>
}

// Every option of a route is carried over.
// CHECK-LABEL: func.func @options
// CHECK: moe.idx.route top 2 scope = sequence score = sigmoid normalize = sum
// CHECK-SAME: bias(%{{.*}} : tensor<8xf32>) valid(%{{.*}} : tensor<?x?xi1>)
// CHECK-SAME: cap = 3 : i64
// CHECK-SAME: eps = 5.000000e-01 : f32
// CHECK-SAME: floor = 1 : i64
// CHECK-SAME: group_score = #moe<group_score top2_sum>
// CHECK-SAME: n_group = 4 : i64
// CHECK-SAME: norm_min = 2.500000e-01 : f32
// CHECK-SAME: scale = 2.5{{.*}} : f32
// CHECK-SAME: test.kept
// CHECK-SAME: topk_group = 2 : i64
// CHECK-SAME: tensor<?xbf16>
func.func @options(%logits: tensor<?x?x8xf16>, %bias: tensor<8xf32>,
                   %valid: tensor<?x?xi1>) -> tensor<?xbf16> {
  %p, %g = moe.route %logits bias(%bias : tensor<8xf32>)
      valid(%valid : tensor<?x?xi1>) top 2 scope = sequence score = sigmoid
      normalize = sum {cap = 3, floor = 1, n_group = 4, topk_group = 2,
      group_score = #moe<group_score top2_sum>, scale = 2.5 : f32,
      eps = 0.5 : f32, norm_min = 0.25 : f32, gate_type = bf16,
      test.kept} : tensor<?x?x8xf16>
  return %g : tensor<?xbf16>
}

// Through scf.if, scf.for, scf.while and scf.index_switch.
// CHECK-LABEL: func.func @structured
// CHECK: scf.if {{.*}} -> (tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>)
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>)
// CHECK: scf.while
// CHECK: scf.index_switch {{.*}} -> tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>
// CHECK: tensor.empty(%{{.*}}, %{{.*}}) : tensor<?x?xf32>
// CHECK: moe.idx.dispatch
// CHECK: moe.idx.combine
func.func @structured(%c: i1, %n: index, %p0: !dyn, %p1: !dyn,
                      %x: tensor<?x?x?xf32>)
    -> (tensor<?x?x?xf32>, tensor<5xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %p = scf.if %c -> !dyn {
    scf.yield %p0 : !dyn
  } else {
    scf.yield %p1 : !dyn
  }
  %q = scf.for %i = %c0 to %n step %c1 iter_args(%it = %p) -> !dyn {
    %r:2 = func.call @callee(%it) : (!dyn) -> (!dyn, index)
    scf.yield %r#0 : !dyn
  }
  %w = scf.while (%a = %q) : (!dyn) -> !dyn {
    scf.condition(%c) %a : !dyn
  } do {
  ^bb0(%b: !dyn):
    scf.yield %b : !dyn
  }
  %v = scf.index_switch %n -> !dyn
  case 0 {
    scf.yield %w : !dyn
  }
  default {
    scf.yield %q : !dyn
  }
  %rows = moe.dispatch %x by %v : tensor<?x?x?xf32>, !dyn
  %y = moe.combine %rows by %v : tensor<?x?xf32>, !dyn
  %eo = moe.plan_field %v expert_offsets : !dyn
  return %y, %eo : tensor<?x?x?xf32>, tensor<5xi32>
}

// Through branches; a select becomes one of each field.
// CHECK-LABEL: func.func @branches
// CHECK: cf.cond_br %{{.*}}, ^bb1(%{{.*}} : tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>), ^bb2
// CHECK: arith.select {{.*}} : tensor<5xi32>
// CHECK: arith.select {{.*}} : tensor<?x?xi32>
// CHECK: cf.br ^bb2(
func.func @branches(%c: i1, %p: !dyn, %q: !dyn) -> tensor<?xi32> {
  cf.cond_br %c, ^bb1(%p : !dyn), ^bb2(%q : !dyn)
^bb1(%a: !dyn):
  %s = arith.select %c, %a, %q : !dyn
  cf.br ^bb2(%s : !dyn)
^bb2(%b: !dyn):
  %f = moe.plan_field %b row_token : !dyn
  return %f : tensor<?xi32>
}

// CHECK-LABEL: func.func @choice
// CHECK: moe.idx.plan_from_choice experts 4 ins({{.*}} : tensor<2x3x2xi32>, tensor<2x3x2xbf16>)
// CHECK-SAME: tensor<12xbf16>
func.func @choice(%ids: tensor<2x3x2xi32>, %w: tensor<2x3x2xbf16>)
    -> tensor<12xbf16> {
  %p, %g = moe.plan_from_choice %ids, %w experts 4
      : tensor<2x3x2xi32>, tensor<2x3x2xbf16>
  return %g : tensor<12xbf16>
}

// Tokens are gathered in the load; the columns of an arranged weight are half.
// CHECK-LABEL: func.func @glu
// CHECK: %[[N2:.*]] = tensor.dim %{{.*}}, %c1
// CHECK: %[[N:.*]] = arith.divui %[[N2]], %c2
// CHECK: tensor.empty(%{{.*}}, %[[N]]) : tensor<?x?xf32>
// CHECK: moe.idx.grouped_matmul ins(%{{.*}} : tensor<?x?x2xf32>, tensor<5xi32>)
// CHECK-SAME: tokens(%{{.*}} : tensor<?xi32>)
// CHECK-SAME: layout = nk arrangement = concat
// CHECK-SAME: extras [#moe<extra row>]
func.func @glu(%x: tensor<?x?x2xf32>, %p: !dyn, %w: tensor<4x?x2xf32>,
               %g: tensor<?xf32>) -> tensor<?x?xf32> {
  %h = moe.grouped_matmul %x by %p weights(%w : tensor<4x?x2xf32>) layout = nk
      arrangement = concat extras [#moe<extra row>] (%g : tensor<?xf32>)
      : tensor<?x?x2xf32>, !dyn -> tensor<?x?xf32> {
  ^bb0(%gate: f32, %up: f32, %w0: f32):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.mulf %0, %w0 : f32
    moe.yield %1 : f32
  }
  return %h : tensor<?x?xf32>
}

// A schedule is carried over; code without a plan is left alone.
// CHECK-LABEL: func.func @schedule
// CHECK: moe.idx.grouped_matmul ins(%{{.*}} : tensor<6x2xf32>, tensor<5xi32>) weights
// CHECK-SAME: schedule = #moe.schedule<target = cpu, vector = 8
// CHECK: arith.addf
func.func @schedule(%x: tensor<6x2xf32>, %p: !moe.plan<2x3x4, rows = 6>,
                    %w: tensor<4x2x3xf32>, %a: f32) -> (tensor<6x3xf32>, f32) {
  %h = moe.grouped_matmul %x by %p weights(%w : tensor<4x2x3xf32>) layout = kn
      {schedule = #moe.schedule<target = cpu, vector = 8, rows = 6,
       vectors = 2, row_block = 120, product = fma, prefetch = true>}
      : tensor<6x2xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x3xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %b = arith.addf %a, %a : f32
  return %h, %b : tensor<6x3xf32>, f32
}
