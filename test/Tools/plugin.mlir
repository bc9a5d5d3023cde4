// REQUIRES: plugin
// The dialect and its canonicalisations work in a stock mlir-opt.
// RUN: mlir-opt --load-dialect-plugin=%moe_plugin \
// RUN:   --load-pass-plugin=%moe_plugin --canonicalize %s | FileCheck %s

// Sequence scope over sequences of one token is token scope.
// CHECK-LABEL: @one_token
// CHECK: moe.route {{.*}} scope = token
func.func @one_token(%logits: tensor<2x1x4xf32>)
    -> (!moe.plan<2x1x4, rows = 2>, tensor<2xf32>) {
  %plan, %gates = moe.route %logits top 1
      scope = sequence score = softmax normalize = none : tensor<2x1x4xf32>
  return %plan, %gates : !moe.plan<2x1x4, rows = 2>, tensor<2xf32>
}
