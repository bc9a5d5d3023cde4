// RUN: moe-opt %s --moe-cpu-pipeline -o %t && FileCheck %s --check-prefix=LLVM < %t
// RUN: mlir-runner %t -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s --check-prefix=VALUES
// RUN: moe-opt %s --moe-cpu-pipeline=openmp=false -o %t && FileCheck %s --check-prefix=SERIAL < %t
// RUN: mlir-runner %t -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s --check-prefix=VALUES

// What is left of a model around its layers: elementwise maps and reductions.
// One parallel loop for each nest, the outermost.

// LLVM-LABEL: llvm.func @f(
// LLVM: omp.parallel
// LLVM: omp.loop_nest (%{{[^,]*}}) : i64
// LLVM: llvm.func @_mlir_ciface_f(
// SERIAL-NOT: omp.

// VALUES: sizes = [2, 3]
// VALUES-NEXT: {{\[\[}}10, 20, 30],
// VALUES-NEXT: [400, 500, 600]]
// VALUES: [60, 1500]

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func private @printMemrefF32(tensor<*xf32>)

func.func @f(%x: tensor<?x?xf32>, %b: tensor<?xf32>)
    -> (tensor<?x?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %d0 = tensor.dim %x, %c0 : tensor<?x?xf32>
  %d1 = tensor.dim %x, %c1 : tensor<?x?xf32>
  %e = tensor.empty(%d0, %d1) : tensor<?x?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<?x?xf32>, tensor<?xf32>)
      outs(%e : tensor<?x?xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.mulf %a, %c : f32
    linalg.yield %s : f32
  } -> tensor<?x?xf32>
  %e1 = tensor.empty(%d0) : tensor<?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
  %r = linalg.generic {indexing_maps = [#id, #row],
                       iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<?x?xf32>) outs(%f : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  return %y, %r : tensor<?x?xf32>, tensor<?xf32>
}

func.func @main() {
  %x = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
      : tensor<2x3xf32>
  %b = arith.constant dense<[10.0, 100.0]> : tensor<2xf32>
  %xd = tensor.cast %x : tensor<2x3xf32> to tensor<?x?xf32>
  %bd = tensor.cast %b : tensor<2xf32> to tensor<?xf32>
  %y, %r = call @f(%xd, %bd)
      : (tensor<?x?xf32>, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>)
  %yu = tensor.cast %y : tensor<?x?xf32> to tensor<*xf32>
  %ru = tensor.cast %r : tensor<?xf32> to tensor<*xf32>
  call @printMemrefF32(%yu) : (tensor<*xf32>) -> ()
  call @printMemrefF32(%ru) : (tensor<*xf32>) -> ()
  return
}
