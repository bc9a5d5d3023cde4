// The options of a route op, as the routing rule takes them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_ROUTEOPTIONS_H
#define MOE_IR_ROUTEOPTIONS_H

#include "moe/IR/MoE.h"
#include "moe/Routing/Options.h"

namespace mlir::moe {

/// The attributes of a RouteOp or an IdxRouteOp. The enums of the dialect and
/// of the rule have the same cases in the same order.
template <typename OpT>::moe::routing::RouteOptions getRouteOptions(OpT op) {
  namespace routing = ::moe::routing;
  routing::RouteOptions options;
  options.k = op.getK();
  options.scope = static_cast<routing::Scope>(op.getScope());
  options.score = static_cast<routing::Score>(op.getScore());
  options.normalize = static_cast<routing::Normalize>(op.getNormalize());
  options.scale = op.getScale().convertToFloat();
  options.eps = op.getEps().convertToFloat();
  options.normMin = op.getNormMin().convertToFloat();
  options.nGroup = op.getNGroup();
  options.topkGroup = op.getTopkGroup();
  options.groupScore = static_cast<routing::GroupScore>(op.getGroupScore());
  options.floor = op.getFloor();
  if (op.getCap())
    options.cap = *op.getCap();
  options.rankLogits = op.getRankLogits();
  return options;
}

} // namespace mlir::moe

#endif // MOE_IR_ROUTEOPTIONS_H
