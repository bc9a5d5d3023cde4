// The index form of the moe dialect: a plan is its four index tensors or
// memrefs, and every op writes its `outs` (destination-passing style).
//
// These are twins and not the same ops with other operands:
// DestinationStyleOpInterface demands one tensor result per tensor init, which
// an op that returns a !moe.plan cannot have; and a twin names only the fields
// that it reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOEIDXOPS
#define MOE_IR_MOEIDXOPS

include "moe/IR/MoEOps.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"

def MoE_Buffer : AnyTypeOf<[AnyRankedTensor, AnyMemRef],
                           "ranked tensor or memref">;

class MoE_IdxOp<string mnemonic, list<Trait> traits = []>
    : Op<MoE_Dialect, "idx." # mnemonic, !listconcat(traits, [
        DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>])> {
  let results = (outs Variadic<AnyRankedTensor>:$result_tensors);
  code destinationStyleMethods = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getOutsMutable();
    }
  }];
  let extraClassDeclaration = destinationStyleMethods;
  let extraClassDefinition = [{
    void $cppClass::getEffects(::llvm::SmallVectorImpl<
        ::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>>
        &effects) {
      ::mlir::moe::detail::getIdxEffects(
          ::llvm::cast<::mlir::DestinationStyleOpInterface>(getOperation()),
          effects);
    }
  }];
  let hasVerifier = 1;
}

