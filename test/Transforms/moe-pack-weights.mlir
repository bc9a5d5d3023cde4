// RUN: moe-opt %s -moe-pack-weights -split-input-file | FileCheck %s

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// A weight of the model: packed by a function of its own, the parameter is
// replaced by what it returns. 100 columns are two panels of 64.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:.*]]: tensor<?x32xf32>, %{{.*}}: tensor<5xi32>, %{{.*}}: tensor<?x100xf32>,
// CHECK-SAME: %[[P:.*]]: tensor<4x2x32x64xf32> {moe.packed = {function = "main.pack.0", params = ["experts.w"]}})
// CHECK-NOT: moe.idx.pack
// CHECK: moe.idx.grouped_matmul ins(%[[X]],
// CHECK-SAME: packed weights(%[[P]] : tensor<4x2x32x64xf32>)
// CHECK-LABEL: func.func @main.pack.0(
// CHECK-SAME: %[[W:.*]]: tensor<4x100x32xf32> {moe.param = "experts.w"}) -> tensor<4x2x32x64xf32>
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4x2x32x64xf32>
// CHECK: %[[R:.*]] = moe.idx.pack ins(%[[W]] : tensor<4x100x32xf32>) layout = nk
// CHECK-SAME: outs(%[[E]]
// CHECK: return %[[R]]
func.func @main(%w: tensor<4x100x32xf32> {moe.param = "experts.w"},
                %x: tensor<?x32xf32>, %eo: tensor<5xi32>,
                %out: tensor<?x100xf32>) -> tensor<?x100xf32> {
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x32xf32>, tensor<5xi32>)
      weights(%w : tensor<4x100x32xf32>) layout = nk {schedule = #wide}
      outs(%out : tensor<?x100xf32>) -> tensor<?x100xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x100xf32>
}

// -----

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// What computes the weight goes with it; two outputs in one weight share the
// panel; a parameter that is used otherwise stays. The second matmul reads the
// same panels.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %{{[^:]*}}: tensor<2x4x64x32xf32> {moe.param = "w"}, %{{[^:]*}}: tensor<?x32xf32>
// CHECK-SAME: {moe.packed = {function = "main.pack.0", params = ["w"]}})
// CHECK-NOT: tensor.collapse_shape
// CHECK: moe.idx.grouped_matmul
// CHECK-SAME: packed weights(%[[P:.*]] : tensor<8x1x32x64xf32>) layout = nk {
// CHECK: moe.idx.grouped_matmul
// CHECK-SAME: packed weights(%[[P]] :
// CHECK-LABEL: func.func @main.pack.0(
// CHECK: %[[C:.*]] = tensor.collapse_shape
// CHECK: moe.idx.pack ins(%[[C]] : tensor<8x64x32xf32>) layout = nk arrangement = interleaved
// CHECK-NOT: func.func
func.func @main(%w: tensor<2x4x64x32xf32> {moe.param = "w"},
                %x: tensor<?x32xf32>, %eo: tensor<9xi32>,
                %out: tensor<?x32xf32>)
    -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<2x4x64x32xf32>) {
  %c = tensor.collapse_shape %w [[0, 1], [2], [3]]
      : tensor<2x4x64x32xf32> into tensor<8x64x32xf32>
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x32xf32>, tensor<9xi32>)
      weights(%c : tensor<8x64x32xf32>) layout = nk arrangement = interleaved
      {schedule = #wide} outs(%out : tensor<?x32xf32>) -> tensor<?x32xf32> {
  ^bb0(%gate: f32, %up: f32):
    %0 = arith.mulf %gate, %up : f32
    moe.yield %0 : f32
  }
  %z = moe.idx.grouped_matmul ins(%y, %eo : tensor<?x32xf32>, tensor<9xi32>)
      weights(%c : tensor<8x64x32xf32>) layout = nk arrangement = interleaved
      {schedule = #wide} outs(%out : tensor<?x32xf32>) -> tensor<?x32xf32> {
  ^bb0(%gate: f32, %up: f32):
    %0 = arith.addf %gate, %up : f32
    moe.yield %0 : f32
  }
  return %y, %z, %w : tensor<?x32xf32>, tensor<?x32xf32>, tensor<2x4x64x32xf32>
}

