// moe.idx.grouped_matmul: a kernel for each form, chosen at the launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "KernelMath.h"
#include "MatmulKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"
#include "moe/Conversion/MoEToGPU.h"
#include "moe/Routing/GPUMatmulCost.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Writes the host's side of one op: launches, and the kernels they launch.
class MatmulLaunches {
public:
  MatmulLaunches(PatternRewriter &rewriter, IdxGroupedMatmulOp op)
      : rewriter(rewriter), loc(op.getLoc()), op(op),
        schedule(op.getGPUSchedule()), room(dim(op.getOuts(), 0)),
        experts(
            cast<MemRefType>(op.getExpertOffsets().getType()).getDimSize(0) -
            1) {
    getUsedValuesDefinedAbove(op.getEpilogue(), outside);
  }

  /// A launch for every form that may be the last one whose `least` is at most
  /// the rows of an expert on average. Where shapes do not tell which one it
  /// is, the grids of the others have no blocks: the host needs no branch.
  void emit() {
    Value average =
        rewriter.createOrFold<arith::DivUIOp>(loc, room, index(experts));
    Value later = truth(false);
    for (GPUMatmulFormAttr form : llvm::reverse(schedule.getForms())) {
      Value reached = isAtLeast(average, form.getLeast());
      Value used = rewriter.createOrFold<arith::SelectOp>(
          loc, later, truth(false), reached);
      if (!matchPattern(used, m_Zero()))
        emitForm(form, used);
      later = reached;
    }
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  }
  Value dim(Value memref, int64_t dimension) {
    return rewriter.createOrFold<memref::DimOp>(loc, memref, dimension);
  }

  Value truth(bool value) {
    return arith::ConstantIntOp::create(rewriter, loc, rewriter.getI1Type(),
                                        value);
  }
  Value isAtLeast(Value average, int64_t least) {
    if (least == 0)
      return truth(true);
    return rewriter.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::uge,
                                                average, index(least));
  }

  /// The tiles that the blocks of a form make.
  Value tilesOf(GPUMatmulFormAttr form) {
    SmallVector<int64_t> rows = schedule.getTileRows();
    return op.getTiles()[llvm::find(rows, form.getRows()) - rows.begin()];
  }

  /// As many as shared memory and accumulators let a multiprocessor hold: so
  /// many registers may be used, and no fewer.
  int64_t residentBlocks(GPUMatmulFormAttr form) {
    auto chip = ::moe::routing::findGPUChip(stringifyChip(schedule.getChip()));
    return ::moe::routing::residentGPUBlocks(
        *chip,
        {form.getRows(), form.getColumns(), form.getDepth(), form.getWarpRows(),
         form.getStages(), form.getLanes(), form.getLeast()});
  }

  void emitForm(GPUMatmulFormAttr form, Value used) {
    MatmulShape shape(op, form);
    Kernel kernel(rewriter, op,
                  llvm::formatv("grouped_matmul_{0}x{1}x{2}", form.getRows(),
                                form.getColumns(), form.getDepth())
                      .str());
    unsigned input = kernel.pointer(op.getInput());
    unsigned tiles = kernel.pointer(tilesOf(form));
    unsigned outs = kernel.pointer(op.getOuts());
    unsigned rows = kernel.size(room);
    unsigned lastRow = kernel.size(lastInputRow());
    unsigned rowToken = shape.gathered ? kernel.pointer(op.getRowToken()) : 0;
    SmallVector<unsigned> weights, extras, scalars;
    for (Value weight : op.getWeights())
      weights.push_back(kernel.pointer(weight));
    for (Value extra : op.getExtras())
      extras.push_back(kernel.pointer(extra));
    for (Value value : outside)
      scalars.push_back(kernel.scalar(value));

    Kernel::Shape launch;
    launch.gridX = rewriter.createOrFold<arith::SelectOp>(
        loc, used, gridSize(shape), index(0));
    launch.threads = shape.threads();
    launch.sharedBytes = shape.sharedBytes();
    launch.residentBlocks = residentBlocks(form);
    kernel.emit(launch, [&](KernelBuilder &b, ValueRange arguments) {
      MatmulOperands operands;
      operands.input = arguments[input];
      operands.room = arguments[rows];
      operands.lastInputRow = arguments[lastRow];
      if (shape.gathered)
        operands.rowToken = arguments[rowToken];
      for (unsigned weight : weights)
        operands.weights.push_back(arguments[weight]);
      EpilogueOperands epilogue;
      epilogue.outs = arguments[outs];
      for (unsigned extra : extras)
        epilogue.extras.push_back(arguments[extra]);
      for (auto [value, scalar] : llvm::zip_equal(outside, scalars))
        epilogue.outside.map(value, arguments[scalar]);
      MatmulKernel(b, op, shape, operands, epilogue).emit(arguments[tiles]);
      expandKernelMath(b.getInsertionBlock()->getParentOp());
    });
  }

  /// The last token, or the last row of an input of rows.
  Value lastInputRow() {
    Value count = dim(op.getInput(), 0);
    if (op.getRowToken())
      count = rewriter.createOrFold<arith::MulIOp>(loc, count,
                                                   dim(op.getInput(), 1));
    return rewriter.createOrFold<arith::SubIOp>(loc, count, index(1));
  }

  /// A block for every tile that R rows and E experts can have.
  Value gridSize(const MatmulShape &shape) {
    Value tiles =
        rewriter.createOrFold<arith::CeilDivUIOp>(loc, room, index(shape.rows));
    tiles = rewriter.createOrFold<arith::AddIOp>(loc, tiles, index(experts));
    return rewriter.createOrFold<arith::MulIOp>(loc, tiles,
                                                index(shape.columnTiles()));
  }

  PatternRewriter &rewriter;
  Location loc;
  IdxGroupedMatmulOp op;
  GPUMatmulAttr schedule;
  /// Rows that the result has room for.
  Value room;
  int64_t experts;
  llvm::SetVector<Value> outside;
};

struct LowerGroupedMatmul : OpRewritePattern<IdxGroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxGroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    MatmulLaunches(rewriter, op).emit();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateGroupedMatmulToGPUPatterns(
    RewritePatternSet &patterns) {
  patterns.add<LowerGroupedMatmul>(patterns.getContext());
}