def MoE_IdxRouteOp : MoE_IdxOp<"route", [AttrSizedOperandSegments]> {
  let summary = "Choose pairs of tokens and experts, index form";
  let description = [{
    `moe.route` with its plan as fields. `outs` are `expert_offsets`,
    `row_token`, `token_offsets`, `token_row`, the gates, and a workspace
    `[W]` of i32 whose size is that of `getWorkspaceSize`: so the lowering
    allocates nothing. Behind them is one list of tiles for each number of rows
    in `tile_rows`, as `moe.idx.tiles` would make it from the expert_offsets:
    kernels of a GPU write them in the same launch. Other attributes and their
    rules are those of `moe.route`.

    With a `router` the op computes the logits itself, on memrefs and on a GPU
    only: `router` is the input, one weight, and biases, `logits` is memory that
    is written before it is read, and the region is what becomes of each sum,
    as in a grouped matmul of one expert. `moe-join-router` makes this form.

    Example:

    ```mlir
    func.func @f(%logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                 %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
                 %gates: memref<6xf32>, %work: memref<?xi32>) {
      moe.idx.route top 1 scope = token score = softmax normalize = none
          ins(%logits : memref<2x3x4xf32>)
          outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>,
               memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>,
               memref<?xi32>)
      return
    }
    func.func @g(%x: memref<6x16xbf16>, %w: memref<1x4x16xbf16>,
                 %logits: memref<2x3x4xf32>, %eo: memref<5xi32>,
                 %rt: memref<6xi32>, %to: memref<2x4xi32>, %tr: memref<6xi32>,
                 %gates: memref<6xf32>, %work: memref<?xi32>) {
      moe.idx.route top 1 scope = token score = softmax normalize = none
          router(%x, %w : memref<6x16xbf16>, memref<1x4x16xbf16>) layout = nk {
          ^bb0(%sum: f32):
            moe.yield %sum : f32
          }
          ins(%logits : memref<2x3x4xf32>)
          outs(%eo, %rt, %to, %tr, %gates, %work : memref<5xi32>,
               memref<6xi32>, memref<2x4xi32>, memref<6xi32>, memref<6xf32>,
               memref<?xi32>)
      return
    }
    ```

    Constraints:
    - IDX-ROUTE-1: `outs` are four i32 fields, the gates and an i32 workspace,
      then as many lists of tiles as `tile_rows` has numbers.
    - IDX-ROUTE-2: `logits` is [S, T, E], or [T, E] with `scope = token`, of
      f32, bf16 or f16.
    - IDX-ROUTE-3: the attributes obey ROUTE-2, ROUTE-5 to ROUTE-11 and
      ROUTE-14.
    - IDX-ROUTE-4: `valid` is of i1 and the shape of `logits` without E;
      `choice_bias` is [E] of f32.
    - IDX-ROUTE-5: `tile_rows` are positive and differ. Their lists are i32 of
      one dimension; where their size and R are static, it is 4 times
      1 + ceil(R / rows) + E.
    - IDX-ROUTE-6: a `router` is memrefs of an input [S·T, H], a weight of its
      element type, [1, E, H] with `layout = nk` or [1, H, E] with `kn`, and
      biases [1, E]; it comes with a layout and a region, which obeys GMM-5 to
      GMM-8.
  }];
  let arguments = (ins
      MoE_Buffer:$logits,
      Optional<MoE_Buffer>:$choice_bias,
      Optional<MoE_Buffer>:$valid,
      Variadic<MoE_Buffer>:$router,
      Variadic<MoE_Buffer>:$outs,
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
      OptionalAttr<StrAttr>:$layer,
      DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$tile_rows,
      OptionalAttr<MoE_RouteScheduleAttr>:$schedule,
      OptionalAttr<MoE_LayoutAttr>:$layout);
  let regions = (region AnyRegion:$epilogue);
  let assemblyFormat = [{
    `top` $k `scope` `=` `` $scope `score` `=` `` $score `normalize` `=` `` $normalize
    (`router` `(` $router^ `:` type($router) `)` `layout` `=` `` $layout $epilogue)?
    `ins` `(` $logits `:` type($logits) `)`
    (`bias` `(` $choice_bias^ `:` type($choice_bias) `)`)?
    (`valid` `(` $valid^ `:` type($valid) `)`)?
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
  let hasRegionVerifier = 1;
  let extraClassDefinition = [{
    void $cppClass::getEffects(::llvm::SmallVectorImpl<
        ::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>>
        &effects) {
      ::mlir::moe::detail::getIdxEffects(
          ::llvm::cast<::mlir::DestinationStyleOpInterface>(getOperation()),
          effects);
      if (hasRouter())
        effects.emplace_back(::mlir::MemoryEffects::Write::get(),
                             &getLogitsMutable());
    }
  }];
  let extraClassDeclaration = destinationStyleMethods # [{
    /// Whether the op computes its logits: of an input, a weight, and biases.
    bool hasRouter() { return !getRouter().empty(); }
    ::mlir::Value getRouterInput() { return getRouter()[0]; }
    ::mlir::Value getRouterWeight() { return getRouter()[1]; }
    ::mlir::ValueRange getRouterBiases() { return getRouter().drop_front(2); }
    int64_t getNumExperts() {
      return ::llvm::cast<::mlir::ShapedType>(getLogits().getType())
          .getShape().back();
    }
    int64_t getCandidatesPerToken() {
      return getNumExperts() / getNGroup() * getTopkGroup();
    }
    int64_t getEffectiveCap() {
      return getCap().value_or(getCandidatesPerToken());
    }
    ::mlir::Value getField(::mlir::moe::Field field) {
      return getOuts()[static_cast<unsigned>(field)];
    }
    ::mlir::Value getGates() { return getOuts()[4]; }
    ::mlir::Value getWorkspace() { return getOuts()[5]; }
    /// Outs that every routing has; lists of tiles are behind them.
    static constexpr unsigned kPlanOuts = 6;
    ::mlir::ValueRange getTiles() { return getOuts().drop_front(kPlanOuts); }
    /// The schedule, where it is one of that kind.
    ::mlir::moe::ScheduleAttr getCPUSchedule() {
      return ::llvm::dyn_cast_or_null<::mlir::moe::ScheduleAttr>(
          getScheduleAttr());
    }
    ::mlir::moe::GPURouteAttr getGPUSchedule() {
      return ::llvm::dyn_cast_or_null<::mlir::moe::GPURouteAttr>(
          getScheduleAttr());
    }
    /// Tokens that one parallel step of a lowering takes, and the f32 lanes
    /// of the widest vector that it may read the workspace by.
    static constexpr int64_t kTokensPerBlock = 64, kMaxLanes = 16;
    /// i32 words of one row of the workspace: E, rounded up to whole vectors.
    static int64_t getWorkspaceRow(int64_t experts);
    /// i32 words of workspace for S sequences of T tokens and E experts.
    static int64_t getWorkspaceWords(int64_t seqs, int64_t tokens,
                                     int64_t experts);
    /// The same as an index value; `seqs` and `tokens` are index values.
    static ::mlir::Value getWorkspaceSize(::mlir::OpBuilder &builder,
                                          ::mlir::Location loc,
                                          ::mlir::Value seqs,
                                          ::mlir::Value tokens,
                                          int64_t experts);
  }];
}

