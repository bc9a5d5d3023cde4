// RUN: moe-opt %s -convert-moe-to-cpu -o %t && FileCheck %s < %t
// Nothing may contract, reassociate or call a library: equal logits give equal
// bits on every target. No buffer is made: the workspace is an operand.
// RUN: FileCheck %s --check-prefix=FIXED < %t
// FIXED-NOT: fastmath
// FIXED-NOT: fma
// FIXED-NOT: math.{{exp|log|powf|tanh}}
// FIXED-NOT: {{maximumf|minimumf|maxnumf|minnumf}}
// FIXED-NOT: vector.reduction {{.*}}f32
// FIXED-NOT: arith.{{extf|truncf}}
// FIXED-NOT: memref.{{alloc|alloca|copy}}
// FIXED-NOT: moe.

#wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                      row_block = 120, product = fma, prefetch = true>
#narrow = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2,
                        row_block = 64, product = mul_add, prefetch = true>

// The work on a block of tokens is one function. Its code does not grow with E:
// one exponential for all chunks of a row, then 32 partial sums in two
// registers, then one division. No padding to mask, as 16 divides E.
// CHECK-LABEL: func.func private @moe_idx_route_tokens(
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>)
// CHECK:             vector.load {{.*}} : memref<?x?x384xf32>, vector<16xf32>
// CHECK:             arith.cmpf olt
// CHECK:           vector.shuffle
// CHECK:           scf.for
// CHECK:             arith.constant dense<1.44269502>
// CHECK-NOT:         dense<1.44269502>
// CHECK:             vector.store {{.*}} : memref<?xi32>, vector<16xi32>
// CHECK:           scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-4:   vector.shuffle
// CHECK:           arith.divf
// CHECK-NOT:       arith.divf
// CHECK-NOT:       dense<[0, 1, 2, 3
// The keys: signed words of which no candidate has the least.
// CHECK:             arith.maxsi {{.*}} : vector<16xi32>
// Sequence scope chooses nothing here.
// CHECK-NOT:       scf.while

// The choice of a sequence: a threshold, bit by bit, by counting; then one pass
// over its tokens that lists what reaches it.
// CHECK-LABEL: func.func private @moe_idx_route_sequence(
// CHECK:         scf.while
// CHECK:           scf.for {{.*}} -> (vector<16xi32>, vector<16xi32>, vector<16xi32>)
// CHECK-COUNT-3:     arith.cmpi sge, {{.*}} : vector<16xi32>
// CHECK-COUNT-3:   vector.reduction <add>, {{.*}} : vector<16xi32> into i32
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             vector.bitcast {{.*}} : vector<16xi1> to vector<1xi16>
// CHECK:             scf.while
// CHECK:               math.cttz

// CHECK-LABEL: func.func private @moe_idx_route_gates(

// Threads for large routings alone.
// CHECK-LABEL: func.func private @moe_idx_route(
// CHECK:         %[[LARGE:.*]] = arith.cmpi ugt, %{{.*}}, %c131072 : index
// CHECK:         scf.if %[[LARGE]] {
// CHECK-NEXT:      arith.constant
// CHECK:           scf.parallel
// CHECK-NEXT:        call @moe_idx_route_tokens
// CHECK:         } else {
// CHECK:           scf.for
// CHECK-NEXT:        call @moe_idx_route_tokens
// CHECK:         scf.if
// CHECK:           scf.parallel
// CHECK-NEXT:        call @moe_idx_route_sequence
// CHECK:         scf.if %[[LARGE]] {
// CHECK:           scf.parallel
// CHECK-NEXT:        call @moe_idx_route_gates
func.func @sequence(%logits: memref<?x?x384xf32>, %eo: memref<385xi32>,
                    %rt: memref<?xi32>, %to: memref<?x?xi32>,
                    %tr: memref<?xi32>, %gates: memref<?xf32>,
                    %work: memref<?xi32>) {
  moe.idx.route top 8 scope = sequence score = softmax normalize = none
      ins(%logits : memref<?x?x384xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<385xi32>, memref<?xi32>,
           memref<?x?xi32>, memref<?xi32>, memref<?xf32>, memref<?xi32>)
      {schedule = #wide}
  return
}

// Token scope has no step for sequences: the same search, in the work on a
// token. Logits whose last dimension is strided are read one by one.
// CHECK-LABEL: func.func private @moe_idx_route_0_tokens(
// CHECK-NOT:     vector.load {{.*}} : memref<?x?x8xf16
// CHECK:         memref.load {{.*}} : memref<?x?x8xf16, strided<[?, ?, ?], offset: ?>>
// CHECK-NOT:     vector.load {{.*}} : memref<?x?x8xf16
// What lies behind the last expert is no candidate.
// CHECK:         arith.constant dense<[0, 1, 2, 3]>
// CHECK:         scf.while
// CHECK-NOT:   func.func private @moe_idx_route_0_sequence
// CHECK-LABEL: func.func private @moe_idx_route_0(
func.func @token(%logits: memref<?x?x8xf16, strided<[?, ?, ?], offset: ?>>,
                 %bias: memref<8xf32>, %valid: memref<?x?xi1>,
                 %eo: memref<9xi32>, %rt: memref<?xi32>, %to: memref<?x?xi32>,
                 %tr: memref<?xi32>, %gates: memref<?xbf16>,
                 %work: memref<?xi32>) {
  moe.idx.route top 2 scope = token score = sqrtsoftplus normalize = sum
      ins(%logits : memref<?x?x8xf16, strided<[?, ?, ?], offset: ?>>)
      bias(%bias : memref<8xf32>) valid(%valid : memref<?x?xi1>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<9xi32>, memref<?xi32>,
           memref<?x?xi32>, memref<?xi32>, memref<?xbf16>, memref<?xi32>)
      {n_group = 4, topk_group = 2, group_score = #moe<group_score top2_sum>,
       schedule = #narrow}
  return
}

// CHECK-LABEL: func.func private @moe_idx_plan_from_choice(
// CHECK:         arith.cmpi ult, {{.*}} : i64
// CHECK:         arith.cmpi slt, {{.*}} : i64
func.func @choice(%ids: memref<?x?x2xi64>, %weights: memref<?x?x2xbf16>,
                  %eo: memref<5xi32>, %rt: memref<?xi32>, %to: memref<?x?xi32>,
                  %tr: memref<?xi32>, %gates: memref<?xbf16>) {
  moe.idx.plan_from_choice experts 4
      ins(%ids, %weights : memref<?x?x2xi64>, memref<?x?x2xbf16>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<?xi32>,
           memref<?x?xi32>, memref<?xi32>, memref<?xbf16>)
  return
}
