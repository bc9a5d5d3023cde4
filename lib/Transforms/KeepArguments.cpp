// moe-keep-arguments: public functions do not write to their arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_KEEPARGUMENTS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

namespace {
struct KeepArguments : moe::impl::KeepArgumentsBase<KeepArguments> {
  void runOnOperation() override {
    StringRef name = bufferization::BufferizationDialect::kWritableAttrName;
    auto no = BoolAttr::get(&getContext(), false);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isDeclaration())
        continue;
      for (BlockArgument argument : function.getArguments())
        if (isa<TensorType>(argument.getType()) &&
            !function.getArgAttr(argument.getArgNumber(), name))
          function.setArgAttr(argument.getArgNumber(), name, no);
    }
  }
};
} // namespace
