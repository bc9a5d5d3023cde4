// RUN: moe-opt %s -moe-expand-plan -cse \
// RUN:   -one-shot-bufferize=bufferize-function-boundaries | FileCheck %s

// The op reads token_row again when it writes the gates, so that it is memory
// of its own also where nobody asks for it; cse has made one tensor.empty of
// what becomes row_token and token_row, because they have one type.
// CHECK-LABEL: func.func @gates_alone(
// CHECK:       %[[ROW_TOKEN:.*]] = memref.alloc{{.*}} : memref<6xi32>
// CHECK:       %[[TOKEN_ROW:.*]] = memref.alloc{{.*}} : memref<6xi32>
// CHECK:       moe.idx.route
// CHECK-SAME:    outs(%{{[^,]*}}, %[[ROW_TOKEN]], %{{[^,]*}}, %[[TOKEN_ROW]], %[[G:[^,]*]],
// CHECK:       return %[[G]]
func.func @gates_alone(%logits: tensor<2x3x4xf32>) -> tensor<6xf32> {
  %plan, %gates = moe.route %logits top 1 scope = token score = softmax
      normalize = none : tensor<2x3x4xf32>
  return %gates : tensor<6xf32>
}

// Written by hand: one tensor for both.
// CHECK-LABEL: func.func @by_hand(
// CHECK:       %[[GIVEN:.*]] = memref.alloc{{.*}} : memref<6xi32>
// CHECK:       %[[OTHER:.*]] = memref.alloc{{.*}} : memref<6xi32>
// CHECK:       moe.idx.plan_from_choice
// CHECK-SAME:    outs(%{{[^,]*}}, %[[GIVEN]], %{{[^,]*}}, %[[OTHER]],
func.func @by_hand(%ids: tensor<2x3x1xi32>, %weights: tensor<2x3x1xf32>,
                   %eo: tensor<5xi32>, %to: tensor<2x4xi32>,
                   %gates: tensor<6xf32>) -> tensor<6xf32> {
  %rows = tensor.empty() : tensor<6xi32>
  %0:5 = moe.idx.plan_from_choice experts 4
      ins(%ids, %weights : tensor<2x3x1xi32>, tensor<2x3x1xf32>)
      outs(%eo, %rows, %to, %rows, %gates : tensor<5xi32>, tensor<6xi32>,
           tensor<2x4xi32>, tensor<6xi32>, tensor<6xf32>)
      -> tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>,
         tensor<6xf32>
  return %0#4 : tensor<6xf32>
}
