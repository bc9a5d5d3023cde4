// The plan type, the schedule's packed shape and the workspace rule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "moe/IR/MoE.h"
#include "moe/IR/RouteOptions.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kDynamic = ShapedType::kDynamic;

struct MoETest : ::testing::Test {
  MoETest() { context.loadDialect<MoEDialect, arith::ArithDialect>(); }
  MLIRContext context;
  RankedTensorType i32(ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, IntegerType::get(&context, 32));
  }
  ScheduleAttr schedule(int64_t vectors, int64_t vector, Product product) {
    return ScheduleAttr::get(&context, Target::CPU, vector, /*rows=*/6, vectors,
                             /*row_block=*/120, product, /*prefetch=*/true);
  }
};

TEST_F(MoETest, FieldTypesOfAStaticPlan) {
  auto plan = PlanType::get(&context, 2, 3, 4, 6, /*exact=*/true);
  EXPECT_EQ(plan.getFieldType(Field::ExpertOffsets), i32({5}));
  EXPECT_EQ(plan.getFieldType(Field::RowToken), i32({6}));
  EXPECT_EQ(plan.getFieldType(Field::TokenOffsets), i32({2, 4}));
  EXPECT_EQ(plan.getFieldType(Field::TokenRow), i32({6}));
  EXPECT_EQ(plan.getFieldTypes().size(), size_t(PlanType::kNumFields));
}

TEST_F(MoETest, FieldTypesKeepDynamicSizes) {
  auto plan =
      PlanType::get(&context, kDynamic, kDynamic, 4, kDynamic, /*exact=*/false);
  EXPECT_EQ(plan.getFieldType(Field::ExpertOffsets), i32({5}));
  EXPECT_EQ(plan.getFieldType(Field::TokenOffsets), i32({kDynamic, kDynamic}));
  EXPECT_EQ(plan.getFieldType(Field::TokenRow), i32({kDynamic}));
}

TEST_F(MoETest, PlansAreLimitedToI32) {
  auto ignore = context.getDiagEngine().registerHandler(
      [](Diagnostic &) { return success(); });
  auto checked = [&](int64_t s, int64_t t, int64_t e, int64_t rows) {
    return !!PlanType::getChecked(UnknownLoc::get(&context), &context, s, t, e,
                                  rows, true);
  };
  EXPECT_TRUE(checked(1, (1 << 24) - 1, 128, 1 << 20));
  EXPECT_FALSE(checked(1, 1 << 24, 128, 1 << 20));
  EXPECT_FALSE(checked(kDynamic, kDynamic, 128, int64_t(1) << 31));
  EXPECT_TRUE(checked(0, int64_t(1) << 40, 128, 0));
  context.getDiagEngine().eraseHandler(ignore);
}

TEST_F(MoETest, PackedShapeRoundsUp) {
  // 64 columns a panel for one output, 32 for two; k in pairs for bf16_dot.
  auto fma = schedule(4, 16, Product::Fma);
  EXPECT_EQ(fma.getPackedShape(8, 100, 33, 1),
            (SmallVector<int64_t>{8, 2, 33, 64}));
  EXPECT_EQ(fma.getPackedShape(8, 100, 33, 2),
            (SmallVector<int64_t>{8, 4, 33, 64}));
  auto dot = schedule(4, 16, Product::BF16Dot);
  EXPECT_EQ(dot.getPackedShape(8, 64, 33, 1),
            (SmallVector<int64_t>{8, 1, 17, 128}));
  EXPECT_EQ(dot.getPackedShape(8, kDynamic, kDynamic, 1),
            (SmallVector<int64_t>{8, kDynamic, kDynamic, 128}));
}

TEST_F(MoETest, WorkspaceSizeAsIRIsTheNumber) {
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  auto constant = [&](int64_t v) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, v);
  };
  for (auto [s, t, e] : {std::tuple(1, 0, 1), {2, 17, 60}, {3, 1000, 384}}) {
    Value size =
        IdxRouteOp::getWorkspaceSize(builder, loc, constant(s), constant(t), e);
    // Folding from the operands up gives the number.
    std::function<APInt(Value)> evaluate = [&](Value v) {
      APInt known;
      if (matchPattern(v, m_ConstantInt(&known)))
        return known;
      SmallVector<Attribute> operands;
      for (Value operand : v.getDefiningOp()->getOperands())
        operands.push_back(
            builder.getIndexAttr(evaluate(operand).getSExtValue()));
      SmallVector<OpFoldResult> results;
      EXPECT_TRUE(succeeded(v.getDefiningOp()->fold(operands, results)));
      if (auto attr = dyn_cast<Attribute>(results.front()))
        return cast<IntegerAttr>(attr).getValue();
      return evaluate(cast<Value>(results.front()));
    };
    EXPECT_EQ(evaluate(size).getSExtValue(),
              IdxRouteOp::getWorkspaceWords(s, t, e));
  }
}

// The dialect's enums are cast to those of the rule.
TEST_F(MoETest, EnumsAreThoseOfTheRule) {
  namespace routing = ::moe::routing;
  for (int i = 0; i <= int(getMaxEnumValForScore()); ++i)
    EXPECT_EQ(std::string_view(stringifyScore(Score(i))),
              routing::stringify(routing::Score(i)));
  for (int i = 0; i <= int(getMaxEnumValForScope()); ++i)
    EXPECT_EQ(std::string_view(stringifyScope(Scope(i))),
              routing::stringify(routing::Scope(i)));
  for (int i = 0; i <= int(getMaxEnumValForNormalize()); ++i)
    EXPECT_EQ(std::string_view(stringifyNormalize(Normalize(i))),
              routing::stringify(routing::Normalize(i)));
  for (int i = 0; i <= int(getMaxEnumValForGroupScore()); ++i)
    EXPECT_EQ(std::string_view(stringifyGroupScore(GroupScore(i))),
              routing::stringify(routing::GroupScore(i)));
}
} // namespace
