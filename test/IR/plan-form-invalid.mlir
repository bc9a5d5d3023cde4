// RUN: moe-opt %s -split-input-file -verify-diagnostics

// PLAN-1: a plan needs an expert
// expected-error@+1 {{PLAN-1: the number of experts must be static and positive}}
func.func private @f(!moe.plan<2x3x0, rows = 0>)

// -----

// PLAN-1: the number of experts is static
// expected-error@+1 {{PLAN-1: the number of experts must be static and positive}}
func.func private @f(!moe.plan<2x3x?, rows = 6>)

// -----

// PLAN-2: an exact plan has no more rows than pairs
// expected-error@+1 {{PLAN-2: 25 rows are more than the 24 pairs}}
func.func private @f(!moe.plan<2x3x4, rows = 25>)

// -----

// PLAN-3: fields are i32
// expected-error@+1 {{PLAN-3: rows = 2147483648 must be below 2^31}}
func.func private @f(!moe.plan<?x?x4, rows = 2147483648>)

// -----

// PLAN-3: so is the number of scores
// expected-error@+1 {{PLAN-3: S*T*E must be below 2^31}}
func.func private @f(!moe.plan<65536x32768x2, rows = 4>)

// -----

// ROUTE-1: logits have two or three dimensions
func.func @f(%logits: tensor<4xf32>) {
  // expected-error@+1 {{ROUTE-1: logits must be a tensor [S, T, E] or [T, E]}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<4xf32>
  return
}

// -----

// ROUTE-1: sequence scope needs to know the sequences
func.func @f(%logits: tensor<3x4xf32>) {
  // expected-error@+1 {{ROUTE-1: scope = sequence needs logits [S, T, E]}}
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none : tensor<3x4xf32>
  return
}

// -----

// ROUTE-2: a token has at most all experts
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-2: k must be in [1, E]}}
  %p, %g = moe.route %logits top 5 scope = token score = softmax
      normalize = none : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-2: a token has at least one expert on average
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-2: k must be in [1, E]}}
  %p, %g = moe.route %logits top 0 scope = token score = softmax
      normalize = none : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-2: the number of experts is static
func.func @f(%logits: tensor<2x3x?xf32>) {
  // expected-error@+1 {{ROUTE-2: k must be in [1, E] and E static}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<2x3x?xf32>
  return
}

// -----

// ROUTE-3: valid has the shape of logits without E
func.func @f(%logits: tensor<2x3x4xf32>, %v: tensor<2x4xi1>) {
  // expected-error@+1 {{ROUTE-3: valid must have the shape of logits without E}}
  %p, %g = moe.route %logits valid(%v : tensor<2x4xi1>) top 2 scope = token score = softmax
      normalize = none : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-4: there is one bias for each expert
func.func @f(%logits: tensor<2x3x4xf32>, %b: tensor<3xf32>) {
  // expected-error@+1 {{ROUTE-4: choice_bias must be [E] = [4]}}
  %p, %g = moe.route %logits bias(%b : tensor<3xf32>) top 2 scope = token score = softmax
      normalize = none : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-5: groups divide the experts
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-5: n_group = 3 does not divide the 4 experts}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {n_group = 3 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-5: no more groups are kept than there are
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-5: topk_group = 3 is not between 1 and n_group = 2}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {n_group = 2 : i64, topk_group = 3 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-5: the kept groups hold k experts
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-5: the 1 of 2 groups kept hold 2 experts, fewer than k = 3}}
  %p, %g = moe.route %logits top 3 scope = token score = softmax
      normalize = none {n_group = 2 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-6: the floors alone do not overspend the budget
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-6: floor = 3 exceeds k = 2}}
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {floor = 3 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-6: a cap below k cannot spend the budget
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-6: cap = 1 is below k = 2}}
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {cap = 1 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-6: no token has more than its candidates
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-6: cap = 5}}
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {cap = 5 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-7: a sum of raw logits is no weight
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-7: }}
  %p, %g = moe.route %logits top 2 scope = token score = identity
      normalize = sum : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-8: a softmax of chosen logits is no sigmoid
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-8: }}
  %p, %g = moe.route %logits top 2 scope = token score = sigmoid
      normalize = softmax : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-9: raw logits of different tokens are not comparable
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-9: }}
  %p, %g = moe.route %logits top 2 scope = sequence score = identity
      normalize = none : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-10: a budget per token leaves nothing to limit
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-10: floor and cap belong to scope = sequence}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {cap = 3 : i64} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-11: constants are finite
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-11: }}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {scale = 0x7F800000 : f32} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-11: eps is not negative
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-11: }}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {eps = -1.0 : f32} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-12: rows are counted in i32
func.func @f(%logits: tensor<65536x32768x4xf32>) {
  // expected-error@+1 {{ROUTE-12: S*T*E and the rows S*T*k must be below 2^31; split the batch}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none : tensor<65536x32768x4xf32>
  return
}

