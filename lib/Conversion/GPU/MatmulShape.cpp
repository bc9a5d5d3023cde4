// What the compiler knows of one grouped matmul kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MatmulShape.h"
#include "KernelMath.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

static int64_t sizeOf(Value memref, int64_t dimension) {
  return cast<MemRefType>(memref.getType()).getDimSize(dimension);
}

static Holding holdingOf(IdxGroupedMatmulOp op) {
  if (op.getWeights().size() == 2)
    return Holding::Separate;
  if (!op.getArrangement())
    return Holding::Single;
  return *op.getArrangement() == Arrangement::Concat ? Holding::Concat
                                                     : Holding::Interleaved;
}

MatmulShape::MatmulShape(IdxGroupedMatmulOp op, GPUMatmulFormAttr form)
    : element(getElementTypeOrSelf(op.getInput().getType())),
      layout(op.getLayout()), holding(holdingOf(op)),
      gathered(static_cast<bool>(op.getRowToken())),
      experts(sizeOf(op.getExpertOffsets(), 0) - 1),
      k(cast<MemRefType>(op.getInput().getType()).getShape().back()),
      n(sizeOf(op.getOuts(), 1)), outputs(op.getNumOutputs()),
      rows(form.getRows()), columns(form.getColumns()), depth(form.getDepth()),
      warpRows(form.getWarpRows()), stages(form.getStages()),
      lanes(form.getLanes()), warpsDown(rows / warpRows),
      warpsAcross(columns / GPUMatmulFormAttr::kWarpColumns) {}

/// Bytes that an immediate of an address may be, with room for a few steps.
static constexpr int64_t kMaxPitch = int64_t{1} << 20;
static constexpr int64_t kMaxExperts = 65535;

static LogicalResult verifySizes(IdxGroupedMatmulOp op) {
  Type element = getElementTypeOrSelf(op.getInput().getType());
  if (!element.isBF16() && !element.isF16())
    return op.emitOpError("multiplies ")
           << element
           << ", and tensor cores of GPUs take bf16 or f16 with sums in f32; "
              "convert input and weights to one of these";
  MatmulShape shape(op, op.getGPUSchedule().getForms().front());
  for (int64_t size : {shape.experts, shape.k, shape.n})
    if (ShapedType::isDynamic(size) || size < 1)
      return op.emitOpError("has E, K or N that is dynamic or zero, and a "
                            "kernel for a GPU is made for given positive "
                            "sizes; only S, T and R may be dynamic");
  if (shape.experts > kMaxExperts)
    return op.emitOpError("has ")
           << shape.experts << " experts, and a kernel for a GPU takes at most "
           << kMaxExperts;
  if (std::max(shape.k, shape.weightColumns()) * kElementBytes > kMaxPitch)
    return op.emitOpError("has K or N above ")
           << kMaxPitch / kElementBytes
           << ", which the addresses of a kernel for a GPU do not reach";
  return success();
}

static LogicalResult verifyForms(IdxGroupedMatmulOp op) {
  if (op.getLayout() == Layout::NK)
    return success();
  for (GPUMatmulFormAttr form : op.getGPUSchedule().getForms())
    if (form.getDepth() < 4 * form.getWarps())
      return op.emitOpError("has weights with layout = kn, of which each warp "
                            "copies at least 4 values of k; a form with depth "
                            "= ")
             << form.getDepth() << " has " << form.getWarps()
             << " warps: use a greater depth or fewer warps";
  return success();
}

LogicalResult mlir::moe::verifyMatmulOnGPU(IdxGroupedMatmulOp op) {
  if (op.getCPUSchedule() || op.getPacked())
    return op.emitOpError("has a #moe.schedule or packed weights, which are "
                          "for convert-moe-to-cpu; a GPU takes a "
                          "#moe.gpu_matmul schedule and weights as they are");
  if (!op.getGPUSchedule())
    return op.emitOpError("needs a #moe.gpu_matmul schedule");
  if (op.getTiles().empty())
    return op.emitOpError("needs its tiles; run moe-add-tiles before "
                          "bufferization");
  if (failed(verifySizes(op)) || failed(verifyForms(op)))
    return failure();
  return verifyKernelEpilogue(op);
}
