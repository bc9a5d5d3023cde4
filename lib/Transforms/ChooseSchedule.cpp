// moe-choose-schedule: writes a #moe.schedule on every op that takes one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Routing/GPUChip.h"
#include "moe/Routing/GPUMatmulForms.h"
#include "moe/Routing/GPURoute.h"
#include "moe/Transforms/CPUFeatures.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CHOOSESCHEDULE
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// The register tile of one instruction set. The accumulators of `rows` rows of
/// `vectors` vectors, one row of weights and one broadcast value must fit the
/// register file: 6·4 + 4 + 1 of 32, 6·2 + 2 + 1 of 16, 4·2 + 2 + 1 of 16.
struct Tile {
  int64_t vector, rows, vectors;
};
static constexpr Tile kAVX512{16, 6, 4}, kAVX2{8, 6, 2}, kBaseline{4, 4, 2};

/// Rows multiplied against one weight panel while it stays in the cache: a
/// multiple of every tile's rows.
static constexpr int64_t kRowBlock = 120;

static ScheduleAttr chooseSchedule(MLIRContext *context, const CPUFeatures &cpu,
                                   bool bf16) {
  Tile tile = cpu.hasAVX512() ? kAVX512 : cpu.hasAVX2() ? kAVX2 : kBaseline;
  Product product = cpu.hasFMA() ? Product::Fma : Product::MulAdd;
  if (bf16 && cpu.hasAVX512() && cpu.has("avx512bf16"))
    product = Product::BF16Dot;
  return ScheduleAttr::get(context, Target::CPU, tile.vector, tile.rows,
                           tile.vectors, kRowBlock, product,
                           /*prefetch=*/true);
}

/// Whether `op` multiplies bf16 rows by bf16 weights.
static bool multipliesBF16(Operation *op) {
  return isa<GroupedMatmulOp, IdxGroupedMatmulOp>(op) &&
         getElementTypeOrSelf(op->getOperand(0)).isBF16();
}

/// The sizes of a grouped matmul; what is dynamic, and will be refused, as 1.
template <typename OpT>
static ::moe::routing::GPUMatmulSize sizeOf(OpT op, ShapedType result) {
  auto input = cast<ShapedType>(op.getInput().getType());
  auto known = [](int64_t size) {
    return ShapedType::isDynamic(size) ? 1 : std::max<int64_t>(size, 1);
  };
  int64_t experts = 1, columns = 0;
  for (Value weight : op.getWeights()) {
    auto type = cast<ShapedType>(weight.getType());
    experts = known(type.getDimSize(0));
    columns += known(type.getDimSize(op.getLayout() == Layout::NK ? 1 : 2));
  }
  return {experts, known(input.getShape().back()), columns,
          known(result.getDimSize(1))};
}

template <typename OpT>
static GPUMatmulAttr chooseGPUMatmul(const ::moe::routing::GPUChip &chip,
                                     OpT op, ShapedType result) {
  ::moe::routing::GPUMatmulSize size = sizeOf(op, result);
  std::optional<double> rows;
  if (!result.isDynamicDim(0))
    rows = double(result.getDimSize(0)) / size.experts;
  SmallVector<GPUMatmulFormAttr> forms;
  for (const ::moe::routing::GPUMatmulForm &form :
       ::moe::routing::chooseGPUMatmulForms(chip, size, rows))
    forms.push_back(GPUMatmulFormAttr::get(
        op.getContext(), form.rows, form.columns, form.depth, form.warpRows,
        form.stages, form.lanes, form.least));
  return GPUMatmulAttr::get(op.getContext(), *symbolizeChip(chip.name), forms);
}

/// For logits [S, T, E], or [T, E] of one sequence.
static GPURouteAttr chooseGPURoute(MLIRContext *context,
                                   const ::moe::routing::GPUChip &chip,
                                   Value logits, Scope scope) {
  ArrayRef<int64_t> shape = cast<ShapedType>(logits.getType()).getShape();
  auto known = [](int64_t size) {
    return ShapedType::isStatic(size) ? std::optional(size) : std::nullopt;
  };
  ::moe::routing::GPURouteSize size;
  size.seqs = shape.size() == 3 ? known(shape[0]) : 1;
  size.tokens = known(shape.end()[-2]);
  size.experts = shape.back();
  size.bySequence = scope == Scope::Sequence;
  auto route = ::moe::routing::chooseGPURoute(chip, size);
  RouteForm form = route.cluster == 1 ? RouteForm::Grid : RouteForm::Cluster;
  return GPURouteAttr::get(context, *symbolizeChip(chip.name), form,
                           route.threads, route.blocks, route.tokens,
                           route.cluster);
}

namespace {
struct ChooseSchedule : mlir::moe::impl::ChooseScheduleBase<ChooseSchedule> {
  using ChooseScheduleBase::ChooseScheduleBase;

  void runOnOperation() override {
    if (!chip.empty())
      return chooseForGPU();
    llvm::Expected<CPUFeatures> target = CPUFeatures::get(cpu);
    if (!target) {
      getOperation().emitError("moe-choose-schedule: ")
          << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    StringAttr name = StringAttr::get(&getContext(), "schedule");
    getOperation().walk([&](Operation *op) {
      if (!isa_and_nonnull<MoEDialect>(op->getDialect()) ||
          !llvm::is_contained(op->getName().getAttributeNames(), name) ||
          op->getAttr(name))
        return;
      op->setInherentAttr(
          name, chooseSchedule(&getContext(), *target, multipliesBF16(op)));
      ++numScheduled;
    });
  }

  void chooseForGPU() {
    auto known = ::moe::routing::findGPUChip(chip);
    if (!known) {
      getOperation().emitError("moe-choose-schedule: unknown chip '")
          << chip << "'; accepted are " << ::moe::routing::gpuChipNames();
      return signalPassFailure();
    }
    auto matmul = [&](auto op, Value result) {
      op.setScheduleAttr(
          chooseGPUMatmul(*known, op, cast<ShapedType>(result.getType())));
    };
    auto route = [&](auto op) {
      op.setScheduleAttr(
          chooseGPURoute(&getContext(), *known, op.getLogits(), op.getScope()));
    };
    getOperation().walk([&](Operation *op) {
      if (!isa<GroupedMatmulOp, IdxGroupedMatmulOp, RouteOp, IdxRouteOp>(op) ||
          op->getAttr("schedule"))
        return;
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](GroupedMatmulOp op) { matmul(op, op.getResult()); })
          .Case([&](IdxGroupedMatmulOp op) { matmul(op, op.getOuts()); })
          .Case<RouteOp, IdxRouteOp>(route);
      ++numScheduled;
    });
  }
};
} // namespace
