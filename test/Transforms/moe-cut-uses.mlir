// RUN: moe-reduce %s --moe-cut-uses=test=%S/Inputs/has-combine.sh \
// RUN:   | FileCheck %s --implicit-check-not=@unused \
// RUN:     --implicit-check-not=moe.route --implicit-check-not=moe.dispatch

// What feeds the interesting op is cut off, and what is unused is erased.
// CHECK-LABEL: @layer
// CHECK: %[[PLAN:.*]] = ub.poison : !moe.plan<2x3x4, rows = 6>
// CHECK: %[[Y:.*]] = moe.combine {{.*}} by %[[PLAN]]
// CHECK: return %[[Y]]
func.func @layer(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>)
    -> tensor<2x3x8xf32> {
  %plan, %gates = moe.route %logits top 1
      scope = sequence score = softmax normalize = none : tensor<2x3x4xf32>
  %rows = moe.dispatch %x by %plan
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
  %y = moe.combine %rows by %plan gates(%gates : tensor<6xf32>)
      : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return %y : tensor<2x3x8xf32>
}

func.func @unused() {
  return
}
