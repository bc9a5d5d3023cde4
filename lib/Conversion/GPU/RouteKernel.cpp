// The kernel of one moe.idx.route: the order of its steps, and its memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteKernel.h"
#include "ClusterMemory.h"
#include "Kernel.h"

using namespace mlir;
using namespace mlir::moe;

RouteKernel::RouteKernel(KernelBuilder &b, IdxRouteOp op,
                         const RouteLayout &layout, ValueRange arguments,
                         ValueRange outside)
    : b(b), op(op), layout(layout),
      // math.sqrt becomes an approximation on this target.
      fixed(b, [](ImplicitLocOpBuilder &at, Value x) -> Value {
        auto name = at.getStringAttr("llvm.nvvm.sqrt.rn.f");
        return LLVM::CallIntrinsicOp::create(at, at.getF32Type(), name, x)
            .getResult(0);
      }) {
  size_t next = 0;
  for (Value *argument : {&logits, &expertOffsets, &rowToken, &tokenOffsets,
                          &tokenRow, &gates, &workspace})
    *argument = arguments[next++];
  for (size_t i = 0; i < op.getTileRows().size(); ++i)
    tiles.push_back(arguments[next++]);
  for (Value *argument :
       {&seqs, &tokens, &team, &blockTokens, &blockSeqs, &rows})
    *argument = arguments[next++];
  if (op.getChoiceBias())
    choiceBias = arguments[next++];
  if (op.getValid())
    valid = arguments[next++];
  if (!op.hasRouter())
    return;
  router.logits = logits;
  router.input = arguments[next++];
  router.weight = arguments[next++];
  for (size_t i = 0; i < op.getRouterBiases().size(); ++i)
    router.biases.push_back(arguments[next++]);
  for (Value value : outside)
    router.outside.map(value, arguments[next++]);
}

void RouteKernel::emit() {
  start();
  forEachSequence([&] {
    chooseInSequence();
    countColumns();
  });
  exchangeColumns();
  if (layout.mayBeOneTeam() && layout.hasList())
    finishColumns();
  // This block has read what it needs of others', and stays until they have.
  if (layout.isClustered())
    arriveInCluster(b);
  writeOffsets();
  writeTiles();
  forEachSequence([&] {
    startRows();
    startTokens();
    if (layout.keepsPairs)
      writeTokenRows();
    else
      writeRows();
  });
  clearTail();
  if (layout.isClustered())
    waitForCluster(b);
}

//===----------------------------------------------------------------------===//
// Where things are
//===----------------------------------------------------------------------===//

void RouteKernel::start() {
  thread = b.threadId();
  lane = b.laneId();
  warp = b.warpId();
  block = b.blockId();
  blocks = b.make<NVVM::GridDimXOp>(b.getI32Type());
  sharedWords = Kernel::sharedMemory(b);
  histogram = b.offset(sharedWords, 4 * kSharedWords);
  totals = b.offset(histogram, 4 * layout.histogramWords());
  starts = b.offset(totals, 4 * layout.padded);
  columns = b.offset(starts, 4 * layout.padded);
  counts = b.offset(columns, 4 * layout.padded);
  list = layout.isClustered() ? b.offset(counts, 4 * RouteLayout::kCounts)
                              : histogram;
  if (layout.hasGridBarrier()) {
    allBlocks = GridBarrier(b, workspace, shared(kPhase));
    startSums();
  }
  clearShared(starts, layout.padded);
  b.barrier();
}

/// body for each sequence of this block; where they are in shared memory there
/// is one.
void RouteKernel::forEachSequence(function_ref<void()> body) {
  if (!layout.isInTurn) {
    if (!seq) {
      enterSequence(b.createOrFold<arith::DivUIOp>(block, team));
      Value word = b.element(workspace, b.add(seq, 1), 4 * RouteLayout::kLine);
      if (layout.hasHistograms())
        ofTeam = GridBarrier(b, word, shared(kTeamPhase));
    }
    return body();
  }
  Value first = b.mul(block, blockSeqs);
  Value end = b.min(b.add(first, blockSeqs), seqs);
  b.forEach(first, end, b.word(1), [&](Value index) {
    enterSequence(index);
    body();
    b.barrier();
  });
}

