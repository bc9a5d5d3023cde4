// Marker calls become ops; the plan between them is one value.
// RUN: moe-opt %s --moe-import-markers | FileCheck %s
// What the pass makes is stable, and reads back.
// RUN: moe-opt %s --moe-import-markers | moe-opt --moe-import-markers --canonicalize --cse | FileCheck %s --check-prefix=AGAIN

// No marker is left.
// AGAIN-NOT: moe.marker
// AGAIN-NOT: call @moe

// The shape of a layer as a front end prints it: gate and up in one weight.
// CHECK-LABEL: func.func @olmoe(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x64xf32>, %[[LOGITS:.*]]: tensor<?x?x8xf32>, %[[GU:.*]]: tensor<8x64x64xf32>, %[[DOWN:.*]]: tensor<8x64x32xf32>
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[LOGITS]] top 2 scope = token score = softmax normalize = sum
// CHECK-SAME:      {layer = "model.layers.0.mlp"} : tensor<?x?x8xf32>
// CHECK-NEXT:    %[[ROWS:.*]] = moe.dispatch %[[X]] by %[[PLAN]] : tensor<?x?x64xf32>, !moe.plan<?x?x8, rows = ?>
// CHECK-NEXT:    %[[H:.*]] = moe.grouped_matmul %[[ROWS]] by %[[PLAN]] weights(%[[GU]] : tensor<8x64x64xf32>) layout = nk arrangement = concat
// CHECK-SAME:      : tensor<?x64xf32>, !moe.plan<?x?x8, rows = ?> -> tensor<?x32xf32> {
// CHECK-NEXT:    ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK-NEXT:      %[[NEG:.*]] = arith.negf %[[G]] : f32
// CHECK-NEXT:      %[[EXP:.*]] = math.exp %[[NEG]] : f32
// CHECK-NEXT:      %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[SUM:.*]] = arith.addf %[[ONE]], %[[EXP]] : f32
// CHECK-NEXT:      %[[SILU:.*]] = arith.divf %[[G]], %[[SUM]] : f32
// CHECK-NEXT:      %[[PROD:.*]] = arith.mulf %[[SILU]], %[[U]] : f32
// CHECK-NEXT:      moe.yield %[[PROD]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[O:.*]] = moe.grouped_matmul %[[H]] by %[[PLAN]] weights(%[[DOWN]] : tensor<8x64x32xf32>) layout = nk
// CHECK-SAME:      : tensor<?x32xf32>, !moe.plan<?x?x8, rows = ?> -> tensor<?x64xf32> {
// CHECK-NEXT:    ^bb0(%[[ACC:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ACC]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[Y:.*]] = moe.combine %[[O]] by %[[PLAN]] gates(%[[GATES]] : tensor<?xf32>)
// CHECK-NEXT:    return %[[Y]] : tensor<?x?x64xf32>
func.func private @moe.route.90x(tensor<?x?x8xf32>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 2 : i64, scope = "token", score = "softmax", normalize = "sum",
    scale = 1.0 : f64, eps = 0.0 : f64, norm_min = 0.0 : f64, n_group = 1 : i64, topk_group = 1 : i64, group_score = "max", floor = 0 : i64, cap = -1 : i64, rank_logits = false, layer = "model.layers.0.mlp"}}
func.func private @moe.experts.91(tensor<?x?x64xf32>, tensor<9xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x?x64xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "down"],
    activation = "silu", layout = "nk", arrangement = "concat", limit = 7.0 : f64, alpha = 1.702 : f64, gate_on = "output"}}
