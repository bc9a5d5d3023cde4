// What the lowered ops compute. The expected numbers are JAX's (sort, scatter,
// control flow), those of StableHLO's reference interpreter (windows that lie
// partly outside) and PyTorch's (tm_tensor).

// DEFINE: %{lower} = --moe-keep-arguments \
// DEFINE:   --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map allow-return-allocs-from-loops" \
// DEFINE:   --convert-bufferization-to-memref --convert-linalg-to-loops --expand-strided-metadata --lower-affine \
// DEFINE:   --convert-scf-to-cf --convert-to-llvm --reconcile-unrealized-casts
// RUN: moe-opt %s --allow-unregistered-dialect --moe-import-pipeline %{lower} \
// RUN:   | mlir-runner -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s

func.func private @printMemrefF32(memref<*xf32>)
func.func private @printMemrefI32(memref<*xi32>)
func.func private @show_i32(%t: tensor<?xi32>) {
  %0 = bufferization.to_buffer %t : tensor<?xi32> to memref<?xi32>
  %1 = memref.cast %0 : memref<?xi32> to memref<*xi32>
  call @printMemrefI32(%1) : (memref<*xi32>) -> ()
  return
}
func.func private @show_f32(%t: tensor<?xf32>) {
  %0 = bufferization.to_buffer %t : tensor<?xf32> to memref<?xf32>
  %1 = memref.cast %0 : memref<?xf32> to memref<*xf32>
  call @printMemrefF32(%1) : (memref<*xf32>) -> ()
  return
}
func.func private @show_matrix_i32(%t: tensor<?x?xi32>) {
  %0 = tensor.collapse_shape %t [[0, 1]] : tensor<?x?xi32> into tensor<?xi32>
  call @show_i32(%0) : (tensor<?xi32>) -> ()
  return
}
func.func private @show_matrix_f32(%t: tensor<?x?xf32>) {
  %0 = tensor.collapse_shape %t [[0, 1]] : tensor<?x?xf32> into tensor<?xf32>
  call @show_f32(%0) : (tensor<?xf32>) -> ()
  return
}

// JAX's total order: -inf < ... < -0 = 0 < ... < inf < NaN. Equal keys keep
// their order; each line is sorted on its own.
func.func @sort_keys(%keys: tensor<2x7xf32>, %ids: tensor<2x7xi32>) -> (tensor<2x7xf32>, tensor<2x7xi32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %nan = arith.constant dense<0x7FC00000> : tensor<f32>
  %izero = arith.constant dense<0> : tensor<i32>
  %max = arith.constant dense<2147483647> : tensor<i32>
  %0:2 = "stablehlo.sort"(%keys, %ids) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>, %i: tensor<i32>, %j: tensor<i32>):
    %a0 = arith.cmpf oeq, %a, %zero : tensor<f32>
    %a1 = arith.select %a0, %zero, %a : tensor<i1>, tensor<f32>
    %a2 = arith.cmpf uno, %a, %a : tensor<f32>
    %a3 = arith.select %a2, %nan, %a1 : tensor<i1>, tensor<f32>
    %a4 = arith.bitcast %a3 : tensor<f32> to tensor<i32>
    %a5 = arith.cmpi slt, %a4, %izero : tensor<i32>
    %a6 = arith.subi %max, %a4 : tensor<i32>
    %a7 = arith.select %a5, %a6, %a4 : tensor<i1>, tensor<i32>
    %b0 = arith.cmpf oeq, %b, %zero : tensor<f32>
    %b1 = arith.select %b0, %zero, %b : tensor<i1>, tensor<f32>
    %b2 = arith.cmpf uno, %b, %b : tensor<f32>
    %b3 = arith.select %b2, %nan, %b1 : tensor<i1>, tensor<f32>
    %b4 = arith.bitcast %b3 : tensor<f32> to tensor<i32>
    %b5 = arith.cmpi slt, %b4, %izero : tensor<i32>
    %b6 = arith.subi %max, %b4 : tensor<i32>
    %b7 = arith.select %b5, %b6, %b4 : tensor<i1>, tensor<i32>
    %less = arith.cmpi slt, %a7, %b7 : tensor<i32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<2x7xf32>, tensor<2x7xi32>) -> (tensor<2x7xf32>, tensor<2x7xi32>)
  return %0#0, %0#1 : tensor<2x7xf32>, tensor<2x7xi32>
}