def MoE_IdxPlanFromChoiceOp : MoE_IdxOp<"plan_from_choice"> {
  let summary = "Make a plan of given expert ids and weights, index form";
  let description = [{
    `moe.plan_from_choice` with its plan as fields; `outs` are the four fields
    and the gates.

    Example:

    ```mlir
    func.func @f(%ids: memref<2x3x1xi32>, %w: memref<2x3x1xf32>,
                 %eo: memref<5xi32>, %rt: memref<6xi32>, %to: memref<2x4xi32>,
                 %tr: memref<6xi32>, %gates: memref<6xf32>) {
      moe.idx.plan_from_choice experts 4
          ins(%ids, %w : memref<2x3x1xi32>, memref<2x3x1xf32>)
          outs(%eo, %rt, %to, %tr, %gates : memref<5xi32>, memref<6xi32>,
               memref<2x4xi32>, memref<6xi32>, memref<6xf32>)
      return
    }
    ```

    Constraints:
    - IDX-CHOICE-1: `outs` are four i32 fields and the gates.
    - IDX-CHOICE-2: `ids` is [S, T, K] of i32 or i64, `weights` [S, T, K] of
      f32, bf16 or f16.
  }];
  let arguments = (ins MoE_Buffer:$ids, MoE_Buffer:$weights,
                       Variadic<MoE_Buffer>:$outs, I64Attr:$experts);
  let assemblyFormat = [{
    `experts` $experts
    `ins` `(` $ids `,` $weights `:` type($ids) `,` type($weights) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
  let extraClassDeclaration = destinationStyleMethods # [{
    ::mlir::Value getField(::mlir::moe::Field field) {
      return getOuts()[static_cast<unsigned>(field)];
    }
    ::mlir::Value getGates() { return getOuts()[4]; }
  }];
}

