// What every conversion of moe ops expects and promises.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VerifyOps.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult
mlir::moe::verifyMoEOps(ModuleOp module,
                        function_ref<LogicalResult(Operation *)> verify) {
  WalkResult result = module.walk([&](Operation *op) {
    bool concerns =
        isa_and_nonnull<MoEDialect>(op->getDialect()) && !isa<YieldOp>(op);
    return concerns && failed(verify(op)) ? WalkResult::interrupt()
                                          : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult mlir::moe::verifyBufferized(Operation *op, StringRef pass) {
  if (isa<DestinationStyleOpInterface>(op) &&
      llvm::all_of(op->getOperandTypes(), llvm::IsaPred<MemRefType>))
    return success();
  return op->emitOpError("must be bufferized before ")
         << pass << "; run moe-expand-plan and one-shot-bufferize first";
}

LogicalResult mlir::moe::verifyNoMoE(ModuleOp module, StringRef target) {
  return verifyMoEOps(module, [&](Operation *op) -> LogicalResult {
    return op->emitOpError("has no lowering to ") << target << " in this form";
  });
}
