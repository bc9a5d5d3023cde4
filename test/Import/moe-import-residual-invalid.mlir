// What cannot be imported, and what is said about it.
// RUN: moe-opt %s --allow-unregistered-dialect --moe-import-residual --split-input-file --verify-diagnostics

// An op that nobody knows, once for all its places.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{cannot import 'stablehlo.fft' (2 of it, the first here): it is not an upstream op, nor one of stablehlo.case, stablehlo.dynamic_broadcast_in_dim, stablehlo.dynamic_reshape, stablehlo.get_dimension_size, stablehlo.if, stablehlo.optimization_barrier, stablehlo.scatter, stablehlo.sort, stablehlo.while, tm_tensor.scan, tm_tensor.scatter, tm_tensor.sort; write this part of the model with other operations, or import the MoE layer alone}}
  %0 = "stablehlo.fft"(%a) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = "stablehlo.fft"(%0) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// An unknown op with a region speaks for its terminator.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{cannot import 'stablehlo.reduce_window' (1 of it, the first here)}}
  %0 = "stablehlo.reduce_window"(%a) ({
  ^bb0(%x: tensor<f32>):
    "stablehlo.return"(%x) : (tensor<f32>) -> ()
  }) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// Two unknown ops: two messages.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{cannot import 'stablehlo.fft' (1 of it}}
  %0 = "stablehlo.fft"(%a) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @below {{cannot import 'tm_tensor.attention' (1 of it}}
  %1 = "tm_tensor.attention"(%0) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// A terminator where there is nothing to end.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{cannot import 'tm_tensor.yield'}}
  "tm_tensor.yield"(%a) : (tensor<4xf32>) -> ()
  return
}
// -----

// An attribute that nobody reads.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op has an unknown attribute 'backend'; accepted are: dimension, is_stable}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64, backend = 1 : i64}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// An attribute of an op that takes none.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.optimization_barrier' op has an unknown attribute 'mhlo.note'; it takes none}}
  %0 = "stablehlo.optimization_barrier"(%a) {mhlo.note = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// A value of a type that is not imported.
func.func @main(%a: tensor<4xui32>) {
  // expected-error @below {{'stablehlo.optimization_barrier' op has a value of type 'tensor<4xui32>'; only ranked tensors of signless integers and floats can be imported}}
  %0 = "stablehlo.optimization_barrier"(%a) : (tensor<4xui32>) -> tensor<4xui32>
  return
}
// -----

// A value of a type that is not imported.
func.func @main(%a: tensor<*xf32>) {
  // expected-error @below {{'stablehlo.optimization_barrier' op has a value of type 'tensor<*xf32>'; only ranked tensors of signless integers and floats can be imported}}
  %0 = "stablehlo.optimization_barrier"(%a) : (tensor<*xf32>) -> tensor<*xf32>
  return
}
// -----

// A value of a type that is not imported.
func.func @main(%a: tensor<4xcomplex<f32>>) {
  // expected-error @below {{'stablehlo.optimization_barrier' op has a value of type 'tensor<4xcomplex<f32>>'; only ranked tensors of signless integers and floats can be imported}}
  %0 = "stablehlo.optimization_barrier"(%a) : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  return
}
// -----

// A value of a type that is not imported.
func.func @main(%a: !stablehlo.token) {
  // expected-error @below {{'stablehlo.optimization_barrier' op has a value of type '!stablehlo.token'; only ranked tensors of signless integers and floats can be imported}}
  %0 = "stablehlo.optimization_barrier"(%a) : (!stablehlo.token) -> !stablehlo.token
  return
}
// -----

// No dimension.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op needs an integer attribute 'dimension'}}
  %0 = "stablehlo.sort"(%a0) <{is_stable = true}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A dimension that is none.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op 'dimension' holds 1, which is no dimension of a tensor of rank 1}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 1 : i64}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A dimension before the first.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op 'dimension' holds -1, which is no dimension of a tensor of rank 1}}
  %0 = "stablehlo.sort"(%a0) <{dimension = -2 : i64}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// Nothing to sort.
func.func @main() {
  // expected-error @below {{'stablehlo.sort' op has 0 operands, expected at least 1}}
  "stablehlo.sort"() <{dimension = 0 : i64}> ({
    %less = arith.constant dense<true> : tensor<i1>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : () -> ()
  return
}
// -----

// Another number of results.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op must have results of types ('tensor<4xf32>'), got ('tensor<4xf32>', 'tensor<4xf32>')}}
  %0:2 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}
// -----

// Operands of two shapes.
func.func @main(%a0: tensor<4xf32>, %a1: tensor<5xf32>) {
  // expected-error @below {{'stablehlo.sort' op must have operands of one shape, got 'tensor<4xf32>' and 'tensor<5xf32>'}}
  %0:2 = "stablehlo.sort"(%a0, %a1) <{dimension = 0 : i64}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>, %x1: tensor<f32>, %y1: tensor<f32>):
    %less = arith.cmpf olt, %x0, %y0 : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>, tensor<5xf32>) -> (tensor<4xf32>, tensor<5xf32>)
  return
}
// -----

