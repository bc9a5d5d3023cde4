// Fragments of tiles in registers, and their products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MatmulFragments.h"

using namespace mlir;
using namespace mlir::moe;

/// Column blocks of 8, which one mma makes, and of 16, which one ldmatrix
/// loads, of a warp.
static constexpr int64_t kColumnBlocks = GPUMatmulFormAttr::kWarpColumns / 8;
static constexpr int64_t kColumnPairs = kColumnBlocks / 2;

KernelBuilder::Values Fragments::flat() const {
  KernelBuilder::Values values(rows);
  values.append(weights.begin(), weights.end());
  return values;
}

Fragments Fragments::fromFlat(ValueRange values, int64_t blocks) {
  return {KernelBuilder::Values(values.take_front(4 * blocks)),
          KernelBuilder::Values(values.drop_front(4 * blocks))};
}

MatmulFragments::MatmulFragments(KernelBuilder &b, const MatmulShape &shape,
                                 const TilePlace &place)
    : b(b), shape(shape), place(place) {
  // Matrices 0 and 1 are rows 0-7 and 8-15 at the first 8 of K, 2 and 3 the
  // same rows at the next; lane 8m + r gives row r of matrix m.
  Value row = b.bitAnd(place.lane, 15), half = b.shr(place.lane, 4);
  Value first = b.mul(place.warpDown, 16 * shape.rowBytes());
  for (int64_t block = 0; block < shape.depthBlocks(); ++block) {
    Value at = placeOfChunk(b, shape.rowBytes(), row, b.add(half, 2 * block));
    rowBases.push_back(b.offset(place.shared, b.add(first, at)));
  }
  if (shape.layout == Layout::NK)
    addWeightBasesByRow();
  else
    addWeightBasesByDepth();
}

// Of weights, matrices 0 and 1 are columns 0-7 at the first and the next 8 of
// K, 2 and 3 columns 8-15.
void MatmulFragments::addWeightBasesByRow() {
  Value inEight = b.bitAnd(place.lane, 7);
  Value row = b.add(b.shl(b.shr(place.lane, 4), 3), inEight);
  Value half = b.bitAnd(b.shr(place.lane, 3), 1);
  Value first = b.mul(place.warpAcross,
                      GPUMatmulFormAttr::kWarpColumns * shape.rowBytes());
  for (int64_t block = 0; block < shape.depthBlocks(); ++block) {
    Value at = placeOfChunk(b, shape.rowBytes(), row, b.add(half, 2 * block));
    weightBases.push_back(
        b.offset(b.offset(place.shared, b.add(first, at)), shape.rowsBytes()));
  }
}

// The same matrices, stored by k: ldmatrix transposes them.
void MatmulFragments::addWeightBasesByDepth() {
  bool halves = shape.holdsHalves();
  Value line = b.bitAnd(place.lane, 15), half = b.shr(place.lane, 4);
  for (int64_t pair = 0; pair < kColumnPairs; ++pair) {
    // With two outputs in halves of a line, a warp has 32 columns of each.
    int64_t output = halves ? pair / 2 : 0;
    int64_t inOutput = halves ? pair % 2 : pair;
    int64_t start =
        output * (shape.columns / 2 / kChunkElements) + 2 * inOutput;
    Value chunk =
        b.add(b.add(b.mul(place.warpAcross, halves ? 4 : 8), half), start);
    Value inLine = b.bitXor(b.bitAnd(chunk, 7), b.bitAnd(line, 7));
    Value at = b.add(b.add(b.mul(line, shape.weightLineBytes()),
                           b.mul(b.shr(chunk, 3), kLineBytes)),
                     b.shl(inLine, 4));
    weightBases.push_back(
        b.offset(b.offset(place.shared, at), shape.rowsBytes()));
  }
}

void MatmulFragments::loadMatrices(Value pointer, bool transposed,
                                   KernelBuilder::Values &into) {
  Type word = b.getI32Type();
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               {word, word, word, word});
  auto shapeAttr = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  Value matrices = b.make<NVVM::LdMatrixOp>(
      type, pointer, 4u,
      transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row, shapeAttr,
      NVVM::LdStMatrixEltType::B16);
  for (int64_t i = 0; i < 4; ++i)
    into.push_back(b.make<LLVM::ExtractValueOp>(matrices, i));
}

Fragments MatmulFragments::load(int64_t block, int64_t stage,
                                int64_t rowBlocks) {
  Fragments fragments;
  if (rowBlocks == 0)
    return fragments;
  for (int64_t i = 0; i < rowBlocks; ++i)
    loadMatrices(
        b.offsetInLoop(rowBases[block],
                       stage + i * shape.blockStride() * shape.rowBytes()),
        /*transposed=*/false, fragments.rows);
  bool byRow = shape.layout == Layout::NK;
  for (int64_t pair = 0; pair < kColumnPairs; ++pair) {
    Value base = weightBases[byRow ? block : pair];
    int64_t ahead = byRow ? pair * 16 * shape.rowBytes()
                          : block * 16 * shape.weightLineBytes();
    loadMatrices(b.offsetInLoop(base, stage + ahead), /*transposed=*/!byRow,
                 fragments.weights);
  }
  return fragments;
}

/// mma takes two f16 as a vector, and two bf16 as an integer.
Value MatmulFragments::operand(Value word) {
  if (!shape.element.isF16())
    return word;
  return b.make<LLVM::BitcastOp>(VectorType::get({2}, b.getF16Type()), word);
}

void MatmulFragments::multiply(const Fragments &fragments, int64_t rowBlocks,
                               MutableArrayRef<Value> sums) {
  Type f32 = b.getF32Type();
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  // f16 says by its operands' type what it is.
  std::optional<std::array<NVVM::MMATypes, 2>> types;
  if (shape.element.isBF16())
    types = {NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
  std::array<NVVM::MMALayout, 2> layouts = {NVVM::MMALayout::row,
                                            NVVM::MMALayout::col};
  KernelBuilder::Values rows, weights;
  for (Value word : fragments.rows)
    rows.push_back(operand(word));
  for (Value word : fragments.weights)
    weights.push_back(operand(word));
  for (int64_t block = 0; block < rowBlocks; ++block)
    for (int64_t i = 0; i < kColumnBlocks; ++i) {
      // There and back again: neighbours share an operand.
      int64_t column = block % 2 ? kColumnBlocks - 1 - i : i;
      MutableArrayRef<Value> at =
          sums.slice(4 * (block * kColumnBlocks + column), 4);
      Value product =
          b.make<NVVM::MmaOp>(type, ValueRange(rows).slice(4 * block, 4),
                              ValueRange(weights).slice(2 * column, 2),
                              ValueRange(at), ArrayRef<int64_t>{16, 8, 16},
                              std::nullopt, std::nullopt, types, layouts);
      for (int64_t j = 0; j < 4; ++j)
        at[j] = b.make<LLVM::ExtractValueOp>(product, j);
    }
}
