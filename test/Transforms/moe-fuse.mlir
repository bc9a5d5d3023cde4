// RUN: moe-opt %s -moe-fuse -canonicalize | FileCheck %s

!plan = !moe.plan<2x3x4, rows = 6>
!dyn = !moe.plan<?x?x4, rows max ?>
#id = affine_map<(r, n) -> (r, n)>
#row = affine_map<(r, n) -> (r)>
#column = affine_map<(r, n) -> (n)>
#none = affine_map<(r, n) -> ()>
#turned = affine_map<(r, n) -> (n, r)>

// The rows are gathered in the load; gate and up are one matmul; what joins
// them, and the cast, is its epilogue.
// CHECK-LABEL: func.func @glu(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x3x8xbf16>, %[[P:[^:]*]]: !moe.plan<2x3x4, rows = 6>, %[[G:[^:]*]]: tensor<4x16x8xbf16>, %[[U:[^:]*]]: tensor<4x16x8xbf16>, %[[B:[^:]*]]: tensor<4x16xf32>)
// CHECK-NOT: moe.dispatch
// CHECK: %[[H:.*]] = moe.grouped_matmul %[[X]] by %[[P]] weights(%[[G]], %[[U]] : {{.*}}) layout = nk
// CHECK-SAME: extras [#moe<extra column>](%[[B]] : tensor<4x16xf32>)
// CHECK-SAME: -> tensor<6x16xbf16>
// CHECK-NEXT: ^bb0(%[[A0:.*]]: f32, %[[A1:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A1]], %[[BIAS]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[A0]], %[[S]]
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[M]]
// CHECK-NEXT: moe.yield %[[T]] : bf16
// CHECK-NOT: linalg
// CHECK: return %[[H]]
func.func @glu(%x: tensor<2x3x8xbf16>, %p: !plan, %wg: tensor<4x16x8xbf16>,
               %wu: tensor<4x16x8xbf16>, %b: tensor<4x16xf32>)
    -> tensor<6x16xbf16> {
  %rows = moe.dispatch %x by %p : tensor<2x3x8xbf16>, !plan
  %gate = moe.grouped_matmul %rows by %p weights(%wg : tensor<4x16x8xbf16>)
      layout = nk : tensor<6x8xbf16>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %up = moe.grouped_matmul %rows by %p weights(%wu : tensor<4x16x8xbf16>)
      layout = nk extras [#moe<extra column>](%b : tensor<4x16xf32>)
      : tensor<6x8xbf16>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    moe.yield %s : f32
  }
  %e = tensor.empty() : tensor<6x16xf32>
  %m = linalg.mul ins(%gate, %up : tensor<6x16xf32>, tensor<6x16xf32>)
      outs(%e : tensor<6x16xf32>) -> tensor<6x16xf32>
  %eb = tensor.empty() : tensor<6x16xbf16>
  %c = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%m : tensor<6x16xf32>) outs(%eb : tensor<6x16xbf16>) {
  ^bb0(%v: f32, %o: bf16):
    %t = arith.truncf %v : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<6x16xbf16>
  return %c : tensor<6x16xbf16>
}

// Every way in which an input may be indexed: by element, row and column, a
// scalar, a tensor of rank 0, a constant, a value from outside.
// CHECK-LABEL: func.func @inputs(
// CHECK-SAME: %{{.*}}, %{{.*}}, %{{.*}}, %[[E:[^:]*]]: tensor<6x16xf32>, %[[R:[^:]*]]: tensor<6xf32>, %[[C:[^:]*]]: tensor<16xf32>, %[[S:[^:]*]]: f32, %[[Z:[^:]*]]: tensor<f32>)
// CHECK: %[[CB:.*]] = linalg.broadcast ins(%[[C]] : tensor<16xf32>) outs(%{{.*}} : tensor<4x16xf32>) dimensions = [0]
// CHECK: %[[ZS:.*]] = tensor.extract %[[Z]][]
// CHECK: moe.grouped_matmul
// CHECK-SAME: extras [#moe<extra element>, #moe<extra row>, #moe<extra column>](%[[E]], %[[R]], %[[CB]] :
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[EV:.*]]: f32, %[[RV:.*]]: f32, %[[CV:.*]]: f32):
// CHECK-NEXT: %[[V0:.*]] = arith.addf %[[A]], %[[EV]]
// CHECK-NEXT: %[[V1:.*]] = arith.addf %[[V0]], %[[RV]]
// CHECK-NEXT: %[[V2:.*]] = arith.addf %[[V1]], %[[CV]]
// CHECK-NEXT: %[[V3:.*]] = arith.addf %[[V2]], %[[S]]
// CHECK-NEXT: %[[V4:.*]] = arith.addf %[[V3]], %[[ZS]]
// CHECK-NEXT: %[[V5:.*]] = arith.mulf %[[V4]], %[[A]]
// CHECK-NEXT: moe.yield %[[V5]]
func.func @inputs(%x: tensor<2x3x8xf32>, %p: !plan, %w: tensor<4x8x16xf32>,
                  %e: tensor<6x16xf32>, %r: tensor<6xf32>,
                  %c: tensor<16xf32>, %s: f32, %z: tensor<f32>)
    -> tensor<6x16xf32> {
  %h = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>) layout = kn
      : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %out = tensor.empty() : tensor<6x16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #row, #column, #none, #id, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%h, %e, %r, %c, %z, %h : tensor<6x16xf32>, tensor<6x16xf32>,
          tensor<6xf32>, tensor<16xf32>, tensor<f32>, tensor<6x16xf32>)
      outs(%out : tensor<6x16xf32>) {
  ^bb0(%a: f32, %ev: f32, %rv: f32, %cv: f32, %zv: f32, %b: f32, %o: f32):
    %v0 = arith.addf %a, %ev : f32
    %v1 = arith.addf %v0, %rv : f32
    %v2 = arith.addf %v1, %cv : f32
    %v3 = arith.addf %v2, %s : f32
    %v4 = arith.addf %v3, %zv : f32
    %v5 = arith.mulf %v4, %b : f32
    linalg.yield %v5 : f32
  } -> tensor<6x16xf32>
  return %y : tensor<6x16xf32>
}

