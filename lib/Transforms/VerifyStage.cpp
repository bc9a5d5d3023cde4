// moe-verify-stage: what may and may not be left after a stage of a pipeline.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Transforms/ExpandPlan.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYSTAGE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static InFlightDiagnostic refuse(Operation *op, StringRef stage) {
  return op->emitOpError() << "cannot be left after stage '" << stage
                           << "' of the pipeline: ";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static bool isTensor(Type type) { return isa<TensorType>(type); }

/// Whether a value, block argument or function type of `op` is a tensor.
static bool hasTensor(Operation *op) {
  if (llvm::any_of(op->getOperandTypes(), isTensor) ||
      llvm::any_of(op->getResultTypes(), isTensor))
    return true;
  if (auto function = dyn_cast<FunctionOpInterface>(op))
    return llvm::any_of(function.getArgumentTypes(), isTensor) ||
           llvm::any_of(function.getResultTypes(), isTensor);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (llvm::any_of(block.getArgumentTypes(), isTensor))
        return true;
  return false;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Math that becomes instructions; the rest would be a call to a library.
/// moe-expand-math leaves roundings and fma to targets that have them.
static bool isInlineMath(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp,
             math::CountLeadingZerosOp, math::CountTrailingZerosOp,
             math::CtPopOp, math::FloorOp, math::FmaOp, math::RoundEvenOp,
             math::SqrtOp, math::TruncOp>(op);
}

static LogicalResult verifyImport(Operation *op) {
  if (op->isRegistered())
    return success();
  return refuse(op, "import")
         << "nothing is known of its dialect; run moe-import-pipeline on what "
            "a "
            "front end gives, and write other operations with registered "
            "dialects";
}

static LogicalResult verifyIndex(Operation *op) {
  if (isa<RouteOp, PlanFromChoiceOp, PlanFieldOp, DispatchOp, GroupedMatmulOp,
          CombineOp>(op))
    return refuse(op, "index")
           << "moe-expand-plan makes its moe.idx twin; does the op stand "
              "outside a func.func?";
  return success();
}

static LogicalResult verifyBuffers(Operation *op) {
  if (hasTensor(op))
    return refuse(op, "buffers")
           << "it has tensors, so its dialect has no bufferization; rewrite it "
              "with linalg, tensor or arith operations";
  return success();
}

static LogicalResult verifyLoops(Operation *op) {
  StringRef dialect = op->getName().getDialectNamespace();
  if (auto assertion = dyn_cast<cf::AssertOp>(op))
    return refuse(op, "loops")
           << "where it fails it ends the process, which compiled code never "
              "does; check outside of it that \""
           << assertion.getMsg() << "\"";
  if (dialect == "math" && !isInlineMath(op))
    return refuse(op, "loops") << "moe-expand-math has no expansion of it for "
                               << op->getResultTypes().front()
                               << ", and no call to a math library is made";
  if (!llvm::is_contained({"arith", "builtin", "cf", "func", "index", "llvm",
                           "math", "memref", "scf", "ub", "vector",
                           "x86vector"},
                          dialect))
    return refuse(op, "loops") << "there is no lowering of it to loops";
  return success();
}

static LogicalResult verifyLLVM(Operation *op) {
  StringRef dialect = op->getName().getDialectNamespace();
  if (isa<ModuleOp>(op) || dialect == "llvm" || dialect == "omp")
    return success();
  return refuse(op, "llvm") << "there is no lowering of it to LLVM";
}

//===----------------------------------------------------------------------===//
// Operations of the GPU's pipeline
//===----------------------------------------------------------------------===//

static bool isInKernels(Operation *op) {
  return isa<gpu::GPUModuleOp>(op) || op->getParentOfType<gpu::GPUModuleOp>();
}

/// The host launches kernels and computes sizes; it touches no element.
static LogicalResult verifyLaunches(Operation *op) {
  if (isInKernels(op))
    return success();
  StringRef dialect = op->getName().getDialectNamespace();
  bool touches = isa<memref::CopyOp, memref::GetGlobalOp, memref::GlobalOp,
                     memref::LoadOp, memref::StoreOp>(op);
  if (isa<gpu::LaunchFuncOp, LLVM::IntToPtrOp>(op) ||
      op->getName().getStringRef() == "affine.apply" ||
      (!touches &&
       llvm::is_contained({"arith", "builtin", "func", "index", "memref"},
                          dialect)))
    return success();
  return refuse(op, "launches")
         << "there is no kernel for it; a function that is compiled for a GPU "
            "holds moe ops, matmuls and elementwise linalg";
}

/// What PTX would call from outside, which the driver cannot find: functions
/// of math libraries, mostly.
static LogicalResult verifyNVVM(Operation *op) {
  if (!isInKernels(op) || isa<gpu::GPUModuleOp>(op))
    return success();
  auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
  if (function && function.isExternal())
    return refuse(op, "nvvm")
           << "a kernel calls the function '" << function.getSymName()
           << "', and kernels call no library";
  StringRef dialect = op->getName().getDialectNamespace();
  if (dialect == "llvm" || dialect == "nvvm")
    return success();
  return refuse(op, "nvvm") << "there is no lowering of it to NVVM";
}

static LogicalResult verifyBinary(gpu::BinaryOp op) {
  for (auto object : op.getObjects().getAsRange<gpu::ObjectAttr>()) {
    if (object.getFormat() != gpu::CompilationTarget::Assembly)
      continue;
    StringRef rest =
        object.getObject().getValue().split(".extern .func").second;
    if (rest.empty())
      continue;
    // .extern .func (.param .b32 func_retval0) name ( ...
    rest = rest.ltrim();
    if (rest.starts_with("("))
      rest = rest.split(")").second.ltrim();
    return refuse(op, "gpu")
           << "its PTX calls the function '"
           << rest.take_until([](char c) { return c == '(' || isspace(c); })
           << "', and kernels call no library";
  }
  return success();
}

static LogicalResult verifyGPU(Operation *op) {
  if (auto binary = dyn_cast<gpu::BinaryOp>(op))
    return verifyBinary(binary);
  return isa<ModuleOp>(op) || op->getName().getDialectNamespace() == "llvm"
             ? success()
             : refuse(op, "gpu") << "there is no lowering of it to LLVM";
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
using Check = LogicalResult (*)(Operation *);

struct VerifyStage : moe::impl::VerifyStageBase<VerifyStage> {
  using VerifyStageBase::VerifyStageBase;

  void runOnOperation() override {
    Check check = llvm::StringSwitch<Check>(stage)
                      .Case("import", verifyImport)
                      .Case("index", verifyIndex)
                      .Case("buffers", verifyBuffers)
                      .Case("loops", verifyLoops)
                      .Case("llvm", verifyLLVM)
                      .Case("launches", verifyLaunches)
                      .Case("nvvm", verifyNVVM)
                      .Case("gpu", verifyGPU)
                      .Default(nullptr);
    if (!check) {
      getOperation()->emitError("moe-verify-stage: unknown stage '")
          << stage
          << "'; stages are import, index, buffers, loops, llvm, launches, "
             "nvvm and gpu";
      return signalPassFailure();
    }
    if (stage == "index" && failed(verifyNoPlan(getOperation())))
      return signalPassFailure();
    WalkResult result =
        getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
          return failed(check(op)) ? WalkResult::interrupt()
                                   : WalkResult::advance();
        });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
