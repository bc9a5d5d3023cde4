// moe-move-inits: inits that parallel linalg ops read become inputs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOVEINITS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

namespace {
struct MoveInits : moe::impl::MoveInitsBase<MoveInits> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateMoveInitOperandsToInputPattern(patterns);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
