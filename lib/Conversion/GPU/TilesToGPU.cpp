// moe.idx.tiles: one block of threads lists the tiles of all experts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "TileCut.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToGPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// Threads of the block, a power of two: few suffice for few experts.
static constexpr int64_t kLeastThreads = 128, kMostThreads = 1024;
static constexpr int64_t kRecordBytes = IdxTilesOp::kRecordWords * 4;

namespace {
/// Takes as many experts at a time as there are threads: a thread counts the
/// tiles of one expert; then all threads write tiles, whose expert they find in
/// the running counts. So one expert with all rows costs no more than many.
class TileList {
public:
  TileList(KernelBuilder &b, int64_t rows, int64_t threads,
           ValueRange arguments)
      : b(b), rows(rows), threads(threads), offsets(arguments[0]),
        outs(arguments[1]), experts(arguments[2]), records(arguments[3]) {}

  static int64_t sharedBytes(int64_t threads) {
    return 4 * (threads + 1 + threads / 32);
  }

  void emit() {
    starts = Kernel::sharedMemory(b);
    warpSums = b.offset(starts, 4 * (threads + 1));
    thread = b.threadId();
    Value total =
        b.fold(b.word(0), experts, b.word(threads), b.word(0),
               [&](Value first, ValueRange before) {
                 return KernelBuilder::Values{emitExperts(first, before[0])};
               })[0];
    b.when(b.equal(thread, 0), [&] {
      storeRecord(b.word(0), b.min(total, b.sub(records, 1)), b.word(0),
                  b.word(0));
    });
  }

private:
  /// Lists the tiles of up to `threads` experts behind `before` others;
  /// returns how many there are then.
  Value emitExperts(Value first, Value before) {
    Value expert = b.add(first, thread);
    Value count = b.choose(
        b.less(expert, experts), b.getI32Type(),
        [&] { return KernelBuilder::Values{tilesOf(expert)}; },
        [&] { return KernelBuilder::Values{b.word(0)}; })[0];
    scan(count);
    Value sum = b.loadWord(b.offset(starts, 4 * threads));
    b.forEach(thread, sum, b.word(threads), [&](Value tile) {
      emitTile(first, tile, b.add(b.add(before, tile), 1));
    });
    // The counts are written again for the next experts.
    b.barrier();
    return b.add(before, sum);
  }

  Value offsetOf(Value expert) {
    return b.loadConstant(b.getI32Type(), b.element(offsets, expert, 4));
  }

  /// Offsets that fall, as no plan has them, stand for no rows.
  Value countOf(Value expert) {
    Value begin = offsetOf(expert), end = offsetOf(b.add(expert, 1));
    return b.select(b.less(begin, end), b.sub(end, begin), b.word(0));
  }

  Value tilesOf(Value expert) {
    return TileCut::tilesOf(b, countOf(expert), rows);
  }

  /// starts[i] = the sum of the counts of threads below i, for i <= threads.
  void scan(Value count) {
    Value lane = b.laneId(), warp = b.warpId();
    Value upTo = scanWarp(count, lane);
    b.when(b.equal(lane, 31), [&] { b.store(upTo, at(warpSums, warp)); });
    b.barrier();
    int64_t warps = threads / 32;
    Value mine = b.loadWord(at(warpSums, b.min(lane, b.word(warps - 1))));
    mine = b.select(b.less(lane, warps), mine, b.word(0));
    Value sums = scanWarp(mine, lane);
    Value ahead = b.shuffle(b.sub(sums, mine), warp);
    b.store(b.add(ahead, b.sub(upTo, count)), at(starts, thread));
    b.when(b.equal(thread, threads - 1),
           [&] { b.store(b.add(ahead, upTo), b.offset(starts, 4 * threads)); });
    b.barrier();
  }

  Value scanWarp(Value value, Value lane) {
    for (int64_t distance = 1; distance < 32; distance *= 2) {
      Value below = b.shuffleUp(value, distance);
      value = b.select(b.atLeast(lane, distance), b.add(value, below), value);
    }
    return value;
  }

  /// Tile `tile` of the experts from `first`, as record `record`.
  void emitTile(Value first, Value tile, Value record) {
    // The last expert that starts at or before the tile.
    Value found = b.word(0);
    for (int64_t step = threads / 2; step > 0; step /= 2) {
      Value next = b.add(found, step);
      Value start = b.loadWord(at(starts, next));
      found = b.select(b.less(tile, start), found, next);
    }
    Value expert = b.add(first, found);
    Value start = b.loadWord(at(starts, found));
    Value count = countOf(expert);
    TileCut cut(b, count, TileCut::tilesOf(b, count, rows), rows);
    TileCut::Rows part = cut.rowsOf(b.sub(tile, start));
    b.when(b.less(record, records), [&] {
      storeRecord(record, expert, b.add(offsetOf(expert), part.first),
                  part.count);
    });
  }

  void storeRecord(Value record, Value x, Value y, Value z) {
    auto type = VectorType::get({IdxTilesOp::kRecordWords}, b.getI32Type());
    b.store(
        b.make<vector::FromElementsOp>(type, ValueRange{x, y, z, b.word(0)}),
        b.element(outs, record, kRecordBytes));
  }

  Value at(Value base, Value word) { return b.offset(base, b.shl(word, 2)); }

  KernelBuilder &b;
  int64_t rows, threads;
  Value offsets, outs, experts, records;
  Value starts, warpSums, thread;
};

struct LowerTiles : OpRewritePattern<IdxTilesOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxTilesOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getExpertOffsets().getType());
    int64_t threads = kMostThreads;
    if (!type.isDynamicDim(0))
      threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(type.getDimSize(0) - 1),
                                    kLeastThreads, kMostThreads);
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(rewriter, loc, value);
    };
    auto dim = [&](Value memref) -> Value {
      return rewriter.createOrFold<memref::DimOp>(loc, memref, 0);
    };
    Kernel kernel(rewriter, op, "tiles");
    kernel.pointer(op.getExpertOffsets());
    kernel.pointer(op.getOuts());
    kernel.size(rewriter.createOrFold<arith::SubIOp>(
        loc, dim(op.getExpertOffsets()), index(1)));
    kernel.size(rewriter.createOrFold<arith::DivUIOp>(
        loc, dim(op.getOuts()), index(IdxTilesOp::kRecordWords)));
    Kernel::Shape shape;
    shape.gridX = index(1);
    shape.threads = threads;
    shape.sharedBytes = TileList::sharedBytes(threads);
    kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
      TileList(b, op.getRows(), threads, arguments).emit();
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateTilesToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerTiles>(patterns.getContext());
}
