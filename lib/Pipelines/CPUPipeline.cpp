// --moe-cpu-pipeline: from moe on tensors to the LLVM dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PipelineStages.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"
#include "moe/Transforms/CPUFeatures.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void mlir::moe::buildCPUTensorPipeline(OpPassManager &pm,
                                       const CPUPipelineOptions &options) {
  // The inliner does not survive unregistered ops with regions.
  addVerification(pm, "import");
  addInlining(pm);

  // Dense matmuls run on the kernels of the experts.
  pm.addPass(createRaiseMatmul());
  pm.addPass(createFuse());
  pm.addPass(createChooseSchedule({options.cpu}));

  pm.addPass(createExpandPlan());
  addCleanUp(pm);
  pm.addPass(createPackWeights());
  pm.addPass(createMoveInits());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  addCleanUp(pm);
  addVerification(pm, "index");
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

static void addBuffers(OpPassManager &pm) {
  // A loop that carries a plan hands a new one to the next iteration.
  addBufferization(pm, /*loopsMayAllocate=*/true);

  // Before the lowering of moe: its loops would only slow the analysis down,
  // and they allocate nothing.
  bufferization::buildBufferDeallocationPipeline(pm);
  pm.addPass(createConvertBufferizationToMemRefPass());
  // A buffer dies with its last use, so that the peak of many layers is that
  // of one.
  pm.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Math and small floats of what is left of the model, as arithmetic.
static void addExpandedMath(OpPassManager &pm, StringRef cpu) {
  pm.addPass(math::createMathExtendToSupportedTypes());
  pm.addPass(arith::createArithEmulateUnsupportedFloats(
      {.sourceTypeStrs = {"bf16", "f16"}, .targetTypeStr = "f32"}));
  ExpandMathOptions options;
  // An unknown name is an error of moe-choose-schedule, which runs earlier.
  if (llvm::Expected<CPUFeatures> features = CPUFeatures::get(cpu)) {
    options.fma = features->hasFMA();
    options.f16c = features->has("f16c");
  } else {
    llvm::consumeError(features.takeError());
  }
  pm.addPass(createExpandMath(options));
}

static void addLoops(OpPassManager &pm, const CPUPipelineOptions &options) {
  pm.addPass(createConvertMoEToCPU());
  pm.addPass(createCopyToLinalg());
  pm.addPass(createLowerLinalg({options.openmp}));
  pm.addPass(createLowerAffinePass());
  addExpandedMath(pm, options.cpu);
  addCleanUp(pm);
  addVerification(pm, "loops");
}

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

static void addLLVM(OpPassManager &pm, const CPUPipelineOptions &options) {
  pm.addPass(createEmitCInterface());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createLowerExpandShape());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  if (options.openmp)
    pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(createLowerAllocaScope());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass({.x86Vector = true}));
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  addCleanUp(pm);
  addVerification(pm, "llvm");
}

void mlir::moe::buildCPULoweringPipeline(OpPassManager &pm,
                                         const CPUPipelineOptions &options) {
  addBuffers(pm);
  addLoops(pm, options);
  addLLVM(pm, options);
}

void mlir::moe::buildCPUPipeline(OpPassManager &pm,
                                 const CPUPipelineOptions &options) {
  buildCPUTensorPipeline(pm, options);
  buildCPULoweringPipeline(pm, options);
}