// Asking for a size is not reading.
// CHECK-LABEL: func.func @sizes(
// CHECK: moe.grouped_matmul %{{.*}} by %{{.*}} -> tensor<?x?xf32>
// CHECK-NOT: linalg
// CHECK: return
func.func @sizes(%x: tensor<?x?x8xf32>, %p: !dyn, %w: tensor<4x?x8xf32>)
    -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = moe.dispatch %x by %p : tensor<?x?x8xf32>, !dyn
  %h = moe.grouped_matmul %rows by %p weights(%w : tensor<4x?x8xf32>)
      layout = nk : tensor<?x8xf32>, !dyn -> tensor<?x?xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %d0 = tensor.dim %h, %c0 : tensor<?x?xf32>
  %d1 = tensor.dim %h, %c1 : tensor<?x?xf32>
  %e = tensor.empty(%d0, %d1) : tensor<?x?xf32>
  %y = linalg.abs ins(%h : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>)
      -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// In f32, gates are applied by combine.
// CHECK-LABEL: func.func @gates(
// CHECK-SAME: %[[R:[^:]*]]: tensor<6x8xf32>, %{{.*}}, %[[G:[^:]*]]: tensor<6xf32>)
// CHECK-NOT: linalg
// CHECK: moe.combine %[[R]] by %{{.*}} gates(%[[G]] : tensor<6xf32>)
func.func @gates(%rows: tensor<6x8xf32>, %p: !plan, %g: tensor<6xf32>)
    -> tensor<2x3x8xf32> {
  %e = tensor.empty() : tensor<6x8xf32>
  %m = linalg.generic {indexing_maps = [#row, #id, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%g, %rows : tensor<6xf32>, tensor<6x8xf32>)
      outs(%e : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.mulf %b, %a : f32
    linalg.yield %v : f32
  } -> tensor<6x8xf32>
  %y = moe.combine %m by %p : tensor<6x8xf32>, !plan
  return %y : tensor<2x3x8xf32>
}

// What must stay. A result with another reader:
// CHECK-LABEL: func.func @two_readers(
// CHECK: moe.grouped_matmul
// CHECK: linalg.abs
func.func @two_readers(%x: tensor<2x3x8xf32>, %p: !plan,
                       %w: tensor<4x8x16xf32>)
    -> (tensor<6x16xf32>, tensor<6x16xf32>) {
  %h = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>) layout = kn
      : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %e = tensor.empty() : tensor<6x16xf32>
  %y = linalg.abs ins(%h : tensor<6x16xf32>) outs(%e : tensor<6x16xf32>)
      -> tensor<6x16xf32>
  return %h, %y : tensor<6x16xf32>, tensor<6x16xf32>
}

// Rows of another plan; a dispatch with another reader is fused and stays.
// CHECK-LABEL: func.func @dispatches(
// CHECK: %[[A:.*]] = moe.dispatch
// CHECK: %[[B:.*]] = moe.dispatch
// CHECK: moe.grouped_matmul %[[A]] by
// CHECK: moe.grouped_matmul %arg0 by
// CHECK: return {{.*}}%[[B]]
func.func @dispatches(%x: tensor<2x3x8xf32>, %p: !plan, %q: !plan,
                      %w: tensor<4x8x16xf32>)
    -> (tensor<6x16xf32>, tensor<6x16xf32>, tensor<6x8xf32>) {
  %a = moe.dispatch %x by %p : tensor<2x3x8xf32>, !plan
  %b = moe.dispatch %x by %q : tensor<2x3x8xf32>, !plan
  %h = moe.grouped_matmul %a by %q weights(%w : tensor<4x8x16xf32>) layout = kn
      : tensor<6x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %i = moe.grouped_matmul %b by %q weights(%w : tensor<4x8x16xf32>) layout = kn
      : tensor<6x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %h, %i, %b : tensor<6x16xf32>, tensor<6x16xf32>, tensor<6x8xf32>
}

// A transposed read, a use of the position, a reduction, a computation that
// would be repeated in a loop, bf16 gates, whose product is rounded.
// CHECK-LABEL: func.func @not_elementwise(
// CHECK-COUNT-4: moe.grouped_matmul
// CHECK: linalg.transpose
// CHECK: linalg.index
// CHECK: "reduction"
// CHECK: scf.for
// CHECK: linalg.abs
// CHECK: arith.mulf {{.*}} : bf16
// CHECK: moe.combine %{{.*}} by %{{[^ ]*}} :
func.func @not_elementwise(%x: tensor<2x3x8xf32>, %p: !plan,
                           %w: tensor<4x8x16xf32>, %n: index,
                           %rb: tensor<6x8xbf16>, %gb: tensor<6xbf16>)
    -> (tensor<16x6xf32>, tensor<6x16xf32>, tensor<6xf32>, tensor<6x16xf32>,
        tensor<2x3x8xbf16>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<6xf32>
  %h0 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %h1 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %h2 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %h3 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %et = tensor.empty() : tensor<16x6xf32>
  %t = linalg.transpose ins(%h0 : tensor<6x16xf32>)
      outs(%et : tensor<16x6xf32>) permutation = [1, 0]
  %e = tensor.empty() : tensor<6x16xf32>
  %i = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%h1 : tensor<6x16xf32>) outs(%e : tensor<6x16xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = linalg.index 0 : index
    %ri = arith.index_cast %r : index to i32
    %rf = arith.sitofp %ri : i32 to f32
    %s = arith.addf %v, %rf : f32
    linalg.yield %s : f32
  } -> tensor<6x16xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row],
                         iterator_types = ["parallel", "reduction"]}
      ins(%h2 : tensor<6x16xf32>) outs(%zero : tensor<6xf32>) {
  ^bb0(%v: f32, %o: f32):
    %s = arith.addf %v, %o : f32
    linalg.yield %s : f32
  } -> tensor<6xf32>
  %loop = scf.for %k = %c0 to %n step %c1 iter_args(%it = %e)
      -> tensor<6x16xf32> {
    %abs = linalg.abs ins(%h3 : tensor<6x16xf32>) outs(%it : tensor<6x16xf32>)
        -> tensor<6x16xf32>
    scf.yield %abs : tensor<6x16xf32>
  }
  %eb = tensor.empty() : tensor<6x8xbf16>
  %m = linalg.generic {indexing_maps = [#id, #row, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%rb, %gb : tensor<6x8xbf16>, tensor<6xbf16>)
      outs(%eb : tensor<6x8xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %o: bf16):
    %v = arith.mulf %a, %b : bf16
    linalg.yield %v : bf16
  } -> tensor<6x8xbf16>
  %y = moe.combine %m by %p : tensor<6x8xbf16>, !plan
  return %t, %i, %sum, %loop, %y : tensor<16x6xf32>, tensor<6x16xf32>,
      tensor<6xf32>, tensor<6x16xf32>, tensor<2x3x8xbf16>
}

