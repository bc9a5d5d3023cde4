// RUN: moe-opt %s -split-input-file -verify-diagnostics

// IDX-ROUTE-1: there are six destinations
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-1: outs must be four i32 fields}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>)
  return
}

// -----

// IDX-ROUTE-1: fields are i32
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi64>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-1: outs must be four i32 fields}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi64>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-1: the workspace is i32
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xf32>) {
  // expected-error@+1 {{IDX-ROUTE-1: outs must be four i32 fields}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xf32>)
  return
}

// -----

// IDX-ROUTE-2: logits are floats
func.func @f(%logits: memref<2x3x4xi32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-2: logits must be [S, T, E]}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xi32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-2: sequence scope needs to know the sequences
func.func @f(%logits: memref<6x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-2: logits must be [S, T, E]}}
  moe.idx.route top 1 scope = sequence score = softmax normalize = none
      ins(%logits : memref<6x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-3: the attributes obey the rules of moe.route, here ROUTE-2
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{ROUTE-2: k = 5 exceeds the 4 experts}}
  moe.idx.route top 5 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-3: here ROUTE-10
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{ROUTE-10: floor and cap belong to scope = sequence}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>) {cap = 3 : i64}
  return
}

// -----

// IDX-ROUTE-1: a list for each number of rows
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %t0: memref<24xi32>) {
  // expected-error@+1 {{then a list of tiles for each of tile_rows}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %t0 : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>, memref<24xi32>) {tile_rows = array<i64: 16, 32>}
  return
}

// -----

// IDX-ROUTE-5: numbers of rows differ
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %t0: memref<24xi32>, %t1: memref<24xi32>) {
  // expected-error@+1 {{IDX-ROUTE-5: tile_rows must be positive and differ, got 16}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %t0, %t1 : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>, memref<24xi32>, memref<24xi32>) {tile_rows = array<i64: 16, 16>}
  return
}

// -----

// IDX-ROUTE-5: and are positive
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %t0: memref<24xi32>) {
  // expected-error@+1 {{IDX-ROUTE-5: tile_rows must be positive and differ, got 0}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %t0 : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>, memref<24xi32>) {tile_rows = array<i64: 0>}
  return
}

// -----

// IDX-ROUTE-5: lists are i32
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %t0: memref<24xf32>) {
  // expected-error@+1 {{IDX-ROUTE-5: a list of tiles must be i32 of one dimension, got 'memref<24xf32>'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %t0 : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>, memref<24xf32>) {tile_rows = array<i64: 16>}
  return
}

// -----

// IDX-ROUTE-5: lists have room for the tiles of all rows
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %t0: memref<28xi32>) {
  // expected-error@+1 {{IDX-ROUTE-5: the list of tiles of 2 rows must have 32 words, got 'memref<28xi32>'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %tr, %gates, %work, %t0 : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>, memref<28xi32>) {tile_rows = array<i64: 2>}
  return
}

// -----