def MoE_IdxDispatchOp : MoE_IdxOp<"dispatch"> {
  let summary = "Copy tokens into rows, index form";
  let description = [{
    `moe.dispatch` with the plan's `expert_offsets` and `row_token`.

    Example:

    ```mlir
    func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
                 %rows: memref<6x8xf32>) {
      moe.idx.dispatch
          ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
          outs(%rows : memref<6x8xf32>)
      return
    }
    ```

    Constraints:
    - IDX-DISPATCH-1: `x` is [S, T, H] and `outs` [R, H] of one of f32, bf16
      and f16; `expert_offsets` and `row_token` are i32 of one dimension.
  }];
  let arguments = (ins MoE_Buffer:$x, MoE_Buffer:$expert_offsets,
                       MoE_Buffer:$row_token, MoE_Buffer:$outs,
                       OptionalAttr<MoE_ScheduleAttr>:$schedule);
  let assemblyFormat = [{
    `ins` `(` $x `,` $expert_offsets `,` $row_token `:` type($x) `,`
    type($expert_offsets) `,` type($row_token) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
}

def MoE_IdxPackOp : MoE_IdxOp<"pack"> {
  let summary = "Pack weights into the panels that a schedule reads";
  let description = [{
    Rearranges the weights of a grouped matmul into panels
    `[E, P, ceil(K / s), vectors·vector·s]`, s = 2 for `product = bf16_dot` and
    1 otherwise, P = ceil(N / C) panels of C = vectors·vector / outputs logical
    columns:

        packed[e, p, k / s, (o·C + c)·s + k mod s] = weight_o[e, p·C + c, k]

    Missing columns and an odd last k are zero. Done once per weight: the
    result does not depend on activations.

    Example:

    ```mlir
    #s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                       row_block = 120, product = fma, prefetch = true>
    func.func @f(%w: memref<4x100x32xf32>, %packed: memref<4x2x32x64xf32>) {
      moe.idx.pack ins(%w : memref<4x100x32xf32>) layout = nk schedule = #s
          outs(%packed : memref<4x2x32x64xf32>)
      return
    }
    ```

    Constraints:
    - IDX-PACK-1: there are one or two weights, of rank 3 and the same type;
      `arrangement` needs one weight with an even number of columns.
    - IDX-PACK-2: `outs` has the schedule's packed shape and the weights'
      element type.
  }];
  let arguments = (ins Variadic<MoE_Buffer>:$weights, MoE_Buffer:$outs,
                       MoE_LayoutAttr:$layout,
                       OptionalAttr<MoE_ArrangementAttr>:$arrangement,
                       MoE_ScheduleAttr:$schedule);
  let assemblyFormat = [{
    `ins` `(` $weights `:` type($weights) `)` `layout` `=` `` $layout
    (`arrangement` `=` `` $arrangement^)? `schedule` `=` $schedule
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
  let extraClassDeclaration = destinationStyleMethods # [{
    int64_t getNumOutputs() {
      return getWeights().size() == 2 || getArrangement() ? 2 : 1;
    }
  }];
}

def MoE_IdxTilesOp : MoE_IdxOp<"tiles"> {
  let summary = "Cut the rows of each expert into tiles";
  let description = [{
    Lists tiles of at most `rows` rows that cover each expert's rows: as few as
    can, and as equal as whole blocks of 16 rows allow, since tiles of one expert
    that are equally long read its weights at the same time. Records are of four
    i32:

        outs[0]     = (number of tiles, 0, 0, 0)
        outs[1 + i] = (expert, first row, rows, 0)

    in the order of experts, and of rows within one. An expert without rows has
    no tile. What lies behind the records is not written. At most
    ceil(R / rows) + E tiles are needed for R rows, so that a kernel can be
    launched for that many without asking how many there are.

    Example:

    ```mlir
    func.func @f(%eo: memref<65xi32>, %tiles: memref<388xi32>) {
      moe.idx.tiles ins(%eo : memref<65xi32>) rows = 32
          outs(%tiles : memref<388xi32>)
      return
    }
    ```

    Constraints:
    - IDX-TILES-1: `expert_offsets` and `outs` are i32 of one dimension.
    - IDX-TILES-2: `rows` is positive.
    - IDX-TILES-3: a static size of `outs` is that of a number of records, E
      and the first one at least.
  }];
  let arguments = (ins MoE_Buffer:$expert_offsets, MoE_Buffer:$outs,
                       I64Attr:$rows);
  let assemblyFormat = [{
    `ins` `(` $expert_offsets `:` type($expert_offsets) `)` `rows` `=` $rows
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
  let extraClassDeclaration = destinationStyleMethods # [{
    /// i32 words of one record.
    static constexpr int64_t kRecordWords = 4;
    /// Words of the list for `experts` experts with `room` rows in all, which
    /// may be dynamic.
    static int64_t getWords(int64_t room, int64_t experts, int64_t rows);
    /// The same as an index value; `room` is an index value.
    static ::mlir::Value getSize(::mlir::OpBuilder &builder,
                                 ::mlir::Location loc, ::mlir::Value room,
                                 int64_t experts, int64_t rows);
  }];
}

def MoE_IdxGroupedMatmulOp : MoE_IdxOp<"grouped_matmul",
                                       [AttrSizedOperandSegments]> {
  let summary = "Multiply each expert's rows by its weight, index form";
  let description = [{
    `moe.grouped_matmul` with the plan's `expert_offsets`, and `row_token` if
    the input is tokens. With `packed` the one weight is a result of
    `moe.idx.pack` of the same schedule. `tiles` are results of `moe.idx.tiles`
    of the same `expert_offsets`, which kernels for GPUs read in its place: one
    for each number of rows that tiles of the schedule's forms have.

    Example:

    ```mlir
    func.func @f(%x: memref<2x3x32xf32>, %eo: memref<5xi32>,
                 %rt: memref<6xi32>, %w: memref<4x100x32xf32>,
                 %y: memref<6x100xf32>) {
      moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x32xf32>, memref<5xi32>)
          tokens(%rt : memref<6xi32>) weights(%w : memref<4x100x32xf32>)
          layout = nk outs(%y : memref<6x100xf32>) {
      ^bb0(%acc: f32):
        moe.yield %acc : f32
      }
      return
    }
    ```

    Constraints:
    - IDX-GMM-1: `input` is rows [R, K] or tokens [S, T, K] of f32, bf16 or
      f16; `row_token` belongs to an input of tokens, and only to it;
      `expert_offsets` and `row_token` are i32 of one dimension.
    - IDX-GMM-2: `packed` needs a #moe.schedule and one weight of its packed
      shape.
    - IDX-GMM-3: shapes and region obey GMM-1 to GMM-8, GMM-10 and GMM-11.
    - IDX-GMM-4: `tiles` are i32 of one dimension; they need a #moe.gpu_matmul
      schedule, and are as many as its forms have different numbers of rows.
  }];
  let arguments = (ins
      MoE_Buffer:$input,
      MoE_Buffer:$expert_offsets,
      Optional<MoE_Buffer>:$row_token,
      Variadic<MoE_Buffer>:$tiles,
      Variadic<MoE_Buffer>:$weights,
      Variadic<MoE_Buffer>:$extras,
      MoE_Buffer:$outs,
      MoE_LayoutAttr:$layout,
      OptionalAttr<MoE_ArrangementAttr>:$arrangement,
      DefaultValuedAttr<MoE_ExtraArrayAttr, "{}">:$extra_kinds,
      UnitAttr:$packed,
      OptionalAttr<MoE_MatmulScheduleAttr>:$schedule);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $input `,` $expert_offsets `:` type($input) `,`
    type($expert_offsets) `)`
    (`tokens` `(` $row_token^ `:` type($row_token) `)`)?
    (`tiles` `(` $tiles^ `:` type($tiles) `)`)? (`packed` $packed^)?
    `weights` `(` $weights `:` type($weights) `)` `layout` `=` `` $layout
    (`arrangement` `=` `` $arrangement^)?
    (`extras` $extra_kinds^ `(` $extras `:` type($extras) `)`)? attr-dict
    `outs` `(` $outs `:` type($outs) `)` (`->` type($result_tensors)^)?
    $epilogue
  }];
  let extraClassDeclaration = destinationStyleMethods # [{
    /// Logical outputs of one result element: 2 for a GLU, else 1.
    int64_t getNumOutputs() {
      return getEpilogue().getNumArguments() - getExtras().size();
    }
    /// The schedule, where it is one of that kind.
    ::mlir::moe::ScheduleAttr getCPUSchedule() {
      return ::llvm::dyn_cast_or_null<::mlir::moe::ScheduleAttr>(
          getScheduleAttr());
    }
    ::mlir::moe::GPUMatmulAttr getGPUSchedule() {
      return ::llvm::dyn_cast_or_null<::mlir::moe::GPUMatmulAttr>(
          getScheduleAttr());
    }
  }];
  let hasRegionVerifier = 1;
}

