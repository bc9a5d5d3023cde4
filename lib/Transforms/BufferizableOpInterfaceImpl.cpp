// One-shot-bufferize for moe.idx: one external model does for every
// destination style op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::bufferization;

/// The same op on memrefs, without results. mlir::clone does not take an empty
/// region, which a moe.idx.route without a router has.
static void cloneOnMemory(OpBuilder &b, Operation *op, ValueRange operands) {
  OperationState state(op->getLoc(), op->getName(), operands, TypeRange(),
                       op->getAttrs());
  IRMapping mapping;
  for (Region &region : op->getRegions())
    if (Region *copy = state.addRegion(); !region.empty())
      b.cloneRegionBefore(region, *copy, copy->end(), mapping);
  b.create(state);
}

namespace {
template <typename OpT>
struct IdxModel : DstBufferizableOpInterfaceExternalModel<IdxModel<OpT>, OpT> {
  /// `outs` are written without being read. The base class says that every
  /// operand is read, which would copy into each destination first.
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return cast<DestinationStyleOpInterface>(op).isDpsInput(&operand);
  }

  /// Each of the `outs` is memory of its own, whether its result is used or
  /// not: an op may read again what it wrote. The analysis takes two `outs`
  /// without contents, as a tensor.empty that cse merged, for memory that can
  /// be shared.
  LogicalResult resolveConflicts(Operation *op, RewriterBase &rewriter,
                                 const AnalysisState &analysis,
                                 const BufferizationState &state) const {
    SmallVector<OpOperand *> shared;
    SmallVector<Value> written;
    for (OpOperand &out :
         cast<DestinationStyleOpInterface>(op).getDpsInitsMutable()) {
      Value value = out.get();
      if (!isa<TensorType>(value.getType()) || !analysis.isInPlace(out))
        continue;
      if (llvm::any_of(written, [&](Value other) {
            return analysis.areAliasingBufferizedValues(value, other);
          }))
        shared.push_back(&out);
      written.push_back(value);
    }
    if (failed(
            cast<BufferizableOpInterface>(op).resolveTensorOpOperandConflicts(
                rewriter, analysis, state)))
      return failure();
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    for (OpOperand *out : shared) {
      FailureOr<Value> memory = allocateTensorForShapedValue(
          rewriter, op->getLoc(), out->get(), analysis.getOptions(), state,
          /*copy=*/false);
      if (failed(memory))
        return failure();
      rewriter.modifyOpInPlace(op, [&] { out->set(*memory); });
    }
    return success();
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    auto destinationStyle = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> operands, results;
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (isa<TensorType>(value.getType())) {
        FailureOr<Value> buffer = getBuffer(rewriter, value, options, state);
        if (failed(buffer))
          return failure();
        value = *buffer;
      }
      operands.push_back(value);
      if (destinationStyle.isDpsInit(&operand))
        results.push_back(value);
    }
    cloneOnMemory(rewriter, op, operands);
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};

template <typename... OpTs> void attachModels(MLIRContext *context) {
  (OpTs::template attachInterface<IdxModel<OpTs>>(*context), ...);
}
} // namespace

void mlir::moe::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MoEDialect *) {
    attachModels<IdxRouteOp, IdxPlanFromChoiceOp, IdxDispatchOp, IdxPackOp,
                 IdxTilesOp, IdxGroupedMatmulOp, IdxCombineOp>(context);
  });
}