// No comparator.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 must be one block}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({}) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A comparator of two blocks.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 must be one block}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    cf.br ^bb1
  ^bb1:
    %less = arith.cmpf olt, %x, %y : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A comparator of one element.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 must take arguments of types ('tensor<f32>', 'tensor<f32>'), got ('tensor<f32>')}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>):
    %less = arith.cmpf olt, %x, %x : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A comparator that compares nothing.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 must give values of types ('tensor<i1>'), got ('tensor<f32>')}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    "stablehlo.return"(%x) : (tensor<f32>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A comparator that runs in circles.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 uses a value before it is defined}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %less = arith.andi %less, %other : tensor<i1>
    %other = arith.cmpf olt, %x, %y : tensor<f32>
    "stablehlo.return"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// A comparator that does not end.
func.func @main(%a0: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.sort' op region #0 must end with 'stablehlo.return'}}
  %0 = "stablehlo.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %less = arith.cmpf olt, %x, %y : tensor<f32>
    "tm_tensor.yield"(%less) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> (tensor<4xf32>)
  return
}
// -----

// No dimension numbers.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op expected #stablehlo.scatter<name = value, ...>, got <<NULL ATTRIBUTE>>}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2)  ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Dimension numbers of something else.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op expected #stablehlo.scatter<name = value, ...>, got #stablehlo.gather<offset_dims = [0]>}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.gather<offset_dims = [0]>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Dimension numbers without a value.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op expected #stablehlo.scatter<name = value, ...>, got #stablehlo.scatter<update_window_dims>}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Dimension numbers that are not separated.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op expected #stablehlo.scatter<name = value, ...>, got #stablehlo.scatter<index_vector_dim = 1 2>}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<index_vector_dim = 1 2>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// A dimension number that nobody knows.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has an unknown dimension number 'window_order' = [0]}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1, window_order = [0]>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// A list that is none.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has an unknown dimension number 'update_window_dims' = "all"}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = "all">}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// A dimension that is none.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op 'inserted_window_dims' holds 2, which is no dimension of a tensor of rank 2}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [2], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// A dimension twice.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op 'update_window_dims' holds 1 twice}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1, 1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// An index vector outside.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op 'index_vector_dim' is 3, the indices have rank 2}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 3>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// One batch without the other.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has dimension numbers whose batching dimensions do not fit input 'tensor<8x4xf32>', indices 'tensor<3x1xi32>' and updates 'tensor<3x4xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1, input_batching_dims = [1]>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Windows of another rank.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has dimension numbers whose window dimensions do not fit input 'tensor<8x4xf32>', indices 'tensor<3x1xi32>' and updates 'tensor<3x4xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Updates of another rank.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has dimension numbers whose update dimensions do not fit input 'tensor<8x4xf32>', indices 'tensor<3x1xi32>' and updates 'tensor<3x4xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 2>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// More updates than indices.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<2x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has dimension numbers whose scatter sizes do not fit input 'tensor<8x4xf32>', indices 'tensor<2x1xi32>' and updates 'tensor<3x4xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<2x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Indices of another size.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op has dimension numbers whose index components do not fit input 'tensor<8x4xf32>', indices 'tensor<3x1xi32>' and updates 'tensor<3x4xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0, 1], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// No updates.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>) {
  // expected-error @below {{'stablehlo.scatter' op has 2 operands, expected at least 3}}
  %0 = "stablehlo.scatter"(%a0, %a1) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>) -> (tensor<8x4xf32>)
  return
}
// -----

// More inputs than updates.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<8x4xf32>, %a2: tensor<3x1xi32>, %a3: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op must have as many inputs as updates, and indices}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2, %a3) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Indices that are no integers.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xf32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op must have indices of an integer type, got 'tensor<3x1xf32>'}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xf32>, tensor<3x4xf32>) -> (tensor<8x4xf32>)
  return
}
// -----

// Two shapes.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<9x4xf32>, %a2: tensor<3x1xi32>, %a3: tensor<3x4xf32>, %a4: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op must have inputs of one shape and updates of one shape}}
  %0:2 = "stablehlo.scatter"(%a0, %a1, %a2, %a3, %a4) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %x1: tensor<f32>, %y0: tensor<f32>, %y1: tensor<f32>):
    "stablehlo.return"(%x0, %x1) : (tensor<f32>, tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<9x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>, tensor<3x4xf32>) -> (tensor<8x4xf32>, tensor<9x4xf32>)
  return
}
// -----

