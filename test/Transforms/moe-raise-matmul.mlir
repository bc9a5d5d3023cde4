// RUN: moe-opt %s -moe-raise-matmul -canonicalize -cse | FileCheck %s

// Executed in test/Integration/raised-matmul.mlir.

// A linear layer of PyTorch: its weight [N, K] is not transposed.
// CHECK-LABEL: func @linear(
// CHECK-SAME:    %[[X:.*]]: tensor<?x16xf32>, %[[W:.*]]: tensor<8x16xf32>
// CHECK-NOT:     linalg
// CHECK-DAG:     %[[W3:.*]] = tensor.expand_shape %[[W]] {{.*}} into tensor<1x8x16xf32>
// CHECK-DAG:     %[[ROWS:.*]] = tensor.dim %[[X]]
// CHECK-DAG:     %[[END:.*]] = arith.index_cast %[[ROWS]] : index to i32
// CHECK-DAG:     %[[OFFSETS:.*]] = tensor.from_elements %{{.*}}, %[[END]] : tensor<2xi32>
// CHECK:         %[[Y:.*]] = moe.idx.grouped_matmul ins(%[[X]], %[[OFFSETS]]
// CHECK-SAME:      weights(%[[W3]] : tensor<1x8x16xf32>) layout = nk
// CHECK:         ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT:      moe.yield %[[SUM]] : f32
// CHECK:         return %[[Y]]
func.func @linear(%x: tensor<?x16xf32>, %w: tensor<8x16xf32>)
    -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %e = tensor.empty() : tensor<16x8xf32>
  %t = linalg.transpose ins(%w : tensor<8x16xf32>)
      outs(%e : tensor<16x8xf32>) permutation = [1, 0]
  %m = tensor.dim %x, %c0 : tensor<?x16xf32>
  %o = tensor.empty(%m) : tensor<?x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%o : tensor<?x8xf32>)
      -> tensor<?x8xf32>
  %y = linalg.matmul ins(%x, %t : tensor<?x16xf32>, tensor<16x8xf32>)
      outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// The same transpose as indexing maps.