// IDX-ROUTE-4: valid has the shape of logits without E
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %v: memref<6xi1>) {
  // expected-error@+1 {{IDX-ROUTE-4: valid must be i1}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>) valid(%v : memref<6xi1>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-4: valid is a truth value
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %v: memref<2x3xi8>) {
  // expected-error@+1 {{IDX-ROUTE-4: valid must be i1}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>) valid(%v : memref<2x3xi8>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-4: keys are f32, so is what is added to them
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %to: memref<2x4xi32>, %tr: memref<6xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>, %b: memref<4xbf16>) {
  // expected-error@+1 {{IDX-ROUTE-4: choice_bias must be f32 [E]}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      ins(%logits : memref<2x3x4xf32>) bias(%b : memref<4xbf16>)
      outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-CHOICE-1: gates are floats
func.func @f(%ids: memref<2x3x1xi32>, %w: memref<2x3x1xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %gates: memref<6xi32>) {
  // expected-error@+1 {{IDX-CHOICE-1: outs must be four i32 fields}}
  moe.idx.plan_from_choice experts 4 ins(%ids, %w : memref<2x3x1xi32>, memref<2x3x1xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xi32>)
  return
}

// -----

// IDX-CHOICE-2: ids have three dimensions
func.func @f(%ids: memref<6x1xi32>, %w: memref<2x3x1xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %gates: memref<6xf32>) {
  // expected-error@+1 {{IDX-CHOICE-2: ids and weights must be [S, T, K]}}
  moe.idx.plan_from_choice experts 4 ins(%ids, %w : memref<6x1xi32>, memref<2x3x1xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>)
  return
}

// -----

// IDX-CHOICE-2: weights are floats
func.func @f(%ids: memref<2x3x1xi32>, %w: memref<2x3x1xi32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %gates: memref<6xf32>) {
  // expected-error@+1 {{IDX-CHOICE-2: ids and weights must be [S, T, K]}}
  moe.idx.plan_from_choice experts 4 ins(%ids, %w : memref<2x3x1xi32>, memref<2x3x1xi32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>)
  return
}

// -----

// IDX-DISPATCH-1: tokens have three dimensions
func.func @f(%x: memref<6x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %rows: memref<6x8xf32>) {
  // expected-error@+1 {{IDX-DISPATCH-1: x must be [S, T, H] and outs [R, H]}}
  moe.idx.dispatch ins(%x, %eo, %rt : memref<6x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x8xf32>)
  return
}

// -----

// IDX-DISPATCH-1: a row is as wide as a token
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %rows: memref<6x9xf32>) {
  // expected-error@+1 {{IDX-DISPATCH-1: x must be [S, T, H] and outs [R, H]}}
  moe.idx.dispatch ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x9xf32>)
  return
}

// -----

// IDX-DISPATCH-1: nothing is converted in passing
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %rows: memref<6x8xbf16>) {
  // expected-error@+1 {{IDX-DISPATCH-1: x must be [S, T, H] and outs [R, H]}}
  moe.idx.dispatch ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x8xbf16>)
  return
}

// -----

// IDX-PACK-1: two weights are two outputs already
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%w: memref<4x100x32xf32>, %packed: memref<4x4x32x64xf32>, %v: memref<4x100x32xf32>) {
  // expected-error@+1 {{IDX-PACK-1: arrangement says how one weight holds two outputs}}
  moe.idx.pack ins(%w, %v : memref<4x100x32xf32>, memref<4x100x32xf32>) layout = nk arrangement = concat schedule = #s
      outs(%packed : memref<4x4x32x64xf32>)
  return
}

// -----

// IDX-PACK-1: a weight has three dimensions
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%w: memref<100x32xf32>, %packed: memref<4x2x32x64xf32>) {
  // expected-error@+1 {{IDX-PACK-1: a weight must be of rank 3}}
  moe.idx.pack ins(%w : memref<100x32xf32>) layout = nk schedule = #s
      outs(%packed : memref<4x2x32x64xf32>)
  return
}

// -----

// IDX-PACK-1: two outputs have as many columns each
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%w: memref<4x101x32xf32>, %packed: memref<4x2x32x64xf32>) {
  // expected-error@+1 {{IDX-PACK-1: a weight that holds two outputs has an even number of columns}}
  moe.idx.pack ins(%w : memref<4x101x32xf32>) layout = nk arrangement = interleaved schedule = #s
      outs(%packed : memref<4x2x32x64xf32>)
  return
}

// -----

// IDX-PACK-2: panels are those of the schedule
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%w: memref<4x100x32xf32>, %packed: memref<4x3x32x64xf32>) {
  // expected-error@+1 {{IDX-PACK-2: outs must have the packed shape of the schedule}}
  moe.idx.pack ins(%w : memref<4x100x32xf32>) layout = nk schedule = #s
      outs(%packed : memref<4x3x32x64xf32>)
  return
}

// -----

// IDX-PACK-2: nothing is converted in passing
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%w: memref<4x100x32xf32>, %packed: memref<4x2x32x64xbf16>) {
  // expected-error@+1 {{IDX-PACK-2: outs must have the packed shape of the schedule}}
  moe.idx.pack ins(%w : memref<4x100x32xf32>) layout = nk schedule = #s
      outs(%packed : memref<4x2x32x64xbf16>)
  return
}

// -----

