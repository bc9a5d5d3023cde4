// The named pipelines.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PIPELINES_PIPELINES_H
#define MOE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "moe/Passes.h"

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

/// What the kernels of --moe-gpu-pipeline become.
enum class KernelFormat { ISA, Binary, Fatbin };

/// Options of --moe-gpu-pipeline.
struct GPUPipelineOptions : PassPipelineOptions<GPUPipelineOptions> {
  Option<std::string> chip{
      *this, "chip",
      llvm::cl::desc("the chip: sm_80, sm_86, sm_89, sm_90, sm_100 or sm_120"),
      llvm::cl::init("sm_80")};
  Option<KernelFormat> format{
      *this, "format", llvm::cl::desc("what kernels become"),
      llvm::cl::init(KernelFormat::ISA),
      llvm::cl::values(
          clEnumValN(KernelFormat::ISA, "isa", "PTX"),
          clEnumValN(KernelFormat::Binary, "bin", "machine code, by ptxas"),
          clEnumValN(KernelFormat::Fatbin, "fatbin", "both"))};
  Option<RouterLaunch> router{
      *this, "router",
      llvm::cl::desc("where the logits of a routing are computed"),
      llvm::cl::init(RouterLaunch::Auto),
      llvm::cl::values(clEnumValN(RouterLaunch::Auto, "auto",
                                  "where it is faster by the cost model"),
                       clEnumValN(RouterLaunch::Joined, "joined",
                                  "in the routing's launch, where possible"),
                       clEnumValN(RouterLaunch::Apart, "apart",
                                  "in a launch of their own"))};
  Option<std::string> toolkit{
      *this, "toolkit",
      llvm::cl::desc("folder of a CUDA toolkit, whose bin/ptxas bin and fatbin "
                     "need; default: CUDA_HOME, then the PATH"),
      llvm::cl::init("")};
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

/// moe and elementwise linalg on tensors -> moe.idx and linalg on tensors.
void buildGPUTensorPipeline(OpPassManager &pm,
                            const GPUPipelineOptions &options);

/// What buildGPUTensorPipeline makes -> the LLVM dialect for the host, whose
/// functions take a context of the runtime first (moe-lower-launches), and one
/// gpu.binary with the kernels, whose names by number are in `moe.kernels`.
void buildGPULoweringPipeline(OpPassManager &pm,
                              const GPUPipelineOptions &options);

/// Both: moe and elementwise linalg on tensors -> kernels and the host's side.
void buildGPUPipeline(OpPassManager &pm, const GPUPipelineOptions &options);

/// Registers --moe-import-pipeline; --moe-cpu-pipeline and its two parts,
/// --moe-cpu-tensor-pipeline and --moe-cpu-lowering-pipeline; the same of gpu.
void registerPipelines();

} // namespace mlir::moe

#endif // MOE_PIPELINES_PIPELINES_H
