// RUN: moe-opt %s --moe-import-asserts | FileCheck %s

#ids = affine_map<(s, t, h) -> (s, t)>
#all = affine_map<(s, t, h) -> (s, t, h)>

// Two assertions about an input are one range, and the lookup stays inside.
// CHECK-LABEL: func.func @embedding
// CHECK-SAME: %[[IDS:.*]]: tensor<?x?xi64> {moe.range = [0, 64]}
// CHECK-NOT: cf.assert
// CHECK: %[[ROW:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: %[[LOW:.*]] = arith.maxsi %[[ROW]], %{{.*}} : index
// CHECK: %[[AT:.*]] = arith.minsi %[[LOW]], %{{.*}} : index
// CHECK: tensor.extract %{{.*}}[%[[AT]], %{{.*}}] : tensor<64x16xf32>
func.func @embedding(%ids: tensor<?x?xi64>, %table: tensor<64x16xf32>,
                     %init: tensor<?x?x16xf32>) -> tensor<?x?x16xf32> {
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0 : i64
  %0 = linalg.generic {indexing_maps = [#ids, #all],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%ids : tensor<?x?xi64>) outs(%init : tensor<?x?x16xf32>) {
  ^bb0(%id: i64, %out: f32):
    %row = arith.index_cast %id : i64 to index
    %column = linalg.index 2 : index
    %below = arith.cmpi slt, %row, %c64 : index
    cf.assert %below, "index must be smaller than dim size"
    %above = arith.cmpi sge, %id, %zero : i64
    cf.assert %above, "index must be larger or equal to 0"
    %element = tensor.extract %table[%row, %column] : tensor<64x16xf32>
    linalg.yield %element : f32
  } -> tensor<?x?x16xf32>
  return %0 : tensor<?x?x16xf32>
}

// Of two tables the smaller counts.
// CHECK-LABEL: func.func @two_tables
// CHECK-SAME: {moe.range = [0, 7]}
// CHECK-NOT: cf.assert
func.func @two_tables(%ids: tensor<?xi64> {moe.range = [0, 9]},
                      %table: tensor<7xf32>, %init: tensor<?xf32>)
    -> tensor<?xf32> {
  %c7 = arith.constant 7 : index
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>,
                                        affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%ids : tensor<?xi64>) outs(%init : tensor<?xf32>) {
  ^bb0(%id: i64, %out: f32):
    %row = arith.index_cast %id : i64 to index
    %below = arith.cmpi slt, %row, %c7 : index
    cf.assert %below, "too large"
    %element = tensor.extract %table[%row] : tensor<7xf32>
    linalg.yield %element : f32
  } -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// What is no input, no index or no constant stays, to be refused by name where
// code is made.
// CHECK-LABEL: func.func @others
// CHECK-NOT: moe.range
// CHECK: cf.assert %{{.*}}, "computed"
// CHECK: cf.assert %{{.*}}, "equal"
// CHECK: cf.assert %{{.*}}, "from one on"
// CHECK: cf.assert %{{.*}}, "sizes"
func.func @others(%ids: tensor<?xi64>, %n: index, %m: index) -> tensor<?xi64> {
  %c7 = arith.constant 7 : i64
  %one = arith.constant 1 : i64
  %doubled = arith.addi %ids, %ids : tensor<?xi64>
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>,
                                        affine_map<(i) -> (i)>,
                                        affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%doubled, %ids : tensor<?xi64>, tensor<?xi64>)
      outs(%ids : tensor<?xi64>) {
  ^bb0(%twice: i64, %id: i64, %out: i64):
    %below = arith.cmpi slt, %twice, %c7 : i64
    cf.assert %below, "computed"
    %equal = arith.cmpi eq, %id, %c7 : i64
    cf.assert %equal, "equal"
    %from = arith.cmpi sge, %id, %one : i64
    cf.assert %from, "from one on"
    linalg.yield %id : i64
  } -> tensor<?xi64>
  %same = arith.cmpi eq, %n, %m : index
  cf.assert %same, "sizes"
  return %0 : tensor<?xi64>
}

// A function that is called from inside gets its arguments from code.
// CHECK-LABEL: func.func private @inside
// CHECK-NOT: moe.range
// CHECK: cf.assert
func.func private @inside(%ids: tensor<?xi64>) -> tensor<?xi64> {
  %c7 = arith.constant 7 : i64
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>,
                                        affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%ids : tensor<?xi64>) outs(%ids : tensor<?xi64>) {
  ^bb0(%id: i64, %out: i64):
    %below = arith.cmpi slt, %id, %c7 : i64
    cf.assert %below, "below"
    linalg.yield %id : i64
  } -> tensor<?xi64>
  return %0 : tensor<?xi64>
}