// -----

// ROUTE-12: so are scores
func.func @f(%logits: tensor<32768x32768x4xf32>) {
  // expected-error@+1 {{ROUTE-12: PLAN-3: S*T*E must be below 2^31}}
  %p, %g = moe.route %logits top 1 scope = token score = softmax
      normalize = none : tensor<32768x32768x4xf32>
  return
}

// -----

// ROUTE-13: gates are floats
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-13: gate_type must be f32, bf16 or f16}}
  %p, %g = moe.route %logits top 2 scope = token score = softmax
      normalize = none {gate_type = i32} : tensor<2x3x4xf32>
  return
}

// -----

// ROUTE-14: rank_logits is about raw logits
func.func @f(%logits: tensor<2x3x4xf32>) {
  // expected-error@+1 {{ROUTE-14: }}
  %p, %g = moe.route %logits top 2 scope = sequence score = softmax
      normalize = none {rank_logits} : tensor<2x3x4xf32>
  return
}

// -----

// CHOICE-1: ids have three dimensions
func.func @f(%ids: tensor<3x2xi32>, %w: tensor<2x3x2xf32>) {
  // expected-error@+1 {{CHOICE-1: ids must be a tensor of rank 3}}
  %p, %g = moe.plan_from_choice %ids, %w experts 4 : tensor<3x2xi32>, tensor<2x3x2xf32>
  return
}

// -----

// CHOICE-1: the choices of a token are counted
func.func @f(%ids: tensor<2x3x?xi32>, %w: tensor<2x3x?xf32>) {
  // expected-error@+1 {{CHOICE-1: the choices per token must be static and positive}}
  %p, %g = moe.plan_from_choice %ids, %w experts 4 : tensor<2x3x?xi32>, tensor<2x3x?xf32>
  return
}

// -----

// CHOICE-2: each id has a weight
func.func @f(%ids: tensor<2x3x2xi32>, %w: tensor<2x3x1xf32>) {
  // expected-error@+1 {{CHOICE-2: ids and weights differ in shape}}
  %p, %g = moe.plan_from_choice %ids, %w experts 4 : tensor<2x3x2xi32>, tensor<2x3x1xf32>
  return
}

// -----

// CHOICE-3: there is an expert
func.func @f(%ids: tensor<2x3x2xi32>, %w: tensor<2x3x2xf32>) {
  // expected-error@+1 {{CHOICE-3: experts must be positive}}
  %p, %g = moe.plan_from_choice %ids, %w experts 0 : tensor<2x3x2xi32>, tensor<2x3x2xf32>
  return
}

// -----

// CHOICE-4: rows are counted in i32
func.func @f(%ids: tensor<65536x32768x2xi32>, %w: tensor<65536x32768x2xf32>) {
  // expected-error@+1 {{CHOICE-4: S*T*E and the rows S*T*k must be below 2^31}}
  %p, %g = moe.plan_from_choice %ids, %w experts 4 : tensor<65536x32768x2xi32>, tensor<65536x32768x2xf32>
  return
}

// -----