void RouteKernel::enterSequence(Value index) {
  seq = index;
  member = b.sub(block, b.mul(seq, team));
  Value memory;
  Value groups = b.shr(b.add(blockTokens, 31), 5);
  if (layout.isInTurn)
    member = b.word(0);
  if (layout.memory == TokenMemory::Workspace) {
    // Of all blocks as many words as of one that has them all.
    Value words = b.add(b.mul(b.asWide(blockTokens), layout.perToken()),
                        b.mul(b.asWide(groups), layout.perGroup()));
    Value owner = layout.isInTurn ? seq : block;
    Value place = b.add(b.mul(b.asWide(owner), words), layout.tokenMemory());
    memory = b.offset(workspace, b.mul(place, 4));
  } else {
    memory = b.offset(starts, 4 * (layout.padded + layout.clusterWords()));
  }
  firstToken = b.mul(member, blockTokens);
  Value left = b.sub(b.max(tokens, firstToken), firstToken);
  numTokens = b.select(b.less(seq, seqs), b.min(left, blockTokens), b.word(0));
  firstRow = b.add(b.mul(seq, tokens), firstToken);

  keys = memory;
  bits = at(keys, blockTokens, 4 * layout.keyWords());
  stats = at(bits, blockTokens, 4 * layout.bitWords());
  masks = layout.keepsStats ? at(stats, blockTokens, 8) : stats;
  bases = at(masks, groups, 4 * layout.padded);
  pairsBefore = at(bases, groups, 4 * layout.padded);
  groupPairs = at(pairsBefore, blockTokens);
}

/// `base` moved by `index` elements, in the memory of tokens.
Value RouteKernel::at(Value base, Value index, int64_t bytes) {
  auto type = cast<LLVM::LLVMPointerType>(base.getType());
  if (type.getAddressSpace() == static_cast<unsigned>(Space::Shared))
    return b.offset(base, b.mul(index, bytes));
  return b.element(base, index, bytes);
}

/// The keys of a token of this block, that of this lane first.
Value RouteKernel::rowOfKeys(Value token) {
  return at(at(keys, token, 4 * layout.padded), lane);
}

/// The bits of a token of this block.
Value RouteKernel::bitsOf(Value token) {
  return at(bits, token, 4 * layout.bitWords());
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

/// body(token) for the tokens of this warp.
void RouteKernel::forEachToken(function_ref<void(Value)> body) {
  b.forEach(warp, numTokens, b.word(layout.warps), body);
}

/// body(i) for this thread's share of 0 .. count.
void RouteKernel::forEachOf(Value count, function_ref<void(Value)> body) {
  b.forEach(thread, count, b.word(layout.threads), body);
}

/// All threads of the team arrive, and see what the others wrote before.
void RouteKernel::waitForTeam() {
  if (!layout.isClustered())
    return ofTeam.arriveAndWait(team, b.equal(member, 0));
  arriveInCluster(b);
  waitForCluster(b);
}

void RouteKernel::byFirstThread(function_ref<void()> body) {
  b.when(b.equal(thread, 0), body);
}

/// Clears `count` words, a multiple of four, by accesses of 16 bytes.
void RouteKernel::clearShared(Value memory, int64_t count) {
  Type type = VectorType::get(4, b.getI32Type());
  Value zero = b.make<arith::ConstantOp>(cast<TypedAttr>(b.getZeroAttr(type)));
  forEachOf(b.word(count / 4),
            [&](Value i) { b.store(zero, at(memory, i, 16)); });
}

/// The sum of the values of the threads before this one, and of all.
RouteKernel::Sum RouteKernel::sumOfThreadsBefore(Value value) {
  Value upTo = b.sumOfLanesUpTo(value);
  Value sums = shared(kWarpSums);
  b.barrier();
  b.when(b.equal(lane, 31), [&] { b.store(upTo, at(sums, warp)); });
  b.barrier();
  Value last = b.word(layout.warps - 1);
  Value sum = b.loadWord(at(sums, b.min(lane, last)));
  sum = b.select(b.less(lane, layout.warps), sum, b.word(0));
  Value ofWarpsBefore = b.select(b.less(lane, warp), sum, b.word(0));
  Value before = b.reduce(ofWarpsBefore, NVVM::ReduxKind::ADD);
  return {b.sub(b.add(before, upTo), value),
          b.reduce(sum, NVVM::ReduxKind::ADD)};
}

//===----------------------------------------------------------------------===//
// One sequence
//===----------------------------------------------------------------------===//

void RouteKernel::chooseInSequence() {
  if (op.hasRouter()) {
    router.partialSums = histogram;
    RouterProduct(b, op, layout, router).emit(firstRow, numTokens);
  }
  if (!layout.choosesByToken) {
    clearShared(histogram, RouteLayout::kBins);
    byFirstThread([&] {
      for (Word word :
           {kValid, kTeamLargest, kTeamLowest, kTiesBefore, kListLength})
        writeShared(word, b.word(0));
    });
    b.barrier();
    countValid();
  }
  writeKeys();
  b.barrier();
  if (!layout.choosesByToken) {
    threshold = findThreshold();
    markChosen(threshold);
    b.barrier();
    if (layout.hasTeam())
      b.when(b.equal(threshold.ending, kList), [&] { chooseFromList(); });
  }
  writeColumns();
  b.barrier();
}
