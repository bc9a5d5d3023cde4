// RUN: moe-opt %s -moe-set-scope=scope=sequence | FileCheck %s --check-prefixes=CHECK,ALL
// RUN: moe-opt %s -moe-set-scope="layers=model.layers.1.*,*.last" | FileCheck %s --check-prefixes=CHECK,SOME
// RUN: moe-opt %s -moe-set-scope="scope=sequence floor=1 cap=3" | FileCheck %s --check-prefixes=CHECK,BOUNDS
// RUN: moe-opt %s -moe-set-scope=scope=token -verify-diagnostics | FileCheck %s --check-prefixes=CHECK,TOKEN

// Nothing but the attribute changes, for the chosen layers.
// CHECK-LABEL: func.func @layers
// ALL: top 2 scope = sequence score = softmax normalize = none {layer = "model.layers.0.mlp"}
// SOME: top 2 scope = token score = softmax normalize = none {layer = "model.layers.0.mlp"}
// BOUNDS: top 2 scope = sequence score = softmax normalize = none {cap = 3 : i64, floor = 1 : i64, layer = "model.layers.0.mlp"}
// TOKEN: top 2 scope = token score = softmax normalize = none {layer = "model.layers.0.mlp"}
// ALL: top 2 scope = sequence score = sigmoid normalize = sum {layer = "model.layers.1.mlp"}
// SOME: top 2 scope = sequence score = sigmoid normalize = sum {layer = "model.layers.1.mlp"}
// BOUNDS: top 2 scope = sequence score = sigmoid normalize = sum {cap = 3 : i64, floor = 1 : i64, layer = "model.layers.1.mlp"}
// TOKEN: top 2 scope = token score = sigmoid normalize = sum {layer = "model.layers.1.mlp"}
// CHECK: return
func.func @layers(%l: tensor<?x?x4xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %p0, %g0 = moe.route %l top 2 scope = token score = softmax
      normalize = none {layer = "model.layers.0.mlp"} : tensor<?x?x4xf32>
  %p1, %g1 = moe.route %l top 2 scope = token score = sigmoid normalize = sum
      {layer = "model.layers.1.mlp"} : tensor<?x?x4xf32>
  return %g0, %g1 : tensor<?xf32>, tensor<?xf32>
}

// A route that already is in sequence scope keeps the bounds it has; in token
// scope they mean nothing.
// CHECK-LABEL: func.func @bounds
// ALL: scope = sequence {{.*}}cap = 4 : i64, floor = 2 : i64
// BOUNDS: scope = sequence {{.*}}cap = 3 : i64, floor = 1 : i64
// TOKEN: scope = token score = softmax normalize = none {layer = "bounds.last"}
func.func @bounds(%l: tensor<?x?x8xf32>) -> tensor<?xf32> {
  // expected-remark @+1 {{moe-set-scope: floor and cap are dropped; in scope = token every token gets k experts}}
  %p, %g = moe.route %l top 2 scope = sequence score = softmax
      normalize = none {cap = 4, floor = 2, layer = "bounds.last"}
      : tensor<?x?x8xf32>
  return %g : tensor<?xf32>
}