// No kernel computes the rows behind the plan's last one: a map that puts a
// value there stays, and one that only chooses by the result does not.
// CHECK-LABEL: func.func @rows_without_value(
// CHECK: %[[H:.*]] = moe.grouped_matmul
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[H]] :
// CHECK: arith.select
// CHECK: moe.grouped_matmul
// CHECK: ^bb0(%[[ACC:.*]]: f32):
// CHECK: %[[POSITIVE:.*]] = arith.cmpf ogt, %[[ACC]]
// CHECK: arith.select %[[POSITIVE]], %[[ACC]]
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @rows_without_value(%x: tensor<2x3x8xf32>, %p: !plan,
                              %w: tensor<4x8x16xf32>, %live: tensor<6xi1>)
    -> (tensor<6x16xf32>, tensor<6x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %h0 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %e = tensor.empty() : tensor<6x16xf32>
  %masked = linalg.generic {indexing_maps = [#row, #id, #id],
                            iterator_types = ["parallel", "parallel"]}
      ins(%live, %h0 : tensor<6xi1>, tensor<6x16xf32>)
      outs(%e : tensor<6x16xf32>) {
  ^bb0(%l: i1, %v: f32, %o: f32):
    %s = arith.select %l, %v, %zero : f32
    linalg.yield %s : f32
  } -> tensor<6x16xf32>
  %h1 = moe.grouped_matmul %x by %p weights(%w : tensor<4x8x16xf32>)
      layout = kn : tensor<2x3x8xf32>, !plan -> tensor<6x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %relu = linalg.generic {indexing_maps = [#id, #id],
                          iterator_types = ["parallel", "parallel"]}
      ins(%h1 : tensor<6x16xf32>) outs(%e : tensor<6x16xf32>) {
  ^bb0(%v: f32, %o: f32):
    %c = arith.cmpf ogt, %v, %zero : f32
    %s = arith.select %c, %v, %zero : f32
    linalg.yield %s : f32
  } -> tensor<6x16xf32>
  return %masked, %relu : tensor<6x16xf32>, tensor<6x16xf32>
}
