// The kernel of one moe.idx.route: the lists of tiles of grouped matmuls.
//
// Every block knows how many rows each expert has, so experts are dealt out to
// the warps of all blocks, and a warp finds the first row and the first tile of
// its experts by adding up what is before them. Nobody waits for anybody, and
// an expert with all rows costs its warp one store for each 32 tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"
#include "TileCut.h"

using namespace mlir;
using namespace mlir::moe;

/// All lists, from `totals`.
void RouteKernel::writeTiles() {
  if (tiles.empty())
    return;
  // Neighbours of one warp go to other blocks first.
  Value number = b.add(b.mul(warp, blocks), block);
  Value warps = b.mul(blocks, layout.warps);
  Value share = b.divide(b.add(warps, layout.experts - 1), warps);
  Value first = b.mul(number, share);
  Value end = b.min(b.add(first, share), b.word(layout.experts));
  b.when(b.less(first, end), [&] {
    Values sums = sumsBefore(first);
    b.fold(first, end, b.word(1), sums, [&](Value expert, ValueRange before) {
      return writeTilesOf(expert, before);
    });
  });
}

/// The rows of the experts before `end`, and their tiles in each list.
RouteKernel::Values RouteKernel::sumsBefore(Value end) {
  Values zeros(1 + tiles.size(), b.word(0));
  Values sums =
      b.fold(lane, end, b.word(32), zeros, [&](Value expert, ValueRange sums) {
        Value count = b.loadWord(at(totals, expert));
        Values next{b.add(sums[0], count)};
        for (auto [sum, rows] : llvm::zip(sums.drop_front(), op.getTileRows()))
          next.push_back(b.add(sum, TileCut::tilesOf(b, count, rows)));
        return next;
      });
  for (Value &sum : sums)
    sum = b.reduce(sum, NVVM::ReduxKind::ADD);
  return sums;
}

/// The tiles of one expert, by a warp; returns the sums with it.
RouteKernel::Values RouteKernel::writeTilesOf(Value expert, ValueRange before) {
  auto type = VectorType::get({IdxTilesOp::kRecordWords}, b.getI32Type());
  auto store = [&](Value list, Value record, Value x, Value y, Value z) {
    Value value =
        b.make<vector::FromElementsOp>(type, ValueRange{x, y, z, b.word(0)});
    b.store(value, b.element(list, record, 4 * IdxTilesOp::kRecordWords));
  };
  Value count = b.loadWord(at(totals, expert)), zero = b.word(0);
  Value isLast = b.equal(expert, layout.experts - 1);
  Values after{b.add(before[0], count)};
  for (auto [list, rows, tile] :
       llvm::zip(tiles, op.getTileRows(), before.drop_front())) {
    Value size = TileCut::tilesOf(b, count, rows);
    TileCut cut(b, count, size, rows);
    b.forEach(lane, size, b.word(32), [&, list = list, tile = tile](Value i) {
      TileCut::Rows part = cut.rowsOf(i);
      Value record = b.add(b.add(tile, i), 1);
      store(list, record, expert, b.add(before[0], part.first), part.count);
    });
    after.push_back(b.add(tile, size));
    // The last expert knows how many there are.
    b.when(b.bitAnd(isLast, b.equal(lane, 0)),
           [&, list = list] { store(list, zero, after.back(), zero, zero); });
  }
  return after;
}