// FIELD-1: only a plan has fields
func.func @f(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be a !moe.plan (FIELD-1)}}
  %0 = "moe.plan_field"(%x) {field = #moe<field row_token>}
      : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

// DISPATCH-1: tokens have three dimensions
func.func @f(%x: tensor<6x8xf32>, %p: !moe.plan<2x3x4, rows = 6>) {
  // expected-error@+1 {{DISPATCH-1: x must be a tensor of rank 3}}
  %rows = moe.dispatch %x by %p : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// DISPATCH-2: a plan says which row is which token
func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<6xi32>) {
  // expected-error@+1 {{DISPATCH-2: plan must be a !moe.plan}}
  %rows = moe.dispatch %x by %p : tensor<2x3x8xf32>, tensor<6xi32>
  return
}

// -----

// DISPATCH-3: the plan is about these tokens
func.func @f(%x: tensor<2x4x8xf32>, %p: !moe.plan<2x3x4, rows = 6>) {
  // expected-error@+1 {{DISPATCH-3: x and plan disagree on S or T}}
  %rows = moe.dispatch %x by %p : tensor<2x4x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// COMBINE-1: rows have two dimensions
func.func @f(%rows: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %g: tensor<6xf32>) {
  // expected-error@+1 {{COMBINE-1: rows must be a tensor of rank 2}}
  %y = moe.combine %rows by %p gates(%g : tensor<6xf32>) : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// COMBINE-2: a plan says which token has which rows
func.func @f(%rows: tensor<6x8xf32>, %p: tensor<6xi32>, %g: tensor<6xf32>) {
  // expected-error@+1 {{COMBINE-2: plan must be a !moe.plan}}
  %y = moe.combine %rows by %p gates(%g : tensor<6xf32>) : tensor<6x8xf32>, tensor<6xi32>
  return
}

// -----

// COMBINE-3: these are the plan's rows
func.func @f(%rows: tensor<7x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %g: tensor<6xf32>) {
  // expected-error@+1 {{COMBINE-3: rows and plan disagree on R}}
  %y = moe.combine %rows by %p gates(%g : tensor<6xf32>) : tensor<7x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// COMBINE-4: each row has a gate
func.func @f(%rows: tensor<6x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %g: tensor<5xf32>) {
  // expected-error@+1 {{COMBINE-4: gates must be [R] like the plan}}
  %y = moe.combine %rows by %p gates(%g : tensor<5xf32>) : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// COMBINE-5: an addend has the shape of the result
func.func @f(%rows: tensor<6x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %a: tensor<2x4x8xf32>) {
  // expected-error@+1 {{COMBINE-5: addends must be [S, T, H]}}
  %y = moe.combine %rows by %p addends(%a : tensor<2x4x8xf32>) : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// COMBINE-5: an addend has the element type of the result
func.func @f(%rows: tensor<6x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %a: tensor<2x3x8xbf16>) {
  // expected-error@+1 {{COMBINE-5: addends must be [S, T, H]}}
  %y = moe.combine %rows by %p addends(%a : tensor<2x3x8xbf16>) : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
  return
}

// -----

// GMM-1: a third output has no name
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>, %v: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-1: expected one or two weights, got 3}}
  %y = moe.grouped_matmul %x by %p weights(%w, %w, %w : tensor<4x5x8xf32>, tensor<4x5x8xf32>, tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-1: two weights are two outputs already
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>, %v: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-1: arrangement says how one weight holds two outputs}}
  %y = moe.grouped_matmul %x by %p weights(%w, %v : tensor<4x5x8xf32>, tensor<4x5x8xf32>) layout = nk arrangement = concat
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-2: each extra operand has a kind
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>, %g: tensor<6xf32>) {
  // expected-error@+1 {{GMM-2: expected one kind for each extra operand}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      extras [#moe<extra row>, #moe<extra row>](%g : tensor<6xf32>)
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-3: each expert has a weight
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<3x5x8xf32>) {
  // expected-error@+1 {{GMM-3: weight 'tensor<3x5x8xf32>'}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<3x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-3: a weight is as wide as a row
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x9xf32>) {
  // expected-error@+1 {{does not fit E = 4 and input 'tensor<2x3x8xf32>'}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x9xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-4: an extra has the shape of its kind
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>, %g: tensor<6xf32>) {
  // expected-error@+1 {{GMM-4: an extra of kind column must be [E, N]}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      extras [#moe<extra column>](%g : tensor<6xf32>)
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-5: the region has an argument for each output
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-5: the region must take 1 output(s) and 0 extra(s), but takes 2 arguments}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-6: outputs are accumulated in f32
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-6: region argument 0 must be 'f32'}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: bf16):
    moe.yield %a : bf16
  }
  return
}

// -----

// GMM-7: the region makes an element of the result
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-7: the region must yield the element type of the result}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xbf16> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-8: an epilogue has no effects
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    // expected-error@+1 {{GMM-8: only scalar ops free of effects}}
    vector.print %a : f32
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-9: the plan is about these tokens
func.func @f(%x: tensor<2x4x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-9: input 'tensor<2x4x8xf32>' does not fit the plan}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x4x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-9: rows are the plan's rows
func.func @f(%x: tensor<7x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-9: input 'tensor<7x8xf32>' does not fit the plan}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<7x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-10: the result is as wide as the weight
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-10: the result has 6 columns, the weight 5}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x6xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-10: half as wide where a weight holds two outputs
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-10: the result has 5 columns, the weight 5, which must be twice as many}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk arrangement = concat
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-10: the result has the plan's rows
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xf32>) {
  // expected-error@+1 {{GMM-10: the result must have the plan's rows}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xf32>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<7x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

// GMM-11: nothing is converted in passing
func.func @f(%x: tensor<2x3x8xf32>, %p: !moe.plan<2x3x4, rows = 6>, %w: tensor<4x5x8xbf16>) {
  // expected-error@+1 {{GMM-11: input and weights differ in element type}}
  %y = moe.grouped_matmul %x by %p weights(%w : tensor<4x5x8xbf16>) layout = nk
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6> -> tensor<6x5xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}