// Along the first dimension, counted from the end.
func.func @sort_columns(%keys: tensor<5x2xi32>) -> tensor<5x2xi32> {
  %0 = "stablehlo.sort"(%keys) <{dimension = -2 : i64, is_stable = false}> ({
  ^bb0(%a: tensor<i32>, %b: tensor<i32>):
    %less = arith.cmpi slt, %a, %b : tensor<i32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<5x2xi32>) -> tensor<5x2xi32>
  return %0 : tensor<5x2xi32>
}

func.func @tm_sort(%keys: tensor<6xf32>, %ids: tensor<6xi32>) -> (tensor<6xf32>, tensor<6xi32>) {
  %0:2 = "tm_tensor.sort"(%keys, %ids) <{dimension = 0 : i64, operandSegmentSizes = array<i32: 0, 2>}> ({
  ^bb0(%a: f32, %b: f32, %i: i32, %j: i32):
    %1 = arith.cmpf oge, %a, %b : f32
    "tm_tensor.yield"(%1) : (i1) -> ()
  }) : (tensor<6xf32>, tensor<6xi32>) -> (tensor<6xf32>, tensor<6xi32>)
  return %0#0, %0#1 : tensor<6xf32>, tensor<6xi32>
}

// Row 1 twice; rows -1 and 4 do not exist.
func.func @scatter_rows(%input: tensor<4x2xf32>, %indices: tensor<5x1xi32>, %updates: tensor<5x2xf32>) -> tensor<4x2xf32> {
  %0 = "stablehlo.scatter"(%input, %indices, %updates) <{indices_are_sorted = false, unique_indices = false,
      scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0],
                                                     scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%old: tensor<f32>, %new: tensor<f32>):
    %1 = arith.addf %old, %new : tensor<f32>
    "stablehlo.return"(%1) : (tensor<f32>) -> ()
  }) : (tensor<4x2xf32>, tensor<5x1xi32>, tensor<5x2xf32>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}

