// moe-lower-alloca-scope: memref.alloca_scope becomes a saved stack pointer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERALLOCASCOPE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

/// Whether the scope owns stack memory: an alloca that no scope within has.
static bool ownsStack(memref::AllocaScopeOp scope) {
  return scope
      ->walk([&](memref::AllocaOp alloca) {
        return alloca->getParentOfType<memref::AllocaScopeOp>() == scope
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

static void lower(memref::AllocaScopeOp scope, bool saveStack,
                  IRRewriter &rewriter) {
  Location loc = scope.getLoc();
  rewriter.setInsertionPoint(scope);
  Value stack;
  if (saveStack)
    stack = LLVM::StackSaveOp::create(
        rewriter, loc, LLVM::LLVMPointerType::get(rewriter.getContext()));
  Block *body = &scope.getBodyRegion().front();
  Operation *terminator = body->getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  rewriter.eraseOp(terminator);
  rewriter.inlineBlockBefore(body, scope);
  if (stack)
    LLVM::StackRestoreOp::create(rewriter, loc, stack);
  rewriter.replaceOp(scope, results);
}

namespace {
struct LowerAllocaScope : moe::impl::LowerAllocaScopeBase<LowerAllocaScope> {
  void runOnOperation() override {
    // Who owns which alloca is asked before any scope is gone. Post-order: what
    // is inside a scope is lowered before the scope.
    SmallVector<std::pair<memref::AllocaScopeOp, bool>> scopes;
    getOperation()->walk([&](memref::AllocaScopeOp scope) {
      scopes.emplace_back(scope, ownsStack(scope));
    });
    IRRewriter rewriter(&getContext());
    for (auto [scope, saveStack] : scopes)
      lower(scope, saveStack, rewriter);
  }
};
} // namespace
