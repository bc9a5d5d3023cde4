// moe-emit-c-interface: public functions get a C interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EMITCINTERFACE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

namespace {
struct EmitCInterface : moe::impl::EmitCInterfaceBase<EmitCInterface> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isDeclaration())
        function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                          UnitAttr::get(&getContext()));
  }
};
} // namespace
