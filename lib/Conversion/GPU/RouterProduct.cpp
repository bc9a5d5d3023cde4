// The logits of a routing kernel that computes them itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouterProduct.h"
#include "../VectorizeEpilogue.h"
#include "KernelMath.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::moe;

/// Bytes of an input element and of a weight, and of what a lane loads at once.
static constexpr int64_t kBytes = 2, kChunkBytes = 16;
/// Values of H that a lane has of a step, and all four lanes of a row.
static constexpr int64_t kOfLane = 8, kOfStep = 32;
/// Loads that a lane has in flight, of 16 bytes each.
static constexpr int64_t kLoads = 12;

RouterProduct::RouterProduct(KernelBuilder &b, IdxRouteOp op,
                             const RouteLayout &layout,
                             const RouterOperands &operands)
    : b(b), op(op), layout(layout), operands(operands),
      element(getElementTypeOrSelf(op.getRouterInput().getType())),
      depth(cast<ShapedType>(op.getRouterInput().getType()).getDimSize(1)),
      groups(layout.routerTokens / 8), parts(layout.routerParts()),
      byDepth(*op.getLayout() == Layout::KN), lane(b.laneId()),
      warp(b.warpId()), inQuad(b.bitAnd(lane, 3)), quad(b.shr(lane, 2)) {
  stepsAtOnce = kLoads / (2 + groups);
}

Value RouterProduct::number(float value) {
  return b.make<arith::ConstantOp>(b.getF32FloatAttr(value));
}

void RouterProduct::emit(Value row, Value count) {
  firstRow = row;
  numTokens = count;
  b.forEach(b.word(0), numTokens, b.word(layout.routerTokens),
            [&](Value first) { emitTokens(first); });
  // The arithmetic of scores must stay as it is written, this may not.
  expandKernelMath(&*std::prev(b.getInsertionPoint()));
  b.barrier();
}

void RouterProduct::emitTokens(Value first) {
  findTokens(first);
  int64_t blocks = layout.routerBlocks();
  if (parts == 1) {
    b.forEach(warp, b.word(blocks), b.word(layout.warps), [&](Value block) {
      findExperts(block);
      write(sumsOf(b.word(0)));
    });
    return;
  }
  Value block = b.div(warp, parts), part = b.rem(warp, parts);
  Value isBlock = b.less(block, blocks);
  SmallVector<Type> types(4 * groups, b.getF32Type());
  Values sums = b.choose(
      isBlock, types,
      [&] {
        findExperts(block);
        return sumsOf(part);
      },
      [&] { return Values(types.size(), number(0)); });
  sums = addParts(sums, part);
  b.when(b.bitAnd(isBlock, b.equal(part, 0)), [&] {
    findExperts(block);
    write(sums);
  });
}

//===----------------------------------------------------------------------===//
// Who a lane is
//===----------------------------------------------------------------------===//

/// Of each eight tokens a lane loads number `quad`, and has the results of
/// numbers 2 · inQuad and the next. Missing tokens load the last one.
void RouterProduct::findTokens(Value first) {
  tokens.clear();
  tokenRows.clear();
  Value last = b.sub(numTokens, 1);
  for (int64_t group = 0; group < groups; ++group) {
    Value ofGroup = b.add(first, 8 * group);
    tokens.push_back(b.add(ofGroup, b.shl(inQuad, 1)));
    Value mine = b.add(firstRow, b.min(b.add(ofGroup, quad), last));
    tokenRows.push_back(b.element(operands.input, mine, depth * kBytes));
  }
}

