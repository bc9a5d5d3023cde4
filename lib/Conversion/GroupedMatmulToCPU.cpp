// moe.idx.grouped_matmul: register tiles over packed weight panels.
//
// A task is an expert and a range of panels. Within it, blocks of rows; within
// these, panels; within these, tiles of rows. A panel is so read once for a
// block of rows, and the block stays in cache from panel to panel. Each tile
// sums over all of k, so no result depends on how tasks meet threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PanelSource.h"
#include "RowSource.h"
#include "VectorLoop.h"
#include "VectorizeEpilogue.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToCPU.h"

using namespace mlir;
using namespace mlir::moe;

/// Most ranges into which the panels of an expert are cut. They are the outer
/// dimension of the tasks, which threads divide in contiguous shares: so every
/// thread gets its share of each expert, however uneven the routing.
static constexpr int64_t kPanelRanges = 8;

namespace {
/// Writes the loops around the tile functions for one op.
class GroupedMatmulEmitter {
public:
  GroupedMatmulEmitter(LoopBuilder &b, IdxGroupedMatmulOp op)
      : b(b), op(op), schedule(op.getCPUSchedule()),
        tile(schedule, getElementTypeOrSelf(op.getInput().getType())),
        outputs(op.getNumOutputs()),
        panelColumns(schedule.getPanelColumns(outputs)),
        rowSource(b, op, tile, schedule.getRowBlock()) {
    if (!op.getPacked())
      unpacked = {llvm::to_vector(op.getWeights()), op.getLayout(),
                  op.getArrangement()};
    // Packing on the fly leaves no panel to prefetch.
    tile.prefetch &= op.getPacked();
  }

  void emit();

private:
  void emitTask(Value firstPanel, Value expert);
  void emitBlock(Value expert, Value begin, Value end, Value taskEnd);
  void emitPanel(Value expert, Value panel, Value begin, Value end,
                 Value taskEnd);
  void emitTile(TileOperands operands, Value row, Value count);
  void emitResult(Value expert, Value panel, Value row, Value count);
  Value emitElements(Value expert, Value row, Value tileRow, Value column,
                     Value first, int64_t lanes);
  Value panelOf(Value expert, Value panel);
  void choosePrefetch(TileOperands &operands, Value expert, Value panel,
                      Value begin, Value end, Value row, Value size,
                      Value taskEnd);
  Value chooseTileRows(Value rows);

  LoopBuilder &b;
  IdxGroupedMatmulOp op;
  ScheduleAttr schedule;
  TileShape tile;
  int64_t outputs, panelColumns;
  RowSource rowSource;
  WeightLayout unpacked;
  /// Sizes: experts, rows that the result has room for, columns, panels.
  Value experts, room, columns, panels;
  /// Of the task: its panels, and its scratch memory.
  Value firstPanel, endPanel, sums, scratchPanel;
};
} // namespace

void GroupedMatmulEmitter::emit() {
  experts = b.sub(b.dim(op.getExpertOffsets(), 0), b.index(1));
  room = b.dim(op.getOuts(), 0);
  columns = b.dim(op.getOuts(), 1);
  panels = b.ceilDiv(columns, panelColumns);
  Value rangeSize = b.ceilDiv(panels, kPanelRanges);
  // Without columns there is no range, and no division by its size.
  Value ranges = b.createOrFold<arith::DivUIOp>(
      b.sub(b.add(panels, rangeSize),
            b.createOrFold<arith::MinUIOp>(rangeSize, b.index(1))),
      b.createOrFold<arith::MaxUIOp>(rangeSize, b.index(1)));
  b.forEachParallel({ranges, experts}, [&](ValueRange at) {
    Value begin = b.mul(at[0], rangeSize);
    endPanel = b.min(b.add(begin, rangeSize), panels);
    emitTask(begin, at[1]);
  });
}