// -----

#dot = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                     row_block = 120, product = bf16_dot, prefetch = true>

// Two weights, gate and up, of one panel: 64 columns of 32; an odd reduction
// of 31 in steps of two. Two entries of one model share the function.
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: tensor<4x2x16x128xbf16> {moe.packed = {function = "prefill.pack.0", params = ["gate", "up"]}})
// CHECK-LABEL: func.func @decode(
// CHECK-SAME: tensor<4x2x16x128xbf16> {moe.packed = {function = "prefill.pack.0", params = ["gate", "up"]}})
// CHECK-LABEL: func.func @prefill.pack.0(
// CHECK-SAME: tensor<4x31x64xbf16> {moe.param = "gate"}, %{{.*}}: tensor<4x31x64xbf16> {moe.param = "up"})
// CHECK-NOT: func.func
func.func @prefill(%gate: tensor<4x31x64xbf16> {moe.param = "gate"},
                   %up: tensor<4x31x64xbf16> {moe.param = "up"},
                   %x: tensor<?x31xbf16>, %eo: tensor<5xi32>,
                   %out: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x31xbf16>, tensor<5xi32>)
      weights(%gate, %up : tensor<4x31x64xbf16>, tensor<4x31x64xbf16>)
      layout = kn {schedule = #dot}
      outs(%out : tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.mulf %g, %u : f32
    %1 = arith.truncf %0 : f32 to bf16
    moe.yield %1 : bf16
  }
  return %y : tensor<?x64xbf16>
}
func.func @decode(%gate: tensor<4x31x64xbf16> {moe.param = "gate"},
                  %up: tensor<4x31x64xbf16> {moe.param = "up"},
                  %x: tensor<1x31xbf16>, %eo: tensor<5xi32>,
                  %out: tensor<1x64xbf16>) -> tensor<1x64xbf16> {
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<1x31xbf16>, tensor<5xi32>)
      weights(%gate, %up : tensor<4x31x64xbf16>, tensor<4x31x64xbf16>)
      layout = kn {schedule = #dot}
      outs(%out : tensor<1x64xbf16>) -> tensor<1x64xbf16> {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.mulf %g, %u : f32
    %1 = arith.truncf %0 : f32 to bf16
    moe.yield %1 : bf16
  }
  return %y : tensor<1x64xbf16>
}

// -----

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// Not a parameter: packed in each run, but outside of the loop.
// CHECK-LABEL: func.func @not_a_parameter(
// CHECK: %[[P:.*]] = moe.idx.pack
// CHECK: scf.for
// CHECK: moe.idx.grouped_matmul
// CHECK-SAME: packed weights(%[[P]]
// CHECK-NOT: @not_a_parameter.pack
func.func @not_a_parameter(%w: tensor<4x100x100xf32>, %x: tensor<?x100xf32>,
                           %eo: tensor<5xi32>, %n: index)
    -> tensor<?x100xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%it = %x)
      -> tensor<?x100xf32> {
    %y = moe.idx.grouped_matmul
        ins(%it, %eo : tensor<?x100xf32>, tensor<5xi32>)
        weights(%w : tensor<4x100x100xf32>) layout = nk {schedule = #wide}
        outs(%it : tensor<?x100xf32>) -> tensor<?x100xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    }
    scf.yield %y : tensor<?x100xf32>
  }
  return %r : tensor<?x100xf32>
}

