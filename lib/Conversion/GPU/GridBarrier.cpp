// A barrier among resident blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GridBarrier.h"

using namespace mlir;
using namespace mlir::moe;

GridBarrier::GridBarrier(KernelBuilder &builder, Value word)
    : b(&builder), word(word), current(b->shr(b->loadAcquire(word), 31)) {}

void GridBarrier::arriveAndWait(Value blocks, Value isFirst) {
  b->barrier();
  b->when(b->equal(b->warpId(), 0), [&] {
    b->when(b->equal(b->laneId(), 0), [&] {
      Value rest = b->sub(b->word(0x80000001), blocks);
      b->addRelease(word, b->select(isFirst, rest, b->word(1)));
    });
    b->repeatWhile(
        {},
        [&](ValueRange) {
          return b->equal(b->shr(b->loadAcquire(word), 31), current);
        },
        [&](ValueRange) { return KernelBuilder::Values(); });
  });
  current = b->bitXor(current, 1);
  b->barrier();
}