void GroupedMatmulEmitter::emitTask(Value first, Value expert) {
  firstPanel = first;
  // Plans are run-time data: a wrong one must not lead beyond the result.
  Value begin = b.loadIndex(op.getExpertOffsets(), expert);
  Value end = b.min(b.loadIndex(op.getExpertOffsets(), b.add(expert, 1)), room);
  b.when(b.less(begin, end), [&] {
    auto alignment = b.getI64IntegerAttr(64);
    sums = memref::AllocOp::create(b, tile.sumsType(), alignment);
    rowSource.beginTask();
    if (!op.getPacked()) {
      auto type = MemRefType::get({ShapedType::kDynamic, tile.panelWidth()},
                                  tile.panelElement);
      Value steps = b.ceilDiv(unpacked.depth(b), tile.kStep());
      scratchPanel =
          memref::AllocOp::create(b, type, ValueRange{steps}, alignment);
    }
    b.forEach(begin, end, schedule.getRowBlock(), [&](Value row) {
      Value blockEnd = b.min(b.add(row, schedule.getRowBlock()), end);
      emitBlock(expert, row, blockEnd, end);
    });
    if (!op.getPacked())
      memref::DeallocOp::create(b, scratchPanel);
    rowSource.endTask();
    memref::DeallocOp::create(b, sums);
  });
}

void GroupedMatmulEmitter::emitBlock(Value expert, Value begin, Value end,
                                     Value taskEnd) {
  rowSource.beginBlock(begin, end);
  b.forEach(firstPanel, endPanel, 1, [&](Value panel) {
    emitPanel(expert, panel, begin, end, taskEnd);
  });
}

void GroupedMatmulEmitter::emitPanel(Value expert, Value panel, Value begin,
                                     Value end, Value taskEnd) {
  TileOperands operands;
  operands.rows = rowSource.getRows();
  operands.sums = sums;
  if (op.getPacked()) {
    operands.panel = panelOf(expert, panel);
  } else {
    operands.panel = memref::CastOp::create(b, tile.panelType(), scratchPanel);
    packPanel(b, unpacked, tile, expert, panel, operands.panel);
  }
  Value size = chooseTileRows(b.sub(end, begin));
  b.forEach(begin, end, size, [&](Value row) {
    if (tile.prefetch)
      choosePrefetch(operands, expert, panel, begin, end, row, size, taskEnd);
    Value count = b.min(b.sub(end, row), size);
    emitTile(operands, row, count);
    emitResult(expert, panel, row, count);
  });
}

/// The rows of each tile but the last of a block of `rows` rows. Two tiles
/// share them evenly: both wait for the lines of the next panel, half of them
/// each, and one of a row or two would have nothing to do meanwhile.
Value GroupedMatmulEmitter::chooseTileRows(Value rows) {
  Value full = b.index(tile.rows);
  Value two = b.both(b.less(full, rows), b.less(rows, b.index(2 * tile.rows)));
  return b.select(two, b.ceilDiv(rows, 2), full);
}

Value GroupedMatmulEmitter::panelOf(Value expert, Value panel) {
  return b.panelView(op.getWeights().front(), expert, panel, tile.panelType());
}

/// The lines of the next panel are shared out over the tiles of this one: one
/// line of each step to a tile, or two where there are too few tiles. A single
/// tile leaves it to the hardware, which streams well on its own.
void GroupedMatmulEmitter::choosePrefetch(TileOperands &operands, Value expert,
                                          Value panel, Value begin, Value end,
                                          Value row, Value size,
                                          Value taskEnd) {
  Value lines = b.index(tile.panelLines());
  Value tiles = b.ceilDiv(b.sub(end, begin), tile.rows);
  Value at = b.createOrFold<arith::DivUIOp>(b.sub(row, begin), size);
  Value share = b.select(b.less(tiles, lines), b.index(2), b.index(1));
  Value line = b.mul(at, share);
  Value active = b.both(b.less(b.index(1), tiles), b.less(line, lines));
  // What follows: the next panel, or the first one again for the next block of
  // rows, or that of the next expert.
  Value lastPanel = b.equal(b.add(panel, 1), endPanel);
  Value nextPanel = b.select(lastPanel, firstPanel, b.add(panel, 1));
  Value leaves = b.both(lastPanel, b.equal(end, taskEnd));
  Value following = b.min(b.add(expert, 1), b.sub(experts, b.index(1)));
  Value nextExpert = b.select(leaves, following, expert);
  operands.next = panelOf(b.select(active, nextExpert, expert),
                          b.select(active, nextPanel, panel));
  Value first = b.select(active, line, b.index(0));
  Value second =
      b.min(b.sub(b.add(first, share), b.index(1)), b.sub(lines, b.index(1)));
  operands.nextLines = {b.mul(first, tile.lineElements()),
                        b.mul(second, tile.lineElements())};
}

