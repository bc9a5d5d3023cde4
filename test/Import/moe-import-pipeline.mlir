// What the front ends hand over (scripts/make_import_fixtures.py) becomes moe on
// tensors, and compiles.
// DEFINE: %{import} = moe-opt --allow-unregistered-dialect --moe-import-pipeline
// DEFINE: %{check} = FileCheck %s --implicit-check-not=stablehlo. --implicit-check-not=moe.marker --implicit-check-not='func.func private'

// A PyTorch OLMoE block: the sequence axis survives, S and T are dynamic.
// RUN: %{import} %S/fixtures/olmoe_block.mlir | %{check} --check-prefix=OLMOE
// OLMOE:       func.func public @main(%[[X:.*]]: tensor<?x?x16xf32>
// OLMOE:       %[[PLAN:.*]], %[[GATES:.*]] = moe.route %{{.*}} top 2 scope = token score = softmax normalize = sum {layer = "moe"} : tensor<?x?x8xf32>
// OLMOE-NEXT:  %[[ROWS:.*]] = moe.dispatch %[[X]] by %[[PLAN]]
// OLMOE-NEXT:  %[[H:.*]] = moe.grouped_matmul %[[ROWS]] by %[[PLAN]] weights(%{{.*}} : tensor<8x24x16xf32>) layout = nk arrangement = concat
// OLMOE:       %[[OUT:.*]] = moe.grouped_matmul %[[H]] by %[[PLAN]] weights(%{{.*}} : tensor<8x16x12xf32>) layout = nk
// OLMOE:       moe.combine %[[OUT]] by %[[PLAN]] gates(%[[GATES]]

// In bf16 the gates are rounded on the way, by code of the model's own.
// RUN: %{import} %S/fixtures/olmoe_block_bf16.mlir | %{check} --check-prefix=BF16
// BF16:        %[[PLAN:.*]], %[[GATES:.*]] = moe.route %{{.*}} : tensor<?x?x8xbf16>
// BF16:        %[[ROUNDED:.*]] = linalg.generic {{.*}} ins(%[[GATES]] : tensor<?xf32>)
// BF16:        moe.combine %{{.*}} by %[[PLAN]] gates(%[[ROUNDED]] : tensor<?xbf16>)

// A layer on the library's own functions: every option, separate weights, a bias.
// RUN: %{import} %S/fixtures/torch_layer.mlir | %{check} --check-prefix=TORCH
// TORCH:       moe.route %{{.*}} bias(%{{.*}} : tensor<8xf32>) valid(%{{.*}} : tensor<?x?xi1>) top 2 scope = sequence score = sigmoid normalize = sum
// TORCH-SAME:    {eps = 9.99999968E-21 : f32, floor = 1 : i64, group_score = #moe<group_score top2_sum>, layer = "moe", n_group = 4 : i64, scale = 2.500000e+00 : f32, topk_group = 2 : i64}
// TORCH:       weights(%{{.*}}, %{{.*}} : tensor<8x12x16xf32>, tensor<8x12x16xf32>) layout = nk
// TORCH:       extras [#moe<extra column>](%{{.*}} : tensor<8x16xf32>)

// A choice of experts that is an input; experts without gating.
// RUN: %{import} %S/fixtures/torch_choice.mlir | %{check} --check-prefix=CHOICE
// CHOICE:      moe.plan_from_choice %{{.*}}, %{{.*}} experts 8 : tensor<2x5x2xi64>, tensor<2x5x2xf32>
// CHOICE:      moe.grouped_matmul %{{.*}} weights(%{{.*}} : tensor<8x12x16xf32>) layout = nk :

// A JAX layer, and layers in a scan of a model with a switch and a sort.
// RUN: %{import} %S/fixtures/jax_layer.mlir | %{check} --check-prefix=JAX
// JAX:         moe.route %{{.*}} : tensor<2x5x8xf32>
// JAX:         layout = kn arrangement = concat
// RUN: %{import} %S/fixtures/jax_model.mlir | %{check} --check-prefix=MODEL
// MODEL:       scf.while
// MODEL:       %[[PLAN:.*]], %{{.*}} = moe.route
// MODEL:       moe.plan_field %[[PLAN]] expert_offsets
// MODEL:       moe.combine
// MODEL:       scf.index_switch

// A JAX layer that nobody marked: of its sorts and ragged products nothing is left.
// RUN: %{import} %S/fixtures/jax_unmarked.mlir | %{check} --check-prefix=UNMARKED
// UNMARKED-NOT: scf.while
// UNMARKED:     moe.route %{{.*}} top 2 scope = token score = softmax {{.*}}tensor<2x5x8xf32>
// UNMARKED:     layout = kn arrangement = concat
// UNMARKED:     moe.combine

// Residual operations alone: functions that JAX makes private are inlined.
// RUN: %{import} %S/fixtures/stablehlo_barrier.mlir | %{check} --check-prefix=BARRIER
// BARRIER:     linalg.generic {{.*}} ins(%arg0
// RUN: %{import} %S/fixtures/stablehlo_case.mlir | %{check} --check-prefix=CASE
// CASE:        scf.index_switch
// CASE:        case 1
// CASE:        default
// RUN: %{import} %S/fixtures/stablehlo_scatter.mlir | %{check} --check-prefix=SCATTER
// SCATTER-COUNT-3: tensor.insert
// RUN: %{import} %S/fixtures/stablehlo_sort.mlir | %{check} --check-prefix=SORT
// SORT-COUNT-2: scf.while
// RUN: %{import} %S/fixtures/stablehlo_top_k.mlir | %{check} --check-prefix=TOP-K
// TOP-K:       scf.while
// TOP-K:       tensor.extract_slice
// RUN: %{import} %S/fixtures/stablehlo_while.mlir | %{check} --check-prefix=WHILE
// WHILE-COUNT-2: scf.while

// And each compiles.
// RUN: %{import} %S/fixtures/olmoe_block.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/olmoe_block_bf16.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/torch_layer.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/torch_choice.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/jax_layer.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/jax_model.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/jax_unmarked.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/stablehlo_case.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/stablehlo_scatter.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/stablehlo_sort.mlir | moe-opt --moe-cpu-pipeline -o /dev/null
// RUN: %{import} %S/fixtures/stablehlo_while.mlir | moe-opt --moe-cpu-pipeline -o /dev/null

// A plan may be made in one function and used in another.
// RUN: %{import} %s | %{check} --check-prefix=INLINED
// INLINED-LABEL: func.func @main(
// INLINED:       moe.route
// INLINED-NEXT:  moe.dispatch
func.func private @moe.route.0(tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  attributes {moe.marker = {op = "route", version = 1 : i64, operands = ["logits"], k = 1 : i64, scope = "token", score = "sigmoid", normalize = "none"}}
func.func private @moe.experts.1(tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  attributes {moe.marker = {op = "experts", version = 1 : i64, operands = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates", "up", "down"], activation = "relu", layout = "nk"}}
func.func private @router(%logits: tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>) {
  %0:5 = call @moe.route.0(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>
}
func.func @main(%x: tensor<2x5x8xf32>, %logits: tensor<2x5x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>) -> tensor<2x5x8xf32> {
  %0:5 = call @router(%logits) : (tensor<2x5x4xf32>) -> (tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>)
  %1 = call @moe.experts.1(%x, %0#0, %0#1, %0#2, %0#3, %0#4, %up, %down) : (tensor<2x5x8xf32>, tensor<5xi32>, tensor<10xi32>, tensor<2x6xi32>, tensor<10xi32>, tensor<10xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<2x5x8xf32>
  return %1 : tensor<2x5x8xf32>
}
