// RUN: moe-opt %s | FileCheck %s

// Sizes are inferred as far as they are known: S, T and R each on its own.

// CHECK-LABEL: func.func @route
// CHECK: return {{.*}} : !moe.plan<?x?x8, rows = ?>, tensor<?xf32>, !moe.plan<2x?x8, rows = ?>, tensor<?xf32>, !moe.plan<2x3x8, rows = 12>, tensor<12xf16>, !moe.plan<1x3x8, rows = 6>, tensor<6xf32>, !moe.plan<1x?x8, rows = ?>, tensor<?xf32>
func.func @route(%a: tensor<?x?x8xf32>, %b: tensor<2x?x8xf32>,
                 %c: tensor<2x3x8xbf16>, %d: tensor<3x8xf16>,
                 %e: tensor<?x8xf32>)
    -> (!moe.plan<?x?x8, rows = ?>, tensor<?xf32>,
        !moe.plan<2x?x8, rows = ?>, tensor<?xf32>,
        !moe.plan<2x3x8, rows = 12>, tensor<12xf16>,
        !moe.plan<1x3x8, rows = 6>, tensor<6xf32>,
        !moe.plan<1x?x8, rows = ?>, tensor<?xf32>) {
  %0:2 = moe.route %a top 2 scope = token score = softmax normalize = none
      : tensor<?x?x8xf32>
  %1:2 = moe.route %b top 2 scope = token score = softmax normalize = none
      : tensor<2x?x8xf32>
  %2:2 = moe.route %c top 2 scope = token score = softmax normalize = none
      {gate_type = f16} : tensor<2x3x8xbf16>
  %3:2 = moe.route %d top 2 scope = token score = softmax normalize = none
      : tensor<3x8xf16>
  %4:2 = moe.route %e top 2 scope = token score = softmax normalize = none
      : tensor<?x8xf32>
  return %0#0, %0#1, %1#0, %1#1, %2#0, %2#1, %3#0, %3#1, %4#0, %4#1
      : !moe.plan<?x?x8, rows = ?>, tensor<?xf32>,
        !moe.plan<2x?x8, rows = ?>, tensor<?xf32>,
        !moe.plan<2x3x8, rows = 12>, tensor<12xf16>,
        !moe.plan<1x3x8, rows = 6>, tensor<6xf32>,
        !moe.plan<1x?x8, rows = ?>, tensor<?xf32>
}

// With padding, and for choices that may be none, R is a bound.
// CHECK-LABEL: func.func @bounds
// CHECK: return {{.*}} : !moe.plan<2x3x8, rows max 12>, !moe.plan<2x?x4, rows max ?>
func.func @bounds(%l: tensor<2x3x8xf32>, %v: tensor<2x3xi1>,
                  %ids: tensor<2x?x2xi32>, %w: tensor<2x?x2xf32>)
    -> (!moe.plan<2x3x8, rows max 12>, !moe.plan<2x?x4, rows max ?>) {
  %0:2 = moe.route %l valid(%v : tensor<2x3xi1>) top 2 scope = token
      score = softmax normalize = none : tensor<2x3x8xf32>
  %1:2 = moe.plan_from_choice %ids, %w experts 4
      : tensor<2x?x2xi32>, tensor<2x?x2xf32>
  return %0#0, %1#0
      : !moe.plan<2x3x8, rows max 12>, !moe.plan<2x?x4, rows max ?>
}

// No token at all is a plan without rows.
// CHECK-LABEL: func.func @empty
// CHECK: return {{.*}} : !moe.plan<2x0x8, rows = 0>, tensor<0x4xf32>, tensor<2x1xi32>
func.func @empty(%l: tensor<2x0x8xf32>, %x: tensor<2x0x4xf32>)
    -> (!moe.plan<2x0x8, rows = 0>, tensor<0x4xf32>, tensor<2x1xi32>) {
  %p, %g = moe.route %l top 2 scope = sequence score = softmax
      normalize = none : tensor<2x0x8xf32>
  %rows = moe.dispatch %x by %p : tensor<2x0x4xf32>, !moe.plan<2x0x8, rows = 0>
  %f = moe.plan_field %p token_offsets : !moe.plan<2x0x8, rows = 0>
  return %p, %rows, %f
      : !moe.plan<2x0x8, rows = 0>, tensor<0x4xf32>, tensor<2x1xi32>
}

// CHECK-LABEL: func.func @rows
// CHECK: return {{.*}} : tensor<?x?xbf16>, tensor<?x3x?xbf16>, tensor<9xi32>, tensor<?x4xi32>
func.func @rows(%x: tensor<?x3x?xbf16>, %p: !moe.plan<?x3x8, rows max ?>)
    -> (tensor<?x?xbf16>, tensor<?x3x?xbf16>, tensor<9xi32>,
        tensor<?x4xi32>) {
  %rows = moe.dispatch %x by %p
      : tensor<?x3x?xbf16>, !moe.plan<?x3x8, rows max ?>
  %y = moe.combine %rows by %p
      : tensor<?x?xbf16>, !moe.plan<?x3x8, rows max ?>
  %e = moe.plan_field %p expert_offsets : !moe.plan<?x3x8, rows max ?>
  %t = moe.plan_field %p token_offsets : !moe.plan<?x3x8, rows max ?>
  return %rows, %y, %e, %t
      : tensor<?x?xbf16>, tensor<?x3x?xbf16>, tensor<9xi32>, tensor<?x4xi32>
}