/// Calls the tile function for `count` rows.
void GroupedMatmulEmitter::emitTile(TileOperands operands, Value row,
                                    Value count) {
  SmallVector<int64_t> cases;
  for (int64_t rows = 1; rows <= tile.rows; ++rows)
    cases.push_back(rows);
  auto choice =
      scf::IndexSwitchOp::create(b, TypeRange{}, count, cases, cases.size());
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&choice.getDefaultRegion());
  scf::YieldOp::create(b);
  for (auto [rows, region] : llvm::zip(cases, choice.getCaseRegions())) {
    b.createBlock(&region);
    operands.positions.clear();
    for (int64_t i = 0; i < rows; ++i)
      operands.positions.push_back(rowSource.positionOf(b.add(row, i)));
    func::CallOp::create(b, getTileFunction(op, tile, rows), operands.flat());
    scf::YieldOp::create(b);
  }
}

/// Applies the epilogue to the sums and stores the elements of the result.
void GroupedMatmulEmitter::emitResult(Value expert, Value panel, Value row,
                                      Value count) {
  Value first = b.mul(panel, panelColumns);
  Value width = b.min(b.sub(columns, first), b.index(panelColumns));
  // Whole panels only: no code for a rest of columns.
  if (auto count = getConstantIntValue(columns);
      count && *count % panelColumns == 0)
    width = b.index(panelColumns);
  bool contiguous = hasUnitLastStride(op.getOuts());
  for (auto [extra, kind] :
       llvm::zip(op.getExtras(), op.getExtraKinds().getAsRange<ExtraAttr>()))
    contiguous &= kind.getValue() == Extra::Row || hasUnitLastStride(extra);
  b.forEach(b.index(0), count, 1, [&](Value tileRow) {
    Value at = b.add(row, tileRow);
    forEachVector(
        b, width, tile.lanes, contiguous, [&](Value column, int64_t lanes) {
          Value value = emitElements(expert, at, tileRow, column,
                                     b.add(first, column), lanes);
          storeLanes(b, value, op.getOuts(), {at, b.add(first, column)}, lanes);
        });
  });
}

/// The result at (row, column), for one or `lanes` columns; `tileRow` and
/// `tileColumn` say where its sums are.
Value GroupedMatmulEmitter::emitElements(Value expert, Value row, Value tileRow,
                                         Value tileColumn, Value column,
                                         int64_t lanes) {
  SmallVector<Value> arguments;
  for (int64_t output = 0; output < outputs; ++output)
    arguments.push_back(loadLanes(
        b, sums, {tileRow, b.add(tileColumn, output * panelColumns)}, lanes));
  for (auto [extra, kind] :
       llvm::zip(op.getExtras(), op.getExtraKinds().getAsRange<ExtraAttr>()))
    switch (kind.getValue()) {
    case Extra::Row: {
      Value scalar = loadLanes(b, extra, row, 0);
      arguments.push_back(broadcastLanes(b, scalar, lanes));
      break;
    }
    case Extra::Column:
      arguments.push_back(loadLanes(b, extra, {expert, column}, lanes));
      break;
    case Extra::Element:
      arguments.push_back(loadLanes(b, extra, {row, column}, lanes));
      break;
    }
  return emitEpilogue(b, op, arguments, lanes, tile.hasF16());
}

namespace {
struct LowerGroupedMatmul : OpRewritePattern<IdxGroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxGroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    LoopBuilder b(op.getLoc(), rewriter);
    GroupedMatmulEmitter(b, op).emit();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateGroupedMatmulToCPUPatterns(
    RewritePatternSet &patterns) {
  patterns.add<LowerGroupedMatmul>(patterns.getContext());
}
