// moe.idx.route to loops and vectors: the order of the steps.
//
// 1. Where each token's pairs start, and how many a sequence chooses: exactly
//    k for each valid token, so this is known before any score.
// 2. Token by token, in parallel: scores, keys, candidates; in token scope the
//    choice, in sequence scope each token's floor and cap.
// 3. In sequence scope, sequence by sequence: the threshold of the choice, and
//    one pass that lists the chosen experts of each token.
// 4. The plan's views, in one pass over the pairs.
// 5. Gates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteToCPU.h"
#include "PlanViews.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "moe/Conversion/MoEToCPU.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// f32 lanes if the op has no schedule: LLVM splits them where a target's
/// registers are smaller.
static constexpr int64_t kDefaultLanes = 16;

/// Scores from which on threads are worth waking: one core takes some 3 ns for
/// each, and a parallel loop up to 0.1 ms before it begins.
static constexpr int64_t kLargeScores = 1 << 17;

RouteLowering::RouteLowering(IdxRouteOp op, RewriterBase &rewriter)
    : op(op), rewriter(rewriter), b(op.getLoc(), rewriter), fixed(b),
      experts(op.getNumExperts()),
      lanes(op.getCPUSchedule() ? op.getCPUSchedule().getVector()
                                : kDefaultLanes),
      stride(IdxRouteOp::getWorkspaceRow(experts)),
      wordVector(VectorType::get(lanes, b.getI32Type())),
      floatVector(VectorType::get(lanes, b.getF32Type())) {
  Value logits = op.getLogits();
  bool hasSeqs = cast<MemRefType>(logits.getType()).getRank() == 3;
  seqs = hasSeqs ? b.dim(logits, 0) : b.index(1);
  tokens = b.dim(logits, hasSeqs ? 1 : 0);
  allTokens = b.mul(seqs, tokens);
  keysBase = b.mul(allTokens, stride);
  biasBase = b.mul(keysBase, 2);
  groupsBase = b.add(biasBase, stride);
  isLarge = b.less(b.index(kLargeScores), keysBase);
}

