// RUN: moe-opt %s --moe-cpu-tensor-pipeline=cpu=x86-64-v4 | FileCheck %s --check-prefix=TENSORS --implicit-check-not=!moe.plan --implicit-check-not=moe.route --implicit-check-not=moe.grouped --implicit-check-not=moe.dispatch --implicit-check-not=moe.combine
// RUN: moe-opt %s --moe-cpu-pipeline=cpu=x86-64-v3 | FileCheck %s --check-prefix=LLVM --implicit-check-not=moe.idx --implicit-check-not=unrealized --implicit-check-not=memref --implicit-check-not=tensor --implicit-check-not="llvm.intr.exp"
// RUN: moe-opt %s --moe-cpu-pipeline=openmp=false | FileCheck %s --check-prefix=SERIAL --implicit-check-not=omp.
// RUN: moe-opt %s --moe-cpu-tensor-pipeline=cpu=x86-64-v3 | moe-opt --moe-cpu-lowering-pipeline=cpu=x86-64-v3 > %t.parts
// RUN: moe-opt %s --moe-cpu-pipeline=cpu=x86-64-v3 | diff - %t.parts
// RUN: not moe-opt %s --moe-cpu-pipeline=cpu=i386 2>&1 | FileCheck %s --check-prefix=CPU

// The two parts of the pipeline are the whole; its stages keep what they say;
// an unknown CPU is refused before anything else happens.
// CPU: unknown CPU 'i386'; accepted are host,

// A gated layer of a model: one matmul for gate and up with the activation in
// it, one for down, both on packed parameters.
// TENSORS-LABEL: func.func @main(
// TENSORS-SAME: tensor<?x?x8xf32> {moe.name = "x"}
// TENSORS-SAME: %[[UP:[^:]*]]: tensor<4x1x8x64xf32> {moe.packed = {function = "main.pack.0", params = ["gate", "up"]}}
// TENSORS-SAME: %[[DOWN:[^:]*]]: tensor<4x1x16x64xf32> {moe.packed = {function = "main.pack.1", params = ["down"]}}
// TENSORS: moe.idx.route
// TENSORS-NOT: moe.idx.dispatch
// TENSORS-NOT: linalg.generic
// TENSORS: moe.idx.grouped_matmul {{.*}} packed weights(%[[UP]]
// TENSORS: math.exp
// TENSORS: moe.idx.grouped_matmul {{.*}} packed weights(%[[DOWN]]
// TENSORS: moe.idx.combine
// TENSORS: func.func @main.pack.0(
// TENSORS: func.func @main.pack.1(

// Every public function has a C interface; what is private has none.
// LLVM: llvm.func @main(
// LLVM: llvm.func @_mlir_ciface_main(
// LLVM: llvm.func @_mlir_ciface_main.pack.0(
// LLVM: llvm.func @_mlir_ciface_main.pack.1(
// LLVM-NOT: llvm.func @_mlir_ciface_
// LLVM: omp.parallel
// SERIAL: llvm.func @main(

#id = affine_map<(r, n) -> (r, n)>
func.func private @activation(%g: tensor<?x16xf32>, %u: tensor<?x16xf32>)
    -> tensor<?x16xf32> {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %d = tensor.dim %g, %c0 : tensor<?x16xf32>
  %e = tensor.empty(%d) : tensor<?x16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%g, %u : tensor<?x16xf32>, tensor<?x16xf32>)
      outs(%e : tensor<?x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %n = arith.negf %a : f32
    %x = math.exp %n : f32
    %s = arith.addf %one, %x : f32
    %q = arith.divf %a, %s : f32
    %r = arith.mulf %q, %b : f32
    linalg.yield %r : f32
  } -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

!plan = !moe.plan<?x?x4, rows = ?>
func.func @main(%logits: tensor<?x?x4xf32>,
                %x: tensor<?x?x8xf32> {moe.name = "x"},
                %wg: tensor<4x16x8xf32> {moe.param = "gate"},
                %wu: tensor<4x16x8xf32> {moe.param = "up"},
                %wd: tensor<4x8x16xf32> {moe.param = "down"})
    -> tensor<?x?x8xf32> {
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none : tensor<?x?x4xf32>
  %rows = moe.dispatch %x by %p : tensor<?x?x8xf32>, !plan
  %gate = moe.grouped_matmul %rows by %p weights(%wg : tensor<4x16x8xf32>)
      layout = nk : tensor<?x8xf32>, !plan -> tensor<?x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %up = moe.grouped_matmul %rows by %p weights(%wu : tensor<4x16x8xf32>)
      layout = nk : tensor<?x8xf32>, !plan -> tensor<?x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %h = call @activation(%gate, %up)
      : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %d = moe.grouped_matmul %h by %p weights(%wd : tensor<4x8x16xf32>)
      layout = nk : tensor<?x16xf32>, !plan -> tensor<?x8xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %y = moe.combine %d by %p gates(%g : tensor<?xf32>) : tensor<?x8xf32>, !plan
  return %y : tensor<?x?x8xf32>
}
