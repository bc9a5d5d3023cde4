// The plan that the operands of a marker are the fields of.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Marker.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

/// The plan that `value` was read of, looking through casts.
static PlanFieldOp findPlanField(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  return value.getDefiningOp<PlanFieldOp>();
}

FailureOr<TypedValue<PlanType>> moe::readPlan(const Marker &marker) {
  TypedValue<PlanType> plan;
  for (Field field : kFields) {
    StringRef name = stringifyField(field);
    Value operand = marker.getOperand(name);
    PlanFieldOp read = findPlanField(operand);
    if (!read) {
      auto diag = marker.emitError();
      diag << "operand '" << name << "' is not the '" << name
           << "' of a plan: ";
      if (Operation *producer = operand.getDefiningOp())
        diag << "'" << producer->getName() << "' computes it";
      else
        diag << "it is an argument of a block";
      return diag << "; give the results of one route or plan_from_choice of "
                     "the same function unchanged, and where the choice of "
                     "experts is code of your own, turn it into a plan by "
                     "plan_from_choice";
    }
    if (read.getField() != field)
      return marker.emitError() << "operand '" << name << "' is the '"
                                << stringifyField(read.getField())
                                << "' of a plan; the order of the results is "
                                   "expert_offsets, row_token, token_offsets, "
                                   "token_row, gates";
    if (plan && plan != read.getPlan())
      return marker.emitError() << "operand '" << name
                                << "' belongs to another plan than "
                                   "'expert_offsets'; give the results of one "
                                   "route or plan_from_choice";
    plan = read.getPlan();
  }
  return plan;
}
