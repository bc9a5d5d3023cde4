// Routing, executed: scores with NaN, infinity and ties, both scopes, padding,
// floor, cap and bias, at every vector width; the gates are printed by their bit
// patterns. The expected values are those of test/python/oracle.py.

// DEFINE: %{lower} = -convert-moe-to-cpu -expand-strided-metadata \
// DEFINE:   -lower-affine -convert-scf-to-cf -convert-vector-to-llvm \
// DEFINE:   -finalize-memref-to-llvm -convert-math-to-llvm \
// DEFINE:   -convert-func-to-llvm -convert-arith-to-llvm \
// DEFINE:   -convert-index-to-llvm -convert-cf-to-llvm \
// DEFINE:   -reconcile-unrealized-casts
// DEFINE: %{run} = mlir-runner -e main -entry-point-result=void \
// DEFINE:   -shared-libs=%runner_libs
// RUN: moe-opt %s %{lower} | %{run} | FileCheck %s
// RUN: sed 's/vector = 4/vector = 8/' %s | moe-opt %{lower} | %{run} | FileCheck %s
// RUN: sed 's/vector = 4/vector = 16/' %s | moe-opt %{lower} | %{run} | FileCheck %s

#s = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2,
                   row_block = 8, product = mul_add, prefetch = true>

memref.global "private" constant @logits : memref<2x3x5xf32> = dense<[
    [[1.0, 3.0, 1.0, 0.0, 2.0], [3.0, 3.0, 0.0, -2.0, 1.0],
     [0x7FC00000, 5.0, 5.0, 5.0, 5.0]],
    [[0.0, 2.0, 0.0, 1.0, 0.0], [2.0, 0xFF800000, 2.0, 4.0, -1.0],
     [-1.0, 0.0, 1.0, 2.0, 3.0]]]>
memref.global "private" constant @bias : memref<5xf32>
    = dense<[0.0, 0.25, 0.0, 0.0, -0.5]>
memref.global "private" constant @valid : memref<2x3xi1>
    = dense<[[true, true, true], [true, false, true]]>
memref.global "private" constant @ids : memref<2x3x2xi64> = dense<
    [[[4, 0], [2, 2], [-1, 1]], [[4294967296, 3], [5, -7], [0, 4]]]>
memref.global "private" constant @weights : memref<2x3x2xf32> = dense<
    [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
     [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]]>
memref.global "private" @expert_offsets : memref<6xi32>
memref.global "private" @row_token : memref<12xi32>
memref.global "private" @token_offsets : memref<2x4xi32>
memref.global "private" @token_row : memref<12xi32>
memref.global "private" @gates : memref<12xf32>
memref.global "private" @work : memref<224xi32>

func.func private @printMemrefI32(memref<*xi32>) attributes {llvm.emit_c_interface}

func.func private @show() {
  %eo = memref.get_global @expert_offsets : memref<6xi32>
  %rt = memref.get_global @row_token : memref<12xi32>
  %to = memref.get_global @token_offsets : memref<2x4xi32>
  %tr = memref.get_global @token_row : memref<12xi32>
  %gates = memref.get_global @gates : memref<12xf32>
  %0 = memref.cast %eo : memref<6xi32> to memref<*xi32>
  call @printMemrefI32(%0) : (memref<*xi32>) -> ()
  %1 = memref.cast %rt : memref<12xi32> to memref<*xi32>
  call @printMemrefI32(%1) : (memref<*xi32>) -> ()
  %2 = memref.cast %to : memref<2x4xi32> to memref<*xi32>
  call @printMemrefI32(%2) : (memref<*xi32>) -> ()
  %3 = memref.cast %tr : memref<12xi32> to memref<*xi32>
  call @printMemrefI32(%3) : (memref<*xi32>) -> ()
  %bits = memref.alloc() : memref<12xi32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c12 = arith.constant 12 : index
  scf.for %i = %c0 to %c12 step %c1 {
    %gate = memref.load %gates[%i] : memref<12xf32>
    %pattern = arith.bitcast %gate : f32 to i32
    memref.store %pattern, %bits[%i] : memref<12xi32>
  }
  %4 = memref.cast %bits : memref<12xi32> to memref<*xi32>
  call @printMemrefI32(%4) : (memref<*xi32>) -> ()
  memref.dealloc %bits : memref<12xi32>
  return
}

