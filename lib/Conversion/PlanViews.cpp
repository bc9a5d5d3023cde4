// How the index tensors of a plan are written, given its pairs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PlanViews.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

void PlanViews::clearCounts() {
  b.forEach(b.index(experts + 1),
            [&](Value e) { b.store(b.word(0), offsets, e); });
}

void PlanViews::countPair(Value expert) {
  Value at = b.add(expert, 1);
  b.store(b.add(b.load(offsets, at), b.word(1)), offsets, at);
}

void PlanViews::startRows() {
  b.fold(b.index(0), b.index(experts), b.word(0), [&](Value e, Value start) {
    Value at = b.add(e, 1), rows = b.load(offsets, at);
    b.store(start, offsets, at);
    return b.add(start, rows);
  });
}

Value PlanViews::takeRow(Value expert, Value number) {
  Value at = b.add(expert, 1), row = b.load(offsets, at);
  b.store(b.add(row, b.word(1)), offsets, at);
  Value index = b.toIndex(row);
  b.storeIndex(number, rowToken, index);
  return index;
}

void PlanViews::clearTail() {
  Type type = getElementTypeOrSelf(gates.getType());
  Value none = b.word(-1),
        zero = b.make<arith::ConstantOp>(b.getZeroAttr(type));
  Value live = b.loadIndex(offsets, b.index(experts));
  b.forEach(live, b.dim(rowToken, 0), 1, [&](Value row) {
    b.store(none, rowToken, row);
    b.store(none, tokenRow, row);
    b.store(zero, gates, row);
  });
}