func.func @olmoe(%x: tensor<?x?x64xf32>, %logits: tensor<?x?x8xf32>, %gate_up: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>) -> tensor<?x?x64xf32> {
  %0:5 = call @moe.route.90x(%logits) : (tensor<?x?x8xf32>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>)
  %1 = call @moe.experts.91(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %gate_up, %down) : (tensor<?x?x64xf32>, tensor<9xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x?x64xf32>
  return %1 : tensor<?x?x64xf32>
}

// Every option and operand. Fields that other code reads stay as reads of the plan.
// CHECK-LABEL: func.func @route_options(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x?x16xbf16>, %[[ARG1:.*]]: tensor<16xf32>, %[[ARG2:.*]]: tensor<2x?xi1>) -> (tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>) {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG0]] bias(%[[ARG1]] : tensor<16xf32>) valid(%[[ARG2]] : tensor<2x?xi1>) top 3 scope = sequence score = sigmoid normalize = sum {cap = 6 : i64, eps = 9.99999968E-21 : f32, floor = 1 : i64, group_score = #moe<group_score top2_sum>, n_group = 4 : i64, norm_min = 9.99999996E-13 : f32, scale = 2.500000e+00 : f32, topk_group = 2 : i64} : tensor<2x?x16xbf16>
// CHECK-NEXT:    %[[V0:.*]] = moe.plan_field %[[PLAN]] expert_offsets : !moe.plan<2x?x16, rows max ?>
// CHECK-NEXT:    %[[V1:.*]] = moe.plan_field %[[PLAN]] row_token : !moe.plan<2x?x16, rows max ?>
// CHECK-NEXT:    %[[V2:.*]] = moe.plan_field %[[PLAN]] token_offsets : !moe.plan<2x?x16, rows max ?>
// CHECK-NEXT:    %[[V3:.*]] = moe.plan_field %[[PLAN]] token_row : !moe.plan<2x?x16, rows max ?>
// CHECK-NEXT:    return %[[V0]], %[[V1]], %[[V2]], %[[V3]], %[[GATES]] : tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>
// CHECK-NEXT:  }
func.func private @moe.route.90(tensor<2x?x16xbf16>, tensor<16xf32>, tensor<2x?xi1>) -> (tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits", "choice_bias", "valid"],
    k = 3 : i64, scope = "sequence", score = "sigmoid", normalize = "sum", scale = 2.5 : f64, eps = 1.0e-20 : f64, norm_min = 1.0e-12 : f64,
    n_group = 4 : i64, topk_group = 2 : i64, group_score = "top2_sum", floor = 1 : i64, cap = 6 : i64, rank_logits = false, layer = ""}}
func.func @route_options(%logits: tensor<2x?x16xbf16>, %bias: tensor<16xf32>, %valid: tensor<2x?xi1>) -> (tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>) {
  %0:5 = call @moe.route.90(%logits, %bias, %valid) : (tensor<2x?x16xbf16>, tensor<16xf32>, tensor<2x?xi1>) -> (tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>)
  return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<17xi32>, tensor<?xi32>, tensor<2x?xi32>, tensor<?xi32>, tensor<?xf32>
}

// Defaults; logits [T, E] are one sequence; a declaration may know less than the op.
// CHECK-LABEL: func.func @route_defaults(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<6x16xf32>) -> (tensor<?x?xi32>, tensor<?xbf16>) {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG0]] top 3 scope = token score = identity normalize = softmax {gate_type = bf16, rank_logits} : tensor<6x16xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.plan_field %[[PLAN]] token_offsets : !moe.plan<1x6x16, rows = 18>
// CHECK-NEXT:    %[[CAST:.*]] = tensor.cast %[[V0]] : tensor<1x7xi32> to tensor<?x?xi32>
// CHECK-NEXT:    %[[CAST_0:.*]] = tensor.cast %[[GATES]] : tensor<18xbf16> to tensor<?xbf16>
// CHECK-NEXT:    return %[[CAST]], %[[CAST_0]] : tensor<?x?xi32>, tensor<?xbf16>
// CHECK-NEXT:  }
func.func private @moe.route.1(tensor<6x16xf32>) -> (tensor<17xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xbf16>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 3 : i64, scope = "token", score = "identity", normalize = "softmax", rank_logits = true}}
func.func @route_defaults(%logits: tensor<6x16xf32>) -> (tensor<?x?xi32>, tensor<?xbf16>) {
  %0:5 = call @moe.route.1(%logits) : (tensor<6x16xf32>) -> (tensor<17xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xbf16>)
  return %0#2, %0#4 : tensor<?x?xi32>, tensor<?xbf16>
}

