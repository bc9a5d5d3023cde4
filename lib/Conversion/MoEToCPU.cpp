// convert-moe-to-cpu: bufferized moe.idx ops become loops and vectors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Conversion/MoEToCPU.h"
#include "ExpandVectorMath.h"
#include "OutlineOps.h"
#include "RouteToCPU.h"
#include "VectorizeEpilogue.h"
#include "VerifyOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONVERTMOETOCPU
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// What runs well enough on every x86-64, for an op without a schedule.
static ScheduleAttr getBaselineSchedule(MLIRContext *context) {
  return ScheduleAttr::get(context, Target::CPU, /*vector=*/4, /*rows=*/4,
                           /*vectors=*/2, /*row_block=*/64, Product::MulAdd,
                           /*prefetch=*/true);
}

/// What the generator needs beyond what the op's own verifier knows.
static LogicalResult verifyMatmul(IdxGroupedMatmulOp op) {
  Type element = getElementTypeOrSelf(op.getInput());
  if (getElementTypeOrSelf(op.getWeights().front()) != element)
    return op.emitOpError("has input and weights of different element types, ")
           << element << " and "
           << getElementTypeOrSelf(op.getWeights().front());
  if (op.getGPUSchedule())
    return op.emitOpError("has a #moe.gpu_matmul schedule, which is for "
                          "convert-moe-to-gpu; a CPU takes a #moe.schedule");
  ScheduleAttr schedule = op.getCPUSchedule();
  if (schedule && schedule.getProduct() == Product::BF16Dot &&
      !element.isBF16())
    return op.emitOpError("has a schedule with product = bf16_dot, which "
                          "multiplies bf16, but its input is of ")
           << element << "; use product = fma or mul_add";
  return verifyEpilogueOps(op);
}

/// Plan form and tensors belong to earlier stages.
static LogicalResult verifyForm(Operation *op) {
  if (failed(verifyBufferized(op, "convert-moe-to-cpu")))
    return failure();
  for (Type type : op->getOperandTypes()) {
    if (cast<MemRefType>(type).getMemorySpace())
      return op->emitOpError("has an operand of type ")
             << type
             << " in a memory space of its own, and a CPU has one memory; copy "
                "it to a memref without one";
    if (!cast<MemRefType>(type).isStrided())
      return op->emitOpError("has an operand of type ")
             << type
             << ", whose layout has no strides; copy it to one that has";
  }
  if (auto route = dyn_cast<IdxRouteOp>(op))
    return verifyRouteOnCPU(route);
  if (auto matmul = dyn_cast<IdxGroupedMatmulOp>(op))
    return verifyMatmul(matmul);
  return success();
}

/// Functions of `module` cannot be called from symbol tables within it.
static LogicalResult verifyNotNested(ModuleOp module) {
  WalkResult result = module.walk([&](Operation *op) {
    if (!isa_and_nonnull<MoEDialect>(op->getDialect()) ||
        SymbolTable::getNearestSymbolTable(op) == module)
      return WalkResult::advance();
    op->emitOpError("stands in a symbol table within the module; run "
                    "convert-moe-to-cpu on the module that holds it");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// A function with a grouped matmul, whose epilogue may have math ops, and
/// whether its target has fused multiply-add.
using Epilogue = std::pair<func::FuncOp, bool>;

static SmallVector<Epilogue> collectEpilogues(ModuleOp module) {
  SmallVector<Epilogue> epilogues;
  module.walk([&](IdxGroupedMatmulOp op) {
    if (!op.getSchedule())
      op.setScheduleAttr(getBaselineSchedule(op.getContext()));
    epilogues.emplace_back(op->getParentOfType<func::FuncOp>(),
                           op.getCPUSchedule().getProduct() != Product::MulAdd);
  });
  return epilogues;
}

namespace {
struct ConvertMoEToCPU : moe::impl::ConvertMoEToCPUBase<ConvertMoEToCPU> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyNotNested(module)) ||
        failed(verifyMoEOps(module, verifyForm)))
      return signalPassFailure();
    numFunctions += outlineIdxOps(module);
    RewritePatternSet patterns(&getContext());
    populateRouteToCPUPatterns(patterns);
    populatePlanFromChoiceToCPUPatterns(patterns);
    populateGroupedMatmulToCPUPatterns(patterns);
    populatePackToCPUPatterns(patterns);
    populateDispatchToCPUPatterns(patterns);
    populateCombineToCPUPatterns(patterns);
    SmallVector<Epilogue> epilogues = collectEpilogues(module);
    walkAndApplyPatterns(module, std::move(patterns));
    for (auto [function, hasFma] : epilogues)
      expandVectorMath(function, hasFma);
    if (failed(verifyNoMoE(module, "the CPU")))
      return signalPassFailure();
  }
};
} // namespace
