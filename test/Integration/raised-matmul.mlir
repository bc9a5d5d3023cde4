// Dense matmuls of imported code run on the generated kernels, with the results
// that linalg's own loops give. Whole numbers: every order of additions agrees.

// DEFINE: %{lower} = -canonicalize \
// DEFINE:   -one-shot-bufferize=bufferize-function-boundaries \
// DEFINE:   -convert-moe-to-cpu -convert-linalg-to-loops -convert-scf-to-cf \
// DEFINE:   -expand-strided-metadata -lower-affine \
// DEFINE:   -convert-vector-to-llvm=enable-x86vector -finalize-memref-to-llvm \
// DEFINE:   -convert-func-to-llvm -convert-arith-to-llvm \
// DEFINE:   -convert-index-to-llvm -convert-cf-to-llvm \
// DEFINE:   -reconcile-unrealized-casts
// DEFINE: %{run} = mlir-runner -e main -entry-point-result=void \
// DEFINE:   -shared-libs=%runner_libs
// RUN: moe-opt %s -moe-raise-matmul %{lower} | %{run} | sed 's/base@ = [^ ]*//' > %t.raised
// RUN: moe-opt %s %{lower} | %{run} | sed 's/base@ = [^ ]*//' > %t.loops
// RUN: FileCheck %s < %t.loops
// RUN: diff %t.raised %t.loops
// RUN: moe-opt %s -moe-raise-matmul | FileCheck %s --check-prefix=RAISED

// RAISED-COUNT-4: moe.idx.grouped_matmul
// RAISED-NOT:     linalg.{{.*}}mat

func.func private @numbers(%rows: index, %columns: index) -> tensor<?x?xf32> {
  %c7 = arith.constant 7 : index
  %c3 = arith.constant 3 : i32
  %t = tensor.generate %rows, %columns {
  ^bb0(%i: index, %j: index):
    %0 = arith.muli %i, %j : index
    %1 = arith.addi %0, %i : index
    %2 = arith.remui %1, %c7 : index
    %3 = arith.index_cast %2 : index to i32
    %4 = arith.subi %3, %c3 : i32
    %5 = arith.sitofp %4 : i32 to f32
    tensor.yield %5 : f32
  } : tensor<?x?xf32>
  return %t : tensor<?x?xf32>
}

func.func private @print(%t: tensor<?x?xf32>) {
  %m = bufferization.to_buffer %t : tensor<?x?xf32> to memref<?x?xf32>
  %u = memref.cast %m : memref<?x?xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}
func.func private @printMemrefF32(memref<*xf32>)

func.func @main() {
  %c2 = arith.constant 2 : index
  %c5 = arith.constant 5 : index
  %c9 = arith.constant 9 : index
  %c10 = arith.constant 10 : index
  %c11 = arith.constant 11 : index
  %c22 = arith.constant 22 : index
  %zero = arith.constant 0.0 : f32

  // rows [5, 11] times a transposed weight [9, 11].
  %x = call @numbers(%c5, %c11) : (index, index) -> tensor<?x?xf32>
  %w = call @numbers(%c9, %c11) : (index, index) -> tensor<?x?xf32>
  %te = tensor.empty(%c11, %c9) : tensor<?x?xf32>
  %t = linalg.transpose ins(%w : tensor<?x?xf32>) outs(%te : tensor<?x?xf32>)
      permutation = [1, 0]
  %ye = tensor.empty(%c5, %c9) : tensor<?x?xf32>
  %yz = linalg.fill ins(%zero : f32) outs(%ye : tensor<?x?xf32>)
      -> tensor<?x?xf32>
  %y = linalg.matmul ins(%x, %t : tensor<?x?xf32>, tensor<?x?xf32>)
      outs(%yz : tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: sizes = [5, 9]
  call @print(%y) : (tensor<?x?xf32>) -> ()

  // The same, on top of what is there.
  %y2 = linalg.matmul ins(%x, %t : tensor<?x?xf32>, tensor<?x?xf32>)
      outs(%y : tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: sizes = [5, 9]
  call @print(%y2) : (tensor<?x?xf32>) -> ()

  // A batch of two: [2, 5, 11] times [2, 11, 9].
  %xb2 = call @numbers(%c10, %c11) : (index, index) -> tensor<?x?xf32>
  %wb2 = call @numbers(%c22, %c9) : (index, index) -> tensor<?x?xf32>
  %xb = tensor.expand_shape %xb2 [[0, 1], [2]] output_shape [%c2, 5, %c11]
      : tensor<?x?xf32> into tensor<?x5x?xf32>
  %wb = tensor.expand_shape %wb2 [[0, 1], [2]] output_shape [%c2, 11, %c9]
      : tensor<?x?xf32> into tensor<?x11x?xf32>
  %be = tensor.empty(%c2, %c9) : tensor<?x5x?xf32>
  %bz = linalg.fill ins(%zero : f32) outs(%be : tensor<?x5x?xf32>)
      -> tensor<?x5x?xf32>
  %b = linalg.batch_matmul ins(%xb, %wb : tensor<?x5x?xf32>, tensor<?x11x?xf32>)
      outs(%bz : tensor<?x5x?xf32>) -> tensor<?x5x?xf32>
  %b2 = tensor.collapse_shape %b [[0, 1], [2]]
      : tensor<?x5x?xf32> into tensor<?x?xf32>
  // CHECK: sizes = [10, 9]
  call @print(%b2) : (tensor<?x?xf32>) -> ()

  // A matrix [9, 11] times a vector.
  %c0 = arith.constant 0 : index
  %v = tensor.extract_slice %x[2, 0] [1, %c11] [1, 1]
      : tensor<?x?xf32> to tensor<?xf32>
  %ve = tensor.empty(%c9) : tensor<?xf32>
  %vz = linalg.fill ins(%zero : f32) outs(%ve : tensor<?xf32>) -> tensor<?xf32>
  %mv = linalg.matvec ins(%w, %v : tensor<?x?xf32>, tensor<?xf32>)
      outs(%vz : tensor<?xf32>) -> tensor<?xf32>
  %mv2 = tensor.expand_shape %mv [[0, 1]] output_shape [1, %c9]
      : tensor<?xf32> into tensor<1x?xf32>
  %mv3 = tensor.cast %mv2 : tensor<1x?xf32> to tensor<?x?xf32>
  // CHECK: sizes = [1, 9]
  call @print(%mv3) : (tensor<?x?xf32>) -> ()
  return
}
