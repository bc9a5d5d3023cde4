// RUN: moe-opt %s --allow-unregistered-dialect --moe-import-pipeline | FileCheck %s --implicit-check-not=moe.marker --implicit-check-not=stablehlo

// A marker becomes its op, and a residual op of the framework loops.
// CHECK-LABEL: func.func @main
// CHECK: %{{.*}}, %[[G:.*]] = moe.route %{{.*}} top 2 scope = token score = softmax normalize = none : tensor<2x3x4xf32>
// CHECK: return %[[G]]
func.func @main(%logits: tensor<2x3x4xf32>) -> tensor<12xf32> {
  %r:5 = call @moe.route.0(%logits)
      : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>,
                                tensor<12xi32>, tensor<12xf32>)
  return %r#4 : tensor<12xf32>
}
func.func private @moe.route.0(tensor<2x3x4xf32>)
    -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>,
        tensor<12xf32>)
    attributes {moe.marker = {op = "route", version = 1 : i64,
                              operands = ["logits"], k = 2 : i64,
                              scope = "token", score = "softmax",
                              normalize = "none"}}
