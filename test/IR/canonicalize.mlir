// RUN: moe-opt %s --canonicalize | FileCheck %s

// A sequence of one token spends the budget of one token.
// CHECK-LABEL: @one_token
// CHECK: moe.route %{{.*}} top 2 scope = token score = softmax normalize = none : tensor<?x1x4xf32>
func.func @one_token(%logits: tensor<?x1x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {cap = 3 : i64, floor = 1 : i64} : tensor<?x1x4xf32>
  return %g : tensor<?xf32>
}

// Where every token must have k experts, tokens do not compete.
// CHECK-LABEL: @fixed_count
// CHECK: moe.route %{{.*}} top 2 scope = token score = sigmoid normalize = none : tensor<?x?x4xf32>
func.func @fixed_count(%logits: tensor<?x?x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = sigmoid
      normalize = none {cap = 2 : i64, floor = 2 : i64} : tensor<?x?x4xf32>
  return %g : tensor<?xf32>
}

// A floor of k alone leaves no choice either, but only the cap says so.
// CHECK-LABEL: @floor_alone
// CHECK: scope = sequence
func.func @floor_alone(%logits: tensor<?x?x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = sigmoid
      normalize = none {floor = 2 : i64} : tensor<?x?x4xf32>
  return %g : tensor<?xf32>
}

// Tokens of a longer sequence compete: nothing changes.
// CHECK-LABEL: @two_tokens
// CHECK: scope = sequence {{.*}} {cap = 3 : i64, floor = 1 : i64}
func.func @two_tokens(%logits: tensor<?x2x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {cap = 3 : i64, floor = 1 : i64} : tensor<?x2x4xf32>
  return %g : tensor<?xf32>
}

// A cap of all candidates, and keeping all groups, say nothing.
// CHECK-LABEL: @vacuous
// CHECK: moe.route %{{.*}} top 2 scope = sequence score = softmax normalize = none : tensor<?x?x4xf32>
func.func @vacuous(%logits: tensor<?x?x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {cap = 4 : i64, n_group = 2 : i64, topk_group = 2 : i64,
                        group_score = #moe<group_score top2_sum>}
      : tensor<?x?x4xf32>
  return %g : tensor<?xf32>
}

// A cap of the experts of one kept group of two says nothing; the groups do.
// CHECK-LABEL: @cap_of_candidates
// CHECK: moe.route {{.*}} {n_group = 2 : i64} :
func.func @cap_of_candidates(%logits: tensor<?x?x4xf32>) -> tensor<?xf32> {
  %p, %g = moe.route %logits top 1 scope = sequence score = softmax
      normalize = none {cap = 2 : i64, n_group = 2 : i64} : tensor<?x?x4xf32>
  return %g : tensor<?xf32>
}

// Every row of a splat is the splat.
// CHECK-LABEL: @splat
// CHECK: %[[ROWS:.*]] = arith.constant dense<1.500000e+00> : tensor<6x8xf32>
// CHECK: return %[[ROWS]]
func.func @splat(%plan: !moe.plan<2x3x4, rows = 6>) -> tensor<6x8xf32> {
  %x = arith.constant dense<1.5> : tensor<2x3x8xf32>
  %rows = moe.dispatch %x by %plan
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
  return %rows : tensor<6x8xf32>
}

// A route that nobody asks is no work.
// CHECK-LABEL: @unused
// CHECK-NEXT: return
func.func @unused(%logits: tensor<?x?x4xf32>) {
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<?x?x4xf32>
  return
}
