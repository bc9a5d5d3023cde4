// moe-copy-to-linalg: strided copies become loops of this module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_COPYTOLINALG
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// Whether the lowering of memref to LLVM makes a memcpy of the copy.
static bool isContiguous(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  return type && type.getLayout().isIdentity();
}

namespace {
struct CopyToLinalg : moe::impl::CopyToLinalgBase<CopyToLinalg> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk([&](memref::CopyOp copy) {
      if (!isa<MemRefType>(copy.getSource().getType()) ||
          !isa<MemRefType>(copy.getTarget().getType()) ||
          (isContiguous(copy.getSource()) && isContiguous(copy.getTarget())))
        return;
      rewriter.setInsertionPoint(copy);
      rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                  copy.getTarget());
      ++numCopies;
    });
  }
};
} // namespace