// Windows of three at 3, -1 and 6: of the last two, what lies inside is added.
func.func @scatter_windows(%input: tensor<8xf32>, %indices: tensor<3x1xi32>, %updates: tensor<3x3xf32>) -> tensor<8xf32> {
  %0 = "stablehlo.scatter"(%input, %indices, %updates) <{
      scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], scatter_dims_to_operand_dims = [0],
                                                     index_vector_dim = 1>}> ({
  ^bb0(%old: tensor<f32>, %new: tensor<f32>):
    %1 = arith.addf %old, %new : tensor<f32>
    "stablehlo.return"(%1) : (tensor<f32>) -> ()
  }) : (tensor<8xf32>, tensor<3x1xi32>, tensor<3x3xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// Two batches, indices without a vector dimension; the last of two equal
// indices stays.
func.func @scatter_batch(%input: tensor<2x4xi32>, %indices: tensor<2x3xi32>, %updates: tensor<2x3xi32>) -> tensor<2x4xi32> {
  %0 = "stablehlo.scatter"(%input, %indices, %updates) <{
      scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [1], input_batching_dims = [0],
          scatter_indices_batching_dims = [0], scatter_dims_to_operand_dims = [1], index_vector_dim = 2>}> ({
  ^bb0(%old: tensor<i32>, %new: tensor<i32>):
    "stablehlo.return"(%new) : (tensor<i32>) -> ()
  }) : (tensor<2x4xi32>, tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x4xi32>
  return %0 : tensor<2x4xi32>
}

// The vector of an index stands first, and its components count the
// dimensions in another order. Column 3 does not exist: it is not that of the
// next row.
func.func @scatter_elements(%input: tensor<2x3xi32>, %indices: tensor<2x5xi32>, %updates: tensor<5xi32>) -> tensor<2x3xi32> {
  %0 = "stablehlo.scatter"(%input, %indices, %updates) <{
      scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0, 1], scatter_dims_to_operand_dims = [1, 0],
                                                     index_vector_dim = 0>}> ({
  ^bb0(%old: tensor<i32>, %new: tensor<i32>):
    %1 = arith.addi %old, %new : tensor<i32>
    "stablehlo.return"(%1) : (tensor<i32>) -> ()
  }) : (tensor<2x3xi32>, tensor<2x5xi32>, tensor<5xi32>) -> tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}

func.func @tm_scatter(%updates: tensor<3x1x2xi32>, %indices: tensor<3x1xi32>, %input: tensor<3x2xi32>) -> tensor<3x2xi32> {
  %0 = "tm_tensor.scatter"(%updates, %indices, %input) <{dimension_map = array<i64: 0>, operandSegmentSizes = array<i32: 2, 1>, unique_indices = false}> ({
  ^bb0(%new: i32, %old: i32):
    %1 = arith.subi %old, %new : i32
    "tm_tensor.yield"(%1) : (i32) -> ()
  }) : (tensor<3x1x2xi32>, tensor<3x1xi32>, tensor<3x2xi32>) -> tensor<3x2xi32>
  return %0 : tensor<3x2xi32>
}

func.func @tm_scan(%input: tensor<2x3xi32>, %output: tensor<2x3xi32>, %last: tensor<3xi32>) -> (tensor<2x3xi32>, tensor<3xi32>) {
  %0:2 = "tm_tensor.scan"(%input, %output, %last) <{dimension = 0 : i64, inclusive = true, operandSegmentSizes = array<i32: 1, 2>}> ({
  ^bb0(%a: i32, %b: i32):
    %1 = arith.addi %a, %b : i32
    "tm_tensor.yield"(%1) : (i32) -> ()
  }) : (tensor<2x3xi32>, tensor<2x3xi32>, tensor<3xi32>) -> (tensor<2x3xi32>, tensor<3xi32>)
  return %0#0, %0#1 : tensor<2x3xi32>, tensor<3xi32>
}

func.func @tm_scan_exclusive(%input: tensor<2x3xi32>, %output: tensor<2x3xi32>, %last: tensor<2xi32>) -> (tensor<2x3xi32>, tensor<2xi32>) {
  %0:2 = "tm_tensor.scan"(%input, %output, %last) <{dimension = 1 : i64, inclusive = false, operandSegmentSizes = array<i32: 1, 2>}> ({
  ^bb0(%a: i32, %b: i32):
    %1 = arith.addi %a, %b : i32
    "tm_tensor.yield"(%1) : (i32) -> ()
  }) : (tensor<2x3xi32>, tensor<2x3xi32>, tensor<2xi32>) -> (tensor<2x3xi32>, tensor<2xi32>)
  return %0#0, %0#1 : tensor<2x3xi32>, tensor<2xi32>
}

// Doubles x, and counts, while the counter is below n; in each step a choice
// of the counter adds 10, 20 or 30 to the sum, which is a tensor of rank 0 too.
func.func @loop(%x: tensor<2xi32>, %n: tensor<i32>) -> (tensor<2xi32>, tensor<i32>) {
  %zero = arith.constant dense<0> : tensor<i32>
  %one = arith.constant dense<1> : tensor<i32>
  %0:3 = "stablehlo.while"(%zero, %zero, %x) ({
  ^bb0(%i: tensor<i32>, %sum: tensor<i32>, %v: tensor<2xi32>):
    %1 = arith.cmpi slt, %i, %n : tensor<i32>
    "stablehlo.return"(%1) : (tensor<i1>) -> ()
  }, {
  ^bb0(%i: tensor<i32>, %sum: tensor<i32>, %v: tensor<2xi32>):
    %1 = arith.addi %i, %one : tensor<i32>
    %2 = "stablehlo.case"(%i) ({
      %4 = arith.constant dense<10> : tensor<i32>
      "stablehlo.return"(%4) : (tensor<i32>) -> ()
    }, {
      %4 = arith.constant dense<20> : tensor<i32>
      "stablehlo.return"(%4) : (tensor<i32>) -> ()
    }, {
      %4 = arith.constant dense<30> : tensor<i32>
      "stablehlo.return"(%4) : (tensor<i32>) -> ()
    }) : (tensor<i32>) -> tensor<i32>
    %3 = arith.addi %sum, %2 : tensor<i32>
    %empty = tensor.empty() : tensor<2xi32>
    %5 = linalg.add ins(%v, %v : tensor<2xi32>, tensor<2xi32>) outs(%empty : tensor<2xi32>) -> tensor<2xi32>
    "stablehlo.return"(%1, %3, %5) : (tensor<i32>, tensor<i32>, tensor<2xi32>) -> ()
  }) : (tensor<i32>, tensor<i32>, tensor<2xi32>) -> (tensor<i32>, tensor<i32>, tensor<2xi32>)
  return %0#2, %0#1 : tensor<2xi32>, tensor<i32>
}

// An index below 0 or above 2 is that of the last branch.
func.func @choose(%index: tensor<i32>) -> tensor<i32> {
  %0 = "stablehlo.case"(%index) ({
    %1 = arith.constant dense<100> : tensor<i32>
    "stablehlo.return"(%1) : (tensor<i32>) -> ()
  }, {
    %1 = arith.constant dense<200> : tensor<i32>
    "stablehlo.return"(%1) : (tensor<i32>) -> ()
  }, {
    "stablehlo.return"(%index) : (tensor<i32>) -> ()
  }) : (tensor<i32>) -> tensor<i32>
  return %0 : tensor<i32>
}

func.func @main() {
  %keys = arith.constant dense<[[0x7FC00000, 1.0, -0.0, 0.0, 0xFF800000, 1.0, 0x7F800000], [3.0, 3.0, 2.0, 2.0, -1.0, -1.0, -5.0]]> : tensor<2x7xf32>
  %ids = arith.constant dense<[[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]]> : tensor<2x7xi32>
  %s:2 = call @sort_keys(%keys, %ids) : (tensor<2x7xf32>, tensor<2x7xi32>) -> (tensor<2x7xf32>, tensor<2x7xi32>)
  %s0 = tensor.cast %s#0 : tensor<2x7xf32> to tensor<?x?xf32>
  %s1 = tensor.cast %s#1 : tensor<2x7xi32> to tensor<?x?xi32>
  // CHECK: [-inf, {{ *}}-0, {{ *}}0, {{ *}}1, {{ *}}1, {{ *}}inf, {{ *}}nan, {{ *}}-5, {{ *}}-1, {{ *}}-1, {{ *}}2, {{ *}}2, {{ *}}3, {{ *}}3]
  // CHECK: [4, {{ *}}2, {{ *}}3, {{ *}}1, {{ *}}5, {{ *}}6, {{ *}}0, {{ *}}6, {{ *}}4, {{ *}}5, {{ *}}2, {{ *}}3, {{ *}}0, {{ *}}1]
  call @show_matrix_f32(%s0) : (tensor<?x?xf32>) -> ()
  call @show_matrix_i32(%s1) : (tensor<?x?xi32>) -> ()

  %columns = arith.constant dense<[[5, 1], [4, 9], [3, -2], [2, 8], [1, 0]]> : tensor<5x2xi32>
  %c = call @sort_columns(%columns) : (tensor<5x2xi32>) -> tensor<5x2xi32>
  %c0 = tensor.cast %c : tensor<5x2xi32> to tensor<?x?xi32>
  // CHECK: [1, {{ *}}-2, {{ *}}2, {{ *}}0, {{ *}}3, {{ *}}1, {{ *}}4, {{ *}}8, {{ *}}5, {{ *}}9]
  call @show_matrix_i32(%c0) : (tensor<?x?xi32>) -> ()

  %tkeys = arith.constant dense<[1.0, 3.0, 1.0, 2.0, 3.0, 1.0]> : tensor<6xf32>
  %tids = arith.constant dense<[0, 1, 2, 3, 4, 5]> : tensor<6xi32>
  %t:2 = call @tm_sort(%tkeys, %tids) : (tensor<6xf32>, tensor<6xi32>) -> (tensor<6xf32>, tensor<6xi32>)
  %t0 = tensor.cast %t#0 : tensor<6xf32> to tensor<?xf32>
  %t1 = tensor.cast %t#1 : tensor<6xi32> to tensor<?xi32>
  // CHECK: [3, {{ *}}3, {{ *}}2, {{ *}}1, {{ *}}1, {{ *}}1]
  // CHECK: [1, {{ *}}4, {{ *}}3, {{ *}}0, {{ *}}2, {{ *}}5]
  call @show_f32(%t0) : (tensor<?xf32>) -> ()
  call @show_i32(%t1) : (tensor<?xi32>) -> ()

  %rows = arith.constant dense<[[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]> : tensor<4x2xf32>
  %rids = arith.constant dense<[[1], [4], [1], [-1], [3]]> : tensor<5x1xi32>
  %rupd = arith.constant dense<[[10.0, 20.0], [1000.0, 1000.0], [100.0, 200.0], [1000.0, 1000.0], [1.0, 2.0]]> : tensor<5x2xf32>
  %r = call @scatter_rows(%rows, %rids, %rupd) : (tensor<4x2xf32>, tensor<5x1xi32>, tensor<5x2xf32>) -> tensor<4x2xf32>
  %r0 = tensor.cast %r : tensor<4x2xf32> to tensor<?x?xf32>
  // CHECK: [0, {{ *}}0.5, {{ *}}111, {{ *}}221.5, {{ *}}2, {{ *}}2.5, {{ *}}4, {{ *}}5.5]
  call @show_matrix_f32(%r0) : (tensor<?x?xf32>) -> ()

  %zeros = arith.constant dense<0.0> : tensor<8xf32>
  %wids = arith.constant dense<[[3], [-1], [6]]> : tensor<3x1xi32>
  %wupd = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]> : tensor<3x3xf32>
  %w = call @scatter_windows(%zeros, %wids, %wupd) : (tensor<8xf32>, tensor<3x1xi32>, tensor<3x3xf32>) -> tensor<8xf32>
  %w0 = tensor.cast %w : tensor<8xf32> to tensor<?xf32>
  // CHECK: [5, {{ *}}6, {{ *}}0, {{ *}}1, {{ *}}2, {{ *}}3, {{ *}}7, {{ *}}8]
  call @show_f32(%w0) : (tensor<?xf32>) -> ()

  %bin = arith.constant dense<[[0, 1, 2, 3], [4, 5, 6, 7]]> : tensor<2x4xi32>
  %bids = arith.constant dense<[[2, 0, 2], [3, 9, 1]]> : tensor<2x3xi32>
  %bupd = arith.constant dense<[[10, 20, 30], [40, 50, 60]]> : tensor<2x3xi32>
  %b = call @scatter_batch(%bin, %bids, %bupd) : (tensor<2x4xi32>, tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x4xi32>
  %b0 = tensor.cast %b : tensor<2x4xi32> to tensor<?x?xi32>
  // CHECK: [20, {{ *}}1, {{ *}}30, {{ *}}3, {{ *}}4, {{ *}}60, {{ *}}6, {{ *}}40]
  call @show_matrix_i32(%b0) : (tensor<?x?xi32>) -> ()

  %ein = arith.constant dense<0> : tensor<2x3xi32>
  %eids = arith.constant dense<[[0, 1, 2, 2, 3], [0, 1, 0, 1, 0]]> : tensor<2x5xi32>
  %eupd = arith.constant dense<[1, 2, 3, 4, 1000]> : tensor<5xi32>
  %e = call @scatter_elements(%ein, %eids, %eupd) : (tensor<2x3xi32>, tensor<2x5xi32>, tensor<5xi32>) -> tensor<2x3xi32>
  %e0 = tensor.cast %e : tensor<2x3xi32> to tensor<?x?xi32>
  // CHECK: [1, {{ *}}0, {{ *}}3, {{ *}}0, {{ *}}2, {{ *}}4]
  call @show_matrix_i32(%e0) : (tensor<?x?xi32>) -> ()

  %pupd = arith.constant dense<[[[1, 2]], [[3, 4]], [[5, 6]]]> : tensor<3x1x2xi32>
  %pids = arith.constant dense<[[2], [0], [2]]> : tensor<3x1xi32>
  %pin = arith.constant dense<100> : tensor<3x2xi32>
  %p = call @tm_scatter(%pupd, %pids, %pin) : (tensor<3x1x2xi32>, tensor<3x1xi32>, tensor<3x2xi32>) -> tensor<3x2xi32>
  %p0 = tensor.cast %p : tensor<3x2xi32> to tensor<?x?xi32>
  // CHECK: [97, {{ *}}96, {{ *}}100, {{ *}}100, {{ *}}94, {{ *}}92]
  call @show_matrix_i32(%p0) : (tensor<?x?xi32>) -> ()

  %sin = arith.constant dense<[[1, 2, 3], [10, 20, 30]]> : tensor<2x3xi32>
  %sout = arith.constant dense<0> : tensor<2x3xi32>
  %slast = arith.constant dense<0> : tensor<3xi32>
  %i:2 = call @tm_scan(%sin, %sout, %slast) : (tensor<2x3xi32>, tensor<2x3xi32>, tensor<3xi32>) -> (tensor<2x3xi32>, tensor<3xi32>)
  %i0 = tensor.cast %i#0 : tensor<2x3xi32> to tensor<?x?xi32>
  %i1 = tensor.cast %i#1 : tensor<3xi32> to tensor<?xi32>
  // CHECK: [1, {{ *}}2, {{ *}}3, {{ *}}11, {{ *}}22, {{ *}}33]
  // CHECK: [11, {{ *}}22, {{ *}}33]
  call @show_matrix_i32(%i0) : (tensor<?x?xi32>) -> ()
  call @show_i32(%i1) : (tensor<?xi32>) -> ()

  %xlast = arith.constant dense<[5, 7]> : tensor<2xi32>
  %x:2 = call @tm_scan_exclusive(%sin, %sout, %xlast) : (tensor<2x3xi32>, tensor<2x3xi32>, tensor<2xi32>) -> (tensor<2x3xi32>, tensor<2xi32>)
  %x0 = tensor.cast %x#0 : tensor<2x3xi32> to tensor<?x?xi32>
  // CHECK: [5, {{ *}}6, {{ *}}8, {{ *}}7, {{ *}}17, {{ *}}37]
  call @show_matrix_i32(%x0) : (tensor<?x?xi32>) -> ()

  %lin = arith.constant dense<[3, -1]> : tensor<2xi32>
  %n = arith.constant dense<4> : tensor<i32>
  %l:2 = call @loop(%lin, %n) : (tensor<2xi32>, tensor<i32>) -> (tensor<2xi32>, tensor<i32>)
  %sum = tensor.expand_shape %l#1 [] output_shape [1] : tensor<i32> into tensor<1xi32>
  %l0 = tensor.cast %l#0 : tensor<2xi32> to tensor<?xi32>
  %l1 = tensor.cast %sum : tensor<1xi32> to tensor<?xi32>
  // CHECK: [48, {{ *}}-16]
  // CHECK: [90]
  call @show_i32(%l0) : (tensor<?xi32>) -> ()
  call @show_i32(%l1) : (tensor<?xi32>) -> ()

  %indices = arith.constant dense<[-1, 0, 1, 2, 7]> : tensor<5xi32>
  %empty = tensor.empty() : tensor<5xi32>
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %five = arith.constant 5 : index
  %chosen = scf.for %k = %zero to %five step %one iter_args(%t2 = %empty) -> (tensor<5xi32>) {
    %index = tensor.extract %indices[%k] : tensor<5xi32>
    %as_tensor = tensor.from_elements %index : tensor<i32>
    %result = func.call @choose(%as_tensor) : (tensor<i32>) -> tensor<i32>
    %element = tensor.extract %result[] : tensor<i32>
    %next = tensor.insert %element into %t2[%k] : tensor<5xi32>
    scf.yield %next : tensor<5xi32>
  }
  %chosen0 = tensor.cast %chosen : tensor<5xi32> to tensor<?xi32>
  // CHECK: [-1, {{ *}}100, {{ *}}200, {{ *}}2, {{ *}}7]
  call @show_i32(%chosen0) : (tensor<?xi32>) -> ()
  return
}