// IDX-GMM-1: rows need no row_token
func.func @f(%x: memref<6x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x5x8xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-1: row_token belongs to an input of tokens}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) weights(%w : memref<4x5x8xf32>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-1: tokens do
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x5x8xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-1: row_token belongs to an input of tokens}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x8xf32>, memref<5xi32>)
      weights(%w : memref<4x5x8xf32>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-2: packed panels are those of a schedule
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x1x8x64xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-2: packed needs a #moe.schedule and one weight}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x8xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) packed weights(%w : memref<4x1x8x64xf32>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-2: of this schedule
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                   row_block = 120, product = fma, prefetch = true>
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x2x8x64xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-2: the packed weight must have the packed shape of the schedule}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x8xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) packed weights(%w : memref<4x2x8x64xf32>) layout = nk
      {schedule = #s} outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-3: shapes obey the rules of moe.grouped_matmul, here GMM-3
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x5x9xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{GMM-3: weight 'memref<4x5x9xf32>'}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x8xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) weights(%w : memref<4x5x9xf32>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-3: so does the region, here GMM-6
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %w: memref<4x5x8xf32>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{GMM-6: region argument 0 must be 'f32'}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x8xf32>, memref<5xi32>)
      tokens(%rt : memref<6xi32>) weights(%w : memref<4x5x8xf32>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: bf16):
    moe.yield %a : bf16
  }
  return
}

// -----

// IDX-COMBINE-1: rows have two dimensions
func.func @f(%rows: memref<2x3x8xf32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %y: memref<2x3x8xf32>) {
  // expected-error@+1 {{IDX-COMBINE-1: rows must be [R, H] and outs [S, T, H]}}
  moe.idx.combine ins(%rows, %to, %tr : memref<2x3x8xf32>, memref<2x4xi32>, memref<6xi32>)
      outs(%y : memref<2x3x8xf32>)
  return
}

// -----

// IDX-COMBINE-1: a token is as wide as a row
func.func @f(%rows: memref<6x8xf32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %y: memref<2x3x9xf32>) {
  // expected-error@+1 {{IDX-COMBINE-1: rows must be [R, H] and outs [S, T, H]}}
  moe.idx.combine ins(%rows, %to, %tr : memref<6x8xf32>, memref<2x4xi32>, memref<6xi32>)
      outs(%y : memref<2x3x9xf32>)
  return
}

// -----

// IDX-CHOICE-1: token_offsets has two dimensions
func.func @f(%ids: memref<2x3x1xi32>, %w: memref<2x3x1xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<8xi32>, %tr: memref<6xi32>,
             %gates: memref<6xf32>) {
  // expected-error@+1 {{IDX-CHOICE-1: outs must be four i32 fields}}
  moe.idx.plan_from_choice experts 4
      ins(%ids, %w : memref<2x3x1xi32>, memref<2x3x1xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
           memref<8xi32>, memref<6xi32>, memref<6xf32>)
  return
}

// -----

// IDX-CHOICE-2: ids are whole numbers
func.func @f(%ids: memref<2x3x1xf32>, %w: memref<2x3x1xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %gates: memref<6xf32>) {
  // expected-error@+1 {{IDX-CHOICE-2: ids and weights must be [S, T, K]}}
  moe.idx.plan_from_choice experts 4
      ins(%ids, %w : memref<2x3x1xf32>, memref<2x3x1xf32>)
      outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
           memref<2x4xi32>, memref<6xi32>, memref<6xf32>)
  return
}

// -----

// IDX-DISPATCH-1: fields have one dimension
func.func @f(%x: memref<2x3x8xf32>, %eo: memref<i32>, %rt: memref<6xi32>,
             %rows: memref<6x8xf32>) {
  // expected-error@+1 {{IDX-DISPATCH-1: expert_offsets and row_token must be i32}}
  moe.idx.dispatch ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<i32>, memref<6xi32>)
      outs(%rows : memref<6x8xf32>)
  return
}

// -----

// IDX-COMBINE-1: token_offsets has two dimensions
func.func @f(%rows: memref<6x8xf32>, %to: memref<8xi32>, %tr: memref<6xi32>,
             %y: memref<2x3x8xf32>) {
  // expected-error@+1 {{IDX-COMBINE-1: token_offsets must be i32 [S, T+1]}}
  moe.idx.combine ins(%rows, %to, %tr : memref<6x8xf32>, memref<8xi32>, memref<6xi32>)
      outs(%y : memref<2x3x8xf32>)
  return
}