func.func @main() {
  %logits = memref.get_global @logits : memref<2x3x5xf32>
  %bias = memref.get_global @bias : memref<5xf32>
  %valid = memref.get_global @valid : memref<2x3xi1>
  %ids = memref.get_global @ids : memref<2x3x2xi64>
  %weights = memref.get_global @weights : memref<2x3x2xf32>
  %eo = memref.get_global @expert_offsets : memref<6xi32>
  %rt = memref.get_global @row_token : memref<12xi32>
  %to = memref.get_global @token_offsets : memref<2x4xi32>
  %tr = memref.get_global @token_row : memref<12xi32>
  %gates = memref.get_global @gates : memref<12xf32>
  %work = memref.get_global @work : memref<224xi32>

  moe.idx.route top 2 scope = token score = softmax normalize = softmax
      ins(%logits : memref<2x3x5xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<6xi32>, memref<12xi32>,
           memref<2x4xi32>, memref<12xi32>, memref<12xf32>, memref<224xi32>)
      {schedule = #s}
  call @show() : () -> ()

  moe.idx.route top 2 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x5xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<6xi32>, memref<12xi32>,
           memref<2x4xi32>, memref<12xi32>, memref<12xf32>, memref<224xi32>)
      {schedule = #s}
  call @show() : () -> ()

  moe.idx.route top 2 scope = sequence score = sigmoid normalize = sum
      ins(%logits : memref<2x3x5xf32>) bias(%bias : memref<5xf32>)
      valid(%valid : memref<2x3xi1>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<6xi32>, memref<12xi32>,
           memref<2x4xi32>, memref<12xi32>, memref<12xf32>, memref<224xi32>)
      {floor = 1, cap = 3, scale = 2.5 : f32, eps = 1.0e-20 : f32,
       schedule = #s}
  call @show() : () -> ()

  moe.idx.route top 2 scope = sequence score = identity normalize = none
      ins(%logits : memref<2x3x5xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<6xi32>, memref<12xi32>,
           memref<2x4xi32>, memref<12xi32>, memref<12xf32>, memref<224xi32>)
      {rank_logits, schedule = #s}
  call @show() : () -> ()

  moe.idx.plan_from_choice experts 5
      ins(%ids, %weights : memref<2x3x2xi64>, memref<2x3x2xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<6xi32>, memref<12xi32>,
           memref<2x4xi32>, memref<12xi32>, memref<12xf32>)
  call @show() : () -> ()
  return
}

// Token scope: NaN ranks last, ties go to the lower expert.
// CHECK: [0, 3, 7, 7, 10, 12]
// CHECK: [1, 2, 4, 0, 1, 2, 3, 3, 4, 5, 0, 5]
// CHECK: {{\[\[}}0, 2, 4, 6],
// CHECK-NEXT: [6, 8, 10, 12]]
// CHECK: [3, 10, 0, 4, 1, 5, 6, 7, 2, 8, 9, 11]
// CHECK: [1056964608, 2143289344, 1039409321, 1060841128, 1056964608, 2143289344, 1060841128, 1049211569, 1063353322, 1049211569, 1049211569, 1060841128]

// The scores themselves.
// CHECK: [0, 3, 7, 7, 10, 12]
// CHECK: [1, 2, 4, 0, 1, 2, 3, 3, 4, 5, 0, 5]
// CHECK: {{\[\[}}0, 2, 4, 6],
// CHECK-NEXT: [6, 8, 10, 12]]
// CHECK: [3, 10, 0, 4, 1, 5, 6, 7, 2, 8, 9, 11]
// CHECK: [1055496047, 2143289344, 1037629898, 1058513125, 1055496047, 2143289344, 1058033892, 1045716241, 1061709791, 1047510422, 1046421440, 1059253164]

// Sequence scope: five valid tokens share ten pairs.
// CHECK: [0, 1, 6, 7, 10, 10]
// CHECK: [1, 0, 1, 2, 3, 5, 2, 2, 3, 5, -1, -1]
// CHECK: {{\[\[}}0, 1, 3, 6],
// CHECK-NEXT: [6, 8, 8, 10]]
// CHECK: [1, 0, 2, 3, 6, 7, 4, 8, 5, 9, -1, -1]
// CHECK: [1067450368, 1075838976, 1067450368, 1062557012, 1068424476, 1063763981, 1062557012, 1062557012, 1066476260, 1070342137, 0, 0]

// Raw logits ranked across tokens: a threshold is the key of a pair itself.
// CHECK: [0, 2, 5, 7, 10, 12]
// CHECK: [1, 4, 0, 2, 3, 2, 4, 2, 4, 5, 2, 5]
// CHECK: {{\[\[}}0, 1, 2, 6],
// CHECK-NEXT: [6, 7, 10, 12]]
// CHECK: [2, 0, 3, 5, 7, 10, 4, 1, 6, 8, 9, 11]
// CHECK: [1077936128, 1073741824, 1077936128, 1084227584, 1073741824, 1084227584, 1073741824, 1084227584, 1082130432, 1073741824, 1084227584, 1077936128]

// An id outside [0, 5) is no expert; equal ones keep their order.
// CHECK: [0, 2, 3, 5, 6, 8]
// CHECK: [0, 5, 2, 1, 1, 3, 0, 5, -1, -1, -1, -1]
// CHECK: {{\[\[}}0, 2, 4, 5],
// CHECK-NEXT: [5, 6, 6, 8]]
// CHECK: [0, 6, 3, 4, 2, 5, 1, 7, -1, -1, -1, -1]
// CHECK: [1073741824, 1093664768, 1086324736, 1077936128, 1082130432, 1090519040, 1065353216, 1094713344, 0, 0, 0, 0]
