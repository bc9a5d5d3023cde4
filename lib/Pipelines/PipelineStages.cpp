// What the pipelines of several targets have in common.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PipelineStages.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Passes.h"

using namespace mlir;
using namespace mlir::moe;

void mlir::moe::addCleanUp(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void mlir::moe::addVerification(OpPassManager &pm, StringRef stage) {
  VerifyStageOptions options;
  options.stage = stage.str();
  pm.addPass(createVerifyStage(options));
}

void mlir::moe::addInlining(OpPassManager &pm) {
  // What is inlined is cleaned up once, after all of it, and kernels not at
  // all.
  pm.addPass(createInlinerPass({}, /*defaultPipelineBuilder=*/nullptr));
  pm.addPass(createSymbolDCEPass());
  addCleanUp(pm.nest<func::FuncOp>());
}

void mlir::moe::addBufferization(OpPassManager &pm, bool loopsMayAllocate) {
  pm.addPass(createKeepArguments());
  pm.addPass(createOwnResults());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  addCleanUp(pm);
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  options.allowReturnAllocsFromLoops = loopsMayAllocate;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  addCleanUp(pm);
  addVerification(pm, "buffers");
}
