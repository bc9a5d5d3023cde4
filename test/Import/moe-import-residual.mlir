// Ops of StableHLO and tm_tensor become loops and branches on tensors.
// RUN: moe-opt %s --allow-unregistered-dialect --moe-import-residual --canonicalize --cse --mlir-print-local-scope | FileCheck %s

// A sort orders positions: stable, by merging runs of growing width. The
// comparator is scalar code.
// CHECK-LABEL: func.func @sort(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<3x?xf32>, %[[ARG1:.*]]: tensor<3x?xi32>) -> (tensor<3x?xf32>, tensor<3x?xi32>) {
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[C3:.*]] = arith.constant 3 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[DIM:.*]] = tensor.dim %[[ARG0]], %[[C1]] : tensor<3x?xf32>
// CHECK-NEXT:    %[[V0:.*]] = bufferization.alloc_tensor(%[[DIM]]) : tensor<3x?xf32>
// CHECK-NEXT:    %[[DIM_0:.*]] = tensor.dim %[[ARG1]], %[[C1]] : tensor<3x?xi32>
// CHECK-NEXT:    %[[V1:.*]] = bufferization.alloc_tensor(%[[DIM_0]]) : tensor<3x?xi32>
// CHECK-NEXT:    %[[V2:.*]] = bufferization.alloc_tensor(%[[DIM]]) : tensor<?xindex>
// CHECK-NEXT:    %[[V3:.*]] = bufferization.alloc_tensor(%[[DIM]]) : tensor<?xindex>
// CHECK-NEXT:    %[[V4:.*]]:4 = scf.for %[[ARG2:.*]] = %[[C0]] to %[[C3]] step %[[C1]] iter_args(%[[ARG3:.*]] = %[[V0]], %[[ARG4:.*]] = %[[V1]], %[[ARG5:.*]] = %[[V2]], %[[ARG6:.*]] = %[[V3]]) -> (tensor<3x?xf32>, tensor<3x?xi32>, tensor<?xindex>, tensor<?xindex>) {
// CHECK-NEXT:      %[[V5:.*]] = scf.for %[[ARG7:.*]] = %[[C0]] to %[[DIM]] step %[[C1]] iter_args(%[[ARG8:.*]] = %[[ARG5]]) -> (tensor<?xindex>) {
// CHECK-NEXT:        %[[INSERTED:.*]] = tensor.insert %[[ARG7]] into %[[ARG8]][%[[ARG7]]] : tensor<?xindex>
// CHECK-NEXT:        scf.yield %[[INSERTED]] : tensor<?xindex>
// CHECK-NEXT:      }
// CHECK-NEXT:      %[[V6:.*]]:3 = scf.while (%[[ARG7]] = %[[C1]], %[[ARG8]] = %[[V5]], %[[ARG9:.*]] = %[[ARG6]]) : (index, tensor<?xindex>, tensor<?xindex>) -> (index, tensor<?xindex>, tensor<?xindex>) {
// CHECK-NEXT:        %[[V8:.*]] = arith.cmpi slt, %[[ARG7]], %[[DIM]] : index
// CHECK-NEXT:        scf.condition(%[[V8]]) %[[ARG7]], %[[ARG8]], %[[ARG9]] : index, tensor<?xindex>, tensor<?xindex>
// CHECK-NEXT:      } do {
// CHECK-NEXT:      ^bb0(%[[ARG7:.*]]: index, %[[ARG8:.*]]: tensor<?xindex>, %[[ARG9:.*]]: tensor<?xindex>):
// CHECK-NEXT:        %[[V8:.*]] = arith.addi %[[ARG7]], %[[ARG7]] : index
// CHECK-NEXT:        %[[V9:.*]] = scf.for %[[ARG10:.*]] = %[[C0]] to %[[DIM]] step %[[V8]] iter_args(%[[ARG11:.*]] = %[[ARG9]]) -> (tensor<?xindex>) {
// CHECK-NEXT:          %[[V11:.*]] = arith.addi %[[ARG10]], %[[ARG7]] : index
// CHECK-NEXT:          %[[V12:.*]] = arith.minsi %[[V11]], %[[DIM]] : index
// CHECK-NEXT:          %[[V13:.*]] = arith.addi %[[V12]], %[[ARG7]] : index
// CHECK-NEXT:          %[[V14:.*]] = arith.minsi %[[V13]], %[[DIM]] : index
// CHECK-NEXT:          %[[V15:.*]]:3 = scf.for %[[ARG12:.*]] = %[[ARG10]] to %[[V14]] step %[[C1]] iter_args(%[[ARG13:.*]] = %[[ARG10]], %[[ARG14:.*]] = %[[V12]], %[[ARG15:.*]] = %[[ARG11]]) -> (index, index, tensor<?xindex>) {
// CHECK-NEXT:            %[[V16:.*]] = arith.cmpi slt, %[[ARG13]], %[[V12]] : index
// CHECK-NEXT:            %[[V17:.*]] = arith.cmpi slt, %[[ARG14]], %[[V14]] : index
// CHECK-NEXT:            %[[V18:.*]] = arith.andi %[[V16]], %[[V17]] : i1
// CHECK-NEXT:            %[[V19:.*]] = scf.if %[[V18]] -> (i1) {
// CHECK-NEXT:              %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG8]][%[[ARG13]]] : tensor<?xindex>
// CHECK-NEXT:              %[[EXTRACTED_2:.*]] = tensor.extract %[[ARG8]][%[[ARG14]]] : tensor<?xindex>
// CHECK-NEXT:              %[[EXTRACTED_3:.*]] = tensor.extract %[[ARG0]][%[[ARG2]], %[[EXTRACTED_2]]] : tensor<3x?xf32>
// CHECK-NEXT:              %[[EXTRACTED_4:.*]] = tensor.extract %[[ARG0]][%[[ARG2]], %[[EXTRACTED_1]]] : tensor<3x?xf32>
// CHECK-NEXT:              %[[V25:.*]] = arith.cmpf olt, %[[EXTRACTED_3]], %[[EXTRACTED_4]] : f32
// CHECK-NEXT:              scf.yield %[[V25]] : i1
// CHECK-NEXT:            } else {
// CHECK-NEXT:              scf.yield %[[V17]] : i1
// CHECK-NEXT:            }
// CHECK-NEXT:            %[[V20:.*]] = arith.select %[[V19]], %[[ARG14]], %[[ARG13]] : index
// CHECK-NEXT:            %[[EXTRACTED:.*]] = tensor.extract %[[ARG8]][%[[V20]]] : tensor<?xindex>
// CHECK-NEXT:            %[[INSERTED:.*]] = tensor.insert %[[EXTRACTED]] into %[[ARG15]][%[[ARG12]]] : tensor<?xindex>
// CHECK-NEXT:            %[[V21:.*]] = arith.addi %[[ARG13]], %[[C1]] : index
// CHECK-NEXT:            %[[V22:.*]] = arith.select %[[V19]], %[[ARG13]], %[[V21]] : index
// CHECK-NEXT:            %[[V23:.*]] = arith.addi %[[ARG14]], %[[C1]] : index
// CHECK-NEXT:            %[[V24:.*]] = arith.select %[[V19]], %[[V23]], %[[ARG14]] : index
// CHECK-NEXT:            scf.yield %[[V22]], %[[V24]], %[[INSERTED]] : index, index, tensor<?xindex>
// CHECK-NEXT:          }
// CHECK-NEXT:          scf.yield %[[V15]]#2 : tensor<?xindex>
// CHECK-NEXT:        }
// CHECK-NEXT:        %[[V10:.*]] = linalg.copy ins(%[[V9]] : tensor<?xindex>) outs(%[[ARG8]] : tensor<?xindex>) -> tensor<?xindex>
// CHECK-NEXT:        scf.yield %[[V8]], %[[V10]], %[[V9]] : index, tensor<?xindex>, tensor<?xindex>
// CHECK-NEXT:      }
// CHECK-NEXT:      %[[V7:.*]]:2 = scf.for %[[ARG7]] = %[[C0]] to %[[DIM]] step %[[C1]] iter_args(%[[ARG8]] = %[[ARG3]], %[[ARG9]] = %[[ARG4]]) -> (tensor<3x?xf32>, tensor<3x?xi32>) {
// CHECK-NEXT:        %[[EXTRACTED:.*]] = tensor.extract %[[V6]]#1[%[[ARG7]]] : tensor<?xindex>
// CHECK-NEXT:        %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG0]][%[[ARG2]], %[[EXTRACTED]]] : tensor<3x?xf32>
// CHECK-NEXT:        %[[INSERTED:.*]] = tensor.insert %[[EXTRACTED_1]] into %[[ARG8]][%[[ARG2]], %[[ARG7]]] : tensor<3x?xf32>
// CHECK-NEXT:        %[[EXTRACTED_2:.*]] = tensor.extract %[[ARG1]][%[[ARG2]], %[[EXTRACTED]]] : tensor<3x?xi32>
// CHECK-NEXT:        %[[INSERTED_3:.*]] = tensor.insert %[[EXTRACTED_2]] into %[[ARG9]][%[[ARG2]], %[[ARG7]]] : tensor<3x?xi32>
// CHECK-NEXT:        scf.yield %[[INSERTED]], %[[INSERTED_3]] : tensor<3x?xf32>, tensor<3x?xi32>
// CHECK-NEXT:      }
// CHECK-NEXT:      scf.yield %[[V7]]#0, %[[V7]]#1, %[[V6]]#1, %[[V6]]#2 : tensor<3x?xf32>, tensor<3x?xi32>, tensor<?xindex>, tensor<?xindex>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V4]]#0, %[[V4]]#1 : tensor<3x?xf32>, tensor<3x?xi32>
// CHECK-NEXT:  }
func.func @sort(%keys: tensor<3x?xf32>, %ids: tensor<3x?xi32>) -> (tensor<3x?xf32>, tensor<3x?xi32>) {
  %0:2 = "stablehlo.sort"(%keys, %ids) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>, %i: tensor<i32>, %j: tensor<i32>):
    %empty = tensor.empty() : tensor<i1>
    %less = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
        ins(%a, %b : tensor<f32>, tensor<f32>) outs(%empty : tensor<i1>) {
    ^bb0(%x: f32, %y: f32, %out: i1):
      %2 = arith.cmpf olt, %x, %y : f32
      linalg.yield %2 : i1
    } -> tensor<i1>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<3x?xf32>, tensor<3x?xi32>) -> (tensor<3x?xf32>, tensor<3x?xi32>)
  return %0#0, %0#1 : tensor<3x?xf32>, tensor<3x?xi32>
}

