// The dialect, its enums and attributes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "moe/IR/MoE.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

#include "moe/IR/MoEDialect.cpp.inc"
#include "moe/IR/MoEEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "moe/IR/MoEAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "moe/IR/MoETypes.cpp.inc"
#define GET_OP_CLASSES
#include "moe/IR/MoEOps.cpp.inc"

namespace {
/// Every op may be inlined: none knows of the function it stands in.
struct MoEInlinerInterface : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void MoEDialect::initialize() {
  addInterfaces<MoEInlinerInterface>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "moe/IR/MoEAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "moe/IR/MoETypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "moe/IR/MoEOps.cpp.inc"
      >();
}

Operation *MoEDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                           Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Target target, int64_t vector, int64_t rows,
                                   int64_t vectors, int64_t rowBlock,
                                   Product product, bool prefetch) {
  if (vector != 4 && vector != 8 && vector != 16)
    return emitError() << "vector must be 4, 8 or 16 f32 lanes, got " << vector;
  if (rows < 1 || rows > 32)
    return emitError() << "rows must be in [1, 32], got " << rows;
  if (vectors < 2 || vectors > 16 || vectors % 2)
    return emitError() << "vectors must be even and in [2, 16], got "
                       << vectors;
  if (rowBlock < rows || rowBlock % rows)
    return emitError() << "row_block must be a multiple of rows = " << rows
                       << ", got " << rowBlock;
  if (product == Product::BF16Dot && vector != 16)
    return emitError() << "product = bf16_dot needs vector = 16";
  return success();
}

SmallVector<int64_t> ScheduleAttr::getPackedShape(int64_t experts, int64_t n,
                                                  int64_t k,
                                                  int64_t outputs) const {
  auto ceilDiv = [](int64_t size, int64_t by) {
    return ShapedType::isDynamic(size) ? size
                                       : llvm::divideCeilSigned(size, by);
  };
  return {experts, ceilDiv(n, getPanelColumns(outputs)), ceilDiv(k, getKStep()),
          getVectors() * getVector() * getKStep()};
}

void mlir::moe::detail::getIdxEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<BaseMemRefType>(operand.get().getType()))
      continue;
    if (op.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}