// A choice of the model's own; gate and up are two weights; biases are columns; bf16 is
// rounded once, at the end of each matmul. x knows sizes that the plan does not.
// CHECK-LABEL: func.func @choice_two_weights(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x5x8xbf16>, %[[ARG1:.*]]: tensor<?x?x2xi64>, %[[ARG2:.*]]: tensor<?x?x2xf32>, %[[ARG3:.*]]: tensor<4x8x16xbf16>, %[[ARG4:.*]]: tensor<4x8x16xbf16>, %[[ARG5:.*]]: tensor<4x16x8xbf16>, %[[ARG6:.*]]: tensor<4x16xbf16>, %[[ARG7:.*]]: tensor<4x16xf32>, %[[ARG8:.*]]: tensor<4x8xbf16>) -> tensor<2x5x8xbf16> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.plan_from_choice %[[ARG1]], %[[ARG2]] experts 4 : tensor<?x?x2xi64>, tensor<?x?x2xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<2x5x8xbf16>, !moe.plan<?x?x4, rows max ?>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG3]], %[[ARG4]] : tensor<4x8x16xbf16>, tensor<4x8x16xbf16>) layout = kn extras [#moe<extra column>, #moe<extra column>](%[[ARG6]], %[[ARG7]] : tensor<4x16xbf16>, tensor<4x16xf32>) : tensor<?x8xbf16>, !moe.plan<?x?x4, rows max ?> -> tensor<?x16xbf16> {
// CHECK-NEXT:    ^bb0(%[[ARG9:.*]]: f32, %[[ARG10:.*]]: f32, %[[ARG11:.*]]: bf16, %[[ARG12:.*]]: f32):
// CHECK-NEXT:      %[[V4:.*]] = arith.extf %[[ARG11]] : bf16 to f32
// CHECK-NEXT:      %[[V5:.*]] = arith.addf %[[ARG9]], %[[V4]] : f32
// CHECK-NEXT:      %[[V6:.*]] = arith.addf %[[ARG10]], %[[ARG12]] : f32
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 0.707106769 : f32
// CHECK-NEXT:      %[[V7:.*]] = arith.mulf %[[V5]], %[[CST]] : f32
// CHECK-NEXT:      %[[V8:.*]] = math.erf %[[V7]] : f32
// CHECK-NEXT:      %[[CST_0:.*]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT:      %[[V9:.*]] = arith.mulf %[[CST_0]], %[[V5]] : f32
// CHECK-NEXT:      %[[CST_1:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[V10:.*]] = arith.addf %[[CST_1]], %[[V8]] : f32
// CHECK-NEXT:      %[[V11:.*]] = arith.mulf %[[V9]], %[[V10]] : f32
// CHECK-NEXT:      %[[V12:.*]] = arith.mulf %[[V11]], %[[V6]] : f32
// CHECK-NEXT:      %[[V13:.*]] = arith.truncf %[[V12]] : f32 to bf16
// CHECK-NEXT:      moe.yield %[[V13]] : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG5]] : tensor<4x16x8xbf16>) layout = kn extras [#moe<extra column>](%[[ARG8]] : tensor<4x8xbf16>) : tensor<?x16xbf16>, !moe.plan<?x?x4, rows max ?> -> tensor<?x8xbf16> {
// CHECK-NEXT:    ^bb0(%[[ARG9:.*]]: f32, %[[ARG10:.*]]: bf16):
// CHECK-NEXT:      %[[V4:.*]] = arith.extf %[[ARG10]] : bf16 to f32
// CHECK-NEXT:      %[[V5:.*]] = arith.addf %[[ARG9]], %[[V4]] : f32
// CHECK-NEXT:      %[[V6:.*]] = arith.truncf %[[V5]] : f32 to bf16
// CHECK-NEXT:      moe.yield %[[V6]] : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] gates(%[[GATES]] : tensor<?xf32>) : tensor<?x8xbf16>, !moe.plan<?x?x4, rows max ?>
// CHECK-NEXT:    %[[CAST:.*]] = tensor.cast %[[V3]] : tensor<?x?x8xbf16> to tensor<2x5x8xbf16>
// CHECK-NEXT:    return %[[CAST]] : tensor<2x5x8xbf16>
// CHECK-NEXT:  }
func.func private @moe.plan_from_choice.2(tensor<?x?x2xi64>, tensor<?x?x2xf32>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"],
    experts = 4 : i64}}
