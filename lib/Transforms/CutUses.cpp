// Makes a module smaller while a test program finds it interesting.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Reducer/Tester.h"
#include "moe/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CUTUSES
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

namespace {
/// An operation taken out of its block, its results replaced by poison. It goes
/// back on destruction unless the removal was kept.
class Removal {
public:
  explicit Removal(Operation *op) : op(op), block(op->getBlock()) {
    OpBuilder builder(op);
    for (Value result : op->getResults()) {
      if (result.use_empty())
        continue;
      Value poison =
          ub::PoisonOp::create(builder, op->getLoc(), result.getType());
      for (OpOperand &use : llvm::make_early_inc_range(result.getUses())) {
        uses.emplace_back(&use, result);
        use.set(poison);
      }
      poisons.push_back(poison.getDefiningOp());
    }
    next = op->getNextNode();
    op->remove();
  }
  Removal(const Removal &) = delete;
  Removal &operator=(const Removal &) = delete;

  ~Removal() {
    if (!op)
      return;
    block->getOperations().insert(next ? Block::iterator(next) : block->end(),
                                  op);
    for (auto [use, result] : uses)
      use->set(result);
    for (Operation *poison : poisons)
      poison->erase();
  }

  void keep() {
    op->erase();
    op = nullptr;
  }

private:
  Operation *op;
  Block *block;
  Operation *next = nullptr;
  SmallVector<std::pair<OpOperand *, Value>> uses;
  SmallVector<Operation *> poisons;
};

/// Whether taking `op` away could make a smaller valid module.
bool isRemovable(Operation *op) {
  return !op->hasTrait<OpTrait::IsTerminator>() &&
         !(isa<ub::PoisonOp>(op) && !op->use_empty());
}

struct CutUses : moe::impl::CutUsesBase<CutUses> {
  using CutUsesBase::CutUsesBase;

  void runOnOperation() override {
    std::vector<std::string> arguments(testArguments.begin(),
                                       testArguments.end());
    Tester tester(test, arguments);
    if (!isInteresting(tester)) {
      getOperation().emitError()
          << "the test program '" << test
          << "' does not find the module interesting before any change; it "
             "must exit with status 1 for it";
      return signalPassFailure();
    }
    while (eraseOnce(tester)) {
    }
  }

private:
  bool isInteresting(const Tester &tester) {
    // Most removals are invalid by design: their diagnostics say nothing.
    ScopedDiagnosticHandler silence(&getContext(),
                                    [](Diagnostic &) { return success(); });
    return succeeded(verify(getOperation())) &&
           tester.isInteresting(getOperation()).first ==
               Tester::Interestingness::True;
  }

  /// Tries each operation once, users and nested operations before what they
  /// depend on. Whether one was erased.
  bool eraseOnce(const Tester &tester) {
    SmallVector<Operation *> operations;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op != getOperation() && isRemovable(op))
        operations.push_back(op);
    });
    bool erased = false;
    for (Operation *op : llvm::reverse(operations)) {
      if (!isRemovable(op))
        continue;
      Removal removal(op);
      if (!isInteresting(tester))
        continue;
      removal.keep();
      ++numErased;
      erased = true;
    }
    return erased;
  }
};
} // namespace
