// How the rows of one expert are cut into tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TileCut.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kBlockRows = 16;

static Value ceilDiv(KernelBuilder &b, Value count, int64_t by) {
  Value more = b.add(count, by - 1);
  return llvm::isPowerOf2_64(by) ? b.shr(more, llvm::Log2_64(by))
                                 : b.div(more, by);
}

Value TileCut::tilesOf(KernelBuilder &b, Value count, int64_t mostRows) {
  return ceilDiv(b, count, mostRows);
}

TileCut::TileCut(KernelBuilder &b, Value count, Value tiles, int64_t mostRows)
    : b(b), count(count), block(std::gcd(mostRows, kBlockRows)) {
  Value all = ceilDiv(b, count, block);
  blocks = b.divide(all, b.createOrFold<arith::MaxUIOp>(tiles, b.word(1)));
  larger = b.sub(all, b.mul(blocks, tiles));
}

TileCut::Rows TileCut::rowsOf(Value tile) {
  Value first =
      b.mul(b.add(b.mul(tile, blocks), b.min(tile, larger)), b.word(block));
  Value most = b.mul(b.select(b.less(tile, larger), b.add(blocks, 1), blocks),
                     b.word(block));
  return {first, b.min(b.sub(count, first), most)};
}
