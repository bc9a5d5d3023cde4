// Schedules of the GPU lowerings.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOESCHEDULES
#define MOE_IR_MOESCHEDULES

include "moe/IR/MoEDialect.td"

def MoE_Chip : MoE_Enum<"Chip", "a generation of GPUs", [
    I32EnumAttrCase<"SM80", 80, "sm_80">,
    I32EnumAttrCase<"SM86", 86, "sm_86">,
    I32EnumAttrCase<"SM89", 89, "sm_89">,
    I32EnumAttrCase<"SM90", 90, "sm_90">,
    I32EnumAttrCase<"SM100", 100, "sm_100">,
    I32EnumAttrCase<"SM120", 120, "sm_120">]>;

def MoE_GPUMatmulFormAttr : AttrDef<MoE_Dialect, "GPUMatmulForm"> {
  let mnemonic = "gpu_matmul_form";
  let summary = "One shape of the tiles of a grouped matmul on a GPU";
  let description = [{
    A block of threads makes a tile of `rows` rows of one expert and `columns`
    weight columns (so half as many columns of the result where one result
    element takes two), in steps of `depth` along K, of which `stages` are in
    shared memory at once. A warp takes `warp_rows` rows, 16 at a time in turn
    with the other warps, and 64 columns. `lanes` threads copy one row of a step
    together, 16 bytes each: 8 of them take a whole line of 128 bytes.

    The form is used where experts have `least` rows on average, or more.

    Example:

    ```mlir
    #form = #moe.gpu_matmul_form<rows = 128, columns = 256, depth = 64,
                                 warp_rows = 64, stages = 4, lanes = 8,
                                 least = 128>
    func.func private @f() attributes {test.form = #form}
    ```

    Constraints:
    - FORM-1: `rows` (16 to 256), `columns` (64 to 512), `warp_rows` (16 to 64)
      and the number of warps (at most 16) are powers of two.
    - FORM-2: `depth` is 32, 64 or 128; `lanes` is 4 for a depth of 32, 4 or 8
      for 64, and 8 for 128.
    - FORM-3: a warp copies whole groups of rows: `rows` is at least 32 / lanes
      and at most 32 for each warp, and `columns` at least 8.
    - FORM-4: `stages` is 2 to 8, `least` is not negative.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "int64_t":$depth,
                        "int64_t":$warp_rows, "int64_t":$stages,
                        "int64_t":$lanes, "int64_t":$least);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Weight columns of one warp.
    static constexpr int64_t kWarpColumns = 64;
    int64_t getWarps() const {
      return getRows() / getWarpRows() * (getColumns() / kWarpColumns);
    }
    /// Bytes of shared memory: rows and weights of all stages, of 16 bits.
    int64_t getSharedBytes() const {
      return getStages() * (getRows() + getColumns()) * getDepth() * 2;
    }
  }];
}

def MoE_GPUMatmulAttr : AttrDef<MoE_Dialect, "GPUMatmul"> {
  let mnemonic = "gpu_matmul";
  let summary = "The compile-time choices of a grouped matmul on a GPU";
  let description = [{
    The forms of tiles that a grouped matmul may take on `chip`. A kernel is
    made for each; the host launches the last one whose `least` is at most the
    average number of rows of an expert, R / E, which is known at the launch.

    Example:

    ```mlir
    #schedule = #moe.gpu_matmul<chip = sm_80, forms = [
      <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4,
       lanes = 8, least = 0>,
      <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 4,
       lanes = 4, least = 32>]>
    func.func private @f() attributes {test.schedule = #schedule}
    ```

    Constraints:
    - GPU-MATMUL-1: there is a form; `least` is 0 for the first and grows from
      each to the next.
    - GPU-MATMUL-2: the shared memory of each form fits that of a block of the
      chip.
  }];
  let parameters = (ins EnumParameter<MoE_Chip>:$chip,
                        ArrayRefParameter<"GPUMatmulFormAttr">:$forms);
  let assemblyFormat = [{
    `<` `chip` `=` $chip `,` `forms` `=` `[` $forms `]` `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The different numbers of rows that tiles have, in the order of forms:
    /// one list of tiles is needed for each.
    ::llvm::SmallVector<int64_t> getTileRows() const;
  }];
}

def MoE_RouteForm : MoE_Enum<"RouteForm", "who shares a sequence on a GPU", [
    I32EnumAttrCase<"Block", 0, "block">,
    I32EnumAttrCase<"Grid", 1, "grid">,
    I32EnumAttrCase<"Cluster", 2, "cluster">]>;

def MoE_GPURouteAttr : AttrDef<MoE_Dialect, "GPURoute"> {
  let mnemonic = "gpu_route";
  let summary = "The compile-time choices of a routing on a GPU";
  let description = [{
    How one launch of a routing is divided on `chip`. All its blocks of threads
    are resident at once, because they wait for each other.

    | parameter | meaning |
    |---|---|
    | `form` | who shares a sequence: one `block`, a team of blocks of the `grid`, or a `cluster` |
    | `threads` | threads of a block |
    | `blocks` | the most blocks of a launch; never more than the device has multiprocessors |
    | `tokens` | tokens for which a block of its own pays, in a team of the grid |
    | `cluster` | blocks of a cluster, else 1 |

    With `form = grid` the S sequences share the blocks evenly, and a team is no
    larger than ceil(T / `tokens`) blocks. With `form = cluster` each sequence
    has a cluster of blocks, which read each other's shared memory; of clusters
    fewer fit a device than of blocks, so they count as blocks of two
    multiprocessors more. Where there are more sequences than that, or with
    `form = block`, a block has whole sequences. What depends on S, T and the
    device is computed at the launch.

    Example:

    ```mlir
    #schedule = #moe.gpu_route<chip = sm_80, form = grid, threads = 512,
                               blocks = 108, tokens = 8>
    func.func private @f() attributes {test.schedule = #schedule}
    ```

    Constraints:
    - GPU-ROUTE-1: `threads` is 128, 256 or 512.
    - GPU-ROUTE-2: `blocks` is 1 to 256, `tokens` is positive.
    - GPU-ROUTE-3: `cluster` is 2, 4, 8 or 16 with `form = cluster`, and no more
      than a cluster of `chip` has: 16 on sm_90 and sm_100, 8 on sm_120. It is
      at most `blocks`. Without clusters it is 1.
  }];
  let parameters = (ins EnumParameter<MoE_Chip>:$chip,
                        EnumParameter<MoE_RouteForm>:$form,
                        "int64_t":$threads, "int64_t":$blocks,
                        "int64_t":$tokens,
                        DefaultValuedParameter<"int64_t", "1">:$cluster);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

// The schedule of a routing.
def MoE_RouteScheduleAttr
    : AnyAttrOf<[MoE_ScheduleAttr, MoE_GPURouteAttr],
                "a #moe.schedule or #moe.gpu_route">;

// The schedule of a grouped matmul: the lowerings refuse that of another one.
def MoE_MatmulScheduleAttr
    : AnyAttrOf<[MoE_ScheduleAttr, MoE_GPUMatmulAttr],
                "a #moe.schedule or #moe.gpu_matmul">;

#endif // MOE_IR_MOESCHEDULES
