// moe.idx.combine: one block of threads for each token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "RowAccess.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/Conversion/MoEToGPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

/// Rows whose loads are in flight at once: those of a token with the usual
/// number of experts, so that it waits for memory once.
static constexpr int64_t kInFlight = 8;

namespace {
/// The sums of the columns of one token.
class TokenSums {
public:
  TokenSums(KernelBuilder &b, IdxCombineOp op, ValueRange arguments,
            const RowAccess &access)
      : b(b), access(access), rows(arguments[0]), tokenOffsets(arguments[1]),
        tokenRow(arguments[2]), outs(arguments[3]), tokens(arguments[4]),
        lastRow(arguments[5]) {
    arguments = arguments.drop_front(6);
    if (op.getGates()) {
      gates = arguments.front();
      gateElement = getElementTypeOrSelf(op.getGates().getType());
      arguments = arguments.drop_front();
    }
    addends = arguments;
  }

  void emit() {
    Value token = b.blockId();
    // Token offsets are [S, T+1]: each sequence has one entry more than tokens.
    Value sequence = b.createOrFold<arith::DivUIOp>(token, tokens);
    Value entry = b.element(tokenOffsets, b.add(token, sequence), 4);
    Value begin = b.loadConstant(b.getI32Type(), entry);
    Value end = b.loadConstant(b.getI32Type(), b.offset(entry, 4));
    // Plans are run-time data: a wrong one must not lead out of bounds.
    end = b.min(end, b.add(lastRow, 1));
    access.forEachColumn(b, [&](Value column) {
      Value sum = round(sumRows(begin, end, column));
      for (Value addend : addends)
        sum = addRounded(sum, access.place(b, addend, token, column));
      b.store(sum, access.place(b, outs, token, column));
    });
  }

private:
  /// Rows [begin, end) at `column`, added in order; mul and add stay apart.
  Value sumRows(Value begin, Value end, Value column) {
    Type type = access.vectorOf(b.getF32Type());
    Value zero =
        b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(type)));
    return b.fold(
        begin, end, b.word(kInFlight), zero, [&](Value at, ValueRange sum) {
          return KernelBuilder::Values{addRows(at, end, column, sum[0])};
        })[0];
  }

  Value addRows(Value at, Value end, Value column, Value sum) {
    SmallVector<Value> terms, live;
    Value last = b.sub(end, 1);
    for (int64_t i = 0; i < kInFlight; ++i) {
      Value pair = b.add(at, i);
      live.push_back(b.less(pair, end));
      // Pairs past the end read the last one again, from the cache.
      Value row = b.loadConstant(b.getI32Type(),
                                 b.element(tokenRow, b.min(pair, last), 4));
      terms.push_back(term(b.min(row, lastRow), column));
    }
    for (auto [isLive, value] : llvm::zip_equal(live, terms))
      sum = b.select(isLive, b.make<arith::AddFOp>(sum, value), sum);
    return sum;
  }

  Value term(Value row, Value column) {
    Value value = widen(b.loadConstant(access.vectorOf(access.element),
                                       access.place(b, rows, row, column)));
    if (!gates)
      return value;
    int64_t size = gateElement.getIntOrFloatBitWidth() / 8;
    Value gate =
        widen(b.loadConstant(gateElement, b.element(gates, row, size)));
    gate = b.make<vector::BroadcastOp>(value.getType(), gate);
    return b.make<arith::MulFOp>(gate, value);
  }

  /// The sum of values of the element type, rounded to it.
  Value addRounded(Value value, Value addend) {
    Value other = b.loadConstant(access.vectorOf(access.element), addend);
    return round(b.make<arith::AddFOp>(widen(value), widen(other)));
  }

  Value widen(Value value) {
    if (getElementTypeOrSelf(value).isF32())
      return value;
    Type type = b.getF32Type();
    if (isa<VectorType>(value.getType()))
      type = access.vectorOf(type);
    return b.make<arith::ExtFOp>(type, value);
  }
  Value round(Value sum) {
    if (access.element.isF32())
      return sum;
    return b.make<arith::TruncFOp>(access.vectorOf(access.element), sum);
  }

  KernelBuilder &b;
  const RowAccess &access;
  Type gateElement;
  Value rows, tokenOffsets, tokenRow, outs, tokens, lastRow, gates;
  ValueRange addends;
};

struct LowerCombine : OpRewritePattern<IdxCombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxCombineOp op,
                                PatternRewriter &rewriter) const override {
    RowAccess access(cast<MemRefType>(op.getRows().getType()));
    Kernel kernel(rewriter, op, "combine");
    for (Value memref :
         {op.getRows(), op.getTokenOffsets(), op.getTokenRow(), op.getOuts()})
      kernel.pointer(memref);
    kernel.size(op.getOuts(), 1);
    kernel.size(op.getTokenRow(), 0, /*minus=*/1);
    if (op.getGates())
      kernel.pointer(op.getGates());
    for (Value addend : op.getAddends())
      kernel.pointer(addend);

    Kernel::Shape shape;
    shape.gridX = rewriter.createOrFold<arith::MulIOp>(
        op.getLoc(), kernel.dim(op.getOuts(), 0), kernel.dim(op.getOuts(), 1));
    shape.threads = access.threads;
    kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
      TokenSums(b, op, arguments, access).emit();
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateCombineToGPUPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerCombine>(patterns.getContext());
}