/// The two experts of a lane, of which missing ones load the last. By depth
/// they follow each other, and are loaded together.
void RouterProduct::findExperts(Value block) {
  Value first = b.shl(block, 4);
  experts[0] = b.add(first, byDepth ? b.shl(quad, 1) : quad);
  experts[1] = b.add(experts[0], byDepth ? 1 : 8);
  Value last = b.word(layout.experts - 1);
  for (int i : {0, 1}) {
    Value expert = b.min(experts[i], last);
    if (byDepth && layout.experts % 2 == 0)
      expert = b.min(b.add(experts[0], i), b.sub(last, 1 - i));
    weightRows[i] =
        b.element(operands.weight, expert, byDepth ? kBytes : depth * kBytes);
  }
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

/// Eight values of H that follow each other, as words: of a row and this lane's
/// place in a step, by the widest loads that alignment allows. With `first`,
/// `pointer` is the row's start, the step begins there, and what lies beyond H
/// is zero.
RouterProduct::Values RouterProduct::loadChunk(Value pointer,
                                               std::optional<int64_t> first) {
  int64_t piece = std::min(kChunkBytes, (depth & -depth) * kBytes);
  int64_t values = piece / kBytes;
  Type word = b.getI32Type();
  Type type = piece == 2   ? b.getI16Type()
              : piece == 4 ? word
                           : Type(VectorType::get(piece / 4, word));
  Values words;
  for (int64_t i = 0; i < kOfLane; i += values) {
    Value place, isIn;
    if (first) {
      Value at = b.add(b.mul(inQuad, kOfLane), *first + i);
      isIn = b.less(at, depth);
      at = b.min(at, b.word(depth - values));
      place = b.offset(pointer, b.mul(at, kBytes));
    } else {
      place = b.offset(pointer, i * kBytes);
    }
    Value loaded = b.loadConstant(type, place);
    for (int64_t j = 0; j < std::max<int64_t>(piece / 4, 1); ++j) {
      Value part = piece > 4 ? b.make<vector::ExtractOp>(loaded, j) : loaded;
      part = b.asWord(part);
      if (isIn)
        part = b.select(isIn, part, b.word(0));
      if (piece == 2 && i % 2)
        words.back() = b.bitOr(words.back(), b.shl(part, 16));
      else
        words.push_back(part);
    }
  }
  return words;
}

/// The weights of both experts for one value of H, in one word.
Value RouterProduct::loadColumnPair(Value pointer) {
  if (layout.experts % 2 == 0)
    return b.loadConstant(b.getI32Type(), pointer);
  // The second expert is the next one, or there is none.
  Value isLast = b.atLeast(experts[1], layout.experts);
  Value next = b.select(isLast, b.word(0), b.word(kBytes));
  Type half = b.getI16Type();
  Value low = b.asWord(b.loadConstant(half, pointer));
  Value high = b.asWord(b.loadConstant(half, b.offset(pointer, next)));
  return b.bitOr(low, b.shl(high, 16));
}

/// loadChunk of both experts where the weights lie value of H by value.
RouterProduct::Values RouterProduct::loadColumns(Value pointer,
                                                 std::optional<int64_t> first) {
  int64_t pitch = layout.experts * kBytes;
  Values pairs;
  for (int64_t i = 0; i < kOfLane; ++i) {
    if (!first) {
      pairs.push_back(loadColumnPair(b.offset(pointer, i * pitch)));
      continue;
    }
    Value at = b.add(b.mul(inQuad, kOfLane), *first + i);
    Value place = b.element(pointer, b.min(at, b.word(depth - 1)), pitch);
    pairs.push_back(
        b.select(b.less(at, depth), loadColumnPair(place), b.word(0)));
  }
  Values words(kOfLane);
  for (int64_t i = 0; i < kOfLane / 2; ++i) {
    Value one = pairs[2 * i], two = pairs[2 * i + 1];
    words[i] = b.bitOr(b.bitAnd(one, 0xFFFF), b.shl(two, 16));
    words[kOfLane / 2 + i] = b.bitOr(b.shr(one, 16), b.bitAnd(two, 0xFFFF0000));
  }
  return words;
}

/// A whole step, `ahead` values of H behind where both are: `input` in bytes
/// from a token's row, `weight` from an expert's.
RouterProduct::Step RouterProduct::loadStep(int64_t ahead, Value input,
                                            Value weight) {
  Step step;
  auto chunkOf = [&](Value row) {
    return loadChunk(b.offset(b.offset(row, input), ahead * kBytes));
  };
  if (byDepth) {
    Value first = b.offset(weightRows[0], weight);
    step.weights =
        loadColumns(b.offset(first, ahead * layout.experts * kBytes));
  } else {
    for (Value row : weightRows)
      step.weights.append(chunkOf(row));
  }
  for (Value row : tokenRows)
    step.tokens.append(chunkOf(row));
  return step;
}

/// The step from value `first` on, which H ends within.
RouterProduct::Step RouterProduct::loadRest(int64_t first) {
  Step step;
  if (byDepth)
    step.weights = loadColumns(weightRows[0], first);
  else
    for (Value row : weightRows)
      step.weights.append(loadChunk(row, first));
  for (Value row : tokenRows)
    step.tokens.append(loadChunk(row, first));
  return step;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// Element 4 · g + i: expert i / 2 of this lane, and token i mod 2 of group g.
/// Parts take the steps in turn.
RouterProduct::Values RouterProduct::sumsOf(Value part) {
  int64_t length = stepsAtOnce * kOfStep, count = depth / length;
  Values sums(4 * groups, number(0));
  int64_t ofLane = byDepth ? kOfLane * layout.experts : kOfLane;
  if (count)
    sums =
        b.fold(part, b.word(count), b.word(parts), sums,
               [&](Value i, ValueRange carried) {
                 Value at = b.mul(i, length), mine = b.mul(inQuad, kOfLane);
                 Value input = b.mul(b.add(at, mine), kBytes), weight = input;
                 if (byDepth)
                   weight = b.add(b.mul(b.asWide(at), layout.experts * kBytes),
                                  b.asWide(b.mul(inQuad, ofLane * kBytes)));
                 SmallVector<Step> steps;
                 for (int64_t j = 0; j < stepsAtOnce; ++j)
                   steps.push_back(loadStep(j * kOfStep, input, weight));
                 Values next(carried);
                 for (const Step &step : steps)
                   multiply(step, next);
                 return next;
               });
  if (depth % length == 0)
    return sums;
  if (parts == 1)
    return sumsOfRest(sums, count * length);
  Value isNext = b.equal(part, count % parts);
  return b.choose(
      isNext, ValueRange(sums).getTypes(),
      [&] { return sumsOfRest(sums, count * length); }, [&] { return sums; });
}

/// `sums` and the products from value `first` of H on.
RouterProduct::Values RouterProduct::sumsOfRest(ValueRange sums,
                                                int64_t first) {
  Values next(sums);
  SmallVector<Step> steps;
  for (; first + kOfStep <= depth; first += kOfStep) {
    Value input = b.mul(b.add(b.mul(inQuad, kOfLane), first), kBytes);
    Value weight = b.asWide(input);
    if (byDepth)
      weight = b.mul(weight, layout.experts);
    steps.push_back(loadStep(0, input, weight));
  }
  if (first < depth)
    steps.push_back(loadRest(first));
  for (const Step &step : steps)
    multiply(step, next);
  return next;
}

/// The sums of all parts, in their order, for the first one.
RouterProduct::Values RouterProduct::addParts(ValueRange sums, Value part) {
  int64_t count = sums.size();
  auto placeOf = [&](Value ofWarp, int64_t i) {
    Value line = b.add(b.mul(ofWarp, count), i);
    Value word = b.add(b.shl(line, 5), lane);
    return b.offset(operands.partialSums, b.mul(word, 4));
  };
  // The sums of the tokens before these were read.
  b.barrier();
  for (auto [i, sum] : llvm::enumerate(sums))
    b.store(sum, placeOf(warp, i));
  b.barrier();
  return b.choose(
      b.equal(part, 0), sums.getTypes(),
      [&] {
        Values total(sums);
        for (int64_t other = 1; other < parts; ++other)
          for (int64_t i = 0; i < count; ++i) {
            Value place = placeOf(b.add(warp, other), i);
            total[i] =
                b.make<arith::AddFOp>(total[i], b.load(b.getF32Type(), place));
          }
        return total;
      },
      [&] { return Values(sums); });
}

/// mma takes two f16 as a vector, and two bf16 as an integer.
Value RouterProduct::fragment(Value word) {
  if (!element.isF16())
    return word;
  return b.make<LLVM::BitcastOp>(VectorType::get({2}, b.getF16Type()), word);
}

void RouterProduct::multiply(const Step &step, SmallVectorImpl<Value> &sums) {
  Type f32 = b.getF32Type();
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  std::optional<std::array<NVVM::MMATypes, 2>> types;
  if (element.isBF16())
    types = {NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
  std::array<NVVM::MMALayout, 2> layouts = {NVVM::MMALayout::row,
                                            NVVM::MMALayout::col};
  // A product takes half of what a lane has, and its k are in the order in
  // which lanes have them.
  for (int64_t half : {0, 1}) {
    Values weights;
    for (int64_t i : {0, 4, 1, 5})
      weights.push_back(fragment(step.weights[2 * half + i]));
    for (int64_t group = 0; group < groups; ++group) {
      Values mine;
      for (int64_t i : {0, 1})
        mine.push_back(fragment(step.tokens[4 * group + 2 * half + i]));
      MutableArrayRef<Value> at =
          MutableArrayRef<Value>(sums).slice(4 * group, 4);
      Value product = b.make<NVVM::MmaOp>(
          type, weights, mine, ValueRange(at), ArrayRef<int64_t>{16, 8, 16},
          std::nullopt, std::nullopt, types, layouts);
      for (int64_t i = 0; i < 4; ++i)
        at[i] = b.make<LLVM::ExtractValueOp>(product, i);
    }
  }
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Makes logits of sums as the region says, and stores them.
void RouterProduct::write(ArrayRef<Value> sums) {
  Type type = getElementTypeOrSelf(op.getLogits().getType());
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  auto vectorOf = [&](Type of) { return VectorType::get({4}, of); };
  HalfConversion half{[&](Value value) -> Value {
                        return b.make<arith::ExtFOp>(vectorOf(b.getF32Type()),
                                                     value);
                      },
                      [&](Value value, Type to) -> Value {
                        return b.make<arith::TruncFOp>(vectorOf(to), value);
                      }};
  SmallVector<Value> biases;
  for (auto [bias, memref] :
       llvm::zip_equal(operands.biases, op.getRouterBiases())) {
    Type of = getElementTypeOrSelf(memref.getType());
    SmallVector<Value> both;
    for (Value expert : experts) {
      Value column = b.min(expert, b.word(layout.experts - 1));
      Value place = b.element(bias, column, of.getIntOrFloatBitWidth() / 8);
      both.append(2, b.loadConstant(of, place));
    }
    biases.push_back(b.make<vector::FromElementsOp>(vectorOf(of), both));
  }
  for (int64_t group = 0; group < groups; ++group) {
    SmallVector<Value> arguments{b.make<vector::FromElementsOp>(
        vectorOf(b.getF32Type()), sums.slice(4 * group, 4))};
    arguments.append(biases);
    Value values = cloneEpilogue(b, op.getEpilogue(), arguments, 4, half,
                                 operands.outside);
    for (int64_t i = 0; i < 4; ++i) {
      Value token = b.add(tokens[group], i % 2), expert = experts[i / 2];
      Value isReal =
          b.bitAnd(b.less(token, numTokens), b.less(expert, layout.experts));
      b.when(isReal, [&] {
        Value row = b.element(operands.logits, b.add(firstRow, token),
                              layout.experts * bytes);
        b.store(b.make<vector::ExtractOp>(values, i),
                b.element(row, expert, bytes));
      });
    }
  }
}
