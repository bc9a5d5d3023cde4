// The plan form of the moe dialect: pure ops on tensors and !moe.plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOEOPS
#define MOE_IR_MOEOPS

include "moe/IR/MoESchedules.td"
include "moe/IR/MoETypes.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def MoE_Float : AnyTypeOf<[F32, BF16, F16]>;

class MoE_Op<string mnemonic, list<Trait> traits = []>
    : Op<MoE_Dialect, mnemonic, !listconcat([Pure], traits)>;

def MoE_RouteOp : MoE_Op<"route", [AttrSizedOperandSegments,
                                   InferTypeOpAdaptor]> {
  let summary = "Choose pairs of tokens and experts";
  let description = [{
    Turns router logits `[S, T, E]` into a plan and the gates of its rows.

        score     = softmax over E | sigmoid | sqrtsoftplus | identity
        key       = score + choice_bias[e]
        candidate = valid token, expert in one of its topk_group best groups
        choice    = token:    the k best keys of each valid token
                    sequence: the k·(valid tokens) best keys of a sequence,
                              where a token's `floor` best are always in and
                              none gets more than its `cap` best
        gate      = score, normalised over the token's pairs, times scale

    Ties go to the lower token, then to the lower expert. NaN keys rank below
    all others. `choice_bias` affects the choice only, never a gate. Scores are
    evaluated in f32 by a fixed sequence of operations, so that equal logits
    give bit-identical plans and gates on every target. The whole contract is
    docs/routing.md.

    The expert groups are `n_group` runs of E / n_group consecutive experts; a
    group's score is the `max` or the `top2_sum` of its keys. `normalize = sum`
    divides by max(sum + eps, norm_min); `normalize = softmax` is a softmax over
    the chosen logits of the token. A token without a pair has no row, and
    `moe.combine` gives zero for it.

    Results: the plan, exact unless `valid` is given, and the gates `[R]` by
    row, of type `gate_type` (f32 unless given). `layer` names the layer for
    passes that choose layers by name.

    Example:

    ```mlir
    func.func @f(%logits: tensor<?x?x64xf32>, %valid: tensor<?x?xi1>)
        -> tensor<?xf32> {
      %plan, %gates = moe.route %logits valid(%valid : tensor<?x?xi1>)
          top 8 scope = sequence score = softmax normalize = none
          {cap = 16, layer = "model.layers.0.mlp"} : tensor<?x?x64xf32>
      return %gates : tensor<?xf32>
    }
    ```

    Constraints:
    - ROUTE-1: `logits` is [S, T, E], or [T, E] with `scope = token`.
    - ROUTE-2: E is static and 1 <= k <= E.
    - ROUTE-3: `valid` is [S, T] ([T] for logits [T, E]) like `logits`.
    - ROUTE-4: `choice_bias` is [E].
    - ROUTE-5: `n_group` divides E, 1 <= topk_group <= n_group, and the kept
      groups hold at least k experts.
    - ROUTE-6: 0 <= floor <= k <= cap <= the candidates of a token.
    - ROUTE-7: `normalize = sum` is refused for `score = identity`.
    - ROUTE-8: `normalize = softmax` needs `score` softmax or identity.
    - ROUTE-9: `scope = sequence` with `score = identity` needs `rank_logits`,
      because raw logits of different tokens are not comparable.
    - ROUTE-10: `floor` and `cap` belong to `scope = sequence`.
    - ROUTE-11: `scale`, `eps` and `norm_min` are finite; eps and norm_min are
      not negative.
    - ROUTE-12: S·T·E and the rows are below 2^31.
    - ROUTE-13: `gate_type` is f32, bf16 or f16.
    - ROUTE-14: `rank_logits` needs `score = identity`.
  }];
  let arguments = (ins
      TensorRankOf<[MoE_Float], [2, 3]>:$logits,
      Optional<1DTensorOf<[F32]>>:$choice_bias,
      Optional<TensorRankOf<[I1], [1, 2]>>:$valid,
      I64Attr:$k,
      MoE_ScopeAttr:$scope,
      MoE_ScoreAttr:$score,
      MoE_NormalizeAttr:$normalize,
      DefaultValuedAttr<F32Attr, "1.0f">:$scale,
      DefaultValuedAttr<F32Attr, "0.0f">:$eps,
      DefaultValuedAttr<F32Attr, "0.0f">:$norm_min,
      DefaultValuedAttr<I64Attr, "1">:$n_group,
      DefaultValuedAttr<I64Attr, "1">:$topk_group,
      DefaultValuedAttr<MoE_GroupScoreAttr,
                        "::mlir::moe::GroupScore::Max">:$group_score,
      DefaultValuedAttr<I64Attr, "0">:$floor,
      OptionalAttr<I64Attr>:$cap,
      UnitAttr:$rank_logits,
      OptionalAttr<TypeAttr>:$gate_type,
      OptionalAttr<StrAttr>:$layer,
      OptionalAttr<MoE_RouteScheduleAttr>:$schedule);
  let results = (outs MoE_PlanType:$plan, 1DTensorOf<[MoE_Float]>:$gates);
  let assemblyFormat = [{
    $logits (`bias` `(` $choice_bias^ `:` type($choice_bias) `)`)?
    (`valid` `(` $valid^ `:` type($valid) `)`)?
    `top` $k `scope` `=` `` $scope `score` `=` `` $score `normalize` `=` `` $normalize
    attr-dict `:` type($logits)
  }];
  let extraClassDeclaration = [{
    int64_t getNumExperts() { return getLogits().getType().getShape().back(); }
    /// Experts of one token that may be chosen: E, less the dropped groups.
    int64_t getCandidatesPerToken() {
      return getNumExperts() / getNGroup() * getTopkGroup();
    }
    /// The cap in force: the attribute, or the candidates of a token.
    int64_t getEffectiveCap() {
      return getCap().value_or(getCandidatesPerToken());
    }
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def MoE_PlanFromChoiceOp : MoE_Op<"plan_from_choice", [InferTypeOpAdaptor]> {
  let summary = "Make a plan of given expert ids and weights";
  let description = [{
    The border for routers that stay plain code. Pair (s, t, j) sends token
    (s, t) to expert `ids[s, t, j]` with gate `weights[s, t, j]`. An id outside
    [0, E) is no expert, and its pair no row; so the plan is `rows max S·T·K`.
    Pairs of one token with the same expert keep their order j.

    Example:

    ```mlir
    func.func @f(%ids: tensor<2x3x2xi32>, %weights: tensor<2x3x2xbf16>)
        -> tensor<12xbf16> {
      %plan, %gates = moe.plan_from_choice %ids, %weights experts 4
          : tensor<2x3x2xi32>, tensor<2x3x2xbf16>
      return %gates : tensor<12xbf16>
    }
    ```

    Constraints:
    - CHOICE-1: `ids` is [S, T, K] of i32 or i64 with K static and positive.
    - CHOICE-2: `weights` has the shape of `ids`.
    - CHOICE-3: `experts` is positive.
    - CHOICE-4: S·T·E and the rows are below 2^31.
  }];
  let arguments = (ins 3DTensorOf<[I32, I64]>:$ids,
                       3DTensorOf<[MoE_Float]>:$weights,
                       I64Attr:$experts);
  let results = (outs MoE_PlanType:$plan, 1DTensorOf<[MoE_Float]>:$gates);
  let assemblyFormat = [{
    $ids `,` $weights `experts` $experts attr-dict
    `:` type($ids) `,` type($weights)
  }];
  let hasVerifier = 1;
}

def MoE_PlanFieldOp : MoE_Op<"plan_field", [InferTypeOpAdaptor]> {
  let summary = "Read an index tensor of a plan";
  let description = [{
    One of `expert_offsets [E+1]`, `row_token [R]`, `token_offsets [S, T+1]`,
    `token_row [R]`, all i32, so that counts, losses and odd per-expert scales
    become plain linalg.

    Example:

    ```mlir
    func.func @f(%plan: !moe.plan<?x?x64, rows = ?>) -> tensor<65xi32> {
      %0 = moe.plan_field %plan expert_offsets : !moe.plan<?x?x64, rows = ?>
      return %0 : tensor<65xi32>
    }
    ```

    Constraints:
    - FIELD-1: `plan` is a `!moe.plan`.
  }];
  let arguments = (ins MoE_PlanOf<"FIELD-1">:$plan, MoE_FieldAttr:$field);
  let results = (outs RankedTensorOf<[I32]>:$tensor);
  let assemblyFormat = "$plan `` $field attr-dict `:` qualified(type($plan))";
  let hasFolder = 1;
}

def MoE_DispatchOp : MoE_Op<"dispatch", [InferTypeOpAdaptor]> {
  let summary = "Copy tokens into rows, in plan order";
  let description = [{
        rows[r, :] = x[s, t, :]  where  s·T + t = row_token[r],  r < N

    Rows beyond N are not defined.

    Example:

    ```mlir
    func.func @f(%x: tensor<2x3x8xf32>, %plan: !moe.plan<2x3x4, rows = 6>)
        -> tensor<6x8xf32> {
      %rows = moe.dispatch %x by %plan
          : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
      return %rows : tensor<6x8xf32>
    }
    ```

    Constraints:
    - DISPATCH-1: `x` is a tensor [S, T, H].
    - DISPATCH-2: `plan` is a `!moe.plan`.
    - DISPATCH-3: `x` and `plan` agree on S and T.
  }];
  let arguments = (ins 3DTensorOf<[MoE_Float]>:$x,
                       MoE_PlanOf<"DISPATCH-2">:$plan,
                       OptionalAttr<MoE_ScheduleAttr>:$schedule);
  let results = (outs 2DTensorOf<[MoE_Float]>:$rows);
  let assemblyFormat = [{
    $x `by` $plan attr-dict `:` type($x) `,` qualified(type($plan))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def MoE_GroupedMatmulOp : MoE_Op<"grouped_matmul",
                                 [AttrSizedOperandSegments]> {
  let summary = "Multiply each expert's rows by that expert's weight";
  let description = [{
    One matmul per expert segment of the rows, accumulated in f32, and a region
    that makes each element of the result:

        acc_o[r, n]  = sum_k row[r, k] · weight_o[e, n, k]   for o in outputs
        result[r, n] = region(acc_0[r, n], ..., extras at (r, e, n))

    for every live row r of expert e. The input is rows `[R, K]`, or tokens
    `[S, T, K]` that are gathered in the load. A weight is `[E, N, K]`
    (`layout = nk`) or `[E, K, N]` (`layout = kn`). There are two logical
    outputs, as gate and up of a GLU, if two weights are given, or one weight
    of 2·N columns with `arrangement`: `concat` (first all of output 0) or
    `interleaved` (columns 2n and 2n+1).

    Each extra operand is of one kind: `row` `[R]`, `column` `[E, N]` (a bias)
    or `element` `[R, N]`. The region takes one f32 per logical output, then
    the extras in their own types, and yields the element of the result. Rows
    beyond N are not defined.

    Example:

    ```mlir
    func.func @swiglu(%x: tensor<?x?x1024xf32>,
                      %plan: !moe.plan<?x?x64, rows = ?>,
                      %w: tensor<64x1024x1024xf32>) -> tensor<?x512xf32> {
      %h = moe.grouped_matmul %x by %plan
          weights(%w : tensor<64x1024x1024xf32>) layout = nk
          arrangement = concat
          : tensor<?x?x1024xf32>, !moe.plan<?x?x64, rows = ?>
          -> tensor<?x512xf32> {
      ^bb0(%gate: f32, %up: f32):
        %one = arith.constant 1.0 : f32
        %n = arith.negf %gate : f32
        %e = math.exp %n : f32
        %d = arith.addf %one, %e : f32
        %s = arith.divf %gate, %d : f32
        %r = arith.mulf %s, %up : f32
        moe.yield %r : f32
      }
      return %h : tensor<?x512xf32>
    }
    ```

    Constraints:
    - GMM-1: there are one or two weights, of the same type; `arrangement`
      needs one weight.
    - GMM-2: there is one kind for each extra.
    - GMM-3: the weights' E is the plan's, and their K the input's.
    - GMM-4: an extra has the shape of its kind.
    - GMM-5: the region takes one argument per logical output and per extra.
    - GMM-6: a region argument is f32 for an output, the extra's element type
      for an extra.
    - GMM-7: the region yields the element type of the result.
    - GMM-8: the ops of the region are scalar and free of effects.
    - GMM-9: tokens `[S, T, K]` agree with the plan on S and T, rows `[R, K]`
      on R.
    - GMM-10: the result is [R, N], and 2·N is the weight's N with
      `arrangement`.
    - GMM-11: input and weights have the same element type.
  }];
  let arguments = (ins
      TensorRankOf<[MoE_Float], [2, 3]>:$input,
      MoE_PlanType:$plan,
      Variadic<3DTensorOf<[MoE_Float]>>:$weights,
      Variadic<RankedTensorOf<[MoE_Float, I1, I32, I64]>>:$extras,
      MoE_LayoutAttr:$layout,
      OptionalAttr<MoE_ArrangementAttr>:$arrangement,
      DefaultValuedAttr<MoE_ExtraArrayAttr, "{}">:$extra_kinds,
      OptionalAttr<MoE_MatmulScheduleAttr>:$schedule);
  let regions = (region SizedRegion<1>:$epilogue);
  let results = (outs 2DTensorOf<[MoE_Float]>:$result);
  let assemblyFormat = [{
    $input `by` $plan `weights` `(` $weights `:` type($weights) `)`
    `layout` `=` `` $layout (`arrangement` `=` `` $arrangement^)?
    (`extras` $extra_kinds^ `(` $extras `:` type($extras) `)`)? attr-dict
    `:` type($input) `,` qualified(type($plan)) `->` type($result) $epilogue
  }];
  let extraClassDeclaration = [{
    /// Logical outputs of one result element: 2 for a GLU, else 1.
    int64_t getNumOutputs() {
      return getWeights().size() == 2 || getArrangement() ? 2 : 1;
    }
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def MoE_CombineOp : MoE_Op<"combine", [AttrSizedOperandSegments,
                                      InferTypeOpAdaptor]> {
  let summary = "Add up the rows of each token";
  let description = [{
        y[s, t, :] = sum over the token's pairs of gate[r] · rows[r, :]

    Pairs are added in expert order, in f32, without fused multiply-add, and
    the sum is rounded once to the element type. Without `gates` the rows are
    added as they are. A token without a pair gets zero.

    `addends` [S, T, H] are what the model adds to the layer's result, such as
    a residual or a shared expert: to the rounded sum, one after another, each
    time in f32 and rounded to the element type.

    Example:

    ```mlir
    func.func @f(%rows: tensor<6x8xf32>, %plan: !moe.plan<2x3x4, rows = 6>,
                 %gates: tensor<6xf32>, %residual: tensor<2x3x8xf32>)
        -> tensor<2x3x8xf32> {
      %y = moe.combine %rows by %plan gates(%gates : tensor<6xf32>)
          addends(%residual : tensor<2x3x8xf32>)
          : tensor<6x8xf32>, !moe.plan<2x3x4, rows = 6>
      return %y : tensor<2x3x8xf32>
    }
    ```

    Constraints:
    - COMBINE-1: `rows` is a tensor [R, H].
    - COMBINE-2: `plan` is a `!moe.plan`.
    - COMBINE-3: `rows` and `plan` agree on R.
    - COMBINE-4: `gates` is [R].
    - COMBINE-5: `addends` are [S, T, H] of the element type of `rows`.
  }];
  let arguments = (ins 2DTensorOf<[MoE_Float]>:$rows,
                       MoE_PlanOf<"COMBINE-2">:$plan,
                       Optional<1DTensorOf<[MoE_Float]>>:$gates,
                       Variadic<3DTensorOf<[MoE_Float]>>:$addends,
                       OptionalAttr<MoE_ScheduleAttr>:$schedule);
  let results = (outs 3DTensorOf<[MoE_Float]>:$y);
  let assemblyFormat = [{
    $rows `by` $plan (`gates` `(` $gates^ `:` type($gates) `)`)?
    (`addends` `(` $addends^ `:` type($addends) `)`)? attr-dict
    `:` type($rows) `,` qualified(type($plan))
  }];
  let hasVerifier = 1;
}

def MoE_YieldOp : MoE_Op<"yield", [Terminator,
    ParentOneOf<["GroupedMatmulOp", "IdxGroupedMatmulOp",
                 "IdxRouteOp"]>]> {
  let summary = "Yield the result element of a grouped matmul";
  let description = [{
    Ends the region of `moe.grouped_matmul`, `moe.idx.grouped_matmul`, and a
    `moe.idx.route` with a router.

    Example:

    ```mlir
    func.func @f(%x: tensor<2x3x8xf32>, %plan: !moe.plan<2x3x4, rows = 6>,
                 %w: tensor<4x16x8xf32>) -> tensor<6x16xf32> {
      %h = moe.grouped_matmul %x by %plan weights(%w : tensor<4x16x8xf32>)
          layout = nk : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
          -> tensor<6x16xf32> {
      ^bb0(%sum: f32):
        moe.yield %sum : f32
      }
      return %h : tensor<6x16xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Float:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif // MOE_IR_MOEOPS