// CHECK-LABEL: func @transposed_by_map(
// CHECK:         moe.idx.grouped_matmul
// CHECK-SAME:      weights({{.*}} : tensor<1x8x16xf32>) layout = nk
func.func @transposed_by_map(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>)
    -> tensor<4x8xf32> {
  %zero = arith.constant dense<0.0> : tensor<4x8xf32>
  %y = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                       affine_map<(m, n, k) -> (n, k)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %w : tensor<4x16xf32>, tensor<8x16xf32>)
      outs(%zero : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Two linear layers in a row: the second reads what replaces the first.
// CHECK-LABEL: func @chained(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x16xf32>
// CHECK:         %[[H:.*]] = moe.idx.grouped_matmul ins(%[[X]],
// CHECK:         %[[Y:.*]] = moe.idx.grouped_matmul ins(%[[H]],
// CHECK:         return %[[Y]]
func.func @chained(%x: tensor<?x16xf32>, %a: tensor<16x8xf32>,
                   %b: tensor<8x4xf32>, %h: tensor<?x8xf32>,
                   %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = linalg.matmul ins(%x, %a : tensor<?x16xf32>, tensor<16x8xf32>)
      outs(%h : tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = linalg.matmul ins(%0, %b : tensor<?x8xf32>, tensor<8x4xf32>)
      outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// Rows of two dimensions, as JAX has them.
// CHECK-LABEL: func @generic(
// CHECK-DAG:     %[[X2:.*]] = tensor.collapse_shape %{{.*}} into tensor<10x16xf32>
// CHECK-DAG:     %[[OFFSETS:.*]] = arith.constant dense<[0, 10]> : tensor<2xi32>
// CHECK:         %[[Y:.*]] = moe.idx.grouped_matmul ins(%[[X2]], %[[OFFSETS]]
// CHECK-SAME:      layout = kn
// CHECK:         tensor.expand_shape %[[Y]] {{.*}} into tensor<2x5x8xf32>
func.func @generic(%x: tensor<2x5x16xf32>, %w: tensor<16x8xf32>)
    -> tensor<2x5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %o = tensor.empty() : tensor<2x5x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%o : tensor<2x5x8xf32>)
      -> tensor<2x5x8xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(s, t, n, k) -> (s, t, k)>,
                       affine_map<(s, t, n, k) -> (k, n)>,
                       affine_map<(s, t, n, k) -> (s, t, n)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<2x5x16xf32>, tensor<16x8xf32>)
      outs(%f : tensor<2x5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x5x8xf32>
  return %y : tensor<2x5x8xf32>
}

// A batch is a plan with as many rows for each expert. What the accumulator
// held is added.
// CHECK-LABEL: func @batch(
// CHECK-DAG:     %[[OFFSETS:.*]] = arith.constant dense<[0, 4, 8, 12]> : tensor<4xi32>
// CHECK:         moe.idx.grouped_matmul ins(%{{.*}}, %[[OFFSETS]] :
// CHECK-SAME:      tensor<12x16xbf16>, tensor<4xi32>) weights(%{{.*}} : tensor<3x16x8xbf16>)
// CHECK-SAME:      extras [#moe<extra element>]
// CHECK:         ^bb0(%[[SUM:.*]]: f32, %[[HELD:.*]]: f32):
// CHECK-NEXT:      %[[ALL:.*]] = arith.addf %[[SUM]], %[[HELD]] : f32
// CHECK-NEXT:      moe.yield %[[ALL]] : f32
func.func @batch(%x: tensor<3x4x16xbf16>, %w: tensor<3x16x8xbf16>,
                 %acc: tensor<3x4x8xf32>) -> tensor<3x4x8xf32> {
  %y = linalg.batch_matmul
      ins(%x, %w : tensor<3x4x16xbf16>, tensor<3x16x8xbf16>)
      outs(%acc : tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
  return %y : tensor<3x4x8xf32>
}

// CHECK-LABEL: func @dynamic_batch(
// CHECK:         %[[OFFSETS:.*]] = tensor.generate
// CHECK:         moe.idx.grouped_matmul ins(%{{.*}}, %[[OFFSETS]] :
func.func @dynamic_batch(%x: tensor<?x?x16xf32>, %w: tensor<?x16x8xf32>,
                         %acc: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %y = linalg.batch_matmul
      ins(%x, %w : tensor<?x?x16xf32>, tensor<?x16x8xf32>)
      outs(%acc : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// One row: the matrix is the weight.
// CHECK-LABEL: func @matvec(
// CHECK:         moe.idx.grouped_matmul
// CHECK-SAME:      weights({{.*}} : tensor<1x8x16xf32>) layout = nk
// CHECK-LABEL: func @vecmat(
// CHECK:         moe.idx.grouped_matmul
// CHECK-SAME:      weights({{.*}} : tensor<1x16x8xf32>) layout = kn
func.func @matvec(%w: tensor<8x16xf32>, %x: tensor<16xf32>) -> tensor<8xf32> {
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %y = linalg.matvec ins(%w, %x : tensor<8x16xf32>, tensor<16xf32>)
      outs(%zero : tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func @vecmat(%x: tensor<16xf32>, %w: tensor<16x8xf32>) -> tensor<8xf32> {
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %y = linalg.vecmat ins(%x, %w : tensor<16xf32>, tensor<16x8xf32>)
      outs(%zero : tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// A result in bf16 is rounded once, from the f32 sum.
// CHECK-LABEL: func @bf16_result(
// CHECK:         ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT:      %[[R:.*]] = arith.truncf %[[SUM]] : f32 to bf16
// CHECK-NEXT:      moe.yield %[[R]] : bf16
func.func @bf16_result(%x: tensor<4x16xbf16>, %w: tensor<16x8xbf16>)
    -> tensor<4x8xbf16> {
  %zero = arith.constant dense<0.0> : tensor<4x8xbf16>
  %y = linalg.matmul ins(%x, %w : tensor<4x16xbf16>, tensor<16x8xbf16>)
      outs(%zero : tensor<4x8xbf16>) -> tensor<4x8xbf16>
  return %y : tensor<4x8xbf16>
}

// Not rows times a weight, or not floats.
// CHECK-LABEL: func @others(
// CHECK-NOT:     moe
// CHECK:         linalg.dot
// CHECK:         linalg.matmul
// CHECK:         linalg.matmul
func.func @others(%u: tensor<16xf32>, %v: tensor<16xf32>, %s: tensor<f32>,
                  %x: tensor<4x16xi32>, %w: tensor<16x8xi32>,
                  %i: tensor<4x8xi32>, %xt: tensor<16x4xf32>,
                  %wf: tensor<16x8xf32>, %f: tensor<4x8xf32>)
    -> (tensor<f32>, tensor<4x8xi32>, tensor<4x8xf32>) {
  %0 = linalg.dot ins(%u, %v : tensor<16xf32>, tensor<16xf32>)
      outs(%s : tensor<f32>) -> tensor<f32>
  %1 = linalg.matmul ins(%x, %w : tensor<4x16xi32>, tensor<16x8xi32>)
      outs(%i : tensor<4x8xi32>) -> tensor<4x8xi32>
  %2 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
                       affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%xt, %wf : tensor<16x4xf32>, tensor<16x8xf32>)
      outs(%f : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0, %1, %2 : tensor<f32>, tensor<4x8xi32>, tensor<4x8xf32>
}