def MoE_IdxCombineOp : MoE_IdxOp<"combine", [AttrSizedOperandSegments]> {
  let summary = "Add up the rows of each token, index form";
  let description = [{
    `moe.combine` with the plan's `token_offsets` and `token_row`.

    Example:

    ```mlir
    func.func @f(%rows: memref<6x8xf32>, %to: memref<2x4xi32>,
                 %tr: memref<6xi32>, %gates: memref<6xf32>,
                 %y: memref<2x3x8xf32>) {
      moe.idx.combine
          ins(%rows, %to, %tr : memref<6x8xf32>, memref<2x4xi32>,
              memref<6xi32>)
          gates(%gates : memref<6xf32>) outs(%y : memref<2x3x8xf32>)
      return
    }
    ```

    Constraints:
    - IDX-COMBINE-1: `rows` is [R, H] and `outs` [S, T, H] of one of f32, bf16
      and f16; `token_offsets` is i32 [S, T+1], `token_row` i32 [R] and `gates`
      [R] of f32, bf16 or f16.
    - IDX-COMBINE-2: `addends` have the rank and the element type of `outs`.
  }];
  let arguments = (ins MoE_Buffer:$rows, MoE_Buffer:$token_offsets,
                       MoE_Buffer:$token_row, Optional<MoE_Buffer>:$gates,
                       Variadic<MoE_Buffer>:$addends, MoE_Buffer:$outs,
                       OptionalAttr<MoE_ScheduleAttr>:$schedule);
  let assemblyFormat = [{
    `ins` `(` $rows `,` $token_offsets `,` $token_row `:` type($rows) `,`
    type($token_offsets) `,` type($token_row) `)`
    (`gates` `(` $gates^ `:` type($gates) `)`)?
    (`addends` `(` $addends^ `:` type($addends) `)`)?
    `outs` `(` $outs `:` type($outs) `)` attr-dict
    (`->` type($result_tensors)^)?
  }];
}

#endif // MOE_IR_MOEIDXOPS