func.func private @moe.experts.3(tensor<2x5x8xbf16>, tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<4x8x16xbf16>, tensor<4x8x16xbf16>, tensor<4x16x8xbf16>, tensor<4x16xbf16>, tensor<4x16xf32>, tensor<4x8xbf16>) -> tensor<2x5x8xbf16>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate", "up", "down", "gate_bias", "up_bias", "down_bias"],
    activation = "gelu", layout = "kn"}}
func.func @choice_two_weights(%x: tensor<2x5x8xbf16>, %ids: tensor<?x?x2xi64>, %w: tensor<?x?x2xf32>, %w0: tensor<4x8x16xbf16>, %w1: tensor<4x8x16xbf16>, %w2: tensor<4x16x8xbf16>, %w3: tensor<4x16xbf16>, %w4: tensor<4x16xf32>, %w5: tensor<4x8xbf16>) -> tensor<2x5x8xbf16> {
  %0:5 = call @moe.plan_from_choice.2(%ids, %w) : (tensor<?x?x2xi64>, tensor<?x?x2xf32>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>)
  %1 = call @moe.experts.3(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1, %w2, %w3, %w4, %w5) : (tensor<2x5x8xbf16>, tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<4x8x16xbf16>, tensor<4x8x16xbf16>, tensor<4x16x8xbf16>, tensor<4x16xbf16>, tensor<4x16xf32>, tensor<4x8xbf16>) -> tensor<2x5x8xbf16>
  return %1 : tensor<2x5x8xbf16>
}

// gate_up and its bias interleaved, casts on the way.
// CHECK-LABEL: func.func @interleaved_clamped(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<?x?x8xf32>, %[[ARG1:.*]]: tensor<2x5x4xf32>, %[[ARG2:.*]]: tensor<4x8x32xf32>, %[[ARG3:.*]]: tensor<4x32xf32>, %[[ARG4:.*]]: tensor<4x16x8xf32>) -> tensor<?x?x8xf32> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG1]] top 2 scope = token score = softmax normalize = softmax : tensor<2x5x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<?x?x8xf32>, !moe.plan<2x5x4, rows = 20>
// CHECK-NEXT:    %[[EXTRACTED_SLICE:.*]] = tensor.extract_slice %[[ARG3]][0, 0] [4, 16] [1, 2] : tensor<4x32xf32> to tensor<4x16xf32>
// CHECK-NEXT:    %[[EXTRACTED_SLICE_0:.*]] = tensor.extract_slice %[[ARG3]][0, 1] [4, 16] [1, 2] : tensor<4x32xf32> to tensor<4x16xf32>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG2]] : tensor<4x8x32xf32>) layout = kn arrangement = interleaved extras [#moe<extra column>, #moe<extra column>](%[[EXTRACTED_SLICE]], %[[EXTRACTED_SLICE_0]] : tensor<4x16xf32>, tensor<4x16xf32>) : tensor<20x8xf32>, !moe.plan<2x5x4, rows = 20> -> tensor<20x16xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG5:.*]]: f32, %[[ARG6:.*]]: f32, %[[ARG7:.*]]: f32, %[[ARG8:.*]]: f32):
// CHECK-NEXT:      %[[V4:.*]] = arith.addf %[[ARG5]], %[[ARG7]] : f32
// CHECK-NEXT:      %[[V5:.*]] = arith.addf %[[ARG6]], %[[ARG8]] : f32
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 7.000000e+00 : f32
// CHECK-NEXT:      %[[V6:.*]] = arith.minimumf %[[V4]], %[[CST]] : f32
// CHECK-NEXT:      %[[V7:.*]] = arith.minimumf %[[V5]], %[[CST]] : f32
// CHECK-NEXT:      %[[CST_1:.*]] = arith.constant -7.000000e+00 : f32
// CHECK-NEXT:      %[[V8:.*]] = arith.maximumf %[[V7]], %[[CST_1]] : f32
// CHECK-NEXT:      %[[CST_2:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[V9:.*]] = arith.addf %[[V8]], %[[CST_2]] : f32
// CHECK-NEXT:      %[[CST_3:.*]] = arith.constant 1.702000e+00 : f32
// CHECK-NEXT:      %[[V10:.*]] = arith.mulf %[[CST_3]], %[[V6]] : f32
// CHECK-NEXT:      %[[V11:.*]] = arith.negf %[[V10]] : f32
// CHECK-NEXT:      %[[V12:.*]] = math.exp %[[V11]] : f32
// CHECK-NEXT:      %[[CST_4:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[V13:.*]] = arith.addf %[[CST_4]], %[[V12]] : f32
// CHECK-NEXT:      %[[V14:.*]] = arith.divf %[[V6]], %[[V13]] : f32
// CHECK-NEXT:      %[[V15:.*]] = arith.mulf %[[V9]], %[[V14]] : f32
// CHECK-NEXT:      moe.yield %[[V15]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG4]] : tensor<4x16x8xf32>) layout = kn : tensor<20x16xf32>, !moe.plan<2x5x4, rows = 20> -> tensor<20x8xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG5:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ARG5]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] gates(%[[GATES]] : tensor<20xf32>) : tensor<20x8xf32>, !moe.plan<2x5x4, rows = 20>
// CHECK-NEXT:    %[[CAST:.*]] = tensor.cast %[[V3]] : tensor<2x5x8xf32> to tensor<?x?x8xf32>
// CHECK-NEXT:    return %[[CAST]] : tensor<?x?x8xf32>
// CHECK-NEXT:  }
func.func private @moe.route.4(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<20xi32>, tensor<2x6xi32>, tensor<20xi32>, tensor<20xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 2 : i64, scope = "token", score = "softmax", normalize = "softmax"}}
func.func private @moe.experts.5(tensor<?x?x8xf32>, tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<4x8x32xf32>, tensor<4x32xf32>, tensor<4x16x8xf32>) -> tensor<?x?x8xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "gate_up_bias", "down"],
    activation = "clamped_swiglu", layout = "kn", arrangement = "interleaved", limit = 7.0 : f64, alpha = 1.702 : f64}}
