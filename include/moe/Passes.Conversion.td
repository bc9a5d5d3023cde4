// The passes out of moe, to a CPU and to a GPU; a part of Passes.td.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PASSES_CONVERSION
#define MOE_PASSES_CONVERSION

include "mlir/Pass/PassBase.td"

def ConvertMoEToCPU : Pass<"convert-moe-to-cpu", "ModuleOp"> {
  let summary = "Lower bufferized moe.idx ops to loops and vectors";
  let description = [{
    Generates the code of every `moe.idx` op from its `#moe.schedule`: routing
    as scalar and vector loops in a fixed order of operations, grouped matmuls
    as register tiles over packed weight panels with prefetch, dispatch and
    combine as row copies and sums. Saves the indirection of library calls and
    the memory traffic of naive loops that would have to be rewritten.

    Before: `moe.idx` ops on memrefs; a grouped matmul without a schedule gets
    one that every x86-64 runs. After: no moe op; arith, func, math.sqrt,
    memref, scf, vector and x86vector ops. Each distinct op becomes one private
    function, which alike layers share. No math function is left that LLVM
    would turn into a call. Scratch memory of a task is freed by the task.

    Example: test/Conversion/convert-moe-to-cpu.mlir
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::mlir::x86vector::X86VectorDialect"];
  let statistics = [Statistic<"numFunctions", "functions",
                              "Functions made, one for each distinct op">];
}

def ConvertMoEToGPU : Pass<"convert-moe-to-gpu", "ModuleOp"> {
  let summary = "Lower bufferized moe.idx ops to GPU kernels and launches";
  let description = [{
    Generates one kernel for every distinct `moe.idx` op, from its schedule, in
    the `gpu.module` `@moe_kernels`, and a `gpu.launch_func` in its place. Grid
    sizes follow from the shapes and the device alone, so that the host never
    reads a result back before the last launch.

    A routing whose sizes or device are not known well enough becomes up to
    three kernels and launches, of which the host gives all but one a grid
    without blocks: tokens in shared memory (`route`), in the workspace because
    a team's blocks have too many of them (`route_long`), and several sequences
    of a block one after another (`route_in_turn`).

    Before: `moe.idx` ops on dense memrefs of global memory. After: no moe op;
    kernels of arith, gpu, llvm, nvvm, scf and vector ops on bare pointers.

    Example: test/Conversion/convert-moe-to-gpu.mlir
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let statistics = [Statistic<"numKernels", "kernels",
                              "Kernels made, one for each distinct op">];
}

def LowerLaunches : Pass<"moe-lower-launches", "ModuleOp"> {
  let summary = "Make launches and device memory calls of the runtime";
  let description = [{
    Turns the host's side of kernels into calls of a small runtime
    (moe/Runtime/GPUContext.h), which every function gets as its first argument:

    | before | after |
    |---|---|
    | `gpu.launch_func @moe_kernels::@name` | `@moe_gpu_launch`, with the kernel's number in the module's attribute `moe.kernels` |
    | `memref.alloc` that is returned | `@moe_gpu_result`, which takes the caller's memory or allocates |
    | other `memref.alloc` | a view of one arena, `@moe_gpu_arena` |
    | `memref.alloc` with `moe.zeroed` | `@moe_gpu_zeroed`: zero before the first launch, kept from call to call |
    | a call of `@moe_multiprocessors` | `@moe_gpu_multiprocessors`: how many the device has |

    All sizes are computed and all memory is asked for before the first launch:
    from there to the last one the driver sees nothing but launches, so that a
    call costs no synchronisation and can be captured in a graph. Temporaries
    whose lives do not overlap share a place of the arena, so that the peak of
    many layers is that of one. A place begins at a multiple of 256 bytes.

    A launch with the attribute `moe.cooperative` has all its blocks resident at
    once.

    Before: public functions of one block, with launches, on memrefs; all others
    inlined. After: func, memref, arith and LLVM ops; no `memref.alloc`, no
    `gpu.launch_func`.

    Example: test/Conversion/moe-lower-launches.mlir
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
  let statistics = [
    Statistic<"numTemporaries", "temporaries", "Allocations in the arena">,
    Statistic<"numPlaces", "places", "Places of the arena that they share">,
  ];
}

def AttachChip : Pass<"moe-attach-chip", "ModuleOp"> {
  let summary = "Choose the chip that kernels are compiled for";
  let description = [{
    Gives every `gpu.module` an `#nvvm.target` of the chip, with the version of
    PTX that its instructions need and no later one, which older drivers could
    not read. An unknown chip is refused; so the pass also stands at the start
    of a pipeline, where there is no `gpu.module` yet.

    | chip | PTX |
    |---|---|
    | `sm_80`, `sm_86` | 7.6 |
    | `sm_89` | 7.8 |
    | `sm_90` | 8.0 |
    | `sm_100` | 8.6 |
    | `sm_120` | 8.7 |

    Before: any stage. After: the same, every `gpu.module` with one target.

    Example: test/Conversion/moe-attach-chip.mlir
  }];
  let dependentDialects = ["::mlir::NVVM::NVVMDialect"];
  let options = [Option<"chip", "chip", "std::string", /*default=*/"\"sm_80\"",
                        "the chip: sm_80, sm_86, sm_89, sm_90, sm_100 or "
                        "sm_120">];
}

def ExpandMath : Pass<"moe-expand-math", "ModuleOp"> {
  let summary = "Replace what would be calls to libraries by arithmetic";
  let description = [{
    Replaces math functions on f32, and conversions from and to bf16 and f16, by
    arithmetic of the same shape. LLVM would make a call of libm or of the
    compiler's runtime library of each, lane by lane for a vector: slow, and an
    undefined symbol of emitted objects. `convert-moe-to-cpu` does so for its
    own code; this pass is for what is left of a model around its layers.

    Sine and cosine have an error below 0.501 ulp for every argument, for rotary
    embeddings of long sequences; the other functions one below 5 · 2^-24.
    Functions without an expansion are left for moe-verify-stage to refuse.
    Arithmetic on bf16 and f16 is that of `arith-emulate-unsupported-floats`.

    Before: arith and math on scalars or vectors. After: the same; math that
    every target has as instructions.

    Example: test/Conversion/moe-expand-math.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
  let options = [
    Option<"fma", "fma", "bool", /*default=*/"false",
           "the target has fused multiply-add and rounding to integers">,
    Option<"f16c", "f16c", "bool", /*default=*/"false",
           "the target converts between f16 and f32">,
  ];
}

#endif // MOE_PASSES_CONVERSION
