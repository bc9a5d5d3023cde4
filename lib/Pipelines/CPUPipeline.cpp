// --moe-cpu-pipeline: from moe on tensors to the LLVM dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"

using namespace mlir;
using namespace mlir::moe;

static void addCleanUp(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

static void addVerification(OpPassManager &pm, StringRef stage) {
  VerifyStageOptions options;
  options.stage = stage.str();
  pm.addPass(createVerifyStage(options));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void mlir::moe::buildCPUTensorPipeline(OpPassManager &pm,
                                       const CPUPipelineOptions &options) {
  // One function per entry, so that what follows sees whole layers.
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  addCleanUp(pm);

  pm.addPass(createRaiseMatmul());
  pm.addPass(createChooseSchedule({options.cpu}));

  pm.addPass(createExpandPlan());
  addCleanUp(pm);
  pm.addPass(createPackWeights());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  addCleanUp(pm);
  addVerification(pm, "index");
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

static void addBufferization(OpPassManager &pm) {
  pm.addPass(createKeepArguments());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  addCleanUp(pm);
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  // A loop that carries a plan hands a new one to the next iteration.
  options.allowReturnAllocsFromLoops = true;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  addCleanUp(pm);
  addVerification(pm, "buffers");

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

static void addLoops(OpPassManager &pm, const CPUPipelineOptions &options) {
  pm.addPass(createConvertMoEToCPU());
  pm.addPass(createCopyToLinalg());
  pm.addPass(createConvertLinalgToAffineLoopsPass());
  // Only the outermost loop of a nest: those within are for vectors.
  if (options.openmp)
    pm.addNestedPass<func::FuncOp>(
        affine::createAffineParallelize({.maxNested = 1}));
  pm.addPass(createLowerAffinePass());
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

void mlir::moe::buildCPUPipeline(OpPassManager &pm,
                                 const CPUPipelineOptions &options) {
  buildCPUTensorPipeline(pm, options);
  addBufferization(pm);
  addLoops(pm, options);
  addLLVM(pm, options);
}

void mlir::moe::registerPipelines() {
  PassPipelineRegistration<>("moe-import-pipeline",
                             "Import a front end's module into moe on tensors",
                             buildImportPipeline);
  PassPipelineRegistration<CPUPipelineOptions>(
      "moe-cpu-pipeline",
      "Compile moe on tensors to the LLVM dialect for a CPU", buildCPUPipeline);
  PassPipelineRegistration<CPUPipelineOptions>(
      "moe-cpu-tensor-pipeline",
      "The part of moe-cpu-pipeline before bufferization",
      buildCPUTensorPipeline);
}
