// Every pass of the project, in the order in which a pipeline runs them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PASSES
#define MOE_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Import: into moe
//===----------------------------------------------------------------------===//

//===----------------------------------------------------------------------===//
// Transforms: moe to moe
//===----------------------------------------------------------------------===//

//===----------------------------------------------------------------------===//
// Conversion: out of moe
//===----------------------------------------------------------------------===//

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
