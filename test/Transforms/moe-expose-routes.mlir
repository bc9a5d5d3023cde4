// RUN: moe-opt %s -split-input-file --moe-expose-routes -verify-diagnostics | FileCheck %s
// RUN: moe-opt %s -split-input-file --moe-expose-routes=given -verify-diagnostics | FileCheck %s --check-prefix=GIVEN

// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<?x?x16xf32>, tensor<?x?xi32>)
// CHECK: %[[PLAN:.*]], %{{.*}} = moe.route
// CHECK: %[[FIELD:.*]] = moe.plan_field %[[PLAN]] token_offsets
// CHECK: return %{{.*}}, %[[FIELD]]

// GIVEN-LABEL: func.func @main
// GIVEN-SAME: %[[LOGITS:[a-z0-9]*]]: tensor<?x?x8xbf16>
// GIVEN-SAME: %[[IDS:[a-z0-9]*]]: tensor<?x?x8xi32>, %[[WEIGHTS:[a-z0-9]*]]: tensor<?x?x8xf32>)
// GIVEN-SAME: -> (tensor<?x?x16xf32>, tensor<?x?x8xbf16>)
// GIVEN-NOT: moe.route
// GIVEN: %[[PLAN:.*]], %[[GATES:.*]] = moe.plan_from_choice %[[IDS]], %[[WEIGHTS]] experts 8
// GIVEN: moe.dispatch %{{.*}} by %[[PLAN]]
// GIVEN: moe.combine %{{.*}} by %[[PLAN]] gates(%[[GATES]]
// GIVEN: return %{{.*}}, %[[LOGITS]]
func.func @main(%x: tensor<?x?x16xf32>, %logits: tensor<?x?x8xbf16>)
    -> tensor<?x?x16xf32> {
  %plan, %gates = moe.route %logits top 2 scope = sequence score = softmax
      normalize = sum : tensor<?x?x8xbf16>
  %rows = moe.dispatch %x by %plan
      : tensor<?x?x16xf32>, !moe.plan<?x?x8, rows = ?>
  %y = moe.combine %rows by %plan gates(%gates : tensor<?xf32>)
      : tensor<?x16xf32>, !moe.plan<?x?x8, rows = ?>
  return %y : tensor<?x?x16xf32>
}

// The bias of a choice is part of what a rule must know.
// CHECK-LABEL: func.func @biased
// CHECK-SAME: -> (tensor<?xf32>, tensor<?x?xi32>)
// GIVEN-LABEL: func.func @biased
// GIVEN-SAME: %[[LOGITS:[a-z0-9]*]]: tensor<?x?x8xf32>, %[[BIAS:[a-z0-9]*]]: tensor<8xf32>
// GIVEN-SAME: -> (tensor<?xf32>, tensor<?x?x8xf32>, tensor<8xf32>)
// GIVEN: return %{{.*}}, %[[LOGITS]], %[[BIAS]]
func.func @biased(%logits: tensor<?x?x8xf32>, %bias: tensor<8xf32>)
    -> tensor<?xf32> {
  %plan, %gates = moe.route %logits bias(%bias : tensor<8xf32>) top 2
      scope = token score = sigmoid normalize = sum : tensor<?x?x8xf32>
  return %gates : tensor<?xf32>
}

// What no caller sees is left alone.
// CHECK-LABEL: func.func private @inside
// CHECK-NOT: plan_field
func.func private @inside(%logits: tensor<?x?x8xf32>) -> tensor<?xf32> {
  %plan, %gates = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<?x?x8xf32>
  return %gates : tensor<?xf32>
}

// -----

func.func @loop(%logits: tensor<?x?x8xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // expected-error @+1 {{is in a loop or branch, which moe-expose-routes cannot look into}}
    %plan, %gates = moe.route %logits top 2 scope = token score = softmax
        normalize = none : tensor<?x?x8xf32>
  }
  return
}