func.func @interleaved_clamped(%x: tensor<?x?x8xf32>, %logits: tensor<2x5x4xf32>, %w0: tensor<4x8x32xf32>, %w1: tensor<4x32xf32>, %w2: tensor<4x16x8xf32>) -> tensor<?x?x8xf32> {
  %0:5 = call @moe.route.4(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<20xi32>, tensor<2x6xi32>, tensor<20xi32>, tensor<20xf32>)
  %f0 = tensor.cast %0#0 : tensor<5xi32> to tensor<5xi32>
  %f1 = tensor.cast %0#1 : tensor<20xi32> to tensor<?xi32>
  %f2 = tensor.cast %0#2 : tensor<2x6xi32> to tensor<?x?xi32>
  %f3 = tensor.cast %0#3 : tensor<20xi32> to tensor<?xi32>
  %f4 = tensor.cast %0#4 : tensor<20xf32> to tensor<?xf32>
  %1 = call @moe.experts.5(%x, %f0, %f1, %f2, %f3, %f4, %w0, %w1, %w2) : (tensor<?x?x8xf32>, tensor<5xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xf32>, tensor<4x8x32xf32>, tensor<4x32xf32>, tensor<4x16x8xf32>) -> tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}

// A gate that weighs the input row: a factor of each row before the bias.
// CHECK-LABEL: func.func @gate_on_input(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x5x8xbf16>, %[[ARG1:.*]]: tensor<2x5x4xf32>, %[[ARG2:.*]]: tensor<4x32x8xbf16>, %[[ARG3:.*]]: tensor<4x32xbf16>, %[[ARG4:.*]]: tensor<4x8x16xbf16>) -> tensor<2x5x8xbf16> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG1]] top 1 scope = token score = sigmoid normalize = none : tensor<2x5x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<2x5x8xbf16>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    %[[EXTRACTED_SLICE:.*]] = tensor.extract_slice %[[ARG3]][0, 0] [4, 16] [1, 1] : tensor<4x32xbf16> to tensor<4x16xbf16>
// CHECK-NEXT:    %[[EXTRACTED_SLICE_0:.*]] = tensor.extract_slice %[[ARG3]][0, 16] [4, 16] [1, 1] : tensor<4x32xbf16> to tensor<4x16xbf16>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG2]] : tensor<4x32x8xbf16>) layout = nk arrangement = concat extras [#moe<extra row>, #moe<extra column>, #moe<extra column>](%[[GATES]], %[[EXTRACTED_SLICE]], %[[EXTRACTED_SLICE_0]] : tensor<10xf32>, tensor<4x16xbf16>, tensor<4x16xbf16>) : tensor<10x8xbf16>, !moe.plan<2x5x4, rows = 10> -> tensor<10x16xbf16> {
// CHECK-NEXT:    ^bb0(%[[ARG5:.*]]: f32, %[[ARG6:.*]]: f32, %[[ARG7:.*]]: f32, %[[ARG8:.*]]: bf16, %[[ARG9:.*]]: bf16):
// CHECK-NEXT:      %[[V4:.*]] = arith.mulf %[[ARG5]], %[[ARG7]] : f32
// CHECK-NEXT:      %[[V5:.*]] = arith.mulf %[[ARG6]], %[[ARG7]] : f32
// CHECK-NEXT:      %[[V6:.*]] = arith.extf %[[ARG8]] : bf16 to f32
// CHECK-NEXT:      %[[V7:.*]] = arith.addf %[[V4]], %[[V6]] : f32
// CHECK-NEXT:      %[[V8:.*]] = arith.extf %[[ARG9]] : bf16 to f32
// CHECK-NEXT:      %[[V9:.*]] = arith.addf %[[V5]], %[[V8]] : f32
// CHECK-NEXT:      %[[V10:.*]] = arith.negf %[[V7]] : f32
// CHECK-NEXT:      %[[V11:.*]] = math.exp %[[V10]] : f32
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[V12:.*]] = arith.addf %[[CST]], %[[V11]] : f32
// CHECK-NEXT:      %[[V13:.*]] = arith.divf %[[V7]], %[[V12]] : f32
// CHECK-NEXT:      %[[V14:.*]] = arith.mulf %[[V13]], %[[V9]] : f32
// CHECK-NEXT:      %[[V15:.*]] = arith.truncf %[[V14]] : f32 to bf16
// CHECK-NEXT:      moe.yield %[[V15]] : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG4]] : tensor<4x8x16xbf16>) layout = nk : tensor<10x16xbf16>, !moe.plan<2x5x4, rows = 10> -> tensor<10x8xbf16> {
// CHECK-NEXT:    ^bb0(%[[ARG5:.*]]: f32):
// CHECK-NEXT:      %[[V4:.*]] = arith.truncf %[[ARG5]] : f32 to bf16
// CHECK-NEXT:      moe.yield %[[V4]] : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] : tensor<10x8xbf16>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    return %[[V3]] : tensor<2x5x8xbf16>
// CHECK-NEXT:  }
func.func private @moe.route.6(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 1 : i64, scope = "token", score = "sigmoid", normalize = "none"}}
func.func private @moe.experts.7(tensor<2x5x8xbf16>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x32x8xbf16>, tensor<4x32xbf16>, tensor<4x8x16xbf16>) -> tensor<2x5x8xbf16>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "gate_up", "gate_up_bias", "down"],
    activation = "silu", layout = "nk", gate_on = "input"}}
