// moe.idx.plan_from_choice: one warp for each expert, and one for the tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "moe/Conversion/MoEToGPU.h"
#include "moe/IR/MoE.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kWarps = 8;
/// Ids of a lane whose loads are in flight at once.
static constexpr int64_t kInFlight = 8;

namespace {
/// The kernel's body. An owner below E is an expert; owner E has the tokens.
///
/// A warp reads all ids twice, in order: to count those of lower experts, which
/// is where its rows begin, and to give its own pairs their rows. Nothing is
/// sorted, no warp waits for another, and no workspace is needed; ids are four
/// or eight bytes a pair and stay in the cache.
class ChoiceKernel {
public:
  ChoiceKernel(KernelBuilder &b, IdxPlanFromChoiceOp op, ValueRange arguments)
      : b(b), idType(getElementTypeOrSelf(op.getIds().getType())),
        gateType(getElementTypeOrSelf(op.getWeights().getType())),
        chosen(cast<MemRefType>(op.getIds().getType()).getDimSize(2)),
        experts(op.getExperts()), ids(arguments[0]), weights(arguments[1]),
        expertOffsets(arguments[2]), rowToken(arguments[3]),
        tokenOffsets(arguments[4]), tokenRow(arguments[5]), gates(arguments[6]),
        pairs(arguments[7]), tokens(arguments[8]), seqs(arguments[9]) {}

  void emit() {
    lane = b.laneId();
    owner = b.add(b.mul(b.blockId(), kWarps), b.warpId());
    b.when(b.less(owner, experts + 1), [&] {
      Value first = countLower();
      b.when(b.equal(lane, 0),
             [&] { b.store(first, b.element(expertOffsets, owner, 4)); });
      b.when(b.less(owner, experts), [&] { writeRows(first); });
      b.when(b.equal(owner, experts), [&] {
        writeTokenOffsets();
        clearTail(first);
      });
    });
  }

private:
  using Values = KernelBuilder::Values;

  /// The expert of a pair; E for an id that is none, and past the end.
  Value expertOf(Value pair) {
    Value last = b.min(pair, b.sub(pairs, 1));
    int64_t bytes = idType.getIntOrFloatBitWidth() / 8;
    Value id = b.loadConstant(idType, b.element(ids, last, bytes));
    Value isExpert = b.bitAnd(b.less(id, experts), b.less(pair, pairs));
    if (!idType.isInteger(32))
      id = b.make<arith::TruncIOp>(b.getI32Type(), id);
    return b.select(isExpert, id, b.word(experts));
  }

  /// state = body(pair of this lane, its expert, state) for all pairs in order,
  /// 32 at a time.
  Values foldPairs(ValueRange init,
                   function_ref<Values(Value, Value, ValueRange)> body) {
    return b.fold(b.word(0), pairs, b.word(32 * kInFlight), init,
                  [&](Value first, ValueRange state) {
                    SmallVector<Value> pair, expert;
                    for (int64_t i = 0; i < kInFlight; ++i) {
                      pair.push_back(b.add(b.add(first, 32 * i), lane));
                      expert.push_back(expertOf(pair.back()));
                    }
                    Values next(state);
                    for (auto [p, e] : llvm::zip_equal(pair, expert))
                      next = body(p, e, next);
                    return next;
                  });
  }

  /// Pairs of experts below the owner: its first row.
  Value countLower() {
    Values count = foldPairs(b.word(0), [&](Value, Value expert, ValueRange n) {
      return Values{b.add(n[0], b.asWord(b.less(expert, owner)))};
    });
    return b.reduce(count[0], NVVM::ReduxKind::ADD);
  }

  /// Lanes below this one that `flag` holds for, and lanes in all.
  std::pair<Value, Value> countLanes(Value flag) {
    Value mask = b.ballot(flag);
    return {b.population(b.bitAnd(mask, b.lanesBelow())), b.population(mask)};
  }

  void writeRows(Value first) {
    foldPairs({first, b.word(0)}, [&](Value pair, Value expert, ValueRange at) {
      Value isMine = b.equal(expert, owner);
      auto [mineBelow, mine] = countLanes(isMine);
      auto [realBelow, real] = countLanes(b.less(expert, experts));
      b.when(isMine, [&] {
        writeRow(pair, b.add(at[0], mineBelow), b.add(at[1], realBelow));
      });
      return Values{b.add(at[0], mine), b.add(at[1], real)};
    });
  }

