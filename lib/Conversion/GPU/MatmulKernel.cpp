// The body of a grouped matmul kernel: a pipeline of copies and products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MatmulKernel.h"
#include "Kernel.h"

using namespace mlir;
using namespace mlir::moe;

MatmulKernel::MatmulKernel(KernelBuilder &b, IdxGroupedMatmulOp op,
                           const MatmulShape &shape, MatmulOperands operands,
                           EpilogueOperands epilogueOperands)
    : b(b), op(op), shape(shape), operands(std::move(operands)),
      epilogueOperands(std::move(epilogueOperands)) {}

void MatmulKernel::emit(Value tiles) {
  constexpr int64_t kRecordBytes = IdxTilesOp::kRecordWords * 4;
  // Column tiles go fastest: blocks that run together read the same rows.
  Value block = b.blockId();
  Value tile = b.div(block, shape.columnTiles());
  Value columnTile = b.rem(block, shape.columnTiles());
  Value count = b.loadConstant(b.getI32Type(), tiles);
  // The list has room for a record for each block: it is read before it is
  // known whether there is one.
  Value record = b.loadConstant(
      VectorType::get({IdxTilesOp::kRecordWords}, b.getI32Type()),
      b.element(tiles, b.add(tile, 1), kRecordBytes));
  b.when(b.less(tile, count), [&] {
    readPlace(record, columnTile);
    b.when(b.less(b.word(0), place.rows), [&] { emitTile(); });
  });
}

void MatmulKernel::readPlace(Value record, Value columnTile) {
  auto field = [&](int64_t i) -> Value {
    return b.make<vector::ExtractOp>(record, i);
  };
  // A wrong plan must not lead out of bounds.
  place.expert = b.min(field(0), b.word(shape.experts - 1));
  place.firstRow = b.min(field(1), operands.room);
  place.rows = b.min(b.min(field(2), b.word(shape.rows)),
                     b.sub(operands.room, place.firstRow));
  place.columnTile = columnTile;
  place.shared = Kernel::sharedMemory(b);
  place.lane = b.laneId();
  place.warp = b.warpId();
  place.warpDown = b.div(place.warp, shape.warpsAcross);
  place.warpAcross = b.rem(place.warp, shape.warpsAcross);
}

void MatmulKernel::emitTile() {
  copies.emplace(b, shape, operands, place);
  fragments.emplace(b, shape, place);
  emitFirstCopies();
  rowBlocksOfWarp = b.div(b.sub(b.add(place.rows, shape.blockStride() - 1),
                                b.shl(place.warpDown, 4)),
                          shape.blockStride());
  emitForBlocks(shape.blocksOfWarp());
}

void MatmulKernel::emitFirstCopies() {
  pointers = KernelBuilder::Values(copies->getPointers());
  int64_t count = std::min(shape.stages - 1, shape.depthSteps());
  for (int64_t step = 0; step < count; ++step) {
    bool isLast = step == shape.depthSteps() - 1;
    copies->emit(pointers, step, stageOf(step), isLast && shape.depthRest(),
                 std::nullopt);
    b.make<NVVM::CpAsyncCommitGroupOp>();
  }
  pointers = copies->advance(pointers, count);
}

/// A chain of >=, not ==: LLVM makes a jump table of that.
void MatmulKernel::emitForBlocks(int64_t rowBlocks) {
  if (rowBlocks == 0)
    return emitBody(0);
  b.choose(
      b.atLeast(rowBlocksOfWarp, rowBlocks), {},
      [&] {
        emitBody(rowBlocks);
        return KernelBuilder::Values();
      },
      [&] {
        emitForBlocks(rowBlocks - 1);
        return KernelBuilder::Values();
      });
}

/// All threads see what the copies have brought, but the last `mayBeOpen`
/// groups of them, and have left the stage that is written next.
void MatmulKernel::waitForCopies(int64_t mayBeOpen) {
  b.make<NVVM::CpAsyncWaitGroupOp>(static_cast<uint32_t>(mayBeOpen));
  b.barrier();
}

void MatmulKernel::emitBody(int64_t rowBlocks) {
  int64_t steps = shape.depthSteps(), stages = shape.stages;
  State state;
  Value zero = b.make<arith::ConstantOp>(b.getF32FloatAttr(0.0f));
  state.sums.assign(rowBlocks * GPUMatmulFormAttr::kWarpColumns / 2, zero);
  state.pointers = pointers;
  waitForCopies(std::min(stages - 1, steps) - 1);
  state.fragments = fragments->load(0, stageOf(0), rowBlocks);
  // The loop copies whole steps only.
  int64_t copying = std::max<int64_t>(0, steps - (stages - 1));
  int64_t whole = copying - (copying && shape.depthRest() ? 1 : 0);
  int64_t trips = whole / stages, looped = trips * stages;
  if (trips)
    emitLoop(state, trips, rowBlocks);
  for (int64_t step = looped; step < steps; ++step)
    emitStep(state, step, step - looped, rowBlocks);
  MatmulEpilogue(b, op, shape, place, epilogueOperands)
      .emit(state.sums, rowBlocks);
}

void MatmulKernel::emitLoop(State &state, int64_t trips, int64_t rowBlocks) {
  KernelBuilder::Values init(state.sums.begin(), state.sums.end());
  init.append(state.pointers);
  init.append(state.fragments.flat());
  size_t sums = state.sums.size(), moving = state.pointers.size();
  auto unpack = [&](ValueRange values) {
    state.sums = SmallVector<Value>(values.take_front(sums));
    state.pointers = KernelBuilder::Values(values.slice(sums, moving));
    state.fragments =
        Fragments::fromFlat(values.drop_front(sums + moving), rowBlocks);
  };
  unpack(
      b.fold(b.word(0), b.word(trips), b.word(1), init,
             [&](Value, ValueRange carried) {
               unpack(carried);
               for (int64_t i = 0; i < shape.stages; ++i)
                 emitStep(state, i, i, rowBlocks);
               state.pointers = copies->advance(state.pointers, shape.stages);
               KernelBuilder::Values next(state.sums.begin(), state.sums.end());
               next.append(state.pointers);
               next.append(state.fragments.flat());
               return next;
             }));
}

/// Multiplies a step, and copies the one that is stages - 1 further. In the
/// loop `step` stands for all that are congruent modulo the stages; the copied
/// step is `ahead` steps from where the pointers point.
void MatmulKernel::emitStep(State &state, int64_t step, int64_t ahead,
                            int64_t rowBlocks) {
  int64_t steps = shape.depthSteps(), stages = shape.stages;
  int64_t blocks = shape.depthBlocks(), copied = step + stages - 1;
  bool copiesOn = copied < steps, goesOn = step + 1 < steps;
  int64_t open = std::min(step + stages, steps) - (step + 2);
  for (int64_t block = 0; block < blocks; ++block) {
    bool isLast = block == blocks - 1;
    if (isLast && goesOn)
      waitForCopies(open);
    Fragments next;
    if (!isLast)
      next = fragments->load(block + 1, stageOf(step), rowBlocks);
    else if (goesOn)
      next = fragments->load(0, stageOf(step + 1), rowBlocks);
    // In one burst after the first fragments: each change between the two kinds
    // of instruction costs the hardware a few.
    if (copiesOn && block == 0)
      copies->emit(state.pointers, ahead, stageOf(copied),
                   copied == steps - 1 && shape.depthRest(), rowBlocks);
    if (copiesOn && block == blocks - 2)
      b.make<NVVM::CpAsyncCommitGroupOp>();
    fragments->multiply(state.fragments, rowBlocks, state.sums);
    state.fragments = std::move(next);
  }
}
