// Elementwise linalg ops, as what may become part of a moe op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseMap.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<Access> mlir::moe::accessOf(AffineMap map) {
  MLIRContext *context = map.getContext();
  if (map.isIdentity())
    return Access::Element;
  if (map.getNumResults() == 0)
    return Access::Scalar;
  if (map.getNumResults() != 1)
    return std::nullopt;
  if (map.getResult(0) == getAffineDimExpr(0, context))
    return Access::Row;
  if (map.getResult(0) == getAffineDimExpr(1, context))
    return Access::Columns;
  return std::nullopt;
}

/// What may be an extra of a grouped matmul.
static bool isExtraElement(Type type) {
  return type.isF32() || type.isBF16() || type.isF16() || type.isInteger(1) ||
         type.isInteger(32) || type.isInteger(64);
}

/// What may stand in an epilogue (GMM-8).
static bool isScalarOp(Operation &op) {
  return isMemoryEffectFree(&op) && op.getNumRegions() == 0 &&
         llvm::all_of(op.getResultTypes(),
                      [](Type type) { return type.isIntOrIndexOrFloat(); });
}

bool mlir::moe::isElementwiseMap(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumLoops() != 2 ||
      op.getNumParallelLoops() != 2 || op->getNumResults() != 1 ||
      op.hasIndexSemantics())
    return false;
  OpOperand *init = op.getDpsInitOperand(0);
  if (op.payloadUsesValueFromOperand(init) ||
      !op.getMatchingIndexingMap(init).isIdentity())
    return false;
  Type element = getElementTypeOrSelf(op->getResult(0));
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    std::optional<Access> access = accessOf(op.getMatchingIndexingMap(input));
    if (!access || (*access != Access::Scalar &&
                    !isExtraElement(getElementTypeOrSelf(input->get()))))
      return false;
  }
  return llvm::all_of(op.getBlock()->without_terminator(), isScalarOp);
}