// -----

// IDX-COMBINE-1: gates are floats
func.func @f(%rows: memref<6x8xf32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %gates: memref<6xi32>, %y: memref<2x3x8xf32>) {
  // expected-error@+1 {{IDX-COMBINE-1: gates must be [R] of f32, bf16 or f16}}
  moe.idx.combine ins(%rows, %to, %tr : memref<6x8xf32>, memref<2x4xi32>, memref<6xi32>)
      gates(%gates : memref<6xi32>) outs(%y : memref<2x3x8xf32>)
  return
}

// -----

// IDX-COMBINE-2: addends are like the result
func.func @f(%rows: memref<6x8xf32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
             %a: memref<2x3x8xbf16>, %y: memref<2x3x8xf32>) {
  // expected-error@+1 {{IDX-COMBINE-2: addends must be [S, T, H] like outs}}
  moe.idx.combine ins(%rows, %to, %tr : memref<6x8xf32>, memref<2x4xi32>, memref<6xi32>)
      addends(%a : memref<2x3x8xbf16>) outs(%y : memref<2x3x8xf32>)
  return
}

// -----

// IDX-GMM-1: the input has two or three dimensions
func.func @f(%x: memref<f32>, %eo: memref<5xi32>, %w: memref<4x5x8xf32>,
             %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-1: input must be rows [R, K] or tokens [S, T, K]}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<f32>, memref<5xi32>)
      weights(%w : memref<4x5x8xf32>) layout = nk outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-1: fields have one dimension
func.func @f(%x: memref<6x8xf32>, %eo: memref<i32>, %w: memref<4x5x8xf32>,
             %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-1: expert_offsets and row_token must be i32}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32>, memref<i32>)
      weights(%w : memref<4x5x8xf32>) layout = nk outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-1: of floats
func.func @f(%x: memref<6x8xi32>, %eo: memref<5xi32>, %w: memref<4x5x8xi32>,
             %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-1: input must be rows [R, K] or tokens [S, T, K] of f32, bf16 or f16}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xi32>, memref<5xi32>)
      weights(%w : memref<4x5x8xi32>) layout = nk outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-4: tiles belong to the schedule of a GPU
func.func @f(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
             %w: memref<4x5x8xbf16>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-4: tiles need a #moe.gpu_matmul schedule}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x5x8xbf16>) layout = nk
      outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-4: one list for each number of rows
#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 0>,
  <rows = 32, columns = 64, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 2>]>
func.func @f(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
             %w: memref<4x5x8xbf16>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-4: the forms of the schedule have 1 different number(s) of rows, but there are 2 list(s) of tiles}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t, %t : memref<24xi32>, memref<24xi32>)
      weights(%w : memref<4x5x8xbf16>) layout = nk
      {schedule = #s} outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-GMM-4: of indices
#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4,
   lanes = 8, least = 0>]>