func.func @gate_on_input(%x: tensor<2x5x8xbf16>, %logits: tensor<2x5x4xf32>, %w0: tensor<4x32x8xbf16>, %w1: tensor<4x32xbf16>, %w2: tensor<4x8x16xbf16>) -> tensor<2x5x8xbf16> {
  %0:5 = call @moe.route.6(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  %1 = call @moe.experts.7(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1, %w2) : (tensor<2x5x8xbf16>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x32x8xbf16>, tensor<4x32xbf16>, tensor<4x8x16xbf16>) -> tensor<2x5x8xbf16>
  return %1 : tensor<2x5x8xbf16>
}

// Experts without gating, and the other activations.
// CHECK-LABEL: func.func @no_gating_gelu_tanh(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x5x8xf32>, %[[ARG1:.*]]: tensor<2x5x4xf32>, %[[ARG2:.*]]: tensor<4x16x8xf32>, %[[ARG3:.*]]: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG1]] top 1 scope = token score = sigmoid normalize = none : tensor<2x5x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<2x5x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG2]] : tensor<4x16x8xf32>) layout = nk : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x16xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      %[[V4:.*]] = arith.mulf %[[ARG4]], %[[ARG4]] : f32
// CHECK-NEXT:      %[[V5:.*]] = arith.mulf %[[V4]], %[[ARG4]] : f32
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 4.471500e-02 : f32
// CHECK-NEXT:      %[[V6:.*]] = arith.mulf %[[CST]], %[[V5]] : f32
// CHECK-NEXT:      %[[V7:.*]] = arith.addf %[[ARG4]], %[[V6]] : f32
// CHECK-NEXT:      %[[CST_0:.*]] = arith.constant 0.797884583 : f32
// CHECK-NEXT:      %[[V8:.*]] = arith.mulf %[[CST_0]], %[[V7]] : f32
// CHECK-NEXT:      %[[V9:.*]] = math.tanh %[[V8]] : f32
// CHECK-NEXT:      %[[CST_1:.*]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT:      %[[V10:.*]] = arith.mulf %[[CST_1]], %[[ARG4]] : f32
// CHECK-NEXT:      %[[CST_2:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %[[V11:.*]] = arith.addf %[[CST_2]], %[[V9]] : f32
// CHECK-NEXT:      %[[V12:.*]] = arith.mulf %[[V10]], %[[V11]] : f32
// CHECK-NEXT:      moe.yield %[[V12]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG3]] : tensor<4x8x16xf32>) layout = nk : tensor<10x16xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x8xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ARG4]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] gates(%[[GATES]] : tensor<10xf32>) : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    return %[[V3]] : tensor<2x5x8xf32>
// CHECK-NEXT:  }
func.func private @moe.route.8(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 1 : i64, scope = "token", score = "sigmoid", normalize = "none"}}
func.func private @moe.experts.9(tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "up", "down"],
    activation = "gelu_tanh", layout = "nk"}}
