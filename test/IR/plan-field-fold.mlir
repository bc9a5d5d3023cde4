// RUN: moe-opt %s -canonicalize | FileCheck %s

// A field of a plan that is made of constants is a constant, by the routing
// rule itself. Sequence 0 spends its three pairs on (t2, e0), (t2, e3),
// (t0, e1); sequence 1 has eight ones and takes the first three.
// CHECK-LABEL: func.func @route
// CHECK-DAG: dense<[0, 2, 4, 4, 6]> : tensor<5xi32>
// CHECK-DAG: dense<[2, 4, 0, 4, 2, 4]> : tensor<6xi32>
// CHECK-DAG: dense<{{\[\[}}0, 1, 1, 3], [3, 3, 6, 6]]> : tensor<2x4xi32>
// CHECK-DAG: dense<[2, 0, 4, 1, 3, 5]> : tensor<6xi32>
// CHECK-NOT: moe.
func.func @route() -> (tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>) {
  %logits = arith.constant dense<[[[0.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.5, 0.0], [3.0, 0.0, 1.0, 2.5]],
                                  [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]]]> : tensor<2x3x4xf32>
  %p, %g = moe.route %logits top 1 scope = sequence score = identity normalize = none {rank_logits} : tensor<2x3x4xf32>
  %0 = moe.plan_field %p expert_offsets : !moe.plan<2x3x4, rows = 6>
  %1 = moe.plan_field %p row_token : !moe.plan<2x3x4, rows = 6>
  %2 = moe.plan_field %p token_offsets : !moe.plan<2x3x4, rows = 6>
  %3 = moe.plan_field %p token_row : !moe.plan<2x3x4, rows = 6>
  return %0, %1, %2, %3 : tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>
}

// An id outside [0, E) is no expert: three rows are live, the fourth is -1.
// CHECK-LABEL: func.func @choice
// CHECK-DAG: dense<[0, 0, 1, 1, 3]> : tensor<5xi32>
// CHECK-DAG: dense<[1, 0, 1, -1]> : tensor<4xi32>
// CHECK-NOT: moe.
func.func @choice(%w: tensor<1x2x2xf32>) -> (tensor<5xi32>, tensor<4xi32>) {
  %ids = arith.constant dense<[[[3, -1], [1, 3]]]> : tensor<1x2x2xi64>
  %p, %g = moe.plan_from_choice %ids, %w experts 4 : tensor<1x2x2xi64>, tensor<1x2x2xf32>
  %0 = moe.plan_field %p expert_offsets : !moe.plan<1x2x4, rows max 4>
  %1 = moe.plan_field %p row_token : !moe.plan<1x2x4, rows max 4>
  return %0, %1 : tensor<5xi32>, tensor<4xi32>
}

// In token scope every token has k rows; with one expert all rows are its own.
// CHECK-LABEL: func.func @by_type
// CHECK-DAG: dense<{{\[\[}}0, 2, 4, 6], [6, 8, 10, 12]]> : tensor<2x4xi32>
// CHECK-DAG: dense<[0, 6]> : tensor<2xi32>
func.func @by_type(%l: tensor<2x3x4xf32>, %l1: tensor<2x3x1xf32>) -> (tensor<2x4xi32>, tensor<2xi32>) {
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none : tensor<2x3x4xf32>
  %0 = moe.plan_field %p token_offsets : !moe.plan<2x3x4, rows = 12>
  %p1, %g1 = moe.route %l1 top 1 scope = sequence score = softmax normalize = none {floor = 0} : tensor<2x3x1xf32>
  %1 = moe.plan_field %p1 expert_offsets : !moe.plan<2x3x1, rows = 6>
  return %0, %1 : tensor<2x4xi32>, tensor<2xi32>
}

// With padding the counts are not known.
// CHECK-LABEL: func.func @unknown
// CHECK: moe.plan_field
func.func @unknown(%l: tensor<2x3x4xf32>, %v: tensor<2x3xi1>) -> tensor<2x4xi32> {
  %p, %g = moe.route %l valid(%v : tensor<2x3xi1>) top 2 scope = token score = softmax normalize = none : tensor<2x3x4xf32>
  %0 = moe.plan_field %p token_offsets : !moe.plan<2x3x4, rows max 12>
  return %0 : tensor<2x4xi32>
}
