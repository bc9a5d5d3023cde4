// Registration of everything that a tool needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Pipelines/RegisterAll.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"
#include "moe/Transforms/BufferizableOpInterfaceImpl.h"

using namespace mlir;

void moe::registerPipelines() {
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
  PassPipelineRegistration<CPUPipelineOptions>(
      "moe-cpu-lowering-pipeline",
      "The part of moe-cpu-pipeline from bufferization on",
      buildCPULoweringPipeline);
  PassPipelineRegistration<GPUPipelineOptions>(
      "moe-gpu-pipeline",
      "Compile moe on tensors to GPU kernels and the LLVM dialect",
      buildGPUPipeline);
  PassPipelineRegistration<GPUPipelineOptions>(
      "moe-gpu-tensor-pipeline",
      "The part of moe-gpu-pipeline before bufferization",
      buildGPUTensorPipeline);
  PassPipelineRegistration<GPUPipelineOptions>(
      "moe-gpu-lowering-pipeline",
      "The part of moe-gpu-pipeline from bufferization on",
      buildGPULoweringPipeline);
}

void moe::registerAllMoEPasses() {
  registerMoEPasses();
  registerPipelines();
}

/// What turns a gpu.module into PTX.
static void registerNVPTXTranslation(DialectRegistry &registry) {
  NVVM::registerNVVMTargetInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

void moe::registerAllMoE(DialectRegistry &registry) {
  registry.insert<MoEDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);
  registerNVPTXTranslation(registry);
  registerAllMoEPasses();
}