func.func @no_gating_gelu_tanh(%x: tensor<2x5x8xf32>, %logits: tensor<2x5x4xf32>, %w0: tensor<4x16x8xf32>, %w1: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
  %0:5 = call @moe.route.8(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  %1 = call @moe.experts.9(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  return %1 : tensor<2x5x8xf32>
}

// CHECK-LABEL: func.func @no_gating_relu(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x5x8xf32>, %[[ARG1:.*]]: tensor<2x5x4xf32>, %[[ARG2:.*]]: tensor<4x16x8xf32>, %[[ARG3:.*]]: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG1]] top 1 scope = token score = sigmoid normalize = none : tensor<2x5x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<2x5x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG2]] : tensor<4x16x8xf32>) layout = nk : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x16xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      %[[V4:.*]] = arith.maximumf %[[ARG4]], %[[CST]] : f32
// CHECK-NEXT:      moe.yield %[[V4]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG3]] : tensor<4x8x16xf32>) layout = nk : tensor<10x16xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x8xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ARG4]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] gates(%[[GATES]] : tensor<10xf32>) : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    return %[[V3]] : tensor<2x5x8xf32>
// CHECK-NEXT:  }
func.func private @moe.route.10(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 1 : i64, scope = "token", score = "sigmoid", normalize = "none"}}
func.func private @moe.experts.11(tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "up", "down"],
    activation = "relu", layout = "nk"}}
