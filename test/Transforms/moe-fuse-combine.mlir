// RUN: moe-opt %s -moe-fuse -canonicalize | FileCheck %s

!plan = !moe.plan<2x3x4, rows = 6>
!dyn = !moe.plan<?x?x4, rows = ?>
#id1 = affine_map<(r) -> (r)>
#id2 = affine_map<(r, n) -> (r, n)>
#id3 = affine_map<(s, t, h) -> (s, t, h)>
#token = affine_map<(s, t, h) -> (s, t, 0)>

// A shared expert and a residual, whichever side they stand on.
// CHECK-LABEL: func.func @addends(
// CHECK-SAME: %[[R:.*]]: tensor<6x8xbf16>, %[[P:.*]]: !moe.plan<{{.*}}>, %[[G:.*]]: tensor<6xbf16>, %[[X:.*]]: tensor<2x3x8xbf16>, %[[S:.*]]: tensor<2x3x8xbf16>)
// CHECK-NEXT: %[[Y:.*]] = moe.combine %[[R]] by %[[P]] gates(%[[G]] : tensor<6xbf16>) addends(%[[S]], %[[X]] : tensor<2x3x8xbf16>, tensor<2x3x8xbf16>)
// CHECK-NEXT: return %[[Y]]
func.func @addends(%rows: tensor<6x8xbf16>, %p: !plan, %g: tensor<6xbf16>,
                   %x: tensor<2x3x8xbf16>, %shared: tensor<2x3x8xbf16>)
    -> tensor<2x3x8xbf16> {
  %y = moe.combine %rows by %p gates(%g : tensor<6xbf16>)
      : tensor<6x8xbf16>, !plan
  %e = tensor.empty() : tensor<2x3x8xbf16>
  %a = linalg.generic {indexing_maps = [#id3, #id3, #id3],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%y, %shared : tensor<2x3x8xbf16>, tensor<2x3x8xbf16>)
      outs(%e : tensor<2x3x8xbf16>) {
  ^bb0(%l: bf16, %r: bf16, %o: bf16):
    %s = arith.addf %l, %r : bf16
    linalg.yield %s : bf16
  } -> tensor<2x3x8xbf16>
  %b = linalg.add ins(%x, %a : tensor<2x3x8xbf16>, tensor<2x3x8xbf16>)
      outs(%e : tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
  return %b : tensor<2x3x8xbf16>
}

// Sizes that only the sum knows, and sizes asked of the combine.
// CHECK-LABEL: func.func @sizes(
// CHECK-SAME: %{{.*}}, %{{.*}}, %[[X:.*]]: tensor<2x3x8xf32>, %[[Z:.*]]: tensor<?x?x8xf32>)
// CHECK: %[[Y:.*]] = moe.combine %{{.*}} addends(%[[X]] : tensor<2x3x8xf32>)
// CHECK: tensor.cast %[[Y]] : tensor<?x?x8xf32> to tensor<2x3x8xf32>
// CHECK-NOT: linalg
func.func @sizes(%rows: tensor<?x8xf32>, %p: !dyn, %x: tensor<2x3x8xf32>,
                 %z: tensor<?x?x8xf32>) -> (tensor<2x3x8xf32>, index, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = moe.combine %rows by %p : tensor<?x8xf32>, !dyn
  %s = tensor.dim %y, %c0 : tensor<?x?x8xf32>
  %t = tensor.dim %y, %c1 : tensor<?x?x8xf32>
  %e = tensor.empty() : tensor<2x3x8xf32>
  %a = linalg.generic {indexing_maps = [#id3, #id3, #id3],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %y : tensor<2x3x8xf32>, tensor<?x?x8xf32>)
      outs(%e : tensor<2x3x8xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %sum = arith.addf %l, %r : f32
    linalg.yield %sum : f32
  } -> tensor<2x3x8xf32>
  return %a, %s, %t : tensor<2x3x8xf32>, index, index
}

// Twice itself, a product, one of each token, and a combine with another
// reader are no addends.
// CHECK-LABEL: func.func @no_addends(
// CHECK-COUNT-4: moe.combine {{.*}} : tensor<6x8xf32>, !moe.plan
// CHECK-NOT: addends
// CHECK: return
func.func @no_addends(%rows: tensor<6x8xf32>, %p: !plan,
                      %x: tensor<2x3x8xf32>, %t: tensor<2x3x1xf32>,
                      %g: tensor<6xf32>, %g2: tensor<6xf32>)
    -> (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>,
        tensor<2x3x8xf32>, tensor<2x3x8xf32>) {
  %e = tensor.empty() : tensor<2x3x8xf32>
  %y0 = moe.combine %rows by %p : tensor<6x8xf32>, !plan
  %twice = linalg.add ins(%y0, %y0 : tensor<2x3x8xf32>, tensor<2x3x8xf32>)
      outs(%e : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %y1 = moe.combine %rows by %p gates(%g : tensor<6xf32>)
      : tensor<6x8xf32>, !plan
  %product = linalg.mul ins(%y1, %x : tensor<2x3x8xf32>, tensor<2x3x8xf32>)
      outs(%e : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %y2 = moe.combine %rows by %p gates(%g2 : tensor<6xf32>)
      : tensor<6x8xf32>, !plan
  %broadcast = linalg.generic {
      indexing_maps = [#id3, #token, #id3],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%y2, %t : tensor<2x3x8xf32>, tensor<2x3x1xf32>)
      outs(%e : tensor<2x3x8xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %s = arith.addf %l, %r : f32
    linalg.yield %s : f32
  } -> tensor<2x3x8xf32>
  %y3 = moe.combine %rows by %p gates(%g2 : tensor<6xf32>) {moe.other}
      : tensor<6x8xf32>, !plan
  %sum = linalg.add ins(%y3, %x : tensor<2x3x8xf32>, tensor<2x3x8xf32>)
      outs(%e : tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return %twice, %product, %broadcast, %sum, %y3
      : tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>,
        tensor<2x3x8xf32>, tensor<2x3x8xf32>
}

// Gates that are only read as bf16 are bf16; their number is the plan's.
// CHECK-LABEL: func.func @gate_type(
// CHECK: %[[P:.*]], %[[G:.*]] = moe.route %{{.*}} {gate_type = bf16}
// CHECK-SAME: : tensor<?x?x4xf32>
// CHECK-NOT: linalg
// CHECK: moe.combine %{{.*}} by %[[P]] gates(%[[G]] : tensor<?xbf16>)
func.func @gate_type(%l: tensor<?x?x4xf32>, %rows: tensor<?x8xbf16>)
    -> tensor<?x?x8xbf16> {
  %c0 = arith.constant 0 : index
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<?x?x4xf32>
  %n = tensor.dim %g, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xbf16>
  %cast = linalg.generic {indexing_maps = [#id1, #id1],
                          iterator_types = ["parallel"]}
      ins(%g : tensor<?xf32>) outs(%e : tensor<?xbf16>) {
  ^bb0(%v: f32, %o: bf16):
    %t = arith.truncf %v : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<?xbf16>
  %y = moe.combine %rows by %p gates(%cast : tensor<?xbf16>)
      : tensor<?x8xbf16>, !dyn
  return %y : tensor<?x?x8xbf16>
}

// Gates that somebody reads as they are keep their type.
// CHECK-LABEL: func.func @two_gate_types(
// CHECK: moe.route {{.*}} normalize = none : tensor<2x3x4xf32>
// CHECK: linalg.generic
func.func @two_gate_types(%l: tensor<2x3x4xf32>)
    -> (tensor<12xf32>, tensor<12xbf16>) {
  %p, %g = moe.route %l top 2 scope = token score = softmax normalize = none
      : tensor<2x3x4xf32>
  %e = tensor.empty() : tensor<12xbf16>
  %cast = linalg.generic {indexing_maps = [#id1, #id1],
                          iterator_types = ["parallel"]}
      ins(%g : tensor<12xf32>) outs(%e : tensor<12xbf16>) {
  ^bb0(%v: f32, %o: bf16):
    %t = arith.truncf %v : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<12xbf16>
  return %g, %cast : tensor<12xf32>, tensor<12xbf16>
}

// The epilogue of a dense matmul: a cast, then a sum with another matrix.
// CHECK-LABEL: func.func @dense(
// CHECK-SAME: %[[X:.*]]: tensor<5x8xbf16>, %[[O:.*]]: tensor<2xi32>, %[[W:.*]]: tensor<1x4x8xbf16>, %[[M:.*]]: tensor<5x4xbf16>)
// CHECK: %[[Y:.*]] = moe.idx.grouped_matmul ins(%[[X]], %[[O]] {{.*}} extras [#moe<extra element>](%[[M]] : tensor<5x4xbf16>)
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[E:.*]]: bf16):
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[A]] : f32 to bf16
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[E]], %[[T]] : bf16
// CHECK-NEXT: moe.yield %[[S]] : bf16
// CHECK: return %[[Y]]
func.func @dense(%x: tensor<5x8xbf16>, %offsets: tensor<2xi32>,
                 %w: tensor<1x4x8xbf16>, %m: tensor<5x4xbf16>)
    -> tensor<5x4xbf16> {
  %e = tensor.empty() : tensor<5x4xf32>
  %l = moe.idx.grouped_matmul ins(%x, %offsets : tensor<5x8xbf16>, tensor<2xi32>)
      weights(%w : tensor<1x4x8xbf16>) layout = nk
      outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %eb = tensor.empty() : tensor<5x4xbf16>
  %cast = linalg.generic {indexing_maps = [#id2, #id2],
                          iterator_types = ["parallel", "parallel"]}
      ins(%l : tensor<5x4xf32>) outs(%eb : tensor<5x4xbf16>) {
  ^bb0(%v: f32, %o: bf16):
    %t = arith.truncf %v : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<5x4xbf16>
  %sum = linalg.add ins(%m, %cast : tensor<5x4xbf16>, tensor<5x4xbf16>)
      outs(%eb : tensor<5x4xbf16>) -> tensor<5x4xbf16>
  return %sum : tensor<5x4xbf16>
}
