// convert-moe-to-gpu: bufferized moe.idx ops become kernels and launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Conversion/MoEToGPU.h"
#include "../OutlineOps.h"
#include "../VerifyOps.h"
#include "DeviceMemory.h"
#include "ElementwiseToGPU.h"
#include "KernelMath.h"
#include "MatmulShape.h"
#include "RouteLayout.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONVERTMOETOGPU
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static LogicalResult verifyRouterOnGPU(IdxRouteOp op) {
  // Bytes that an address of a lane may be from the start of a row.
  constexpr int64_t kMaxDepth = int64_t{1} << 19;
  auto input = cast<MemRefType>(op.getRouterInput().getType());
  if (!input.getElementType().isBF16() && !input.getElementType().isF16())
    return op.emitOpError("has a router that multiplies ")
           << input.getElementType()
           << ", and tensor cores of GPUs take bf16 or f16 with sums in f32; "
              "convert input and weight to one of these";
  if (input.getDimSize(1) < 1 || input.getDimSize(1) > kMaxDepth)
    return op.emitOpError("has a router of an input ")
           << input << ", and a kernel for a GPU takes an H of 1 to "
           << kMaxDepth;
  return verifyKernelEpilogue(op.getEpilogue());
}

static LogicalResult verifyRouteOnGPU(IdxRouteOp op) {
  if (op.getCPUSchedule())
    return op.emitOpError("has a #moe.schedule, which is for "
                          "convert-moe-to-cpu; a GPU takes a #moe.gpu_route "
                          "schedule");
  if (!op.getGPUSchedule())
    return op.emitOpError("needs a #moe.gpu_route schedule; "
                          "moe-choose-schedule with a chip writes one");
  if (op.getNumExperts() > RouteLayout::kMaxExperts)
    return op.emitOpError("routes among ")
           << op.getNumExperts() << " experts, and the kernel of a GPU among "
           << RouteLayout::kMaxExperts << " at most";
  return op.hasRouter() ? verifyRouterOnGPU(op) : success();
}

/// Plan form and tensors belong to earlier stages.
static LogicalResult verifyForm(Operation *op) {
  if (failed(verifyBufferized(op, "convert-moe-to-gpu")))
    return failure();
  for (Type type : op->getOperandTypes()) {
    auto memref = cast<MemRefType>(type);
    if (!memref.getLayout().isIdentity())
      return op->emitOpError("has an operand of type ")
             << type
             << ", and kernels take dense row-major memory; copy it to a "
                "memref without a layout";
    if (memref.getRank() > 1 && isa<FloatType>(memref.getElementType()) &&
        memref.isDynamicDim(memref.getRank() - 1))
      return op->emitOpError("has an operand of type ")
             << type
             << ", and kernels are made for one number of columns; give the "
                "last dimension a static size";
  }
  if (auto route = dyn_cast<IdxRouteOp>(op))
    return verifyRouteOnGPU(route);
  if (auto matmul = dyn_cast<IdxGroupedMatmulOp>(op))
    return verifyMatmulOnGPU(matmul);
  return success();
}

/// Gives each routing whose workspace is allocated one of its kernel's size,
/// which the runtime zeroes once and keeps.
static void provideWorkspaces(ModuleOp module) {
  module.walk([](IdxRouteOp op) {
    OpOperand &workspace = op.getOutsMutable()[5];
    if (!workspace.get().getDefiningOp<memref::AllocOp>())
      return;
    OpBuilder b(op);
    // A known size belongs to the type: the fold that would move it there makes
    // a new op without the mark.
    auto alloc = memref::AllocOp::create(
        b, op.getLoc(), getAsOpFoldResult(getRouteWorkspaceSize(b, op)),
        b.getI32Type());
    alloc->setAttr(kZeroedMark, b.getUnitAttr());
    auto type = MemRefType::get({ShapedType::kDynamic}, b.getI32Type());
    workspace.set(
        memref::CastOp::create(b, op.getLoc(), type, alloc.getMemref()));
  });
}

namespace {
struct ConvertMoEToGPU : moe::impl::ConvertMoEToGPUBase<ConvertMoEToGPU> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyMoEOps(module, verifyForm)))
      return signalPassFailure();
    provideWorkspaces(module);
    convertConstantsToGPU(module);
    numKernels += outlineIdxOps(module);
    convertStoresToGPU(module);
    RewritePatternSet patterns(&getContext());
    populateRouteToGPUPatterns(patterns);
    populatePlanFromChoiceToGPUPatterns(patterns);
    populateDispatchToGPUPatterns(patterns);
    populateGroupedMatmulToGPUPatterns(patterns);
    populateTilesToGPUPatterns(patterns);
    populateCombineToGPUPatterns(patterns);
    populateElementwiseToGPUPatterns(patterns);
    walkAndApplyPatterns(module, std::move(patterns));
    if (failed(verifyNoMoE(module, "a GPU")))
      return signalPassFailure();
  }
};
} // namespace
