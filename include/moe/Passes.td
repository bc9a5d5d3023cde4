// Every pass of the project, in the order in which a pipeline runs them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PASSES
#define MOE_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Import: into moe
//===----------------------------------------------------------------------===//

include "moe/Passes.Import.td"

//===----------------------------------------------------------------------===//
// Transforms: moe to moe
//===----------------------------------------------------------------------===//

def SetScope : Pass<"moe-set-scope", "ModuleOp"> {
  let summary = "Set over what layers spend their budget of experts";
  let description = [{
    Changes the attribute `scope` of `moe.route`, and nothing else: from
    `token`, where each token gets its k best experts, to `sequence`, where the
    tokens of a sequence compete for the same number of pairs, or back. This is
    all that a pretrained model needs to use sequence-level TopK.

    `layers` are patterns (`*`, `?`, `[a-c]`) of the `layer` names of the routes
    to change; without it all are changed. `floor` and `cap` bound the experts
    of one token in sequence scope. Where one route would lose its meaning, none
    is changed and the error says what to do: logits without a sequence
    dimension, raw logits as scores, a floor above or a cap below k.

    Before: moe ops on tensors. After: the same.

    Example: test/Transforms/moe-set-scope.mlir
  }];
  let options = [
    Option<"scope", "scope", "std::string", /*default=*/"\"sequence\"",
           "token or sequence">,
    Option<"floor", "floor", "int64_t", /*default=*/"-1",
           "the least number of experts of a token; -1 leaves it as it is">,
    Option<"cap", "cap", "int64_t", /*default=*/"-1",
           "the largest number of experts of a token; -1 leaves it as it is">,
    ListOption<"layers", "layers", "std::string",
               "patterns of the names of the layers to change">,
  ];
  let statistics = [Statistic<"numChanged", "changed",
                              "Routes whose scope changed">];
}

def ExposeRoutes : Pass<"moe-expose-routes", "::mlir::ModuleOp"> {
  let summary = "Show the caller what each layer routes, or let it choose";
  let description = [{
    Adds results to each public function, one for each `moe.route` in order, so
    that a program outside can count experts per token without a second model:
    the plan's `token_offsets [S, T+1]`.

    With `given` the layers do not choose at all. Each `moe.route` becomes a
    `moe.plan_from_choice` of two new arguments at the end of the list, ids and
    weights `[S, T, E]` (an id of -1 is no expert), and the added results are
    the logits that it would have routed and, where it has one, the bias of its
    choice. Called once for each layer, with the choices of the layers before
    it, such a function tells what any rule would
    do that has no lowering of its own.

    Example: test/Transforms/moe-expose-routes.mlir
  }];
  let options = [
    Option<"given", "given", "bool", /*default=*/"false",
           "the caller gives the choices of all layers">,
  ];
  let statistics = [Statistic<"numExposed", "exposed", "Routes exposed">];
}