// The region of tm_tensor.sort says what may stand in this order, so equal
// elements are taken from the left.
// CHECK-LABEL: func.func @tm_sort(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<8xf32>) -> tensor<8xf32> {
// CHECK-NEXT:    %[[TRUE:.*]] = arith.constant true
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[C8:.*]] = arith.constant 8 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[V0:.*]] = bufferization.alloc_tensor() : tensor<8xf32>
// CHECK-NEXT:    %[[V1:.*]] = bufferization.alloc_tensor() : tensor<8xindex>
// CHECK-NEXT:    %[[V2:.*]] = bufferization.alloc_tensor() : tensor<8xindex>
// CHECK-NEXT:    %[[V3:.*]] = scf.for %[[ARG1:.*]] = %[[C0]] to %[[C8]] step %[[C1]] iter_args(%[[ARG2:.*]] = %[[V1]]) -> (tensor<8xindex>) {
// CHECK-NEXT:      %[[INSERTED:.*]] = tensor.insert %[[ARG1]] into %[[ARG2]][%[[ARG1]]] : tensor<8xindex>
// CHECK-NEXT:      scf.yield %[[INSERTED]] : tensor<8xindex>
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V4:.*]]:3 = scf.while (%[[ARG1]] = %[[C1]], %[[ARG2]] = %[[V3]], %[[ARG3:.*]] = %[[V2]]) : (index, tensor<8xindex>, tensor<8xindex>) -> (index, tensor<8xindex>, tensor<8xindex>) {
// CHECK-NEXT:      %[[V6:.*]] = arith.cmpi slt, %[[ARG1]], %[[C8]] : index
// CHECK-NEXT:      scf.condition(%[[V6]]) %[[ARG1]], %[[ARG2]], %[[ARG3]] : index, tensor<8xindex>, tensor<8xindex>
// CHECK-NEXT:    } do {
// CHECK-NEXT:    ^bb0(%[[ARG1:.*]]: index, %[[ARG2:.*]]: tensor<8xindex>, %[[ARG3:.*]]: tensor<8xindex>):
// CHECK-NEXT:      %[[V6:.*]] = arith.addi %[[ARG1]], %[[ARG1]] : index
// CHECK-NEXT:      %[[V7:.*]] = scf.for %[[ARG4:.*]] = %[[C0]] to %[[C8]] step %[[V6]] iter_args(%[[ARG5:.*]] = %[[ARG3]]) -> (tensor<8xindex>) {
// CHECK-NEXT:        %[[V9:.*]] = arith.addi %[[ARG4]], %[[ARG1]] : index
// CHECK-NEXT:        %[[V10:.*]] = arith.minsi %[[V9]], %[[C8]] : index
// CHECK-NEXT:        %[[V11:.*]] = arith.addi %[[V10]], %[[ARG1]] : index
// CHECK-NEXT:        %[[V12:.*]] = arith.minsi %[[V11]], %[[C8]] : index
// CHECK-NEXT:        %[[V13:.*]]:3 = scf.for %[[ARG6:.*]] = %[[ARG4]] to %[[V12]] step %[[C1]] iter_args(%[[ARG7:.*]] = %[[ARG4]], %[[ARG8:.*]] = %[[V10]], %[[ARG9:.*]] = %[[ARG5]]) -> (index, index, tensor<8xindex>) {
// CHECK-NEXT:          %[[V14:.*]] = arith.cmpi slt, %[[ARG7]], %[[V10]] : index
// CHECK-NEXT:          %[[V15:.*]] = arith.cmpi slt, %[[ARG8]], %[[V12]] : index
// CHECK-NEXT:          %[[V16:.*]] = arith.andi %[[V14]], %[[V15]] : i1
// CHECK-NEXT:          %[[V17:.*]] = scf.if %[[V16]] -> (i1) {
// CHECK-NEXT:            %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG2]][%[[ARG7]]] : tensor<8xindex>
// CHECK-NEXT:            %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG2]][%[[ARG8]]] : tensor<8xindex>
// CHECK-NEXT:            %[[EXTRACTED_2:.*]] = tensor.extract %[[ARG0]][%[[EXTRACTED_0]]] : tensor<8xf32>
// CHECK-NEXT:            %[[EXTRACTED_3:.*]] = tensor.extract %[[ARG0]][%[[EXTRACTED_1]]] : tensor<8xf32>
// CHECK-NEXT:            %[[V23:.*]] = arith.cmpf oge, %[[EXTRACTED_2]], %[[EXTRACTED_3]] : f32
// CHECK-NEXT:            %[[V24:.*]] = arith.xori %[[V23]], %[[TRUE]] : i1
// CHECK-NEXT:            scf.yield %[[V24]] : i1
// CHECK-NEXT:          } else {
// CHECK-NEXT:            scf.yield %[[V15]] : i1
// CHECK-NEXT:          }
// CHECK-NEXT:          %[[V18:.*]] = arith.select %[[V17]], %[[ARG8]], %[[ARG7]] : index
// CHECK-NEXT:          %[[EXTRACTED:.*]] = tensor.extract %[[ARG2]][%[[V18]]] : tensor<8xindex>
// CHECK-NEXT:          %[[INSERTED:.*]] = tensor.insert %[[EXTRACTED]] into %[[ARG9]][%[[ARG6]]] : tensor<8xindex>
// CHECK-NEXT:          %[[V19:.*]] = arith.addi %[[ARG7]], %[[C1]] : index
// CHECK-NEXT:          %[[V20:.*]] = arith.select %[[V17]], %[[ARG7]], %[[V19]] : index
// CHECK-NEXT:          %[[V21:.*]] = arith.addi %[[ARG8]], %[[C1]] : index
// CHECK-NEXT:          %[[V22:.*]] = arith.select %[[V17]], %[[V21]], %[[ARG8]] : index
// CHECK-NEXT:          scf.yield %[[V20]], %[[V22]], %[[INSERTED]] : index, index, tensor<8xindex>
// CHECK-NEXT:        }
// CHECK-NEXT:        scf.yield %[[V13]]#2 : tensor<8xindex>
// CHECK-NEXT:      }
// CHECK-NEXT:      %[[V8:.*]] = linalg.copy ins(%[[V7]] : tensor<8xindex>) outs(%[[ARG2]] : tensor<8xindex>) -> tensor<8xindex>
// CHECK-NEXT:      scf.yield %[[V6]], %[[V8]], %[[V7]] : index, tensor<8xindex>, tensor<8xindex>
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[V5:.*]] = scf.for %[[ARG1]] = %[[C0]] to %[[C8]] step %[[C1]] iter_args(%[[ARG2]] = %[[V0]]) -> (tensor<8xf32>) {
// CHECK-NEXT:      %[[EXTRACTED:.*]] = tensor.extract %[[V4]]#1[%[[ARG1]]] : tensor<8xindex>
// CHECK-NEXT:      %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG0]][%[[EXTRACTED]]] : tensor<8xf32>
// CHECK-NEXT:      %[[INSERTED:.*]] = tensor.insert %[[EXTRACTED_0]] into %[[ARG2]][%[[ARG1]]] : tensor<8xf32>
// CHECK-NEXT:      scf.yield %[[INSERTED]] : tensor<8xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V5]] : tensor<8xf32>
// CHECK-NEXT:  }
func.func @tm_sort(%keys: tensor<8xf32>) -> tensor<8xf32> {
  %0 = "tm_tensor.sort"(%keys) <{dimension = 0 : i64, operandSegmentSizes = array<i32: 0, 1>}> ({
  ^bb0(%a: f32, %b: f32):
    %1 = arith.cmpf oge, %a, %b : f32
    "tm_tensor.yield"(%1) : (i1) -> ()
  }) : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// Rows of a matrix: the window is dimension 1, the index counts dimension 0.
// CHECK-LABEL: func.func @scatter(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<8x4xf32>, %[[ARG1:.*]]: tensor<3x1xi32>, %[[ARG2:.*]]: tensor<3x4xf32>) -> tensor<8x4xf32> {
// CHECK-NEXT:    %[[C8:.*]] = arith.constant 8 : index
// CHECK-NEXT:    %[[C3:.*]] = arith.constant 3 : index
// CHECK-NEXT:    %[[C4:.*]] = arith.constant 4 : index
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[V0:.*]] = scf.for %[[ARG3:.*]] = %[[C0]] to %[[C3]] step %[[C1]] iter_args(%[[ARG4:.*]] = %[[ARG0]]) -> (tensor<8x4xf32>) {
// CHECK-NEXT:      %[[V1:.*]] = scf.for %[[ARG5:.*]] = %[[C0]] to %[[C4]] step %[[C1]] iter_args(%[[ARG6:.*]] = %[[ARG4]]) -> (tensor<8x4xf32>) {
// CHECK-NEXT:        %[[EXTRACTED:.*]] = tensor.extract %[[ARG1]][%[[ARG3]], %[[C0]]] : tensor<3x1xi32>
// CHECK-NEXT:        %[[V2:.*]] = arith.index_cast %[[EXTRACTED]] : i32 to index
// CHECK-NEXT:        %[[V3:.*]] = arith.cmpi ult, %[[V2]], %[[C8]] : index
// CHECK-NEXT:        %[[V4:.*]] = arith.cmpi ult, %[[ARG5]], %[[C4]] : index
// CHECK-NEXT:        %[[V5:.*]] = arith.andi %[[V3]], %[[V4]] : i1
// CHECK-NEXT:        %[[V6:.*]] = scf.if %[[V5]] -> (tensor<8x4xf32>) {
// CHECK-NEXT:          %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG6]][%[[V2]], %[[ARG5]]] : tensor<8x4xf32>
// CHECK-NEXT:          %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG2]][%[[ARG3]], %[[ARG5]]] : tensor<3x4xf32>
// CHECK-NEXT:          %[[V7:.*]] = arith.addf %[[EXTRACTED_0]], %[[EXTRACTED_1]] : f32
// CHECK-NEXT:          %[[INSERTED:.*]] = tensor.insert %[[V7]] into %[[ARG6]][%[[V2]], %[[ARG5]]] : tensor<8x4xf32>
// CHECK-NEXT:          scf.yield %[[INSERTED]] : tensor<8x4xf32>
// CHECK-NEXT:        } else {
// CHECK-NEXT:          scf.yield %[[ARG6]] : tensor<8x4xf32>
// CHECK-NEXT:        }
// CHECK-NEXT:        scf.yield %[[V6]] : tensor<8x4xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      scf.yield %[[V1]] : tensor<8x4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V0]] : tensor<8x4xf32>
// CHECK-NEXT:  }
func.func @scatter(%input: tensor<8x4xf32>, %indices: tensor<3x1xi32>, %updates: tensor<3x4xf32>) -> tensor<8x4xf32> {
  %0 = "stablehlo.scatter"(%input, %indices, %updates) <{indices_are_sorted = false,
      scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0],
                                                     scatter_dims_to_operand_dims = [0], index_vector_dim = 1>,
      unique_indices = false}> ({
  ^bb0(%old: tensor<f32>, %new: tensor<f32>):
    %1 = arith.addf %old, %new : tensor<f32>
    "stablehlo.return"(%1) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// A batch of scatters, with indices without a vector dimension, of two tensors.
// CHECK-LABEL: func.func @scatter_batch(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<2x8xf32>, %[[ARG1:.*]]: tensor<2x8xi32>, %[[ARG2:.*]]: tensor<2x3xi64>, %[[ARG3:.*]]: tensor<2x3xf32>, %[[ARG4:.*]]: tensor<2x3xi32>) -> (tensor<2x8xf32>, tensor<2x8xi32>) {
// CHECK-NEXT:    %[[C8:.*]] = arith.constant 8 : index
// CHECK-NEXT:    %[[C2:.*]] = arith.constant 2 : index
// CHECK-NEXT:    %[[C3:.*]] = arith.constant 3 : index
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[V0:.*]]:2 = scf.for %[[ARG5:.*]] = %[[C0]] to %[[C2]] step %[[C1]] iter_args(%[[ARG6:.*]] = %[[ARG0]], %[[ARG7:.*]] = %[[ARG1]]) -> (tensor<2x8xf32>, tensor<2x8xi32>) {
// CHECK-NEXT:      %[[V1:.*]]:2 = scf.for %[[ARG8:.*]] = %[[C0]] to %[[C3]] step %[[C1]] iter_args(%[[ARG9:.*]] = %[[ARG6]], %[[ARG10:.*]] = %[[ARG7]]) -> (tensor<2x8xf32>, tensor<2x8xi32>) {
// CHECK-NEXT:        %[[EXTRACTED:.*]] = tensor.extract %[[ARG2]][%[[ARG5]], %[[ARG8]]] : tensor<2x3xi64>
// CHECK-NEXT:        %[[V2:.*]] = arith.index_cast %[[EXTRACTED]] : i64 to index
// CHECK-NEXT:        %[[V3:.*]] = arith.cmpi ult, %[[ARG5]], %[[C2]] : index
// CHECK-NEXT:        %[[V4:.*]] = arith.cmpi ult, %[[V2]], %[[C8]] : index
// CHECK-NEXT:        %[[V5:.*]] = arith.andi %[[V3]], %[[V4]] : i1
// CHECK-NEXT:        %[[V6:.*]]:2 = scf.if %[[V5]] -> (tensor<2x8xf32>, tensor<2x8xi32>) {
// CHECK-NEXT:          %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG3]][%[[ARG5]], %[[ARG8]]] : tensor<2x3xf32>
// CHECK-NEXT:          %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG4]][%[[ARG5]], %[[ARG8]]] : tensor<2x3xi32>
// CHECK-NEXT:          %[[INSERTED:.*]] = tensor.insert %[[EXTRACTED_0]] into %[[ARG9]][%[[ARG5]], %[[V2]]] : tensor<2x8xf32>
// CHECK-NEXT:          %[[INSERTED_2:.*]] = tensor.insert %[[EXTRACTED_1]] into %[[ARG10]][%[[ARG5]], %[[V2]]] : tensor<2x8xi32>
// CHECK-NEXT:          scf.yield %[[INSERTED]], %[[INSERTED_2]] : tensor<2x8xf32>, tensor<2x8xi32>
// CHECK-NEXT:        } else {
// CHECK-NEXT:          scf.yield %[[ARG9]], %[[ARG10]] : tensor<2x8xf32>, tensor<2x8xi32>
// CHECK-NEXT:        }
// CHECK-NEXT:        scf.yield %[[V6]]#0, %[[V6]]#1 : tensor<2x8xf32>, tensor<2x8xi32>
// CHECK-NEXT:      }
// CHECK-NEXT:      scf.yield %[[V1]]#0, %[[V1]]#1 : tensor<2x8xf32>, tensor<2x8xi32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V0]]#0, %[[V0]]#1 : tensor<2x8xf32>, tensor<2x8xi32>
// CHECK-NEXT:  }
func.func @scatter_batch(%a: tensor<2x8xf32>, %b: tensor<2x8xi32>, %indices: tensor<2x3xi64>,
                         %u: tensor<2x3xf32>, %v: tensor<2x3xi32>) -> (tensor<2x8xf32>, tensor<2x8xi32>) {
  %0:2 = "stablehlo.scatter"(%a, %b, %indices, %u, %v) <{
      scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [1], input_batching_dims = [0],
          scatter_indices_batching_dims = [0], scatter_dims_to_operand_dims = [1], index_vector_dim = 2>}> ({
  ^bb0(%olda: tensor<f32>, %oldb: tensor<i32>, %newa: tensor<f32>, %newb: tensor<i32>):
    "stablehlo.return"(%newa, %newb) : (tensor<f32>, tensor<i32>) -> ()
  }) : (tensor<2x8xf32>, tensor<2x8xi32>, tensor<2x3xi64>, tensor<2x3xf32>, tensor<2x3xi32>) -> (tensor<2x8xf32>, tensor<2x8xi32>)
  return %0#0, %0#1 : tensor<2x8xf32>, tensor<2x8xi32>
}

// CHECK-LABEL: func.func @tm_scatter(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<3x1x4xf32>, %[[ARG1:.*]]: tensor<3x1xi64>, %[[ARG2:.*]]: tensor<5x4xf32>) -> tensor<5x4xf32> {
// CHECK-NEXT:    %[[C5:.*]] = arith.constant 5 : index
// CHECK-NEXT:    %[[C3:.*]] = arith.constant 3 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[C4:.*]] = arith.constant 4 : index
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[V0:.*]] = scf.for %[[ARG3:.*]] = %[[C0]] to %[[C3]] step %[[C1]] iter_args(%[[ARG4:.*]] = %[[ARG2]]) -> (tensor<5x4xf32>) {
// CHECK-NEXT:      %[[V1:.*]] = scf.for %[[ARG5:.*]] = %[[C0]] to %[[C4]] step %[[C1]] iter_args(%[[ARG6:.*]] = %[[ARG4]]) -> (tensor<5x4xf32>) {
// CHECK-NEXT:        %[[EXTRACTED:.*]] = tensor.extract %[[ARG1]][%[[ARG3]], %[[C0]]] : tensor<3x1xi64>
// CHECK-NEXT:        %[[V2:.*]] = arith.index_cast %[[EXTRACTED]] : i64 to index
// CHECK-NEXT:        %[[V3:.*]] = arith.cmpi ult, %[[V2]], %[[C5]] : index
// CHECK-NEXT:        %[[V4:.*]] = arith.cmpi ult, %[[ARG5]], %[[C4]] : index
// CHECK-NEXT:        %[[V5:.*]] = arith.andi %[[V3]], %[[V4]] : i1
// CHECK-NEXT:        %[[V6:.*]] = scf.if %[[V5]] -> (tensor<5x4xf32>) {
// CHECK-NEXT:          %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG6]][%[[V2]], %[[ARG5]]] : tensor<5x4xf32>
// CHECK-NEXT:          %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG0]][%[[ARG3]], %[[C0]], %[[ARG5]]] : tensor<3x1x4xf32>
// CHECK-NEXT:          %[[V7:.*]] = arith.addf %[[EXTRACTED_0]], %[[EXTRACTED_1]] : f32
// CHECK-NEXT:          %[[INSERTED:.*]] = tensor.insert %[[V7]] into %[[ARG6]][%[[V2]], %[[ARG5]]] : tensor<5x4xf32>
// CHECK-NEXT:          scf.yield %[[INSERTED]] : tensor<5x4xf32>
// CHECK-NEXT:        } else {
// CHECK-NEXT:          scf.yield %[[ARG6]] : tensor<5x4xf32>
// CHECK-NEXT:        }
// CHECK-NEXT:        scf.yield %[[V6]] : tensor<5x4xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      scf.yield %[[V1]] : tensor<5x4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V0]] : tensor<5x4xf32>
// CHECK-NEXT:  }
func.func @tm_scatter(%updates: tensor<3x1x4xf32>, %indices: tensor<3x1xi64>, %input: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %0 = "tm_tensor.scatter"(%updates, %indices, %input) <{dimension_map = array<i64: 0>, operandSegmentSizes = array<i32: 2, 1>, unique_indices = false}> ({
  ^bb0(%new: f32, %old: f32):
    %1 = arith.addf %old, %new : f32
    "tm_tensor.yield"(%1) : (f32) -> ()
  }) : (tensor<3x1x4xf32>, tensor<3x1xi64>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// CHECK-LABEL: func.func @tm_scan(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<5x4xf32>, %[[ARG1:.*]]: tensor<5x4xf32>, %[[ARG2:.*]]: tensor<5xf32>) -> (tensor<5x4xf32>, tensor<5xf32>) {
// CHECK-NEXT:    %[[C5:.*]] = arith.constant 5 : index
// CHECK-NEXT:    %[[C4:.*]] = arith.constant 4 : index
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[V0:.*]]:2 = scf.for %[[ARG3:.*]] = %[[C0]] to %[[C5]] step %[[C1]] iter_args(%[[ARG4:.*]] = %[[ARG1]], %[[ARG5:.*]] = %[[ARG2]]) -> (tensor<5x4xf32>, tensor<5xf32>) {
// CHECK-NEXT:      %[[V1:.*]]:2 = scf.for %[[ARG6:.*]] = %[[C0]] to %[[C4]] step %[[C1]] iter_args(%[[ARG7:.*]] = %[[ARG4]], %[[ARG8:.*]] = %[[ARG5]]) -> (tensor<5x4xf32>, tensor<5xf32>) {
// CHECK-NEXT:        %[[V2:.*]] = arith.cmpi eq, %[[ARG6]], %[[C0]] : index
// CHECK-NEXT:        %[[V3:.*]]:2 = scf.if %[[V2]] -> (f32, f32) {
// CHECK-NEXT:          %[[EXTRACTED:.*]] = tensor.extract %[[ARG0]][%[[ARG3]], %[[ARG6]]] : tensor<5x4xf32>
// CHECK-NEXT:          %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG8]][%[[ARG3]]] : tensor<5xf32>
// CHECK-NEXT:          scf.yield %[[EXTRACTED]], %[[EXTRACTED_1]] : f32, f32
// CHECK-NEXT:        } else {
// CHECK-NEXT:          %[[V4:.*]] = arith.subi %[[ARG6]], %[[C1]] : index
// CHECK-NEXT:          %[[EXTRACTED:.*]] = tensor.extract %[[ARG7]][%[[ARG3]], %[[V4]]] : tensor<5x4xf32>
// CHECK-NEXT:          %[[EXTRACTED_1:.*]] = tensor.extract %[[ARG0]][%[[ARG3]], %[[ARG6]]] : tensor<5x4xf32>
// CHECK-NEXT:          %[[V5:.*]] = arith.addf %[[EXTRACTED]], %[[EXTRACTED_1]] : f32
// CHECK-NEXT:          scf.yield %[[V5]], %[[V5]] : f32, f32
// CHECK-NEXT:        }
// CHECK-NEXT:        %[[INSERTED:.*]] = tensor.insert %[[V3]]#0 into %[[ARG7]][%[[ARG3]], %[[ARG6]]] : tensor<5x4xf32>
// CHECK-NEXT:        %[[INSERTED_0:.*]] = tensor.insert %[[V3]]#1 into %[[ARG8]][%[[ARG3]]] : tensor<5xf32>
// CHECK-NEXT:        scf.yield %[[INSERTED]], %[[INSERTED_0]] : tensor<5x4xf32>, tensor<5xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      scf.yield %[[V1]]#0, %[[V1]]#1 : tensor<5x4xf32>, tensor<5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V0]]#0, %[[V0]]#1 : tensor<5x4xf32>, tensor<5xf32>
// CHECK-NEXT:  }
func.func @tm_scan(%input: tensor<5x4xf32>, %output: tensor<5x4xf32>, %last: tensor<5xf32>) -> (tensor<5x4xf32>, tensor<5xf32>) {
  %0:2 = "tm_tensor.scan"(%input, %output, %last) <{dimension = 1 : i64, inclusive = true, operandSegmentSizes = array<i32: 1, 2>}> ({
  ^bb0(%a: f32, %b: f32):
    %1 = arith.addf %a, %b : f32
    "tm_tensor.yield"(%1) : (f32) -> ()
  }) : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5xf32>) -> (tensor<5x4xf32>, tensor<5xf32>)
  return %0#0, %0#1 : tensor<5x4xf32>, tensor<5xf32>
}

// Counters are scalars; what is captured, or called with a tensor, is extracted
// or made a tensor again.
func.func private @next(tensor<i32>) -> tensor<i32>
// CHECK-LABEL: func.func @while(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<4xf32>, %[[ARG1:.*]]: tensor<i32>) -> (tensor<i32>, tensor<4xf32>) {
// CHECK-NEXT:    %[[C0_I32:.*]] = arith.constant 0 : i32
// CHECK-NEXT:    %[[V0:.*]]:2 = scf.while (%[[ARG2:.*]] = %[[C0_I32]], %[[ARG3:.*]] = %[[ARG0]]) : (i32, tensor<4xf32>) -> (i32, tensor<4xf32>) {
// CHECK-NEXT:      %[[EXTRACTED:.*]] = tensor.extract %[[ARG1]][] : tensor<i32>
// CHECK-NEXT:      %[[V1:.*]] = arith.cmpi slt, %[[ARG2]], %[[EXTRACTED]] : i32
// CHECK-NEXT:      scf.condition(%[[V1]]) %[[ARG2]], %[[ARG3]] : i32, tensor<4xf32>
// CHECK-NEXT:    } do {
// CHECK-NEXT:    ^bb0(%[[ARG2:.*]]: i32, %[[ARG3:.*]]: tensor<4xf32>):
// CHECK-NEXT:      %[[FROM_ELEMENTS_0:.*]] = tensor.from_elements %[[ARG2]] : tensor<i32>
// CHECK-NEXT:      %[[V1:.*]] = func.call @next(%[[FROM_ELEMENTS_0]]) : (tensor<i32>) -> tensor<i32>
// CHECK-NEXT:      %[[V2:.*]] = arith.addf %[[ARG3]], %[[ARG3]] : tensor<4xf32>
// CHECK-NEXT:      %[[EXTRACTED:.*]] = tensor.extract %[[V1]][] : tensor<i32>
// CHECK-NEXT:      scf.yield %[[EXTRACTED]], %[[V2]] : i32, tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[FROM_ELEMENTS:.*]] = tensor.from_elements %[[V0]]#0 : tensor<i32>
// CHECK-NEXT:    return %[[FROM_ELEMENTS]], %[[V0]]#1 : tensor<i32>, tensor<4xf32>
// CHECK-NEXT:  }
func.func @while(%x: tensor<4xf32>, %n: tensor<i32>) -> (tensor<i32>, tensor<4xf32>) {
  %zero = arith.constant dense<0> : tensor<i32>
  %0:2 = "stablehlo.while"(%zero, %x) ({
  ^bb0(%i: tensor<i32>, %v: tensor<4xf32>):
    %1 = arith.cmpi slt, %i, %n : tensor<i32>
    "stablehlo.return"(%1) : (tensor<i1>) -> ()
  }, {
  ^bb0(%i: tensor<i32>, %v: tensor<4xf32>):
    %1 = func.call @next(%i) : (tensor<i32>) -> tensor<i32>
    %2 = arith.addf %v, %v : tensor<4xf32>
    "stablehlo.return"(%1, %2) : (tensor<i32>, tensor<4xf32>) -> ()
  }) : (tensor<i32>, tensor<4xf32>) -> (tensor<i32>, tensor<4xf32>)
  return %0#0, %0#1 : tensor<i32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @case(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<i32>, %[[ARG1:.*]]: tensor<4xf32>, %[[ARG2:.*]]: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %[[EXTRACTED:.*]] = tensor.extract %[[ARG0]][] : tensor<i32>
// CHECK-NEXT:    %[[V0:.*]] = arith.index_cast %[[EXTRACTED]] : i32 to index
// CHECK-NEXT:    %[[V1:.*]] = scf.index_switch %[[V0]] -> tensor<4xf32>
// CHECK-NEXT:    case 0 {
// CHECK-NEXT:      scf.yield %[[ARG1]] : tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    case 1 {
// CHECK-NEXT:      scf.yield %[[ARG2]] : tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    default {
// CHECK-NEXT:      %[[V2:.*]] = arith.negf %[[ARG1]] : tensor<4xf32>
// CHECK-NEXT:      scf.yield %[[V2]] : tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[V1]] : tensor<4xf32>
// CHECK-NEXT:  }
func.func @case(%index: tensor<i32>, %a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "stablehlo.case"(%index) ({
    "stablehlo.return"(%a) : (tensor<4xf32>) -> ()
  }, {
    "stablehlo.return"(%b) : (tensor<4xf32>) -> ()
  }, {
    %1 = arith.negf %a : tensor<4xf32>
    "stablehlo.return"(%1) : (tensor<4xf32>) -> ()
  }) : (tensor<i32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @if(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<i1>, %[[ARG1:.*]]: tensor<f32>, %[[ARG2:.*]]: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
// CHECK-NEXT:    %[[EXTRACTED:.*]] = tensor.extract %[[ARG0]][] : tensor<i1>
// CHECK-NEXT:    %[[V0:.*]]:2 = scf.if %[[EXTRACTED]] -> (f32, tensor<4xf32>) {
// CHECK-NEXT:      %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG1]][] : tensor<f32>
// CHECK-NEXT:      scf.yield %[[EXTRACTED_0]], %[[ARG2]] : f32, tensor<4xf32>
// CHECK-NEXT:    } else {
// CHECK-NEXT:      %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG1]][] : tensor<f32>
// CHECK-NEXT:      %[[V1:.*]] = arith.negf %[[EXTRACTED_0]] : f32
// CHECK-NEXT:      %[[V2:.*]] = arith.negf %[[ARG2]] : tensor<4xf32>
// CHECK-NEXT:      scf.yield %[[V1]], %[[V2]] : f32, tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[FROM_ELEMENTS:.*]] = tensor.from_elements %[[V0]]#0 : tensor<f32>
// CHECK-NEXT:    return %[[FROM_ELEMENTS]], %[[V0]]#1 : tensor<f32>, tensor<4xf32>
// CHECK-NEXT:  }
func.func @if(%pred: tensor<i1>, %a: tensor<f32>, %b: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %0:2 = "stablehlo.if"(%pred) ({
    "stablehlo.return"(%a, %b) : (tensor<f32>, tensor<4xf32>) -> ()
  }, {
    %1 = arith.negf %a : tensor<f32>
    %2 = arith.negf %b : tensor<4xf32>
    "stablehlo.return"(%1, %2) : (tensor<f32>, tensor<4xf32>) -> ()
  }) : (tensor<i1>) -> (tensor<f32>, tensor<4xf32>)
  return %0#0, %0#1 : tensor<f32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @barrier(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<4xf32>, %[[ARG1:.*]]: tensor<i32>) -> (tensor<i32>, tensor<4xf32>) {
// CHECK-NEXT:    return %[[ARG1]], %[[ARG0]] : tensor<i32>, tensor<4xf32>
// CHECK-NEXT:  }
func.func @barrier(%a: tensor<4xf32>, %b: tensor<i32>) -> (tensor<i32>, tensor<4xf32>) {
  %0:2 = "stablehlo.optimization_barrier"(%b, %a) : (tensor<i32>, tensor<4xf32>) -> (tensor<i32>, tensor<4xf32>)
  return %0#0, %0#1 : tensor<i32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @sizes(
// CHECK-SAME:    %[[ARG0:.*]]: tensor<?x4xf32>, %[[ARG1:.*]]: tensor<3xi32>) -> (tensor<i32>, tensor<?x2x?xf32>, tensor<5x?x4xf32>) {
// CHECK-NEXT:    %[[C1:.*]] = arith.constant 1 : index
// CHECK-NEXT:    %[[C0:.*]] = arith.constant 0 : index
// CHECK-NEXT:    %[[DIM:.*]] = tensor.dim %[[ARG0]], %[[C0]] : tensor<?x4xf32>
// CHECK-NEXT:    %[[V0:.*]] = arith.index_cast %[[DIM]] : index to i32
// CHECK-NEXT:    %[[FROM_ELEMENTS:.*]] = tensor.from_elements %[[V0]] : tensor<i32>
// CHECK-NEXT:    %[[RESHAPE:.*]] = tensor.reshape %[[ARG0]](%[[ARG1]]) : (tensor<?x4xf32>, tensor<3xi32>) -> tensor<?x2x?xf32>
// CHECK-NEXT:    %[[EXTRACTED:.*]] = tensor.extract %[[ARG1]][%[[C1]]] : tensor<3xi32>
// CHECK-NEXT:    %[[V1:.*]] = arith.index_cast %[[EXTRACTED]] : i32 to index
// CHECK-NEXT:    %[[V2:.*]] = tensor.empty(%[[V1]]) : tensor<5x?x4xf32>
// CHECK-NEXT:    %[[V3:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} outs(%[[V2]] : tensor<5x?x4xf32>) {
// CHECK-NEXT:    ^bb0(%[[OUT:.*]]: f32):
// CHECK-NEXT:      %[[V4:.*]] = linalg.index 1 : index
// CHECK-NEXT:      %[[V5:.*]] = arith.cmpi eq, %[[DIM]], %[[C1]] : index
// CHECK-NEXT:      %[[V6:.*]] = arith.select %[[V5]], %[[C0]], %[[V4]] : index
// CHECK-NEXT:      %[[V7:.*]] = linalg.index 2 : index
// CHECK-NEXT:      %[[EXTRACTED_0:.*]] = tensor.extract %[[ARG0]][%[[V6]], %[[V7]]] : tensor<?x4xf32>
// CHECK-NEXT:      linalg.yield %[[EXTRACTED_0]] : f32
// CHECK-NEXT:    } -> tensor<5x?x4xf32>
// CHECK-NEXT:    return %[[FROM_ELEMENTS]], %[[RESHAPE]], %[[V3]] : tensor<i32>, tensor<?x2x?xf32>, tensor<5x?x4xf32>
// CHECK-NEXT:  }
func.func @sizes(%a: tensor<?x4xf32>, %sizes: tensor<3xi32>) -> (tensor<i32>, tensor<?x2x?xf32>, tensor<5x?x4xf32>) {
  %0 = "stablehlo.get_dimension_size"(%a) <{dimension = 0 : i64}> : (tensor<?x4xf32>) -> tensor<i32>
  %1 = "stablehlo.dynamic_reshape"(%a, %sizes) : (tensor<?x4xf32>, tensor<3xi32>) -> tensor<?x2x?xf32>
  %2 = "stablehlo.dynamic_broadcast_in_dim"(%a, %sizes) <{broadcast_dimensions = array<i64: 1, 2>}> : (tensor<?x4xf32>, tensor<3xi32>) -> tensor<5x?x4xf32>
  return %0, %1, %2 : tensor<i32>, tensor<?x2x?xf32>, tensor<5x?x4xf32>
}
