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

namespace {
template <typename OpT>
struct IdxModel : DstBufferizableOpInterfaceExternalModel<IdxModel<OpT>, OpT> {
  /// `outs` are written without being read. The base class says that every
  /// operand is read, which would copy into each destination first.
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return cast<DestinationStyleOpInterface>(op).isDpsInput(&operand);
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
    clone(rewriter, op, /*newResultTypes=*/TypeRange(), operands);
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
                 IdxGroupedMatmulOp, IdxCombineOp>(context);
  });
}