// Two types.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xi32>) {
  // expected-error @below {{'stablehlo.scatter' op must have updates of the inputs' element types}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xi32>) -> (tensor<8x4xf32>)
  return
}
// -----

// A result of another type.
func.func @main(%a0: tensor<8x4xf32>, %a1: tensor<3x1xi32>, %a2: tensor<3x4xf32>) {
  // expected-error @below {{'stablehlo.scatter' op must have results of types ('tensor<8x4xf32>'), got ('tensor<8x5xf32>')}}
  %0 = "stablehlo.scatter"(%a0, %a1, %a2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%x0: tensor<f32>, %y0: tensor<f32>):
    "stablehlo.return"(%x0) : (tensor<f32>) -> ()
  }) : (tensor<8x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> (tensor<8x5xf32>)
  return
}
// -----

// A loop of two types.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.while' op region #1 must give values of types ('tensor<4xf32>'), got ('tensor<i1>')}}
  %0 = "stablehlo.while"(%a) ({
  ^bb0(%x: tensor<4xf32>):
    %c = arith.constant dense<true> : tensor<i1>
    "stablehlo.return"(%c) : (tensor<i1>) -> ()
  }, {
  ^bb0(%x: tensor<4xf32>):
    %c = arith.constant dense<true> : tensor<i1>
    "stablehlo.return"(%c) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// A loop without a body.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.while' op region #1 must be one block}}
  %0 = "stablehlo.while"(%a) ({
  ^bb0(%x: tensor<4xf32>):
    %c = arith.constant dense<true> : tensor<i1>
    "stablehlo.return"(%c) : (tensor<i1>) -> ()
  }) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
// -----

// A branch on a number.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.if' op must have a predicate of type 'tensor<i1>', got 'tensor<4xf32>'}}
  "stablehlo.if"(%a) ({
    "stablehlo.return"() : () -> ()
  }, {
    "stablehlo.return"() : () -> ()
  }) : (tensor<4xf32>) -> ()
  return
}
// -----

// A choice by a number.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.case' op must have an index of type 'tensor<i32>', got 'tensor<4xf32>'}}
  "stablehlo.case"(%a) ({
    "stablehlo.return"() : () -> ()
  }) : (tensor<4xf32>) -> ()
  return
}
// -----

// A choice of nothing.
func.func @main(%a: tensor<i32>) {
  // expected-error @below {{'stablehlo.case' op has no branch}}
  "stablehlo.case"(%a) : (tensor<i32>) -> ()
  return
}
// -----

// A branch that gives another type.
func.func @main(%a: tensor<i32>, %b: tensor<i1>) {
  // expected-error @below {{'stablehlo.case' op region #1 must give values of types ('tensor<i32>'), got ('tensor<i1>')}}
  %0 = "stablehlo.case"(%a) ({
    "stablehlo.return"(%a) : (tensor<i32>) -> ()
  }, {
    "stablehlo.return"(%b) : (tensor<i1>) -> ()
  }) : (tensor<i32>) -> tensor<i32>
  return
}
// -----

// A barrier that changes a type.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.optimization_barrier' op must have results of types ('tensor<4xf32>'), got ('tensor<5xf32>')}}
  %0 = "stablehlo.optimization_barrier"(%a) : (tensor<4xf32>) -> tensor<5xf32>
  return
}
// -----

// The size of a dimension that is none.
func.func @main(%a: tensor<4xf32>) {
  // expected-error @below {{'stablehlo.get_dimension_size' op 'dimension' holds 1, which is no dimension of a tensor of rank 1}}
  %0 = "stablehlo.get_dimension_size"(%a) <{dimension = 1 : i64}> : (tensor<4xf32>) -> tensor<i32>
  return
}
// -----

// Sizes of another rank.
func.func @main(%a: tensor<4xf32>, %s: tensor<3xi32>) {
  // expected-error @below {{'stablehlo.dynamic_reshape' op must be given the sizes of its result 'tensor<?x?xf32>' as integers [2], got 'tensor<3xi32>'}}
  %0 = "stablehlo.dynamic_reshape"(%a, %s) : (tensor<4xf32>, tensor<3xi32>) -> tensor<?x?xf32>
  return
}
// -----

// A result of another element type.
func.func @main(%a: tensor<4xf32>, %s: tensor<2xi32>) {
  // expected-error @below {{'stablehlo.dynamic_reshape' op must have one result of element type 'f32'}}
  %0 = "stablehlo.dynamic_reshape"(%a, %s) : (tensor<4xf32>, tensor<2xi32>) -> tensor<?x?xi32>
  return
}
// -----