def RaiseMatmul : Pass<"moe-raise-matmul"> {
  let summary = "Turn dense matmuls into grouped matmuls";
  let description = [{
    A dense matmul is a grouped matmul of one expert that has all rows, and a
    batched one has an expert for each element of the batch, with offsets 0, M,
    2·M, .... So the router and the dense layers of an imported model run on the
    same generated kernels as the experts, with weights that can be packed once.

    Before: `linalg.matmul`, `batch_matmul`, `matvec`, `vecmat`, or a
    `linalg.generic` that contracts one dimension, on tensors of f32, bf16 or
    f16 of equal type. After: `moe.idx.grouped_matmul`, whose sums are f32,
    rounded once. A transpose of the weight, by its own op or by indexing maps,
    becomes the layout `nk`: nothing is moved. Several dimensions of rows become
    one. An accumulator that does not start at zero is added as an extra.
    Contractions of other forms stay as they are.

    Example: test/Transforms/moe-raise-matmul.mlir
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numRaised", "raised",
                              "Number of matmuls raised">];
}

def ChooseSchedule : Pass<"moe-choose-schedule", "ModuleOp"> {
  let summary = "Write the default schedule on ops without one";
  let description = [{
    Puts a `#moe.schedule` on every moe op that takes one and has none, in both
    forms. The schedule says what a lowering may choose without changing the
    meaning: vector width, register tile, row block, and how a product is
    accumulated. So the choice can be read in the IR, tested, and overridden by
    writing the attribute by hand, and no lowering asks about the machine.

    | CPU has | vector | rows x vectors | product |
    |---|---|---|---|
    | AVX-512 (F, BW, DQ, VL) | 16 | 6 x 4 | `fma`; `bf16_dot` for bf16 with AVX512-BF16 |
    | AVX2 and FMA | 8 | 6 x 2 | `fma` |
    | anything else | 4 | 4 x 2 | `mul_add`, or `fma` where that is one instruction |

    With `chip` the machine is a GPU. A routing gets a `#moe.gpu_route`: a grid
    of up to as many blocks as the chip's largest device has multiprocessors,
    one for 8 tokens, of 256 threads if T <= 1024 is known, else 512; or one
    cluster, where that is faster by a cost model. A grouped
    matmul gets a `#moe.gpu_matmul` of up to three forms of tiles, of which the
    rows of an expert decide at the launch; none of which the chip's shared
    memory does not hold, or half of the columns would be empty.

    | rows of an expert | tile | stages |
    |---|---|---|
    | fewer than 16 | 32 x 128 x 64 | 4 |
    | 16 and more | 128 x 128 x 64 | 3 |
    | 128 and more | 128 x 256 x 64 | 4; 3 on sm_80; not on sm_86, sm_89, sm_120 |

    Before: moe ops in either form. After: the same, each op that takes a
    schedule has one.

    Example: test/Transforms/moe-choose-schedule.mlir
  }];
  let options = [Option<"cpu", "cpu", "std::string", /*default=*/"\"host\"",
                        "the CPU: host, or LLVM's name of an x86-64 CPU, such "
                        "as x86-64-v3 or znver4">,
                 Option<"chip", "chip", "std::string", /*default=*/"\"\"",
                        "the GPU instead of a CPU, such as sm_80">];
  let statistics = [Statistic<"numScheduled", "scheduled",
                              "Ops that got a schedule">];
}

def Fuse : Pass<"moe-fuse"> {
  let summary = "Fuse what surrounds a grouped matmul into it";
  let description = [{
    Moves work to where its data already is:

    - a `moe.dispatch` into the load of the `moe.grouped_matmul` that reads it:
      rows are gathered while they are packed, one write and one read of
      R·H elements less;
    - an elementwise linalg op on the result of a grouped matmul into its
      region: inputs by element, by row, by column or scalar become extras or
      captured scalars; one write and one read of R·N elements less for each;
    - two grouped matmuls of the same rows that meet in such an op, as the gate
      and up projections of a GLU do, into one with two weights: the rows are
      packed once;
    - an elementwise linalg op on the result of a dense matmul that
      `moe-raise-matmul` made into its region: M·N elements less each way;
    - a product of rows and gates in f32 into the `moe.combine` that adds them,
      and a cast of all gates into the `moe.route` that makes them;
    - a sum of the result of a `moe.combine` and another tensor, as a residual
      or a shared expert makes it, into the combine: S·T·H elements less each
      way.

    A result with other readers is left alone: it is needed anyway. No rounding
    is added, removed or moved.

    Before: moe ops and linalg on tensors. After: the same, fewer.

    Example: test/Transforms/moe-fuse.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numDispatches", "dispatches", "Dispatches fused into a load">,
    Statistic<"numElementwise", "elementwise",
              "Elementwise ops fused into an epilogue">,
    Statistic<"numPaired", "paired", "Pairs of matmuls made one">,
    Statistic<"numDense", "dense",
              "Elementwise ops fused into dense matmuls">,
    Statistic<"numGates", "gates", "Products with gates fused into combine">,
    Statistic<"numGateCasts", "gate-casts", "Casts of gates fused into route">,
    Statistic<"numAddends", "addends", "Sums fused into combine">,
  ];
}

def ExpandPlan : Pass<"moe-expand-plan", "ModuleOp"> {
  let summary = "Replace plans by their index tensors";
  let description = [{
    Replaces every `!moe.plan` by its four fields, through functions, calls,
    `scf`, `cf` and `arith.select`, and every op of the plan form by its
    `moe.idx` twin on index tensors with `outs`. From here on each result has a
    destination, so that bufferization places it without a copy, and a field
    that nobody reads can be seen to be dead. Attributes of arguments and
    results follow their argument; those of a plan are given to each field.

    Before: moe ops and `!moe.plan` on tensors. After: `moe.idx` ops on
    tensors; no value, block argument or function type has a `!moe.plan`. An op
    that cannot carry a plan is refused by name.

    Example: test/Transforms/moe-expand-plan.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def AddTiles : Pass<"moe-add-tiles"> {
  let summary = "List the tiles that grouped matmuls on a GPU need";
  let description = [{
    Gives every `moe.idx.grouped_matmul` with a `#moe.gpu_matmul` schedule its
    `tiles`: a `moe.idx.tiles` for each number of rows that tiles of its forms
    have. Matmuls of one plan share them. A kernel can then start at any tile,
    and none has to search the plan. If the plan is that of a `moe.idx.route` of
    the block, the lists are results of it, so that no launch is needed.

    Before: `moe.idx.grouped_matmul ins(%x, %expert_offsets ...)`. After: the
    same with `tiles(%tiles ...)`, and `%tiles = moe.idx.tiles ins(...)
    rows = 128`, or `moe.idx.route ... {tile_rows = array<i64: 128>}`.

    Must run before bufferization: on memrefs nothing is changed.

    Example: test/Transforms/moe-add-tiles.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numLists", "lists", "Lists of tiles made">];
}

def JoinRouter : Pass<"moe-join-router"> {
  let summary = "Compute a router's logits in the launch of its routing";
  let description = [{
    A router is a matmul of one weight whose result a `moe.idx.route` reads. On
    a GPU it is a launch before the routing's, with a list of tiles, and for a
    few tokens launches take longer than the product. This pass gives the
    routing the matmul's operands and region as its `router`: each block of
    threads computes the logits of its own tokens, writes them, as others may
    read them, and routes them.

    Joined are matmuls of bf16 or f16 whose region reads nothing but biases, if
    nothing accesses the logits before the routing, and nothing between the two
    may write what the matmul reads. `router = auto` joins where that is faster
    by the cost model, which needs S and T to be known, `joined` wherever it is
    possible, and `apart` nowhere.

    Before: bufferized `moe.idx` ops with schedules for a GPU. After: the same,
    `moe.idx.route ... router(%x, %w ...)` in place of two ops.

    Example: test/Transforms/moe-join-router.mlir
  }];
  let options = [Option<
      "router", "router", "::mlir::moe::RouterLaunch",
      /*default=*/"::mlir::moe::RouterLaunch::Auto",
      "where the logits of a routing are computed",
      [{::llvm::cl::values(
          clEnumValN(::mlir::moe::RouterLaunch::Auto, "auto",
                     "where it is faster by the cost model"),
          clEnumValN(::mlir::moe::RouterLaunch::Joined, "joined",
                     "in the routing's launch, where possible"),
          clEnumValN(::mlir::moe::RouterLaunch::Apart, "apart",
                     "in a launch of their own"))}]>];
  let statistics = [Statistic<"numJoined", "joined",
                              "Routers joined with their routing">];
}

def PackWeights : Pass<"moe-pack-weights", "ModuleOp"> {
  let summary = "Pack the weights of grouped matmuls, once";
  let description = [{
    A grouped matmul streams its weights through panels that fit its register
    tile (see `moe.idx.pack`). This pass packs the weights of every
    `moe.idx.grouped_matmul`; matmuls that read the same weights by the same
    schedule share the panels.

    Weights that are computed by pure ops from `moe.param` arguments of a public
    function that nobody calls do not change from run to run. Their packing
    becomes a public function `@<entry>.pack.<i>`, which a loader runs once, and
    the entry takes the packed weight in place of the parameters, as an argument
    with

        moe.packed = {function = "<entry>.pack.<i>", params = ["<name>", ...]}

    after its other arguments. Parameters that are left without a use are
    removed. So a run neither packs nor keeps the unpacked weights. All other
    weights are packed where they are known, in each run.

    Before: `moe.idx` ops on tensors with schedules. After: the same, each
    grouped matmul `packed`.

    Example: test/Transforms/moe-pack-weights.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numPacked", "packed", "Weights packed">,
    Statistic<"numFunctions", "functions", "Functions made that pack weights">,
  ];
}

def MoveInits : Pass<"moe-move-inits"> {
  let summary = "Make an input of what a parallel linalg op reads of its init";
  let description = [{
    A product that sums over nothing arrives as a parallel `linalg.generic` that
    adds to its init, a zero. `linalg-fuse-elementwise-ops` fuses such an op into
    a consumer with more loops and keeps the init: each further iteration then
    adds once more to the same element, and the result is wrong. This pass makes
    an input of the init, which costs nothing: the fusion folds the fill.

    Before: linalg on tensors. After: the same, no `linalg.generic` of parallel
    loops alone reads an init.

    Example: test/Transforms/moe-move-inits.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def VerifyStage : Pass<"moe-verify-stage"> {
  let summary = "Check what is left after a stage of a pipeline";
  let description = [{
    Fails at the first operation that may not be left after a stage, and says
    why. Without it, what a pass could not convert would surface stages later,
    as an error about something else. After `import` there is no op of a dialect
    that is not registered; after `index` no `!moe.plan` and no op of the plan
    form; after `buffers` no tensor; after `loops` arith, cf, func, index,
    memref, scf, ub, vector, x86vector, and the math that a CPU has as
    instructions; after `llvm` llvm and omp. On the way to a GPU: after
    `launches` the host launches kernels and computes sizes, and touches no
    element; after `nvvm` kernels are llvm and nvvm and call no function from
    outside; after `gpu` the host is llvm, and no PTX calls a function from
    outside.

    Before and after: the same module.

    Example: test/Transforms/moe-verify-stage.mlir
  }];
  let options = [Option<"stage", "stage", "std::string", /*default=*/"",
                        "the stage: import, index, buffers, loops, llvm, "
                        "launches, nvvm or gpu">];
}

def KeepArguments : Pass<"moe-keep-arguments", "ModuleOp"> {
  let summary = "Keep public functions from writing to their arguments";
  let description = [{
    Marks each tensor argument of a public function as not writable, unless it
    says something else. Bufferization would otherwise update an argument in
    place where it can, as a scatter into an input can; but the arguments are
    the caller's arrays and weights, which it reads again.

    Before: any stage on tensors. After: the same; arguments are marked with
    `bufferization.writable = false`, which bufferization reads and removes.

    Example: test/Transforms/moe-keep-arguments.mlir
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def OwnResults : Pass<"moe-own-results", "ModuleOp"> {
  let summary = "Give each result of a public function a buffer of its own";
  let description = [{
    A function that returns a tensor and a view of it, or twice the same, would
    return one buffer twice, to be freed twice. This copies the second one.

    Before: functions on tensors, to be bufferized. After: the same; the results
    of a public function are different tensors.

    Example: test/Transforms/moe-own-results.mlir
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
  let statistics = [Statistic<"numCopied", "copied", "Results copied">];
}

def EmitCInterface : Pass<"moe-emit-c-interface", "ModuleOp"> {
  let summary = "Ask for a C interface of every public function";
  let description = [{
    Marks each public function that has a body with `llvm.emit_c_interface`:
    the lowering to LLVM makes `_mlir_ciface_<name>` on memref descriptors of
    it. A wrapper of a private function or a declaration would be dead code.

    Before: any stage before LLVM. After: the same, public functions marked.

    Example: test/Transforms/moe-emit-c-interface.mlir
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def CopyToLinalg : Pass<"moe-copy-to-linalg"> {
  let summary = "Make linalg.copy of copies that are no memcpy";
  let description = [{
    A `memref.copy` between contiguous buffers becomes a memcpy. Any other would
    become a call of a runtime library that emitted objects do not need
    otherwise; this makes a `linalg.copy` of it, to be loops of known rank.

    Before: memrefs. After: the same, each `memref.copy` contiguous.

    Example: test/Transforms/moe-copy-to-linalg.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
  let statistics = [Statistic<"numCopies", "copies", "Copies replaced">];
}

def LowerExpandShape : Pass<"moe-lower-expand-shape"> {
  let summary = "Make a cast of expand_shape with several dynamic sizes";
  let description = [{
    A `memref.expand_shape` that splits a dimension into several of unknown size
    (tokens back into sequences, say) states those sizes. `expand-strided-metadata`
    knows one such size per dimension only, and has undefined behaviour for more.
    This pass writes the address arithmetic itself.

    Before: memrefs. After: the same, each `memref.expand_shape` with at most one
    dynamic size per source dimension.

    Example: test/Transforms/moe-lower-expand-shape.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [Statistic<"numShapes", "shapes", "Shapes replaced">];
}

def LowerLinalg : Pass<"moe-lower-linalg"> {
  let summary = "Lower linalg on memrefs to loops, large ones parallel";
  let description = [{
    Makes a loop nest of each linalg op. With `parallel`, the loops of the
    leading parallel dimensions become one `scf.parallel`, where that pays:
    the last dimension stays a loop, for vectors; an op inside a loop stays
    serial, since threads would be woken in each iteration; and so does one of
    fewer than 32768 iterations, which a branch decides where sizes are known
    at run time only. The order of sums is that of the op in every case.

    Before: linalg on memrefs. After: scf loops, memref and affine.apply.

    Example: test/Transforms/moe-lower-linalg.mlir
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
  let options = [Option<"parallel", "parallel", "bool", "false",
                        "make parallel loops where they pay">];
  let statistics = [Statistic<"numLowered", "lowered", "Ops lowered">];
}

def LowerAllocaScope : Pass<"moe-lower-alloca-scope"> {
  let summary = "Save and restore the stack pointer for memref.alloca_scope";
  let description = [{
    `convert-scf-to-openmp` puts the body of a parallel loop into a
    `memref.alloca_scope`, in which loops cannot become branches: it may have
    one block only. This puts the body in its place, between `stacksave` and
    `stackrestore` if it has an alloca, whose memory each iteration gives back.

    Before: structured control flow on memrefs. After: the same, without
    `memref.alloca_scope`.

    Example: test/Transforms/moe-lower-alloca-scope.mlir
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

//===----------------------------------------------------------------------===//
// Conversion: out of moe
//===----------------------------------------------------------------------===//

include "moe/Passes.Conversion.td"

//===----------------------------------------------------------------------===//
// Reduction: for moe-reduce
//===----------------------------------------------------------------------===//

def CutUses : Pass<"moe-cut-uses", "ModuleOp"> {
  let summary = "Make a module smaller while a program finds it interesting";
  let description = [{
    Takes one operation after the other, the last first, replaces its results by
    poison, and erases it. The change stays if the module is still valid and the
    test program still finds it interesting (exit status 1, as everywhere in
    mlir-reduce); else it is undone. Replacing results is what shortens a chain
    from logits to result, which erasing unused operations alone cannot do.

    Before: any module that the test program finds interesting. After: a module
    from which no single operation can be taken.

    Example: test/Transforms/moe-cut-uses.mlir
  }];
  let dependentDialects = ["::mlir::ub::UBDialect"];
  let options = [
    Option<"test", "test", "std::string", /*default=*/"\"\"",
           "path of the test program; exit status 1 means interesting">,
    ListOption<"testArguments", "test-arg", "std::string",
               "arguments of the test program before the file's name">,
  ];
  let statistics = [Statistic<"numErased", "erased", "Operations erased">];
}

#endif // MOE_PASSES
