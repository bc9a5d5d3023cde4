// What a front end may get wrong, and what it is told.
// RUN: moe-opt %s --moe-import-markers --split-input-file --verify-diagnostics

// The dictionary itself.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = unit}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: 'moe.marker' must be a dictionary that names the operation}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// No op.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {version = 1 : i64}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: the dictionary has no string 'op'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// No version.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: the dictionary has no i64 'version'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Another version.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 2 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: version 2 of op "route" is unknown, accepted is 1; the front end and the compiler are of different releases}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An unknown op.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "router", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: op "router" is unknown, accepted are: route, plan_from_choice, experts, grouped_matmul}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Ops of hand-written layers.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "topk", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: op "topk" stands for a hand-written layer, which is not recognised as a whole; write the layer with the front end's route and experts}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A grouped matmul by matrices of another width than the rows.
func.func private @moe.plan_from_choice.0(tensor<1x6x1xi32>, tensor<1x6x1xf32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<6xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"], experts = 4 : i64}}
func.func private @moe.grouped_matmul.1(tensor<6x8xf32>, tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<4x16x3xf32>) -> tensor<1x6x3xf32>
  attributes {moe.marker = {op = "grouped_matmul", version = 1 : i64, operands = ["rows", "expert_offsets", "row_token", "token_offsets", "token_row", "weight"], layout = "kn"}}
func.func @main(%ids: tensor<1x6x1xi32>, %weights: tensor<1x6x1xf32>, %rows: tensor<6x8xf32>, %w: tensor<4x16x3xf32>) {
  %0:5 = call @moe.plan_from_choice.0(%ids, %weights) : (tensor<1x6x1xi32>, tensor<1x6x1xf32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<6xf32>)
  // expected-error @below {{marker @moe.grouped_matmul.1: operand 'weight' (layout kn)}}
  %1 = call @moe.grouped_matmul.1(%rows, %0#0, %0#1, %0#2, %0#3, %w) : (tensor<6x8xf32>, tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<4x16x3xf32>) -> tensor<1x6x3xf32>
  return
}
// -----

// An unknown attribute.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum", renorm = true}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: unknown attribute 'renorm' of op "route", accepted are: k, scope, score, normalize, scale, eps, norm_min, n_group, topk_group, group_score, floor, cap, rank_logits, layer}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A missing attribute.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'normalize' is missing, op "route" needs it (a string)}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An integer of another width.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i32, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'k' must be an i64, got 2 : i32}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A float of another type.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum", scale = 2 : i64}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'scale' must be an f64, got 2 : i64}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A word that is no string.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = unit, score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'scope' must be a string, got unit}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A flag that is no bool.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum", rank_logits = 1 : i64}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'rank_logits' must be a bool, got 1 : i64}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An unknown word.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "tanh", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'score' is "tanh", accepted are: softmax, sigmoid, sqrtsoftplus, identity}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A number that f32 does not hold.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum", scale = 1.0e300 : f64}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'scale' is too large for f32}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Not a number.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum", eps = 0x7FF8000000000000 : f64}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: attribute 'eps' must be a finite number}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// No names of operands.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: the dictionary has no array 'operands' of strings}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Fewer names than operands.
func.func private @moe.route.0(tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>, %a1: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: 'operands' names 1 operands, the call has 2}}
  %0:5 = call @moe.route.0(%a0, %a1) : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A name that is no string.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = [unit], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: 'operands' must hold strings, got unit}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An unknown operand.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["scores"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: unknown operand 'scores' of op "route", accepted are: logits, choice_bias, valid}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An operand twice.
func.func private @moe.route.0(tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits", "logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>, %a1: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: operand 'logits' is given twice}}
  %0:5 = call @moe.route.0(%a0, %a1) : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A missing operand.
func.func private @moe.route.0(tensor<4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["choice_bias"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{marker @moe.route.0: operand 'logits' is missing, op "route" needs it}}
  %0:5 = call @moe.route.0(%a0) : (tensor<4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Too few results.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: op "route" has 5 results, the call 1}}
  %0 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<12xf32>)
  return
}
// -----

