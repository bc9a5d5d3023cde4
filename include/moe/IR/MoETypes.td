// The plan type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOETYPES
#define MOE_IR_MOETYPES

include "moe/IR/MoEDialect.td"

def MoE_PlanType : TypeDef<MoE_Dialect, "Plan"> {
  let mnemonic = "plan";
  let summary = "Which rows go to which expert";
  let description = [{
    `!moe.plan<SxTxE, rows = R>` has exactly R live rows;
    `!moe.plan<SxTxE, rows max R>` has room for R and is used where padding is
    excluded or choices may be empty. S, T and R may be `?`; E is static.

    A plan has two views. The expert view is `expert_offsets : [E+1]` and
    `row_token : [R]` (the token s·T + t of each row, ascending within an
    expert). The token view is `token_offsets : [S, T+1]` (absolute positions
    in `token_row`; the row of sequence s ends where that of s+1 begins) and
    `token_row : [R]` (a token's rows, experts ascending). All are i32.
    `expert_offsets[E]` is the number N of live rows; beyond it `row_token` and
    `token_row` hold -1.

    Example:

    ```mlir
    func.func private @f(!moe.plan<2x128x64, rows = 2048>)
    func.func private @g(!moe.plan<?x?x64, rows max ?>)
    ```

    Constraints:
    - PLAN-1: E is static and positive.
    - PLAN-2: R is at most S·T·E for an exact plan.
    - PLAN-3: S·T·E and R are below 2^31, because fields are i32.
  }];
  let parameters = (ins "int64_t":$seqs, "int64_t":$tokens,
                        "int64_t":$experts, "int64_t":$rows, "bool":$exact);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    static constexpr unsigned kNumFields = 4;
    /// The type of one index tensor, all i32.
    ::mlir::RankedTensorType getFieldType(::mlir::moe::Field field) const;
    /// The types of all index tensors, in the order of `Field`.
    ::llvm::SmallVector<::mlir::Type> getFieldTypes() const;
  }];
}

// A plan as an operand: of a message about another type, it is the part that
// says what was expected, and by which rule.
class MoE_PlanOf<string label>
    : Type<MoE_PlanType.predicate, "a !moe.plan (" # label # ")",
           "::mlir::moe::PlanType">;

#endif // MOE_IR_MOETYPES
