// moe-attach-chip: the kernels get the chip that they are compiled for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "moe/Passes.h"
#include "moe/Routing/GPUChip.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ATTACHCHIP
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct AttachChip : mlir::moe::impl::AttachChipBase<AttachChip> {
  using AttachChipBase::AttachChipBase;

  void runOnOperation() override {
    auto known = ::moe::routing::findGPUChip(chip);
    if (!known) {
      getOperation()->emitError("moe-attach-chip: no code is generated for "
                                "chip '")
          << chip << "'; chips are " << ::moe::routing::gpuChipNames();
      return signalPassFailure();
    }
    std::string features = "+ptx" + std::to_string(known->ptx);
    // Kernels are written as they are to run: more finds nothing and takes a
    // fifth of the time.
    auto target = NVVM::NVVMTargetAttr::get(
        &getContext(), /*optLevel=*/1, "nvptx64-nvidia-cuda", chip, features);
    for (auto kernels : getOperation().getOps<gpu::GPUModuleOp>())
      kernels.setTargetsAttr(ArrayAttr::get(&getContext(), {target}));
  }
};
} // namespace
