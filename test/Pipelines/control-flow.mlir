// RUN: moe-opt %s --moe-cpu-pipeline | mlir-runner -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s

// Plans through a branch, a loop and a call that is not inlined: the choice of
// how to choose is made at run time.

!plan = !moe.plan<?x?x3, rows = ?>

// Goes round n times; each time the plan and the tokens are handed on.
func.func private @rounds(%p: !plan, %q: !plan, %x: tensor<?x?x2xf32>,
                          %n: index) -> (tensor<?x?x2xf32>, !plan)
    attributes {no_inline} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:3 = scf.for %i = %c0 to %n step %c1
      iter_args(%a = %p, %b = %q, %y = %x)
      -> (!plan, !plan, tensor<?x?x2xf32>) {
    %rows = moe.dispatch %y by %a : tensor<?x?x2xf32>, !plan
    %z = moe.combine %rows by %a : tensor<?x2xf32>, !plan
    scf.yield %b, %a, %z : !plan, !plan, tensor<?x?x2xf32>
  }
  return %r#2, %r#0 : tensor<?x?x2xf32>, !plan
}

func.func private @layer(%l: tensor<?x?x3xf32>, %x: tensor<?x?x2xf32>,
                         %sequence: i1, %n: index)
    -> (tensor<?x?x2xf32>, tensor<4xi32>) attributes {no_inline} {
  %p:2 = moe.route %l top 2 scope = sequence score = softmax normalize = none
      : tensor<?x?x3xf32>
  %q:2 = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<?x?x3xf32>
  %first = scf.if %sequence -> !plan {
    scf.yield %p#0 : !plan
  } else {
    scf.yield %q#0 : !plan
  }
  %y, %last = call @rounds(%first, %q#0, %x, %n)
      : (!plan, !plan, tensor<?x?x2xf32>, index)
      -> (tensor<?x?x2xf32>, !plan)
  %o = moe.plan_field %last expert_offsets : !plan
  return %y, %o : tensor<?x?x2xf32>, tensor<4xi32>
}

func.func @main() {
  %yes = arith.constant true
  %no = arith.constant false
  // Tokens have 2, 3, 1 and 2 experts in sequence scope, and 2 in token scope.
  // One round by sequence scope counts them; the next plan is of token scope.
  // CHECK: {{\[\[\[}}2, 0],
  // CHECK-NEXT: [0, 3],
  // CHECK-NEXT: [1, 1],
  // CHECK-NEXT: [4, 6]]]
  // CHECK: [0, 4, 8, 8]
  %c1 = arith.constant 1 : index
  call @show(%yes, %c1) : (i1, index) -> ()
  // Two rounds, by sequence and by token scope, double that; the plan is that
  // of sequence scope again.
  // CHECK: {{\[\[\[}}4, 0],
  // CHECK-NEXT: [0, 6],
  // CHECK-NEXT: [2, 2],
  // CHECK-NEXT: [8, 12]]]
  // CHECK: [0, 3, 7, 8]
  %c2 = arith.constant 2 : index
  call @show(%yes, %c2) : (i1, index) -> ()
  // No round at all.
  // CHECK: {{\[\[\[}}1, 0],
  // CHECK: [0, 4, 8, 8]
  %c0 = arith.constant 0 : index
  call @show(%no, %c0) : (i1, index) -> ()
  return
}

func.func private @show(%sequence: i1, %n: index) attributes {no_inline} {
  %l = arith.constant dense<[[[2.0, 1.0, 0.0], [0.0, 0.0, 0.0],
                              [0.0, 5.0, 0.0], [1.0, 1.0, -3.0]]]>
      : tensor<1x4x3xf32>
  %x = arith.constant dense<[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 3.0]]]>
      : tensor<1x4x2xf32>
  %ld = tensor.cast %l : tensor<1x4x3xf32> to tensor<?x?x3xf32>
  %xd = tensor.cast %x : tensor<1x4x2xf32> to tensor<?x?x2xf32>
  %y, %o = call @layer(%ld, %xd, %sequence, %n)
      : (tensor<?x?x3xf32>, tensor<?x?x2xf32>, i1, index)
      -> (tensor<?x?x2xf32>, tensor<4xi32>)
  %yu = tensor.cast %y : tensor<?x?x2xf32> to tensor<*xf32>
  %ou = tensor.cast %o : tensor<4xi32> to tensor<*xi32>
  call @printMemrefF32(%yu) : (tensor<*xf32>) -> ()
  call @printMemrefI32(%ou) : (tensor<*xi32>) -> ()
  return
}
func.func private @printMemrefF32(tensor<*xf32>)
func.func private @printMemrefI32(tensor<*xi32>)