// Logits of another rank.
func.func private @moe.route.0(tensor<4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{marker @moe.route.0: operand 'logits' must be [S, T, E] = [?, ?, ?] of f32, bf16 or f16, got 'tensor<4xf32>'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Logits of another type.
func.func private @moe.route.0(tensor<2x3x4xf64>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf64>) {
  // expected-error @below {{marker @moe.route.0: operand 'logits' must be [S, T, E] = [?, ?, ?] of f32, bf16 or f16, got 'tensor<2x3x4xf64>'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf64>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Experts that are not counted.
func.func private @moe.route.0(tensor<2x3x?xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x?xf32>) {
  // expected-error @below {{marker @moe.route.0: operand 'logits' must have a static number of experts E, got 'tensor<2x3x?xf32>'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x?xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A bias of another size.
func.func private @moe.route.0(tensor<2x3x4xf32>, tensor<5xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits", "choice_bias"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>, %a1: tensor<5xf32>) {
  // expected-error @below {{marker @moe.route.0: operand 'choice_bias' must be [E] = [4] of f32, got 'tensor<5xf32>'}}
  %0:5 = call @moe.route.0(%a0, %a1) : (tensor<2x3x4xf32>, tensor<5xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Padding of another size.
func.func private @moe.route.0(tensor<2x3x4xf32>, tensor<2x4xi1>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits", "valid"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>, %a1: tensor<2x4xi1>) {
  // expected-error @below {{marker @moe.route.0: operand 'valid' must be [S, T] = [2, 3] of i1, got 'tensor<2x4xi1>'}}
  %0:5 = call @moe.route.0(%a0, %a1) : (tensor<2x3x4xf32>, tensor<2x4xi1>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A result of another size.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<11xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: result 'gates' is declared as 'tensor<11xf32>', but the operation gives 'tensor<12xf32>'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<11xf32>)
  return
}
// -----

// A field of another size, which nobody reads.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x3xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: result 'token_offsets' is declared as 'tensor<2x3xi32>', but the operation gives 'tensor<2x4xi32>'}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x3xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// A claim about a size.
func.func private @moe.route.0(tensor<?x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<?x3x4xf32>) {
  // expected-error @below {{marker @moe.route.0: result 'row_token' is declared as 'tensor<12xi32>', but its operands give only 'tensor<?xi32>': the declaration claims a size that nobody checks}}
  %0:5 = call @moe.route.0(%a0) : (tensor<?x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// What the rule itself refuses is said at the call.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 5 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{ROUTE-2: k must be in [1, E] and E static; k = 5}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// The op's verifier speaks at the call too.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "identity", normalize = "sum"}}
func.func @main(%a0: tensor<2x3x4xf32>) {
  // expected-error @below {{'moe.route' op ROUTE-7: normalize = sum divides by a sum of raw logits}}
  %0:5 = call @moe.route.0(%a0) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Ids of another type.
func.func private @moe.plan_from_choice.0(tensor<2x3x2xf32>, tensor<2x3x2xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"], experts = 4 : i64}}
func.func @main(%ids: tensor<2x3x2xf32>, %w: tensor<2x3x2xf32>) {
  // expected-error @below {{marker @moe.plan_from_choice.0: operand 'ids' must be [S, T, K] = [?, ?, ?] of i32 or i64, got 'tensor<2x3x2xf32>'}}
  %0:5 = call @moe.plan_from_choice.0(%ids, %w) : (tensor<2x3x2xf32>, tensor<2x3x2xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// Weights of another shape.
func.func private @moe.plan_from_choice.0(tensor<2x3x2xi32>, tensor<2x3x3xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"], experts = 4 : i64}}
func.func @main(%ids: tensor<2x3x2xi32>, %w: tensor<2x3x3xf32>) {
  // expected-error @below {{marker @moe.plan_from_choice.0: operand 'weights' must be [S, T, K] = [2, 3, 2] of f32, bf16 or f16, got 'tensor<2x3x3xf32>'}}
  %0:5 = call @moe.plan_from_choice.0(%ids, %w) : (tensor<2x3x2xi32>, tensor<2x3x3xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// No experts.
func.func private @moe.plan_from_choice.0(tensor<2x3x2xi32>, tensor<2x3x2xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"], experts = 0 : i64}}
func.func @main(%ids: tensor<2x3x2xi32>, %w: tensor<2x3x2xf32>) {
  // expected-error @below {{CHOICE-3: experts must be positive, got 0}}
  %0:5 = call @moe.plan_from_choice.0(%ids, %w) : (tensor<2x3x2xi32>, tensor<2x3x2xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  return
}
// -----

// An unknown activation.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "swish", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'activation' is "swish", accepted are: silu, gelu, gelu_tanh, relu, relu2, clamped_swiglu}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// An unknown layout.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nkh"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'layout' is "nkh", accepted are: nk, kn}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// An unknown arrangement.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk", arrangement = "mixed"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'arrangement' is "mixed", accepted are: concat, interleaved}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// An unknown place of the gate.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk", gate_on = "both"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'gate_on' is "both", accepted are: output, input}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A clamp without its limit.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "clamped_swiglu", layout = "nk", alpha = 1.0 : f64}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'limit' is missing, activation clamped_swiglu needs it (an f64)}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A clamp whose bounds are in the wrong order.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "clamped_swiglu", layout = "nk", limit = -1.0 : f64, alpha = 1.0 : f64}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'limit' is -1.000000e+00, but it bounds values from both sides: it must be zero or more}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A clamp without its slope.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "clamped_swiglu", layout = "nk", limit = 1.0 : f64}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: attribute 'alpha' is missing, activation clamped_swiglu needs it (an f64)}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// Neither of the three forms of weights.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x16x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operands must be 'gate_up', or 'gate' and 'up', or 'up' alone (experts without gating)}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A gated activation without a gate.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "up", "down"], activation = "clamped_swiglu", layout = "nk", limit = 1.0 : f64, alpha = 1.0 : f64}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x16x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: activation clamped_swiglu needs a gate: give operand 'gate_up', or 'gate' and 'up'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A bias without its weight.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>, tensor<4x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down", "up_bias"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>, %w2: tensor<4x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'up_bias' is given without 'up'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1, %w2) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>, tensor<4x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// Tokens of another sequence.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x4x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x4x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'x' must be [S, T, H] = [2, 3, ?] of f32, bf16 or f16, got 'tensor<2x4x8xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x4x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// Gates of another size.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<13xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>, %g: tensor<13xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'gates' must be [R] = [12] of f32, bf16 or f16, got 'tensor<13xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %g, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<13xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A weight in the other layout.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x8x32xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x8x32xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'gate_up' (layout nk) must be [E, 2I, H] = [4, ?, 8] of f32 (the type of x), got 'tensor<4x8x32xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x8x32xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// An odd number of columns is not gate and up.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x33x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x33x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'gate_up' (layout nk) must be [E, 2I, H] = [4, ?, 8] of f32 (the type of x), got 'tensor<4x33x8xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x33x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// Gate and down disagree.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x15xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x15xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'down' (layout nk) must be [E, H, I] = [4, 8, 16] of f32 (the type of x), got 'tensor<4x8x15xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x15xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A weight of another type.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xbf16>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xbf16>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'down' (layout nk) must be [E, H, I] = [4, 8, 16] of f32 (the type of x), got 'tensor<4x8x16xbf16>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xbf16>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A weight without a size.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x?xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x?xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'down' must have a static shape, got 'tensor<4x8x?xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x?xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A bias of another size.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>, tensor<4x9xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down", "down_bias"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>, %w2: tensor<4x9xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'down_bias' must be [E, H] = [4, 8] of f32, bf16 or f16, got 'tensor<4x9xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1, %w2) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>, tensor<4x9xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A result of another type.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xbf16>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: result 'y' is declared as 'tensor<2x3x8xbf16>', but the operation gives 'tensor<2x3x8xf32>'}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xbf16>)
  return
}
// -----

// Two results.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: op "experts" has 1 result, the call 2}}
  %1:2 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x8xf32>)
  return
}
// -----

// Fields in another order.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'row_token' is the 'token_row' of a plan; the order of the results is expert_offsets, row_token, token_offsets, token_row, gates}}
  %1 = call @moe.experts.0(%x, %0#0, %0#3, %0#2, %0#1, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A field of another plan.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  %2:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'token_row' belongs to another plan than 'expert_offsets'; give the results of one route or plan_from_choice}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %2#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A field that was computed.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  %2 = arith.addi %0#1, %0#1 : tensor<12xi32>
  // expected-error @below {{marker @moe.experts.0: operand 'row_token' is not the 'row_token' of a plan: 'arith.addi' computes it; give the results of one route or plan_from_choice of the same function unchanged, and where the choice of experts is code of your own, turn it into a plan by plan_from_choice}}
  %1 = call @moe.experts.0(%x, %0#0, %2, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A field from outside.
func.func private @moe.route.0(tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum"}}
func.func private @moe.experts.0(tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"], activation = "silu", layout = "nk"}}
func.func @main(%logits: tensor<2x3x4xf32>, %x: tensor<2x3x8xf32>, %w0: tensor<4x32x8xf32>, %w1: tensor<4x8x16xf32>, %f: tensor<12xi32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x3x4xf32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>)
  // expected-error @below {{marker @moe.experts.0: operand 'token_row' is not the 'token_row' of a plan: it is an argument of a block; give the results of one route}}
  %1 = call @moe.experts.0(%x, %0#0, %0#1, %0#2, %f, %0#4, %w0, %w1) : (tensor<2x3x8xf32>, tensor<5xi32>, tensor<12xi32>, tensor<2x4xi32>, tensor<12xi32>, tensor<12xf32>, tensor<4x32x8xf32>, tensor<4x8x16xf32>) -> (tensor<2x3x8xf32>)
  return
}
// -----

// A marker with a body has two meanings.
// expected-error @below {{marker @moe.route.0 has a body; a marker is a declaration, and its meaning is that of its 'moe.marker'}}
func.func private @moe.route.0() attributes {moe.marker = {op = "route", version = 1 : i64}} {
  return
}
// -----

// A declaration that lost its dictionary.
// expected-error @below {{declaration @moe.route.0 has no 'moe.marker' that says what it stands for}}
func.func private @moe.route.0()
// -----

// A marker that is not called.
func.func private @moe.route.0() attributes {moe.marker = {op = "route", version = 1 : i64}}
func.func @main() -> (() -> ()) {
  // expected-error @below {{marker @moe.route.0 may only be called by func.call, but 'func.constant' uses it}}
  %0 = constant @moe.route.0 : () -> ()
  return %0 : () -> ()
}