// No dimensions to broadcast.
func.func @main(%a: tensor<4xf32>, %s: tensor<2xi32>) {
  // expected-error @below {{'stablehlo.dynamic_broadcast_in_dim' op needs an attribute 'broadcast_dimensions' that is an array of integers}}
  %0 = "stablehlo.dynamic_broadcast_in_dim"(%a, %s) : (tensor<4xf32>, tensor<2xi32>) -> tensor<?x?xf32>
  return
}
// -----

// Fewer dimensions than the operand's.
func.func @main(%a: tensor<4xf32>, %s: tensor<2xi32>) {
  // expected-error @below {{'stablehlo.dynamic_broadcast_in_dim' op 'broadcast_dimensions' must name a dimension for each of the operand 'tensor<4xf32>'}}
  %0 = "stablehlo.dynamic_broadcast_in_dim"(%a, %s) <{broadcast_dimensions = array<i64>}> : (tensor<4xf32>, tensor<2xi32>) -> tensor<?x?xf32>
  return
}
// -----

// More updates than indices.
func.func @main(%a0: tensor<3x4xf32>, %a1: tensor<2x1xi64>, %a2: tensor<5x4xf32>) {
  // expected-error @below {{'tm_tensor.scatter' op has updates 'tensor<3x4xf32>' and indices 'tensor<2x1xi64>' that do not fit 'tensor<5x4xf32>'}}
  %0 = "tm_tensor.scatter"(%a0, %a1, %a2) <{dimension_map = array<i64: 0>}> ({
  ^bb0(%x: f32, %y: f32):
    "tm_tensor.yield"(%x) : (f32) -> ()
  }) : (tensor<3x4xf32>, tensor<2x1xi64>, tensor<5x4xf32>) -> (tensor<5x4xf32>)
  return
}
// -----

// Indices of another depth.
func.func @main(%a0: tensor<3x4xf32>, %a1: tensor<3x2xi64>, %a2: tensor<5x4xf32>) {
  // expected-error @below {{'tm_tensor.scatter' op has updates 'tensor<3x4xf32>' and indices 'tensor<3x2xi64>' that do not fit 'tensor<5x4xf32>'}}
  %0 = "tm_tensor.scatter"(%a0, %a1, %a2) <{dimension_map = array<i64: 0>}> ({
  ^bb0(%x: f32, %y: f32):
    "tm_tensor.yield"(%x) : (f32) -> ()
  }) : (tensor<3x4xf32>, tensor<3x2xi64>, tensor<5x4xf32>) -> (tensor<5x4xf32>)
  return
}
// -----

// An accumulator of another shape.
func.func @main(%a0: tensor<5x4xf32>, %a1: tensor<5x4xf32>, %a2: tensor<4xf32>) {
  // expected-error @below {{'tm_tensor.scan' op has an output 'tensor<5x4xf32>' and an accumulator 'tensor<4xf32>' that do not fit the input 'tensor<5x4xf32>'}}
  %0:2 = "tm_tensor.scan"(%a0, %a1, %a2) <{dimension = 1 : i64, inclusive = true}> ({
  ^bb0(%x: f32, %y: f32):
    "tm_tensor.yield"(%x) : (f32) -> ()
  }) : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<4xf32>) -> (tensor<5x4xf32>, tensor<4xf32>)
  return
}
// -----

// Neither inclusive nor exclusive.
func.func @main(%a0: tensor<5x4xf32>, %a1: tensor<5x4xf32>, %a2: tensor<5xf32>) {
  // expected-error @below {{'tm_tensor.scan' op needs a bool attribute 'inclusive'}}
  %0:2 = "tm_tensor.scan"(%a0, %a1, %a2) <{dimension = 1 : i64}> ({
  ^bb0(%x: f32, %y: f32):
    "tm_tensor.yield"(%x) : (f32) -> ()
  }) : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5xf32>) -> (tensor<5x4xf32>, tensor<5xf32>)
  return
}
// -----

// Tensors instead of elements.
func.func @main(%a0: tensor<5xf32>) {
  // expected-error @below {{'tm_tensor.sort' op region #0 must take arguments of types ('f32', 'f32'), got ('tensor<f32>', 'tensor<f32>')}}
  %0 = "tm_tensor.sort"(%a0) <{dimension = 0 : i64}> ({
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    "tm_tensor.yield"(%x) : (tensor<f32>) -> ()
  }) : (tensor<5xf32>) -> (tensor<5xf32>)
  return
}
