// A barrier among resident blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GridBarrier.h"

using namespace mlir;
using namespace mlir::moe;

GridBarrier::GridBarrier(KernelBuilder &builder, Value word, Value place)
    : b(&builder), word(word), place(place),
      first(b->shr(b->loadAcquire(word), 31)) {
  b->when(b->equal(b->threadId(), 0), [&] { b->store(first, place); });
}

void GridBarrier::arriveAndWait(Value blocks, Value isFirst) {
  b->barrier();
  b->when(b->equal(b->warpId(), 0), [&] {
    Value phase = b->loadWord(place);
    b->when(b->equal(b->laneId(), 0), [&] {
      Value rest = b->sub(b->word(0x80000001), blocks);
      b->addRelease(word, b->select(isFirst, rest, b->word(1)));
    });
    b->repeatWhile(
        {},
        [&](ValueRange) {
          return b->equal(b->shr(b->loadAcquire(word), 31), phase);
        },
        [&](ValueRange) { return KernelBuilder::Values(); });
    b->warpBarrier();
    b->when(b->equal(b->laneId(), 0),
            [&] { b->store(b->bitXor(phase, 1), place); });
  });
  b->barrier();
}