// -----

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// Sizes that are known at run time only.
// CHECK-LABEL: func.func @dynamic.pack.0(
// CHECK: %[[N:.*]] = tensor.dim %{{.*}}, %c2
// CHECK: %[[PANELS:.*]] = arith.ceildivui %[[N]], %c64
// CHECK: %[[K:.*]] = tensor.dim %{{.*}}, %c1
// CHECK: tensor.empty(%[[PANELS]], %[[K]]) : tensor<4x?x?x64xf32>
func.func @dynamic(%w: tensor<4x?x?xf32> {moe.param = "w"},
                   %x: tensor<?x?xf32>, %eo: tensor<5xi32>,
                   %out: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x?xf32>, tensor<5xi32>)
      weights(%w : tensor<4x?x?xf32>) layout = kn {schedule = #wide}
      outs(%out : tensor<?x?xf32>) -> tensor<?x?xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x?xf32>
}

// -----

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// A function that is called keeps its arguments.
// CHECK-LABEL: func.func @called(
// CHECK-SAME: {moe.param = "w"}
// CHECK: moe.idx.pack
// CHECK-LABEL: func.func @caller(
func.func @called(%w: tensor<4x64x32xf32> {moe.param = "w"},
                  %x: tensor<?x32xf32>, %eo: tensor<5xi32>,
                  %out: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x32xf32>, tensor<5xi32>)
      weights(%w : tensor<4x64x32xf32>) layout = nk {schedule = #wide}
      outs(%out : tensor<?x64xf32>) -> tensor<?x64xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x64xf32>
}
func.func @caller(%w: tensor<4x64x32xf32>, %x: tensor<?x32xf32>,
                  %eo: tensor<5xi32>, %out: tensor<?x64xf32>)
    -> tensor<?x64xf32> {
  %y = call @called(%w, %x, %eo, %out)
      : (tensor<4x64x32xf32>, tensor<?x32xf32>, tensor<5xi32>,
         tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// On memrefs nothing is packed ahead.
// CHECK-LABEL: func.func @memrefs(
// CHECK-NOT: packed
// CHECK: return
func.func @memrefs(%w: memref<4x64x32xf32> {moe.param = "w"},
                   %x: memref<?x32xf32>, %eo: memref<5xi32>,
                   %out: memref<?x64xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<?x32xf32>, memref<5xi32>)
      weights(%w : memref<4x64x32xf32>) layout = nk
      outs(%out : memref<?x64xf32>) {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>

// A weight that a loop carries is known inside the loop only, and so is what is
// packed of it and of one from outside.
// CHECK-LABEL: func.func @carried(
// CHECK: %[[UP:.*]] = arith.addf
// CHECK-NOT: moe.idx.pack
// CHECK: scf.for {{.*}} iter_args(%[[GATE:.*]] =
// CHECK: %[[P:.*]] = moe.idx.pack ins(%[[GATE]], %[[UP]] :
// CHECK: packed weights(%[[P]] :
func.func @carried(%x: tensor<6x8xf32>, %eo: tensor<3xi32>,
                   %start: tensor<2x4x8xf32>, %w: tensor<2x4x8xf32>,
                   %n: index, %out: tensor<6x4xf32>) -> tensor<2x4x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %up = arith.addf %w, %w : tensor<2x4x8xf32>
  %end = scf.for %i = %c0 to %n step %c1 iter_args(%gate = %start)
      -> tensor<2x4x8xf32> {
    %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<6x8xf32>, tensor<3xi32>)
        weights(%gate, %up : tensor<2x4x8xf32>, tensor<2x4x8xf32>) layout = nk
        {schedule = #wide} outs(%out : tensor<6x4xf32>) -> tensor<6x4xf32> {
    ^bb0(%a: f32, %b: f32):
      %product = arith.mulf %a, %b : f32
      moe.yield %product : f32
    }
    %element = tensor.extract %y[%c0, %c0] : tensor<6x4xf32>
    %next = tensor.insert %element into %gate[%c0, %c0, %c0]
        : tensor<2x4x8xf32>
    scf.yield %next : tensor<2x4x8xf32>
  }
  return %end : tensor<2x4x8xf32>
}
