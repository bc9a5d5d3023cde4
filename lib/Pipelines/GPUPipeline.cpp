// --moe-gpu-pipeline: from moe on tensors to PTX and the LLVM dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PipelineStages.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void mlir::moe::buildGPUTensorPipeline(OpPassManager &pm,
                                       const GPUPipelineOptions &options) {
  // An unknown chip is refused before anything is done.
  pm.addPass(createAttachChip({options.chip}));
  // The inliner does not survive unregistered ops with regions.
  addVerification(pm, "import");
  addInlining(pm);

  // The router's matmul runs on the kernels of the experts.
  pm.addPass(createRaiseMatmul());
  pm.addPass(createFuse());
  pm.addPass(createChooseSchedule({/*cpu=*/"host", options.chip}));

  pm.addPass(createExpandPlan());
  addCleanUp(pm);
  pm.addPass(createAddTiles());
  pm.addPass(createMoveInits());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  addCleanUp(pm);
  addVerification(pm, "index");
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// As gpu-module-to-binary calls it.
static StringRef nameOf(KernelFormat format) {
  switch (format) {
  case KernelFormat::ISA:
    return "isa";
  case KernelFormat::Binary:
    return "bin";
  case KernelFormat::Fatbin:
    return "fatbin";
  }
  llvm_unreachable("all formats have names");
}

static void addKernels(OpPassManager &pm, const GPUPipelineOptions &options) {
  pm.addPass(createConvertMoEToGPU());
  pm.addPass(createInlinerPass({}, /*defaultPipelineBuilder=*/nullptr));
  OpPassManager &host = pm.nest<func::FuncOp>();
  host.addPass(memref::createResolveShapedTypeResultDimsPass());
  addCleanUp(host);
  // Constants that a kernel writes now, and functions that were inlined.
  pm.addPass(createSymbolDCEPass());
  addVerification(pm, "launches");
  pm.addPass(createLowerLaunches());

  pm.addPass(createAttachChip({options.chip}));
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(createSCFToControlFlowPass());
  ConvertGpuOpsToNVVMOpsOptions conversion;
  conversion.useBarePtrCallConv = true;
  conversion.allowPatternRollback = false;
  kernels.addPass(createConvertGpuOpsToNVVMOps(conversion));
  kernels.addPass(createConvertNVVMToLLVMPass());
  addCleanUp(kernels);
  kernels.addPass(createReconcileUnrealizedCastsPass());
  addVerification(pm, "nvvm");

  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = nameOf(options.format);
  binary.toolkitPath = options.toolkit;
  pm.addPass(createGpuModuleToBinaryPass(binary));
}

//===----------------------------------------------------------------------===//
// The host
//===----------------------------------------------------------------------===//

static void addHost(OpPassManager &pm) {
  pm.addPass(createEmitCInterface());
  pm.addPass(createLowerExpandShape());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  addCleanUp(pm);
  addVerification(pm, "gpu");
}

void mlir::moe::buildGPULoweringPipeline(OpPassManager &pm,
                                         const GPUPipelineOptions &options) {
  // Nothing is freed: moe-lower-launches places all memory of a call.
  addBufferization(pm, /*loopsMayAllocate=*/false);
  pm.addPass(createJoinRouter({options.router}));
  addCleanUp(pm);
  addKernels(pm, options);
  addHost(pm);
}

void mlir::moe::buildGPUPipeline(OpPassManager &pm,
                                 const GPUPipelineOptions &options) {
  buildGPUTensorPipeline(pm, options);
  buildGPULoweringPipeline(pm, options);
}