func.func @no_gating_relu(%x: tensor<2x5x8xf32>, %logits: tensor<2x5x4xf32>, %w0: tensor<4x16x8xf32>, %w1: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
  %0:5 = call @moe.route.10(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  %1 = call @moe.experts.11(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  return %1 : tensor<2x5x8xf32>
}

// CHECK-LABEL: func.func @no_gating_relu2(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x5x8xf32>, %[[ARG1:.*]]: tensor<2x5x4xf32>, %[[ARG2:.*]]: tensor<4x16x8xf32>, %[[ARG3:.*]]: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
// CHECK-NEXT:    %[[PLAN:.*]], %[[GATES:.*]] = moe.route %[[ARG1]] top 1 scope = token score = sigmoid normalize = none : tensor<2x5x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = moe.dispatch %[[ARG0]] by %[[PLAN]] : tensor<2x5x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    %[[V1:.*]] = moe.grouped_matmul %[[V0]] by %[[PLAN]] weights(%[[ARG2]] : tensor<4x16x8xf32>) layout = nk : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x16xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      %[[CST:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      %[[V4:.*]] = arith.maximumf %[[ARG4]], %[[CST]] : f32
// CHECK-NEXT:      %[[V5:.*]] = arith.mulf %[[V4]], %[[V4]] : f32
// CHECK-NEXT:      moe.yield %[[V5]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V2:.*]] = moe.grouped_matmul %[[V1]] by %[[PLAN]] weights(%[[ARG3]] : tensor<4x8x16xf32>) layout = nk : tensor<10x16xf32>, !moe.plan<2x5x4, rows = 10> -> tensor<10x8xf32> {
// CHECK-NEXT:    ^bb0(%[[ARG4:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ARG4]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V3:.*]] = moe.combine %[[V2]] by %[[PLAN]] gates(%[[GATES]] : tensor<10xf32>) : tensor<10x8xf32>, !moe.plan<2x5x4, rows = 10>
// CHECK-NEXT:    return %[[V3]] : tensor<2x5x8xf32>
// CHECK-NEXT:  }
func.func private @moe.route.12(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"],
    k = 1 : i64, scope = "token", score = "sigmoid", normalize = "none"}}
func.func private @moe.experts.13(tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "up", "down"],
    activation = "relu2", layout = "nk"}}
func.func @no_gating_relu2(%x: tensor<2x5x8xf32>, %logits: tensor<2x5x4xf32>, %w0: tensor<4x16x8xf32>, %w1: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
  %0:5 = call @moe.route.12(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  %1 = call @moe.experts.13(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %w0, %w1) : (tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  return %1 : tensor<2x5x8xf32>
}

// Rows in the order of their groups; a token of no group is zero.
// CHECK-LABEL: func.func @rows_of_groups(
// CHECK-SAME:    %[[IDS:.*]]: tensor<1x6x1xi32>, %[[ONES:.*]]: tensor<1x6x1xf32>, %[[ROWS:.*]]: tensor<6x8xbf16>, %[[W:.*]]: tensor<4x8x3xbf16>)
// CHECK-NEXT:    %[[PLAN:.*]], %{{.*}} = moe.plan_from_choice %[[IDS]]
// CHECK:         %[[V0:.*]] = moe.grouped_matmul %[[ROWS]] by %[[PLAN]] weights(%[[W]] : tensor<4x8x3xbf16>) layout = kn : tensor<6x8xbf16>, !moe.plan<1x6x4, rows max 6> -> tensor<6x3xf32> {
// CHECK-NEXT:    ^bb0(%[[ACC:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[ACC]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[Y:.*]] = moe.combine %[[V0]] by %[[PLAN]] : tensor<6x3xf32>, !moe.plan<1x6x4, rows max 6>
// CHECK-NEXT:    return %[[Y]] : tensor<1x6x3xf32>
func.func private @moe.plan_from_choice.14(tensor<1x6x1xi32>, tensor<1x6x1xf32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<6xf32>)
  attributes {moe.marker = {op = "plan_from_choice", version = 1 : i64, operands = ["ids", "weights"], experts = 4 : i64}}
func.func private @moe.grouped_matmul.15(tensor<6x8xbf16>, tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<4x8x3xbf16>) -> tensor<1x6x3xf32>
  attributes {moe.marker = {op = "grouped_matmul", version = 1 : i64, operands = ["rows", "expert_offsets", "row_token", "token_offsets", "token_row", "weight"], layout = "kn"}}
func.func @rows_of_groups(%ids: tensor<1x6x1xi32>, %weights: tensor<1x6x1xf32>, %rows: tensor<6x8xbf16>, %w: tensor<4x8x3xbf16>) -> tensor<1x6x3xf32> {
  %0:5 = call @moe.plan_from_choice.14(%ids, %weights) : (tensor<1x6x1xi32>, tensor<1x6x1xf32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<6xf32>)
  %1 = call @moe.grouped_matmul.15(%rows, %0#0, %0#1, %0#2, %0#3, %w) : (tensor<6x8xbf16>, tensor<5xi32>, tensor<6xi32>, tensor<1x7xi32>, tensor<6xi32>, tensor<4x8x3xbf16>) -> tensor<1x6x3xf32>
  return %1 : tensor<1x6x3xf32>
}