  /// One pair's row; `before` counts the pairs ahead of it that have one.
  void writeRow(Value pair, Value row, Value before) {
    Value token = b.div(pair, chosen);
    Value first = b.mul(token, chosen);
    // A token's rows are in the order of experts: pairs ahead of this one in
    // the token do not count where their expert is higher, and later ones do
    // where it is lower.
    Value place = b.fold(
        b.word(0), b.word(chosen), b.word(1), before,
        [&](Value j, ValueRange sum) {
          Value other = b.add(first, j), expert = expertOf(other);
          Value isHigher =
              b.bitAnd(b.greater(expert, owner), b.less(expert, experts));
          Value drops = b.bitAnd(isHigher, b.less(other, pair));
          Value adds = b.bitAnd(b.less(expert, owner), b.greater(other, pair));
          return Values{b.sub(b.add(sum[0], b.asWord(adds)), b.asWord(drops))};
        })[0];
    int64_t bytes = gateType.getIntOrFloatBitWidth() / 8;
    b.store(token, b.element(rowToken, row, 4));
    b.store(row, b.element(tokenRow, place, 4));
    b.store(b.loadConstant(gateType, b.element(weights, pair, bytes)),
            b.element(gates, row, bytes));
  }

  /// [S, T+1]: where a token's pairs begin; a sequence ends where the next one
  /// begins.
  void writeTokenOffsets() {
    Value end =
        foldPairs(b.word(0), [&](Value pair, Value expert, ValueRange count) {
          auto [below, real] = countLanes(b.less(expert, experts));
          Value token = b.div(pair, chosen);
          Value isFirst = b.equal(b.mul(token, chosen), pair);
          b.when(b.bitAnd(isFirst, b.less(pair, pairs)),
                 [&] { writeTokenOffset(token, b.add(count[0], below)); });
          return Values{b.add(count[0], real)};
        })[0];
    Value entries = b.mul(seqs, b.add(tokens, 1));
    // Sequences without tokens have an entry each; others lack the last one.
    Value first = b.select(b.equal(pairs, 0), b.word(0), b.sub(entries, 1));
    b.forEach(b.add(first, lane), entries, b.word(32), [&](Value entry) {
      b.store(end, b.element(tokenOffsets, entry, 4));
    });
  }

  void writeTokenOffset(Value token, Value begin) {
    Value seq = b.createOrFold<arith::DivUIOp>(token, tokens);
    Value entry = b.element(tokenOffsets, b.add(token, seq), 4);
    b.store(begin, entry);
    Value opens = b.equal(b.mul(seq, tokens), token);
    b.when(b.bitAnd(opens, b.greater(seq, b.word(0))),
           [&] { b.store(begin, b.offsetOutside(entry, -4)); });
  }

  /// Rows without a pair: -1, and gates of +0.
  void clearTail(Value live) {
    int64_t bytes = gateType.getIntOrFloatBitWidth() / 8;
    Value zero =
        b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(gateType)));
    b.forEach(b.add(live, lane), pairs, b.word(32), [&](Value row) {
      b.store(b.word(-1), b.element(rowToken, row, 4));
      b.store(b.word(-1), b.element(tokenRow, row, 4));
      b.store(zero, b.element(gates, row, bytes));
    });
  }

  KernelBuilder &b;
  Type idType, gateType;
  int64_t chosen, experts;
  Value ids, weights, expertOffsets, rowToken, tokenOffsets, tokenRow, gates;
  Value pairs, tokens, seqs;
  Value lane, owner;
};

struct LowerPlanFromChoice : OpRewritePattern<IdxPlanFromChoiceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxPlanFromChoiceOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Kernel kernel(rewriter, op, "plan_from_choice");
    kernel.pointer(op.getIds());
    kernel.pointer(op.getWeights());
    for (Value memref : op.getOuts())
      kernel.pointer(memref);
    Value pairs = kernel.dim(op.getIds(), 0);
    for (int64_t dimension : {1, 2})
      pairs = rewriter.createOrFold<arith::MulIOp>(
          loc, pairs, kernel.dim(op.getIds(), dimension));
    kernel.size(pairs);
    kernel.size(op.getIds(), 1);
    kernel.size(op.getIds(), 0);

    Kernel::Shape shape;
    int64_t owners = op.getExperts() + 1;
    shape.gridX = arith::ConstantIndexOp::create(
        rewriter, loc, llvm::divideCeil(owners, kWarps));
    shape.threads = 32 * kWarps;
    kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
      ChoiceKernel(b, op, arguments).emit();
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populatePlanFromChoiceToGPUPatterns(
    RewritePatternSet &patterns) {
  patterns.add<LowerPlanFromChoice>(patterns.getContext());
}
