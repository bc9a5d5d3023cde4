// The named pipelines.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PIPELINES_PIPELINES_H
#define MOE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir::moe {

/// Options of --moe-cpu-pipeline.
struct CPUPipelineOptions : PassPipelineOptions<CPUPipelineOptions> {
  Option<std::string> cpu{
      *this, "cpu",
      llvm::cl::desc("the CPU: host, or LLVM's name of an x86-64 CPU, such as "
                     "x86-64-v3 or znver4"),
      llvm::cl::init("host")};
  Option<bool> openmp{*this, "openmp",
                      llvm::cl::desc("run parallel loops on OpenMP threads"),
                      llvm::cl::init(true)};
};

/// A front end's module -> moe and linalg on tensors. The module may hold ops
/// of StableHLO and tm_tensor in generic form.
void buildImportPipeline(OpPassManager &pm);

/// moe and linalg on tensors -> moe.idx and linalg on tensors: every choice of
/// schedule and fusion is made and visible, weights are packed by functions of
/// their own. Entry functions may get other arguments (see moe-pack-weights).
void buildCPUTensorPipeline(OpPassManager &pm,
                            const CPUPipelineOptions &options);

/// What buildCPUTensorPipeline makes -> the LLVM dialect, with a C interface
/// for every public function.
void buildCPULoweringPipeline(OpPassManager &pm,
                              const CPUPipelineOptions &options);

/// Both: moe and linalg on tensors -> the LLVM dialect.
void buildCPUPipeline(OpPassManager &pm, const CPUPipelineOptions &options);

/// Registers --moe-import-pipeline, --moe-cpu-pipeline and its two parts,
/// --moe-cpu-tensor-pipeline and --moe-cpu-lowering-pipeline.
void registerPipelines();

} // namespace mlir::moe

#endif // MOE_PIPELINES_PIPELINES_H
