// The moe dialect, its enums and attributes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOEDIALECT
#define MOE_IR_MOEDIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::mlir::moe";
  let summary = "Mixture-of-Experts layers in which the choice of experts is IR";
  let description = [{
    A Mixture-of-Experts layer is four steps: `moe.route` chooses pairs of
    tokens and experts, `moe.dispatch` copies each chosen token into a row for
    its expert, `moe.grouped_matmul` multiplies every expert's rows by that
    expert's weight, and `moe.combine` adds the rows of a token, weighted by
    its gates. What one step knows of the others is a `!moe.plan`: run-time
    data that says which rows go to which expert.

    *How* experts are chosen is the attribute `scope` of `moe.route`. With
    `scope = token` each token gets its K best experts. With
    `scope = sequence` the K·T best scores of a whole sequence of T tokens are
    taken jointly (SeqTopK, arXiv 2511.06494): the same budget and the same
    weights, spent where the router is most certain. No other op reads it.

    The dialect has two forms. The *plan form* (`moe.route`, `moe.dispatch`,
    ...) is pure, on tensors and `!moe.plan`. The *index form* (`moe.idx.*`)
    carries a plan as four index tensors or memrefs in destination-passing
    style; `moe-expand-plan` goes from the one to the other.

    Letters: S sequences, T tokens of a sequence, E experts, K experts per
    token on average, H hidden size, I expert intermediate size, R rows a plan
    has room for (S·T·K), N live rows (N <= R).
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

// An enum is an I32EnumAttr (the C++ enum) and an EnumAttr that wraps it.
class MoE_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::moe";
  let genSpecializedAttr = 0;
}

def MoE_Scope : MoE_Enum<"Scope", "over what the budget is spent", [
    I32EnumAttrCase<"Token", 0, "token">,
    I32EnumAttrCase<"Sequence", 1, "sequence">]>;
def MoE_Score : MoE_Enum<"Score", "how logits become scores", [
    I32EnumAttrCase<"Softmax", 0, "softmax">,
    I32EnumAttrCase<"Sigmoid", 1, "sigmoid">,
    I32EnumAttrCase<"SqrtSoftplus", 2, "sqrtsoftplus">,
    I32EnumAttrCase<"Identity", 3, "identity">]>;
def MoE_Normalize : MoE_Enum<"Normalize",
                             "how the gates of one token are normalised", [
    I32EnumAttrCase<"None", 0, "none">,
    I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"Softmax", 2, "softmax">]>;
def MoE_GroupScore : MoE_Enum<"GroupScore", "the score of a group of experts", [
    I32EnumAttrCase<"Max", 0, "max">,
    I32EnumAttrCase<"Top2Sum", 1, "top2_sum">]>;
def MoE_Field : MoE_Enum<"Field", "an index tensor of a plan", [
    I32EnumAttrCase<"ExpertOffsets", 0, "expert_offsets">,
    I32EnumAttrCase<"RowToken", 1, "row_token">,
    I32EnumAttrCase<"TokenOffsets", 2, "token_offsets">,
    I32EnumAttrCase<"TokenRow", 3, "token_row">]>;
def MoE_Layout : MoE_Enum<"Layout", "weight layout: [E,N,K] or [E,K,N]", [
    I32EnumAttrCase<"NK", 0, "nk">,
    I32EnumAttrCase<"KN", 1, "kn">]>;
def MoE_Arrangement : MoE_Enum<"Arrangement",
                               "how one weight holds two logical outputs", [
    I32EnumAttrCase<"Concat", 0, "concat">,
    I32EnumAttrCase<"Interleaved", 1, "interleaved">]>;
def MoE_Extra : MoE_Enum<"Extra", "how an epilogue operand is indexed", [
    I32EnumAttrCase<"Row", 0, "row">,
    I32EnumAttrCase<"Column", 1, "column">,
    I32EnumAttrCase<"Element", 2, "element">]>;
def MoE_Product : MoE_Enum<"Product", "how a product is accumulated", [
    I32EnumAttrCase<"Fma", 0, "fma">,
    I32EnumAttrCase<"MulAdd", 1, "mul_add">,
    I32EnumAttrCase<"BF16Dot", 2, "bf16_dot">]>;
def MoE_Target : MoE_Enum<"Target", "what a schedule is for", [
    I32EnumAttrCase<"CPU", 0, "cpu">]>;

def MoE_ScopeAttr : EnumAttr<MoE_Dialect, MoE_Scope, "scope">;
def MoE_ScoreAttr : EnumAttr<MoE_Dialect, MoE_Score, "score">;
def MoE_NormalizeAttr : EnumAttr<MoE_Dialect, MoE_Normalize, "normalize">;
def MoE_GroupScoreAttr : EnumAttr<MoE_Dialect, MoE_GroupScore, "group_score">;
def MoE_FieldAttr : EnumAttr<MoE_Dialect, MoE_Field, "field">;
def MoE_LayoutAttr : EnumAttr<MoE_Dialect, MoE_Layout, "layout">;
def MoE_ArrangementAttr : EnumAttr<MoE_Dialect, MoE_Arrangement, "arrangement">;
def MoE_ExtraAttr : EnumAttr<MoE_Dialect, MoE_Extra, "extra">;
def MoE_ExtraArrayAttr : TypedArrayAttrBase<MoE_ExtraAttr,
                                            "array of extra kinds">;

def MoE_ScheduleAttr : AttrDef<MoE_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "The compile-time choices of a lowering";
  let description = [{
    What the lowering of an op may choose without changing its meaning, written
    by `moe-choose-schedule`, visible in the IR, and free to be overridden by
    hand.

    | parameter | meaning |
    |---|---|
    | `target` | the kind of machine, `cpu` |
    | `vector` | f32 lanes of one vector register: 4, 8 or 16 |
    | `rows` | rows of the register tile of a grouped matmul |
    | `vectors` | vector registers of one row of that tile, an even number |
    | `row_block` | rows packed and multiplied together, a multiple of `rows` |
    | `product` | `fma`, `mul_add` (targets without fused multiply-add) or `bf16_dot` (pairs of bf16 products) |
    | `prefetch` | whether the next weight panel is prefetched |

    Example:

    ```mlir
    #wide = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                          row_block = 120, product = fma, prefetch = true>
    func.func private @f() attributes {test.schedule = #wide}
    ```
  }];
  let parameters = (ins
      EnumParameter<MoE_Target>:$target,
      "int64_t":$vector,
      "int64_t":$rows,
      "int64_t":$vectors,
      "int64_t":$row_block,
      EnumParameter<MoE_Product>:$product,
      "bool":$prefetch);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Logical output columns of one weight panel.
    int64_t getPanelColumns(int64_t outputs) const {
      return getVectors() * getVector() / outputs;
    }
    /// Consecutive values of k that one packed step holds: 2 for bf16_dot.
    int64_t getKStep() const {
      return getProduct() == ::mlir::moe::Product::BF16Dot ? 2 : 1;
    }
    /// The packed form of a weight with `experts` experts, `n` logical output
    /// columns, reduction size `k` and `outputs` logical outputs:
    /// [E, ceil(n / panel columns), ceil(k / k step), vectors·vector·k step].
    /// Dynamic sizes give dynamic dimensions.
    ::llvm::SmallVector<int64_t> getPackedShape(int64_t experts, int64_t n,
                                                int64_t k,
                                                int64_t outputs) const;
  }];
}

#endif // MOE_IR_MOEDIALECT
