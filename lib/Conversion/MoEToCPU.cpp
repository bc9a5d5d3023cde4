// convert-moe-to-cpu: bufferized moe.idx ops become loops and vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Conversion/MoEToCPU.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONVERTMOETOCPU
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct ConvertMoEToCPU : moe::impl::ConvertMoEToCPUBase<ConvertMoEToCPU> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    if (failed(verifyNoMoE()))
      signalPassFailure();
  }

  /// The postcondition: no moe op is left.
  LogicalResult verifyNoMoE() {
    WalkResult result = getOperation()->walk([](Operation *op) {
      if (!isa<MoEDialect>(op->getDialect()))
        return WalkResult::advance();
      if (llvm::any_of(op->getOperandTypes(), llvm::IsaPred<TensorType>))
        op->emitOpError("must be bufferized before convert-moe-to-cpu; run "
                        "moe-expand-plan and one-shot-bufferize first");
      else
        op->emitOpError("has no lowering to the CPU in this form");
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }
};
} // namespace
