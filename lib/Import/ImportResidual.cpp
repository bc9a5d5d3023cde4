// moe-import-residual: ops of unregistered dialects become upstream ones, or
// are refused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residual.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "moe/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

namespace mlir::moe {
#define GEN_PASS_DEF_IMPORTRESIDUAL
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// An op that is understood: its attributes, and what lowers it.
struct ResidualKind {
  StringLiteral name;
  ArrayRef<StringLiteral> attributes;
  LogicalResult (*lower)(ResidualOp);
};

class ImportResidual : public moe::impl::ImportResidualBase<ImportResidual> {
  void runOnOperation() override;
  LogicalResult refuseUnknownOps();
};
} // namespace

static constexpr StringLiteral kSort[] = {"dimension", "is_stable"};
static constexpr StringLiteral kScatter[] = {
    "scatter_dimension_numbers", "indices_are_sorted", "unique_indices"};
static constexpr StringLiteral kDimension[] = {"dimension"};
static constexpr StringLiteral kBroadcast[] = {"broadcast_dimensions",
                                               "known_expanding_dimensions",
                                               "known_nonexpanding_dimensions"};
static constexpr StringLiteral kTMSort[] = {"dimension", "operandSegmentSizes"};
static constexpr StringLiteral kTMScatter[] = {
    "dimension_map", "unique_indices", "operandSegmentSizes"};
static constexpr StringLiteral kTMScan[] = {"dimension", "inclusive",
                                            "operandSegmentSizes"};

static ArrayRef<ResidualKind> getKinds() {
  static const ResidualKind kinds[] = {
      {"stablehlo.case", {}, lowerCase},
      {"stablehlo.dynamic_broadcast_in_dim", kBroadcast,
       lowerDynamicBroadcastInDim},
      {"stablehlo.dynamic_reshape", {}, lowerDynamicReshape},
      {"stablehlo.get_dimension_size", kDimension, lowerGetDimensionSize},
      {"stablehlo.if", {}, lowerIf},
      {"stablehlo.optimization_barrier", {}, lowerOptimizationBarrier},
      {"stablehlo.scatter", kScatter, lowerStableHLOScatter},
      {"stablehlo.sort", kSort, lowerStableHLOSort},
      {"stablehlo.while", {}, lowerWhile},
      {"tm_tensor.scan", kTMScan, lowerTMTensorScan},
      {"tm_tensor.scatter", kTMScatter, lowerTMTensorScatter},
      {"tm_tensor.sort", kTMSort, lowerTMTensorSort},
  };
  return kinds;
}

static const ResidualKind *findKind(Operation *op) {
  ArrayRef<ResidualKind> kinds = getKinds();
  const auto *kind = llvm::find_if(kinds, [&](const ResidualKind &k) {
    return k.name == op->getName().getStringRef();
  });
  return kind == kinds.end() ? nullptr : kind;
}

/// Whether `op` ends a region of an unregistered op, which speaks for it.
static bool isTerminator(Operation *op) {
  StringRef name = op->getName().getStringRef();
  return (name == "stablehlo.return" || name == "tm_tensor.yield") &&
         op->getParentOp() && !op->getParentOp()->isRegistered();
}

/// Each unknown name once, with how often it occurs and where first.
LogicalResult ImportResidual::refuseUnknownOps() {
  llvm::MapVector<StringRef, SmallVector<Operation *>> unknown;
  getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!op->isRegistered() && !findKind(op) && !isTerminator(op))
      unknown[op->getName().getStringRef()].push_back(op);
  });
  if (unknown.empty())
    return success();
  std::string known = llvm::join(
      llvm::map_range(getKinds(),
                      [](const ResidualKind &kind) { return kind.name.str(); }),
      ", ");
  for (auto &[name, ops] : unknown) {
    InFlightDiagnostic diag = ops.front()->emitError();
    diag << "cannot import '" << name << "' (" << ops.size()
         << " of it, the first here): it is not an upstream op, nor one of "
         << known << "; write this part of the model with other operations, "
         << "or import the MoE layer alone";
  }
  return failure();
}

/// Attributes and types that a lowering would otherwise overlook.
static LogicalResult checkUnderstood(Operation *op, const ResidualKind &kind) {
  // {...}, and <{...}, which an unregistered op keeps as one dictionary.
  SmallVector<NamedAttribute> attributes(op->getAttrs());
  if (auto inherent =
          dyn_cast_or_null<DictionaryAttr>(op->getPropertiesAsAttribute()))
    llvm::append_range(attributes, inherent);
  for (NamedAttribute attribute : attributes)
    if (!llvm::is_contained(kind.attributes, attribute.getName().strref())) {
      InFlightDiagnostic diag = op->emitOpError();
      diag << "has an unknown attribute '" << attribute.getName().strref()
           << "'; ";
      if (kind.attributes.empty())
        return diag << "it takes none";
      return diag << "accepted are: " << llvm::join(kind.attributes, ", ");
    }
  auto isTensor = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getElementType().isSignlessIntOrIndexOrFloat();
  };
  for (Type type :
       llvm::concat<const Type>(SmallVector<Type>(op->getOperandTypes()),
                                SmallVector<Type>(op->getResultTypes())))
    if (!isTensor(type))
      return op->emitOpError()
             << "has a value of type " << type
             << "; only ranked tensors of signless integers and floats can be "
                "imported";
  return success();
}

void ImportResidual::runOnOperation() {
  if (failed(refuseUnknownOps()))
    return signalPassFailure();
  // Innermost first: a region is moved when what it holds is upstream.
  SmallVector<std::pair<Operation *, const ResidualKind *>> ops;
  getOperation().walk([&](Operation *op) {
    if (const ResidualKind *kind = findKind(op))
      ops.emplace_back(op, kind);
  });
  for (auto [op, kind] : ops) {
    if (failed(checkUnderstood(op, *kind)) ||
        failed(kind->lower(ResidualOp(op))))
      return signalPassFailure();
    ++numLowered;
  }
}
