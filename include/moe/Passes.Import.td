// The passes of the import: from what a front end gives to moe on tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PASSES_IMPORT
#define MOE_PASSES_IMPORT

include "mlir/Pass/PassBase.td"

def ImportResidual : Pass<"moe-import-residual", "::mlir::ModuleOp"> {
  let summary = "Lower the StableHLO and tm_tensor ops that a front end left";
  let description = [{
    JAX's and Torch-MLIR's own conversions to linalg leave a few ops behind:
    sort, scatter, scan, control flow, sizes at run time. They arrive in generic
    form, as ops of dialects that are not registered here
    (`--allow-unregistered-dialect`), and become loops and branches of `scf` on
    tensors:

    ```mlir
    // RUN: moe-opt %s --allow-unregistered-dialect --moe-import-residual
    func.func @sort(%keys: tensor<8xf32>, %ids: tensor<8xi32>)
        -> (tensor<8xf32>, tensor<8xi32>) {
      %0:2 = "stablehlo.sort"(%keys, %ids)
          <{dimension = 0 : i64, is_stable = true}> ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>, %i: tensor<i32>, %j: tensor<i32>):
        %less = arith.cmpf olt, %a, %b : tensor<f32>
        "stablehlo.return"(%less) : (tensor<i1>) -> ()
      }) : (tensor<8xf32>, tensor<8xi32>) -> (tensor<8xf32>, tensor<8xi32>)
      return %0#0, %0#1 : tensor<8xf32>, tensor<8xi32>
    }
    ```

    A sort is a stable merge sort of positions, n log n comparisons whatever
    the number of operands. A scatter applies its updates in their order and
    skips those that fall outside. Comparators and update functions, which
    compute on tensors of rank 0, become scalar code: no memory is touched for
    an intermediate value.

    Must run first: other passes misread or even fail on unregistered ops with
    regions. Afterwards no unregistered op is left: any other is refused with
    its name, its number and its first place, as are unknown attributes and
    types.

    Example: test/Import/moe-import-residual.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::bufferization::BufferizationDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numLowered", "lowered", "Ops that were lowered">];
}

def ImportMarkers : Pass<"moe-import-markers", "::mlir::ModuleOp"> {
  let summary = "Turn the marker calls of the front ends into moe ops";
  let description = [{
    A front end cannot print ops of this dialect: it works inside another
    framework's MLIR. It writes a call of a private declaration instead, whose
    `moe.marker` dictionary says what the call stands for (docs/import.md has
    the whole contract):

    ```mlir
    func.func private @moe.route.0(tensor<2x5x8xf32>)
        -> (tensor<9xi32>, tensor<20xi32>, tensor<2x6xi32>, tensor<20xi32>,
            tensor<20xf32>)
        attributes {moe.marker = {op = "route", version = 1 : i64,
                                  operands = ["logits"], k = 2 : i64,
                                  scope = "token", score = "softmax",
                                  normalize = "none"}}
    ```

    A `route` becomes `moe.route`, a `plan_from_choice` `moe.plan_from_choice`,
    and `experts` becomes `moe.dispatch`, two `moe.grouped_matmul` and
    `moe.combine`. A `grouped_matmul`, of rows that stand in the order of their
    groups, becomes `moe.grouped_matmul` and `moe.combine`. The four index tensors that carried the plan from the one
    call to the other become one `!moe.plan`; where other code reads one of
    them, a `moe.plan_field` stays.

    What is not understood is refused at the call: unknown ops, versions,
    attributes, operands and activations, shapes that do not fit, a plan whose
    fields come from two places or were computed on the way.

    This pass keeps the layer whole: five opaque calls cost nothing to carry
    through a framework, while the same layer in plain loops could not be
    recognised again.

    Example: test/Import/moe-import-markers.mlir
  }];
  let dependentDialects = ["::mlir::moe::MoEDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numRoutes", "routes", "Number of route markers">,
    Statistic<"numChoices", "plans-from-choice",
              "Number of plan_from_choice markers">,
    Statistic<"numExperts", "experts", "Number of experts markers">,
    Statistic<"numMatmuls", "grouped-matmuls",
              "Number of grouped_matmul markers">
  ];
}

def ImportAsserts : Pass<"moe-import-asserts", "::mlir::ModuleOp"> {
  let summary = "Turn assertions about indices into ranges of inputs";
  let description = [{
    An embedding looks a row up by an index that the caller gives, and a front
    end asserts in the loop over the elements that the row exists. Compiled code
    ends no process, so that a `cf.assert` cannot stay; and who calls it can
    check the input before the first layer runs, with a message.

    An assertion that an element of an input is below a constant, or not
    negative, becomes an attribute of the argument, `moe.range = [low, high]`:
    every element x is to be low <= x < high. The lookup itself is clamped into
    the table, so that a caller who checks nothing reads no other memory.

    ```mlir
    func.func private @lookup(%ids: tensor<?xi64>, %table: tensor<64xf32>,
                              %at: index) -> f32 {
      %c64 = arith.constant 64 : index
      %id = tensor.extract %ids[%at] : tensor<?xi64>
      %row = arith.index_cast %id : i64 to index
      %fits = arith.cmpi slt, %row, %c64 : index
      cf.assert %fits, "index must be smaller than dim size"
      %element = tensor.extract %table[%row] : tensor<64xf32>
      return %element : f32
    }
    ```

    Assertions about anything else stay, and `moe-verify-stage` refuses them by
    their message where code is made.

    Example: test/Import/moe-import-asserts.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"numRaised", "raised",
                              "Assertions that became ranges of inputs">];
}

#endif // MOE_PASSES_IMPORT
