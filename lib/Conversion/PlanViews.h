// How the index tensors of a plan are written, given its pairs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_PLANVIEWS_H
#define MOE_LIB_CONVERSION_PLANVIEWS_H

#include "RoutingBuilder.h"

namespace mlir::moe {

/// Emits the steps that number the rows of a plan. In this order: clearCounts,
/// countPair for every pair, startRows, takeRow for every pair with tokens
/// ascending, clearTail.
///
/// No counters are needed beside `expert_offsets`: first its element e + 1
/// counts the rows of expert e, then it is the expert's next row. When every
/// row is taken, that is where expert e + 1 begins.
class PlanViews {
public:
  /// `outs` are the fields in plan order and the gates.
  PlanViews(RoutingBuilder &b, ValueRange outs, int64_t experts)
      : b(b), offsets(outs[0]), rowToken(outs[1]), tokenRow(outs[3]),
        gates(outs[4]), experts(experts) {}

  void clearCounts();
  /// All values are of index type.
  void countPair(Value expert);
  void startRows();
  /// The row of the next pair of `expert`, which is one of token `number`.
  Value takeRow(Value expert, Value number);
  /// Behind the live rows the plan holds -1 and the gates 0.
  void clearTail();

private:
  RoutingBuilder &b;
  Value offsets, rowToken, tokenRow, gates;
  int64_t experts;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_PLANVIEWS_H