func.func @f(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xf32>,
             %w: memref<4x5x8xbf16>, %y: memref<6x5xf32>) {
  // expected-error@+1 {{IDX-GMM-4: tiles must be i32 of one dimension}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t : memref<24xf32>) weights(%w : memref<4x5x8xbf16>) layout = nk
      {schedule = #s} outs(%y : memref<6x5xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// IDX-TILES-1
func.func @f(%eo: memref<5xi64>, %t: memref<24xi32>) {
  // expected-error@+1 {{IDX-TILES-1: expert_offsets and outs must be i32 of one dimension}}
  moe.idx.tiles ins(%eo : memref<5xi64>) rows = 32 outs(%t : memref<24xi32>)
  return
}

// -----

// IDX-TILES-2
func.func @f(%eo: memref<5xi32>, %t: memref<24xi32>) {
  // expected-error@+1 {{IDX-TILES-2: rows must be positive, got 0}}
  moe.idx.tiles ins(%eo : memref<5xi32>) rows = 0 outs(%t : memref<24xi32>)
  return
}

// -----

// IDX-TILES-3: whole records
func.func @f(%eo: memref<5xi32>, %t: memref<23xi32>) {
  // expected-error@+1 {{IDX-TILES-3: outs must hold whole records of 4 words, and at least 5 of them, got 'memref<23xi32>'}}
  moe.idx.tiles ins(%eo : memref<5xi32>) rows = 32 outs(%t : memref<23xi32>)
  return
}

// -----

// IDX-TILES-3: one for each expert and one for their number
func.func @f(%eo: memref<5xi32>, %t: memref<16xi32>) {
  // expected-error@+1 {{IDX-TILES-3: outs must hold whole records of 4 words, and at least 5 of them, got 'memref<16xi32>'}}
  moe.idx.tiles ins(%eo : memref<5xi32>) rows = 32 outs(%t : memref<16xi32>)
  return
}

// -----

// IDX-ROUTE-6: tensors have no memory that could be written before it is read
func.func @f(%x: tensor<6x8xbf16>, %w: tensor<1x4x8xbf16>,
             %logits: tensor<2x3x4xf32>, %eo: tensor<5xi32>,
             %rt: tensor<6xi32>, %to: tensor<2x4xi32>, %gates: tensor<6xf32>,
             %work: tensor<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: a router needs memrefs}}
  %0:6 = moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : tensor<6x8xbf16>, tensor<1x4x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : tensor<2x3x4xf32>)
      outs(%eo, %rt, %to, %rt, %gates, %work : tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>, tensor<6xf32>, tensor<?xi32>)
      -> tensor<5xi32>, tensor<6xi32>, tensor<2x4xi32>, tensor<6xi32>, tensor<6xf32>, tensor<?xi32>
  return
}

// -----

// IDX-ROUTE-6: a router multiplies by a weight
func.func @f(%x: memref<6x8xbf16>, %logits: memref<2x3x4xf32>,
             %eo: memref<5xi32>, %rt: memref<6xi32>, %to: memref<2x4xi32>,
             %gates: memref<6xf32>, %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: a router is an input, a weight, and biases}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x : memref<6x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %rt, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-6: each token has a row
func.func @f(%x: memref<5x8xbf16>, %w: memref<1x4x8xbf16>,
             %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: the input of a router must have a row for each token of 'memref<2x3x4xf32>', got 'memref<5x8xbf16>'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<5x8xbf16>, memref<1x4x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %rt, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-6: the weight is stored as the layout says
func.func @f(%x: memref<6x8xbf16>, %w: memref<1x4x8xbf16>,
             %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: the weight of a router must be of the input's element type and [1, H, E], got 'memref<1x4x8xbf16>'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x8xbf16>, memref<1x4x8xbf16>) layout = kn {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %rt, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-6: a bias belongs to an expert
func.func @f(%x: memref<6x8xbf16>, %w: memref<1x4x8xbf16>, %b: memref<4xf32>,
             %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: a bias of a router must be [1, E], got 'memref<4xf32>'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w, %b : memref<6x8xbf16>, memref<1x4x8xbf16>, memref<4xf32>) layout = nk {
      ^bb0(%sum: f32, %bias: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xf32>)
      outs(%eo, %rt, %to, %rt, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-6: the region yields a logit
func.func @f(%x: memref<6x8xbf16>, %w: memref<1x4x8xbf16>,
             %logits: memref<2x3x4xbf16>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{GMM-7: the region must yield the element type of the result, 'bf16'}}
  moe.idx.route top 1 scope = token score = softmax normalize = none
      router(%x, %w : memref<6x8xbf16>, memref<1x4x8xbf16>) layout = nk {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      ins(%logits : memref<2x3x4xbf16>)
      outs(%eo, %rt, %to, %rt, %gates, %work : memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>)
  return
}

// -----

// IDX-ROUTE-6: no layout without a router
func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
             %rt: memref<6xi32>, %to: memref<2x4xi32>, %gates: memref<6xf32>,
             %work: memref<?xi32>) {
  // expected-error@+1 {{IDX-ROUTE-6: a router comes with a layout and a region, and neither without it}}
  "moe.idx.route"(%logits, %eo, %rt, %to, %rt, %gates, %work) <{k = 1 : i64, scope = #moe<scope token>, score = #moe<score softmax>, normalize = #moe<normalize none>, layout = #moe<layout nk>, operandSegmentSizes = array<i32: 1, 0, 0, 0, 6>}> ({}) : (memref<2x3x4xf32>, memref<5xi32>, memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>, memref<?xi32>) -> ()
  return
}