void RouteLowering::run() {
  startTokens();
  prepareBias();
  forEachToken("tokens", [&](const Token &at) { routeToken(at); });
  if (op.getScope() == Scope::Sequence)
    distribute("sequence", seqs, b.both(isLarge, b.less(b.index(1), seqs)),
               [&](Value seq) { chooseInSequence(seq); });
  writePlan();
  forEachToken("gates", [&](const Token &at) { writeGates(at); });
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

Value RouteLowering::isValid(Value seq, Value token) {
  Value valid = op.getValid();
  if (cast<MemRefType>(valid.getType()).getRank() == 1)
    return b.load(valid, token);
  return b.load(valid, {seq, token});
}

/// token_offsets as if each valid token chose k experts. In token scope that is
/// final; in sequence scope the first and the last of a sequence are.
void RouteLowering::startTokens() {
  Value offsets = op.getField(Field::TokenOffsets), k = b.index(op.getK());
  b.fold(b.index(0), seqs, b.index(0), [&](Value seq, Value first) {
    Value end = b.fold(b.index(0), tokens, first, [&](Value t, Value pair) {
      b.storeIndex(pair, offsets, {seq, t});
      Value more = k;
      if (op.getValid())
        more = b.select(isValid(seq, t), k, b.index(0));
      return b.add(pair, more);
    });
    b.storeIndex(end, offsets, {seq, tokens});
    return end;
  });
}

/// A name for a part of a function that no symbol of the module has.
static std::string nameOfPart(Operation *op, StringRef part) {
  auto function = op->getParentOfType<func::FuncOp>();
  std::string stem = (function.getName() + "_" + part).str(), name = stem;
  for (int i = 0; SymbolTable::lookupNearestSymbolFrom(
           function, StringAttr::get(op->getContext(), name));
       ++i)
    name = stem + "_" + std::to_string(i);
  return name;
}

/// body(i) for all i < count: at once if `inParallel`, else one after another.
/// The body is a function of its own, called from both loops.
void RouteLowering::distribute(StringRef step, Value count, Value inParallel,
                               function_ref<void(Value)> body) {
  auto branch = scf::IfOp::create(b, inParallel, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value zero = b.index(0), one = b.index(1);
  auto loop = scf::ParallelOp::create(b, ValueRange(zero), ValueRange(count),
                                      ValueRange(one));
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVars().front());
  func::CallOp call;
  // It fails for a region of several blocks only.
  FailureOr<func::FuncOp> function = outlineSingleBlockRegion(
      rewriter, op.getLoc(), loop.getRegion(), nameOfPart(op, step), &call);
  function->setPrivate();
  b.setInsertionPointToStart(branch.elseBlock());
  b.forEach(count, [&](Value i) {
    IRMapping mapping;
    mapping.map(loop.getInductionVars().front(), i);
    b.clone(*call, mapping);
  });
}

/// body for all tokens, by blocks of tokens.
void RouteLowering::forEachToken(StringRef step,
                                 function_ref<void(const Token &)> body) {
  constexpr int64_t size = IdxRouteOp::kTokensPerBlock;
  Value blocks = b.ceilDiv(allTokens, size);
  distribute(step, blocks, isLarge, [&](Value block) {
    Value first = b.mul(block, size);
    Value end = b.min(b.add(first, size), allTokens);
    Value groups = b.add(groupsBase, b.mul(block, stride));
    b.forEach(first, end, 1, [&](Value number) {
      Value scores = b.mul(number, stride);
      body({b.make<arith::DivUIOp>(number, tokens),
            b.make<arith::RemUIOp>(number, tokens), scores,
            b.add(keysBase, scores), groups});
    });
  });
}

void RouteLowering::routeToken(const Token &at) {
  auto route = [&] {
    scoreToken(at);
    if (op.getTopkGroup() != op.getNGroup())
      keepBestGroups(at);
    chooseForToken(at);
    return Values();
  };
  auto skip = [&] {
    clearKeys(at);
    return Values();
  };
  if (op.getValid())
    b.choose(isValid(at.seq, at.token), {}, route, skip);
  else
    route();
}

void RouteLowering::chooseForToken(const Token &at) {
  if (op.getScope() == Scope::Token) {
    Value size = b.index(stride), k = b.index(op.getK());
    listChosen(at.keys, findThreshold(at.keys, size, k));
    return;
  }
  if (op.getEffectiveCap() != op.getCandidatesPerToken())
    boundToken(at, op.getEffectiveCap(), /*isFloor=*/false);
  if (op.getFloor() != 0)
    boundToken(at, op.getFloor(), /*isFloor=*/true);
}

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// body(token number, expert, place in token_row) for all pairs, in token
/// order.
void RouteLowering::forEachPair(function_ref<void(Value, Value, Value)> body) {
  Value offsets = op.getField(Field::TokenOffsets);
  b.forEach(seqs, [&](Value seq) {
    b.forEach(tokens, [&](Value t) {
      Value number = b.add(b.mul(seq, tokens), t);
      Value keys = b.add(keysBase, b.mul(number, stride));
      Value begin = b.loadIndex(offsets, {seq, t});
      Value end = b.loadIndex(offsets, {seq, b.add(t, 1)});
      b.forEach(begin, end, 1, [&](Value pair) {
        Value expert = wordAt(b.add(keys, b.sub(pair, begin)));
        body(number, b.toIndex(expert), pair);
      });
    });
  });
}

void RouteLowering::writePlan() {
  PlanViews views(b, op.getOuts().take_front(5), experts);
  views.clearCounts();
  forEachPair([&](Value, Value expert, Value) { views.countPair(expert); });
  views.startRows();
  forEachPair([&](Value number, Value expert, Value pair) {
    b.storeIndex(views.takeRow(expert, number), op.getField(Field::TokenRow),
                 pair);
  });
  views.clearTail();
}

//===----------------------------------------------------------------------===//
// Workspace
//===----------------------------------------------------------------------===//

LogicalResult mlir::moe::verifyRouteOnCPU(IdxRouteOp op) {
  if (op.getGPUSchedule() || !op.getTileRows().empty())
    return op.emitOpError("has a #moe.gpu_route schedule or lists of tiles, "
                          "which are for convert-moe-to-gpu; a CPU takes a "
                          "#moe.schedule, and its matmuls read the plan");
  if (op.hasRouter())
    return op.emitOpError("computes its logits, which only kernels of a GPU "
                          "do; leave the router's matmul an op of its own");
  if (hasUnitLastStride(op.getWorkspace()))
    return success();
  return op.emitOpError("needs a workspace whose words lie next to each other, "
                        "because it is read by whole vectors; got ")
         << op.getWorkspace().getType()
         << "; allocate it where it is used, without a strided layout";
}

Value RouteLowering::wordsAt(Value at) {
  return b.make<vector::LoadOp>(wordVector, op.getWorkspace(), at);
}

void RouteLowering::storeWords(Value words, Value at) {
  vector::StoreOp::create(b, words, op.getWorkspace(), at);
}

Value RouteLowering::splat(Value word) {
  return b.make<vector::BroadcastOp>(wordVector, word);
}

//===----------------------------------------------------------------------===//
// Pattern
//===----------------------------------------------------------------------===//

namespace {
struct RouteToCPU : OpRewritePattern<IdxRouteOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdxRouteOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureBufferSemantics())
      return rewriter.notifyMatchFailure(op, "is not on memrefs");
    if (failed(verifyRouteOnCPU(op)))
      return failure();
    RouteLowering(op, rewriter).run();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void mlir::moe::populateRouteToCPUPatterns(RewritePatternSet &patterns) {
  patterns.add<RouteToCPU>(patterns.getContext());
}
